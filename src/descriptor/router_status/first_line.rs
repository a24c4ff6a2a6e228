//! The first line of an entry, which is read for each of thousands of relays.

use std::net::Ipv4Addr;
use std::time::SystemTime;

use crate::descriptor::item::{DescriptorItem, Words, base64, take_line};
use crate::names::{Fingerprint, Nickname};

/// The values of `r NICKNAME IDENTITY [DIGEST] DATE TIME ADDRESS ORPORT DIRPORT`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct FirstLine {
    pub(super) nickname: Nickname,
    identity: Identity,
    pub(super) address: Ipv4Addr,
    pub(super) or_port: u16,
    pub(super) dir_port: u16,
}

/// The 20 bytes of an identity as numbers of 64, 64 and 32 bits, which stay in registers while a line is
/// read.
type Identity = (u64, u64, u32);

fn identity_of(bytes: [u8; 20]) -> Identity {
    let [a, b, c, d, e] = [0, 4, 8, 12, 16].map(|at| {
        let part = bytes.get(at..).and_then(|rest| rest.first_chunk());
        u32::from_be_bytes(part.copied().unwrap_or_default())
    });
    let join = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    (join(a, b), join(c, d), e)
}

impl FirstLine {
    pub(super) fn identity(&self) -> Fingerprint {
        let (high, middle, low) = self.identity;
        let mut bytes = [0; 20];
        let parts = high.to_be_bytes().into_iter().chain(middle.to_be_bytes());
        for (to, from) in bytes.iter_mut().zip(parts.chain(low.to_be_bytes())) {
            *to = from;
        }
        Fingerprint::from(bytes)
    }

    /// Reads the first line of a text; the error is what was expected.
    #[inline]
    pub(super) fn read(text: &[u8]) -> Result<Self, &'static str> {
        Self::of(arguments_of_r(text).ok_or("a line that begins with r")?)
    }

    #[inline]
    fn of(arguments: &[u8]) -> Result<Self, &'static str> {
        let mut cursor = Cursor { rest: arguments };
        let nickname = Nickname::from_bytes(cursor.word()).ok_or("a nickname")?;
        let identity = cursor.identity().ok_or("an identity")?;
        // A consensus of microdescriptors has no digest here.
        let is_date = match cursor.word_of::<27>() {
            Some(_) => false,
            None => match cursor.word_of::<10>() {
                Some(word) => looks_like_date(word),
                None => looks_like_date(cursor.word()),
            },
        };
        if !is_date && cursor.word_of::<10>().is_none() {
            cursor.word();
        }
        if cursor.word_of::<8>().is_none() {
            cursor.word();
        }
        let address = cursor.address().ok_or("an IPv4 address")?;
        let or_port = cursor.port().ok_or("a port")?;
        let dir_port = cursor.port().ok_or("a second port")?;
        Ok(Self { nickname, identity, address, or_port, dir_port })
    }
}

/// Returns whether an `r` line is valid, with the words that [`FirstLine`] skips.
pub(super) fn is_first(item: &DescriptorItem<'_>) -> bool {
    let (digest, published) = digest_and_time(item.words());
    digest.is_none_or(|digest| base64::<20>(digest).is_some())
        && published.is_some()
        && FirstLine::of(item.arguments_bytes()).is_ok()
}

/// Returns the digest, if the words of an `r` line contain one, and the time of publication.
pub(super) fn digest_and_time(mut words: Words<'_>) -> (Option<&[u8]>, Option<SystemTime>) {
    let _identity = words.nth(1);
    let mut behind = words.clone();
    let digest = behind.next().filter(|word| !looks_like_date(word));
    let published = if digest.is_some() { behind.time() } else { words.time() };
    (digest, published)
}

#[inline]
fn arguments_of_r(mut text: &[u8]) -> Option<&[u8]> {
    take_line(&mut text)?.strip_prefix(b"r ")
}

