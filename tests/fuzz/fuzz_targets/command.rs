//! The replies to commands: what a command reads in any reply. The first byte chooses the command.
#![no_main]

use torcon::Reply;
use torcon::command::{
    AddOnion, AuthChallenge, Command, DelOnion, ExtendCircuit, GetConf, GetInfo, GetProtocolInfo,
    MapAddress, OnionClientAuthAdd, OnionClientAuthRemove, OnionClientAuthView, PostDescriptor,
    SendSignal,
};
use torcon::names::{ClientAuthKey, OnionKey, OnionPort, Signal};

/// Reads the reply, and prints what was read, or why nothing was.
fn read<C: Command<Reply: std::fmt::Debug>>(command: &C, reply: Reply) {
    match command.reply(reply) {
        Ok(answer) => drop(format!("{answer:?}")),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = data.split_first() else { return };
    let Ok(reply) = Reply::parse(bytes.to_vec()) else { return };
    let key = OnionKey::from_seed([1; 32]);
    let client = || ClientAuthKey::from_bytes([1; 32]).unwrap();
    match choice % 14 {
        0 => {
            let command = GetInfo::new(["version", "config-text"]);
            if let Ok(info) = command.reply(reply) {
                assert_eq!(info.iter().count(), info.len());
                assert!(info.bytes("version").is_some() && info.bytes("config-text").is_some());
                serde_json::to_vec(&info).unwrap();
            }
        }
        1 => {
            let command = GetConf::new(["Log", "SocksPort", "HiddenServiceOptions"]);
            if let Ok(conf) = command.reply(reply) {
                assert!(conf.iter().all(|(name, value)| conf.get(name) == Some(value)));
                assert!(conf.lines().len() >= conf.len());
                serde_json::to_vec(&conf).unwrap();
            }
        }
        2 => read(&GetProtocolInfo::new(), reply),
        3 => read(&AuthChallenge::new([1; 32]), reply),
        4 => read(&MapAddress::new([("a", "b"), ("0.0.0.0", "c")]), reply),
        5 => read(&AddOnion::new([OnionPort::new(80, 80)]), reply),
        6 => read(&AddOnion::new([OnionPort::new(80, 80)]).key(key).discard_key(), reply),
        7 => read(&DelOnion::new(key.address()), reply),
        8 => read(&OnionClientAuthView::new(), reply),
        9 => read(&OnionClientAuthAdd::new(key.address(), client()), reply),
        10 => read(&OnionClientAuthRemove::new(key.address()), reply),
        11 => read(&PostDescriptor::new("router x"), reply),
        12 => read(&ExtendCircuit::new(), reply),
        _ => read(&SendSignal::new(Signal::Heartbeat), reply),
    }
});
