//! The proofs of SAFECOOKIE, by which both sides prove that they know the cookie without sending it.
//!
//! Each proof is an HMAC-SHA256 over the cookie and both nonces. The key differs for the two
//! directions, so that neither side can send the other's proof back.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::cookie::Cookie;

/// The number of bytes of the nonces and of the proofs.
pub(crate) const SIZE: usize = 32;

const SERVER_TO_CONTROLLER: &[u8] = b"Tor safe cookie authentication server-to-controller hash";
const CONTROLLER_TO_SERVER: &[u8] = b"Tor safe cookie authentication controller-to-server hash";

/// The input of both proofs.
pub(super) struct Exchange<'a> {
    cookie: &'a Cookie,
    client_nonce: &'a [u8; SIZE],
    server_nonce: &'a [u8; SIZE],
}

impl<'a> Exchange<'a> {
    pub(super) fn new(
        cookie: &'a Cookie,
        client_nonce: &'a [u8; SIZE],
        server_nonce: &'a [u8; SIZE],
    ) -> Self {
        Self { cookie, client_nonce, server_nonce }
    }

    /// Verifies the proof of the server in constant time.
    pub(super) fn server_knows_cookie(&self, proof: &[u8; SIZE]) -> bool {
        self.mac(SERVER_TO_CONTROLLER).verify_slice(proof).is_ok()
    }

    /// Returns the proof of the client.
    pub(super) fn client_proof(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.mac(CONTROLLER_TO_SERVER).finalize().into_bytes().to_vec())
    }

    fn mac(&self, key: &[u8]) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "the constructor is fallible for other MACs only")]
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("an HMAC key may have any length");
        mac.update(self.cookie.as_bytes());
        mac.update(self.client_nonce);
        mac.update(self.server_nonce);
        mac
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::{HEXLOWER, HEXUPPER};

    use super::Exchange;
    use crate::auth::cookie::Cookie;

    fn bytes(hex: &str) -> [u8; 32] {
        HEXLOWER.decode(hex.to_ascii_lowercase().as_bytes()).unwrap().try_into().unwrap()
    }

    /// Two dialogues with tor 0.4.9.11, which accepted these proofs.
    const DIALOGUES: [[&str; 5]; 2] = [
        [
            "c90f948b11164b495df6b23963f27e088bdb20b887739c1bf7d73f24721c44a5",
            "2a7058c20224e8165a95fb53eeeb1441fc2070f81a35b22bb2a94b24b24a4f9c",
            "76F113409822561919AB49C1A211DA7427E001FD6C94AB061A9CBD9C391B83C0",
            "E8D74E7570454787844145A77C1EAB8D98B2D21C4F640F75DCD03AD81D4E545F",
            "81C92A630D88AAC5D47AB43D0F40E3EAC8C9557330A01F129A1026F3A3318F6F",
        ],
        [
            "b6767a7f3bc6a283f2503c0c7e8a8635f1298f5e9601b27fab926f17c7e31c86",
            "c4d93cde30abc3cf28d6b58d608a2d4976717b6cafca9209d93381ebaa2fd4a6",
            "FAFB1B95AE22594091514D9A0D27E673773A2D9A175428B06E72717AEE5396E3",
            "E901B67AF53D40B6C239F3481256C84297A022F4B3433F05064A3C7D47162AA8",
            "7AC40635C1ECF237D32E4AFE8560B3661D1B5B88773375B21427CD1598805AF7",
        ],
    ];

    #[test]
    fn proofs_match_recorded_dialogues() {
        for [cookie, client_nonce, server_nonce, server_proof, client_proof] in DIALOGUES {
            let cookie = Cookie::from(bytes(cookie));
            let (client_nonce, server_nonce) = (bytes(client_nonce), bytes(server_nonce));
            let exchange = Exchange::new(&cookie, &client_nonce, &server_nonce);
            assert!(exchange.server_knows_cookie(&bytes(server_proof)));
            assert_eq!(HEXUPPER.encode(&exchange.client_proof()), client_proof);
        }
    }

    #[test]
    fn a_server_proof_with_a_wrong_bit_is_refused() {
        let [cookie, client_nonce, server_nonce, server_proof, client_proof] = DIALOGUES[0];
        let cookie = Cookie::from(bytes(cookie));
        let (client_nonce, server_nonce) = (bytes(client_nonce), bytes(server_nonce));
        let exchange = Exchange::new(&cookie, &client_nonce, &server_nonce);
        for bit in 0..256 {
            let mut proof = bytes(server_proof);
            proof[bit / 8] ^= 1 << (bit % 8);
            assert!(!exchange.server_knows_cookie(&proof), "bit {bit} is not verified");
        }
        assert!(
            !exchange.server_knows_cookie(&bytes(client_proof)),
            "the proof of the client is accepted as that of the server"
        );
    }
}
