//! Arguments of which a method takes one or several.

use super::{ConfMap, ConfSetting, ConfValue, InfoMap};
use crate::error::{InvalidInput, Result};

/// One name, or several.
///
/// One name is a `&str`, a `String` or a `&String`. Several are an array, a slice, a `Vec`, or
/// another collection or iterator of these. `Form` tells both apart, `String` for one name and `[String]`
/// for several; the compiler infers it. The trait is sealed.
///
/// # Examples
///
/// ```
/// use torcon::command::SetEvents;
///
/// assert_eq!(SetEvents::new("BW"), SetEvents::new(["BW"]));
/// let names = vec![String::from("BW"), String::from("CIRC")];
/// assert_eq!(SetEvents::new(&names), SetEvents::new(["BW", "CIRC"]));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a name nor a list of names",
    label = "expected one name such as \"version\", or several such as [\"version\", \"uptime\"]"
)]
pub trait Names<Form: ?Sized>: sealed::Names<Form> {}

/// The keys of a `GETINFO`: one key, or several, as [`Names`].
///
/// `Answer` is the type that [`Controller::get_info`](crate::Controller::get_info) returns:
/// `String` for one key, [`InfoMap`] for several. The compiler infers it. The trait is sealed.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let uptime: String = controller.get_info("uptime")?;
/// let traffic = controller.get_info(["traffic/read", "traffic/written"])?;
/// println!("{uptime} s, {:?} bytes read", traffic.get("traffic/read"));
/// # Ok::<(), torcon::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a key of GETINFO nor a list of keys",
    label = "expected one key such as \"version\", or several such as [\"version\", \"uptime\"]"
)]
pub trait InfoKeys<Answer>: sealed::InfoKeys<Answer> {}

/// The options of a `GETCONF`: one option, or several, as [`Names`].
///
/// `Answer` is the type that [`Controller::get_conf`](crate::Controller::get_conf) returns:
/// [`ConfValue`] for one option, [`ConfMap`] for several. The compiler infers it. The trait is
/// sealed.
///
/// # Examples
///
/// ```no_run
/// let controller = torcon::connect("127.0.0.1:9051")?;
/// let nickname = controller.get_conf("Nickname")?;
/// let conf = controller.get_conf(["SocksPort", "Log"])?;
/// println!("{:?} logs to {:?}", nickname.first(), conf.get("Log").map(|log| log.values()));
/// # Ok::<(), torcon::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither an option of tor nor a list of options",
    label = "expected one option such as \"SocksPort\", or several such as [\"SocksPort\", \"Log\"]"
)]
pub trait ConfOptions<Answer>: sealed::ConfOptions<Answer> {}

/// New values of options: one option, or several.
///
/// One option is a pair of its name and its value, a `&str`, `String`, `Vec<u8>` or an `Option` of
/// them; or its name alone, which clears it (`SETCONF`) or resets it (`RESETCONF`). Several are an
/// array, a slice, a `Vec`, or another collection or iterator of these. `Form` tells both apart; the
/// compiler infers it. The trait is sealed.
///
/// # Examples
///
/// ```
/// use torcon::command::{ResetConf, SetConf};
///
/// let one = SetConf::new(("Nickname", "MyRelay"));
/// let settings = vec![("Nickname", String::from("MyRelay"))];
/// assert_eq!(SetConf::new(&settings), one);
/// assert_eq!(ResetConf::new("Nickname"), ResetConf::new([("Nickname", None::<&str>)]));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither an option of tor with its value nor a list of such pairs",
    label = "expected a pair such as (\"Nickname\", \"MyRelay\"), or several such as \
             [(\"Nickname\", \"MyRelay\"), (\"ORPort\", \"9001\")]"
)]
pub trait ConfSettings<Form: ?Sized>: sealed::ConfSettings<Form> {}

/// A pair of addresses for [`MapAddress`](super::MapAddress): a tuple of two texts, or a reference
/// to one. The trait is sealed.
///
/// # Examples
///
/// ```
/// use torcon::command::MapAddress;
///
/// let pairs = vec![(String::from("old.example"), "new.example")];
/// let by_reference = MapAddress::new(&pairs);
/// assert_eq!(by_reference, MapAddress::new([("old.example", "new.example")]));
/// # Ok::<(), torcon::Error>(())
/// ```
pub trait AddressPair: sealed::AddressPair {}

impl<T: sealed::AddressPair> AddressPair for T {}

pub(crate) mod sealed {
    use super::{ConfMap, ConfSetting, ConfValue, InfoMap, InvalidInput, Result};
    use crate::command::GetConf;
    use crate::names::CountryCode;

    #[expect(unnameable_types, reason = "seals the trait")]
    pub trait AddressPair {
        fn into_pair(self) -> (String, String);
    }