pub(super) fn words_of_r(text: &[u8]) -> Option<Words<'_>> {
    arguments_of_r(text).map(Words::new)
}

/// Returns whether the word is a date. A digest has 27 characters.
#[inline]
fn looks_like_date(word: &[u8]) -> bool {
    word.len() == 10 && word.get(4) == Some(&b'-')
}

/// Reads the words of a line one after the other, each in the way of its type.
struct Cursor<'a> {
    rest: &'a [u8],
}

#[inline]
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

impl<'a> Cursor<'a> {
    #[inline]
    fn skip_blanks(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// Takes the next word; an empty one at the end.
    #[inline]
    fn word(&mut self) -> &'a [u8] {
        self.skip_blanks();
        let end = self.rest.iter().position(|byte| is_blank(*byte)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or_default();
        self.rest = rest;
        word
    }

    /// Takes the next word if it has this length and is not the last, which needs no search for its
    /// end.
    #[inline]
    fn word_of<const LENGTH: usize>(&mut self) -> Option<&'a [u8; LENGTH]> {
        self.skip_blanks();
        let (word, rest) = self.rest.split_first_chunk()?;
        // Without a branch, the compiler uses vector instructions.
        let has_blank = word.iter().fold(false, |any, byte| any | is_blank(*byte));
        if has_blank || !is_blank(*rest.first()?) {
            return None;
        }
        self.rest = rest;
        Some(word)
    }

    /// Takes 20 bytes in base64, with or without padding.
    #[inline]
    fn identity(&mut self) -> Option<Identity> {
        self.skip_blanks();
        if let Some((digits, rest)) = self.rest.split_first_chunk() {
            if rest.first().is_none_or(|byte| is_blank(*byte)) {
                self.rest = rest;
                // A blank is no digit.
                return decode(digits);
            }
        }
        base64(self.word()).map(identity_of)
    }

    /// Takes digits up to the end of the word, at most of the value `max`.
    #[inline]
    fn number(&mut self, max: u32) -> Option<u32> {
        let mut value = 0_u32;
        let mut rest = self.rest;
        while let [digit @ b'0'..=b'9', more @ ..] = rest {
            value = (value * 10 + u32::from(digit - b'0')).min(max + 1);
            rest = more;
        }
        let has_digits = rest.len() < self.rest.len();
        self.rest = rest;
        (has_digits && value <= max).then_some(value)
    }

    #[inline]
    fn is_at_end_of_word(&self) -> bool {
        self.rest.first().is_none_or(|byte| is_blank(*byte))
    }

    #[inline]
    fn port(&mut self) -> Option<u16> {
        self.skip_blanks();
        let port = self.number(u16::MAX.into())?;
        u16::try_from(port).ok().filter(|_| self.is_at_end_of_word())
    }

    #[inline]
    fn address(&mut self) -> Option<Ipv4Addr> {
        self.skip_blanks();
        let mut octets = [0; 4];
        for (position, octet) in octets.iter_mut().enumerate() {
            if position > 0 {
                self.rest = self.rest.strip_prefix(b".")?;
            }
            // `std` refuses leading zeros too.
            if matches!(self.rest, [b'0', b'0'..=b'9', ..]) {
                return None;
            }
            *octet = self.number(u8::MAX.into())?.try_into().ok()?;
        }
        self.is_at_end_of_word().then(|| Ipv4Addr::from(octets))
    }
}

/// The values of the digits of base64.
#[expect(clippy::as_conversions, clippy::indexing_slicing, reason = "evaluated by the compiler")]
const VALUES: [u8; 256] = {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [BAD; 256];
    let mut value = 0;
    while value < 64 {
        values[digits[value as usize] as usize] = value;
        value += 1;
    }
    values
};

const BAD: u8 = 0x80;