    impl<F: Into<String>, T: Into<String>> AddressPair for (F, T) {
        fn into_pair(self) -> (String, String) {
            (self.0.into(), self.1.into())
        }
    }

    impl<F: Into<String> + Clone, T: Into<String> + Clone> AddressPair for &(F, T) {
        fn into_pair(self) -> (String, String) {
            self.clone().into_pair()
        }
    }

    /// A text that is one name.
    #[expect(unnameable_types, reason = "seals the traits")]
    pub trait Text: AsRef<str> {}

    impl Text for &str {}
    impl Text for &&str {}
    impl Text for String {}
    impl Text for &String {}
    impl Text for Box<str> {}
    impl Text for &Box<str> {}
    impl Text for CountryCode {}
    impl Text for &CountryCode {}

    #[expect(unnameable_types, reason = "seals the trait")]
    pub trait Names<Form: ?Sized> {
        fn into_names(self) -> Vec<Box<str>>;
    }

    impl<T: Text> Names<String> for T {
        fn into_names(self) -> Vec<Box<str>> {
            vec![self.as_ref().into()]
        }
    }

    impl<I> Names<[String]> for I
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        fn into_names(self) -> Vec<Box<str>> {
            self.into_iter().map(|name| name.as_ref().into()).collect()
        }
    }

    #[expect(unnameable_types, reason = "seals the trait")]
    pub trait InfoKeys<Answer> {
        fn into_keys(self) -> Vec<Box<str>>;

        /// Returns the answer to these keys.
        fn answer(info: InfoMap) -> Answer;
    }

    impl<T: Names<String>> InfoKeys<String> for T {
        fn into_keys(self) -> Vec<Box<str>> {
            self.into_names()
        }

        fn answer(info: InfoMap) -> String {
            info.into_first_text()
        }
    }

    impl<T: Names<[String]>> InfoKeys<InfoMap> for T {
        fn into_keys(self) -> Vec<Box<str>> {
            self.into_names()
        }

        fn answer(info: InfoMap) -> InfoMap {
            info
        }
    }

    #[expect(unnameable_types, reason = "seals the trait")]
    pub trait ConfOptions<Answer> {
        fn into_options(self) -> Vec<Box<str>>;

        /// Checks the options before they are sent.
        fn check(command: &GetConf) -> Result<(), InvalidInput>;

        /// Returns the answer to these options.
        fn answer(conf: ConfMap) -> Answer;
    }

    impl<T: Names<String>> ConfOptions<ConfValue> for T {
        fn into_options(self) -> Vec<Box<str>> {
            self.into_names()
        }

        fn check(command: &GetConf) -> Result<(), InvalidInput> {
            match command.has_group() {
                true => {
                    let problem = "stands for several options: query it as a list";
                    Err(InvalidInput::new("option", problem))
                }
                false => Ok(()),
            }
        }

        fn answer(conf: ConfMap) -> ConfValue {
            conf.iter().next().map_or(ConfValue::Default, |(_, value)| value.clone())
        }
    }

    impl<T: Names<[String]>> ConfOptions<ConfMap> for T {
        fn into_options(self) -> Vec<Box<str>> {
            self.into_names()
        }

        fn check(_: &GetConf) -> Result<(), InvalidInput> {
            Ok(())
        }

        fn answer(conf: ConfMap) -> ConfMap {
            conf
        }
    }

    /// One option with its new value.
    #[expect(unnameable_types, reason = "seals the trait")]
    pub trait Setting {
        fn into_setting(self) -> (Box<str>, ConfSetting);
    }

    impl<K: AsRef<str>, V: Into<ConfSetting>> Setting for (K, V) {
        fn into_setting(self) -> (Box<str>, ConfSetting) {
            (self.0.as_ref().into(), self.1.into())
        }
    }

    impl<K: AsRef<str>, V: Into<ConfSetting> + Clone> Setting for &(K, V) {
        fn into_setting(self) -> (Box<str>, ConfSetting) {
            (self.0.as_ref().into(), self.1.clone().into())
        }
    }

    impl<T: Text> Setting for T {
        fn into_setting(self) -> (Box<str>, ConfSetting) {
            (self.as_ref().into(), ConfSetting::clear())
        }
    }

    #[expect(unnameable_types, reason = "seals the trait")]
    pub trait ConfSettings<Form: ?Sized> {
        fn into_settings(self) -> Vec<(Box<str>, ConfSetting)>;
    }

    impl<S: Setting> ConfSettings<ConfSetting> for S {
        fn into_settings(self) -> Vec<(Box<str>, ConfSetting)> {
            vec![self.into_setting()]
        }
    }

    impl<I> ConfSettings<[ConfSetting]> for I
    where
        I: IntoIterator,
        I::Item: Setting,
    {
        fn into_settings(self) -> Vec<(Box<str>, ConfSetting)> {
            self.into_iter().map(Setting::into_setting).collect()
        }
    }
}

impl<Form: ?Sized, T: sealed::Names<Form>> Names<Form> for T {}
impl<Answer, T: sealed::InfoKeys<Answer>> InfoKeys<Answer> for T {}
impl<Answer, T: sealed::ConfOptions<Answer>> ConfOptions<Answer> for T {}
impl<Form: ?Sized, T: sealed::ConfSettings<Form>> ConfSettings<Form> for T {}

#[cfg(test)]
mod tests {
    #![expect(clippy::needless_borrows_for_generic_args, reason = "references are accepted too")]

    use super::super::{
        Command, GetConf, GetInfo, MapAddress, ResetConf, SetConf, SetEvents, UseFeature,
    };
    use crate::wire::Reply;

    fn line(command: &impl Command) -> String {
        String::from_utf8(command.request().unwrap().encode().unwrap()).unwrap()
    }

    #[test]
    fn one_name_and_every_list_of_names_make_the_same_command() {
        let (text, owned) = ("version", vec!["version".to_owned()]);
        let expected = GetInfo::new([text]);
        assert_eq!(GetInfo::new(text), expected);
        assert_eq!(GetInfo::new(text.to_owned()), expected);
        assert_eq!(GetInfo::new(&text.to_owned()), expected);
        assert_eq!(GetInfo::new(&[text]), expected);
        assert_eq!(GetInfo::new(&[text][..]), expected);
        assert_eq!(GetInfo::new(vec![text]), expected);
        assert_eq!(GetInfo::new(&owned), expected);
        assert_eq!(GetInfo::new(owned.iter()), expected);
        assert_eq!(GetInfo::new(owned.iter().map(|key| key.to_lowercase())), expected);
        assert_eq!(GetConf::new("Log"), GetConf::new(&["Log"]));
        assert_eq!(SetEvents::new("BW"), SetEvents::new(vec!["BW"]));
        assert_eq!(line(&UseFeature::new("VERBOSE_NAMES")), "USEFEATURE VERBOSE_NAMES\r\n");
    }

    #[test]
    fn one_setting_and_every_list_of_settings_make_the_same_command() {
        let pair = ("Nickname", "Ada");
        let expected = "SETCONF Nickname=Ada\r\n";
        assert_eq!(line(&SetConf::new(pair)), expected);
        assert_eq!(line(&SetConf::new(&pair)), expected);
        assert_eq!(line(&SetConf::new([pair])), expected);
        assert_eq!(line(&SetConf::new(&[pair])), expected);
        assert_eq!(line(&SetConf::new(&[pair][..])), expected);
        assert_eq!(line(&SetConf::new(&vec![("Nickname".to_owned(), Some("Ada"))])), expected);
        assert_eq!(line(&ResetConf::new("Nickname")), "RESETCONF Nickname\r\n");
        assert_eq!(line(&ResetConf::new(["Nickname", "Log"])), "RESETCONF Nickname Log\r\n");
    }

    #[test]
    fn a_pair_of_addresses_may_be_a_reference() {
        let pairs = [(String::from("old.example"), "new.example")];
        let expected = "MAPADDRESS old.example=new.example\r\n";
        assert_eq!(line(&MapAddress::new(&pairs)), expected);
        assert_eq!(line(&MapAddress::new(pairs)), expected);
    }

    #[test]
    fn the_answer_to_one_key_is_its_value() {
        use super::sealed::{ConfOptions, InfoKeys};

        fn answer<K: InfoKeys<A>, A>(key: K, reply: &str) -> A {
            let reply = Reply::parse(reply.as_bytes().to_vec()).unwrap();
            K::answer(GetInfo::new(key.into_keys()).reply(reply).unwrap())
        }

        fn conf<K: ConfOptions<A>, A>(option: K, reply: &str) -> A {
            let reply = Reply::parse(reply.as_bytes().to_vec()).unwrap();
            K::answer(GetConf::new(option.into_options()).reply(reply).unwrap())
        }

        assert_eq!(answer("version", "250-version=0.4.9.11\r\n250 OK\r\n"), "0.4.9.11");
        let info = answer(["version"], "250-version=0.4.9.11\r\n250 OK\r\n");
        assert_eq!(info.get("version").as_deref(), Some("0.4.9.11"));
        assert_eq!(conf("nickname", "250 Nickname=Ada\r\n").first(), Some("Ada"));
        assert!(conf("nickname", "250 Nickname\r\n").is_default());
        assert_eq!(conf(["Nickname"], "250 Nickname=Ada\r\n").len(), 1);
        for group in ["HiddenServiceOptions", "SocksPortLines"] {
            assert!(<&str as ConfOptions<_>>::check(&GetConf::new(group)).is_err());
        }
        assert!(<&str as ConfOptions<_>>::check(&GetConf::new("SocksPort")).is_ok());
    }
}