/// Decodes 27 digits. Three numbers are decoded side by side, and there is no branch before the end.
#[inline]
fn decode(digits: &[u8; 27]) -> Option<Identity> {
    let [first @ .., _, _, _, _, _, _, _] = digits;
    let (first, second) = first.split_at_checked(10)?;
    let third = digits.last_chunk::<7>()?;
    let mut all = 0;
    let mut number = |digits: &[u8]| {
        digits.iter().fold(0_u64, |number, digit| {
            let value = VALUES.get(usize::from(*digit)).copied().unwrap_or(BAD);
            all |= value;
            number << 6 | u64::from(value)
        })
    };
    // 60, 60 and 42 bits, of which the last two are 0.
    let (first, second, third) = (number(first), number(second), number(third));
    let high = first << 4 | second >> 56;
    let middle = second << 8 | third >> 34;
    let low = u32::try_from(third >> 2 & u64::from(u32::MAX)).ok()?;
    (all < BAD && third % 4 == 0).then_some((high, middle, low))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use data_encoding::BASE64_NOPAD;
    use proptest::prelude::proptest;

    use super::{Cursor, FirstLine, Identity, decode, identity_of};
    use crate::descriptor::item::{base64, number};

    fn identity(word: &str) -> Option<Identity> {
        Cursor { rest: word.as_bytes() }.identity()
    }

    #[test]
    fn an_identity_has_20_bytes() {
        let digits = "lpXfw1/+uGEym58asExGOXAgzjE";
        assert_eq!(identity(digits).unwrap().0 >> 40, 0x96_95df);
        assert_eq!(identity(&format!("{digits}=")), identity(digits));
        for word in [
            "",
            "lpXfw1",
            "lpXfw1/+uGEym58asExGOXAgzjF",
            "lpXfw1/+uGEym58asExGOXAgzj=",
            "lpXfw1/+uGEym58asExGOXAgz-E",
            "lpXfw1/+uGEym58 sExGOXAgzjE x",
        ] {
            assert_eq!(identity(word), None, "{word}");
        }
    }

    #[test]
    fn blanks_and_lengths_of_words_do_not_matter() {
        let line =
            "r  a\tlpXfw1/+uGEym58asExGOXAgzjE  digest 2038-01-01 0:0 128.31.0.39 9101 0 more";
        let read = FirstLine::read(line.as_bytes()).unwrap();
        assert_eq!((read.address.octets(), read.or_port), ([128, 31, 0, 39], 9101));
        let line = "r a lpXfw1/+uGEym58asExGOXAgzjE= 2038-01-01 00:00:00 128.31.0.39 09101 0\r\n";
        assert_eq!(FirstLine::read(line.as_bytes()).unwrap().or_port, 9101);
    }

    proptest! {
        #[test]
        fn digits_are_decoded_as_elsewhere(bytes: [u8; 20], word in "[A-Za-z0-9+/]{27}|[ -~]{27}") {
            let digits = BASE64_NOPAD.encode(&bytes);
            assert_eq!(decode(digits.as_bytes().try_into().unwrap()), Some(identity_of(bytes)));
            let elsewhere = base64(word.as_bytes()).map(identity_of);
            assert_eq!(decode(word.as_bytes().try_into().unwrap()), elsewhere);
            let line = format!("r a {digits} 2038-01-01 00:00:00 128.31.0.39 9101 0");
            assert_eq!(FirstLine::read(line.as_bytes()).unwrap().identity(), bytes.into());
        }

        #[test]
        fn addresses_and_ports_are_those_of_std(
            address in "[0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9.]{0,16}|[!-~]{0,9}",
            port in "[0-9]{1,6}|[!-~]{0,5}|[0-9]{10,12}",
        ) {
            let mut cursor = Cursor { rest: address.as_bytes() };
            assert_eq!(cursor.address(), address.parse::<Ipv4Addr>().ok());
            assert_eq!(Cursor { rest: port.as_bytes() }.port(), number(port.as_bytes()));
        }
    }
}
