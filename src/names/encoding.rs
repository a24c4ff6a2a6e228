//! Bytes as text: hexadecimal digits, base32 and base64, as in RFC 4648.

/// Hexadecimal digits in upper case; decodes both cases.
pub(crate) static HEXUPPER: Encoding = Encoding::new(b"0123456789ABCDEF");

/// Hexadecimal digits in lower case; decodes both cases.
pub(crate) static HEXLOWER: Encoding = Encoding::new(b"0123456789abcdef");

/// Base32 in upper case without padding; decodes both cases.
pub(crate) static BASE32_NOPAD: Encoding = Encoding::new(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");

/// Base64 with padding; decodes text without padding too, as tor does.
pub(crate) static BASE64: Encoding = Encoding { is_padded: true, ..Encoding::new(BASE64_DIGITS) };

/// Base64 without padding; decodes text with padding too.
pub(crate) static BASE64_NOPAD: Encoding = Encoding::new(BASE64_DIGITS);

const BASE64_DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The value of a byte that is not a digit; no digit has this bit.
pub(crate) const NO_DIGIT: u8 = 0x80;

/// How bytes are written with digits of 4, 5 or 6 bits.
pub(crate) struct Encoding {
    digits: &'static [u8],
    /// The value of each byte as a digit, or [`NO_DIGIT`].
    values: [u8; 256],
    bits: usize,
    is_padded: bool,
}

impl Encoding {
    #[expect(
        clippy::as_conversions,
        clippy::indexing_slicing,
        reason = "evaluated by the compiler"
    )]
    const fn new(digits: &'static [u8]) -> Self {
        let bits = digits.len().ilog2() as usize;
        let mut values = [NO_DIGIT; 256];
        let mut value = 0;
        while value < digits.len() {
            let digit = digits[value];
            values[digit as usize] = value as u8;
            if bits < 6 {
                values[digit.to_ascii_uppercase() as usize] = value as u8;
                values[digit.to_ascii_lowercase() as usize] = value as u8;
            }
            value += 1;
        }
        Self { digits, values, bits, is_padded: false }
    }

    /// Returns the value of a digit, or [`NO_DIGIT`].
    #[inline]
    pub(crate) fn value(&self, digit: u8) -> u8 {
        self.values.get(usize::from(digit)).copied().unwrap_or(NO_DIGIT)
    }

    /// Returns the length of the text of this many bytes.
    pub(crate) fn encode_len(&self, length: usize) -> usize {
        let digits = (length * 8).div_ceil(self.bits);
        if self.is_padded { digits.next_multiple_of(4) } else { digits }
    }

    /// Returns the text of these bytes.
    pub(crate) fn encode(&self, bytes: &[u8]) -> String {
        let mut text = String::with_capacity(self.encode_len(bytes.len()));
        self.encode_append(bytes, &mut text);
        text
    }

    /// Appends the text of these bytes, without allocating if the capacity suffices.
    pub(crate) fn encode_append(&self, bytes: &[u8], text: &mut String) {
        self.write(bytes, |digit| text.push(char::from(digit)));
    }

    /// Writes the text of these bytes into an array of its length.
    pub(crate) fn encode_mut(&self, bytes: &[u8], text: &mut [u8]) {
        let mut places = text.iter_mut();
        self.write(bytes, |digit| {
            if let Some(place) = places.next() {
                *place = digit;
            }
        });
    }

    #[inline]
    fn write(&self, bytes: &[u8], mut put: impl FnMut(u8)) {
        // Of the bits that were taken from the bytes, the lowest `left` are not yet written.
        let (mut taken, mut left) = (0_usize, 0);
        let mask = self.digits.len() - 1;
        let mut put_value =
            |value: usize| put(self.digits.get(value & mask).copied().unwrap_or(b'='));
        for byte in bytes {
            taken = taken << 8 | usize::from(*byte);
            left += 8;
            while left >= self.bits {
                left -= self.bits;
                put_value(taken >> left);
            }
        }
        if left > 0 {
            put_value(taken << (self.bits - left));
        }
        if self.is_padded {
            (0..bytes.len().next_multiple_of(3) - bytes.len()).for_each(|_| put(b'='));
        }
    }

    /// Decodes a text; `None` if it is not the text of any bytes.
    pub(crate) fn decode(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = vec![0; self.strip_padding(text)?.len() * self.bits / 8];
        self.decode_mut(text, &mut bytes)?;
        Some(bytes)
    }

    /// Decodes `N` bytes; `None` if the text is not that of `N` bytes.
    pub(crate) fn decode_array<const N: usize>(&self, text: &[u8]) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.decode_mut(text, &mut bytes)?;
        Some(bytes)
    }

    /// Decodes a text into an array; `None` if the text is not that of as many bytes, which leaves
    /// the array in any state.
    pub(crate) fn decode_mut(&self, text: &[u8], bytes: &mut [u8]) -> Option<()> {
        let digits = self.strip_padding(text)?;
        if digits.len() * self.bits / 8 != bytes.len() {
            return None;
        }
        // Of the bits that were taken from the text, the lowest `left` are not yet written.
        let (mut taken, mut left) = (0_u32, 0);
        let mut all = 0;
        let mut places = bytes.iter_mut();
        for digit in digits {
            let value = self.value(*digit);
            all |= value;
            taken = taken << self.bits | u32::from(value);
            left += self.bits;
            if left >= 8 {
                left -= 8;
                let [.., byte] = (taken >> left).to_be_bytes();
                if let Some(place) = places.next() {
                    *place = byte;
                }
            }
        }
        // A digit more than the bytes need, and other bits than zeros behind them, are wrong.
        let rest = taken & ((1 << left) - 1);
        (all < NO_DIGIT && left < self.bits && rest == 0).then_some(())
    }

    /// Returns the digits of a text; `None` if its padding is wrong. Only base64 has padding.
    fn strip_padding<'a>(&self, text: &'a [u8]) -> Option<&'a [u8]> {
        match text {
            [.., b'='] if self.bits < 6 || text.len() % 4 > 0 => None,
            [digits @ .., b'=', b'='] | [digits @ .., b'='] => Some(digits),
            digits => Some(digits),
        }
    }
}

#[cfg(test)]
mod tests {
    use data_encoding as peer;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc_hold() {
        for (bytes, hex, base32, base64) in [
            ("", "", "", ""),
            ("f", "66", "MY", "Zg=="),
            ("fo", "666F", "MZXQ", "Zm8="),
            ("foo", "666F6F", "MZXW6", "Zm9v"),
            ("foobar", "666F6F626172", "MZXW6YTBOI", "Zm9vYmFy"),
        ] {
            assert_eq!(HEXUPPER.encode(bytes.as_bytes()), hex);
            assert_eq!(HEXLOWER.encode(bytes.as_bytes()), hex.to_ascii_lowercase());
            assert_eq!(BASE32_NOPAD.encode(bytes.as_bytes()), base32);
            assert_eq!(BASE64.encode(bytes.as_bytes()), base64);
            assert_eq!(BASE64_NOPAD.encode(bytes.as_bytes()), base64.trim_end_matches('='));
        }
    }

    #[test]
    fn bits_behind_the_last_byte_padding_and_lengths_are_checked() {
        for text in ["Z", "Zh==", "Zg=", "Zg===", "Z===", "=", "====", "Zg==Zg==", "Zm9v=", "Zm8 "]
        {
            assert_eq!(BASE64.decode(text.as_bytes()), None, "{text}");
            assert_eq!(BASE64_NOPAD.decode(text.as_bytes()), None, "{text}");
        }
        for text in ["M", "MZ", "MZX", "MZXW6Y", "MY======", "M1"] {
            assert_eq!(BASE32_NOPAD.decode(text.as_bytes()), None, "{text}");
        }
        for text in ["6", "6g", "66=", "0x66"] {
            assert_eq!(HEXUPPER.decode(text.as_bytes()), None, "{text}");
        }
        assert_eq!(HEXUPPER.decode_array::<2>(b"66"), None);
        assert_eq!(HEXUPPER.decode_array::<2>(b"666666"), None);
        assert_eq!(HEXUPPER.decode_array(b"aAfF"), Some([0xaa, 0xff]));
    }

    #[test]
    fn a_text_that_was_sized_before_is_not_moved() {
        let mut text = String::with_capacity(BASE64.encode_len(64));
        let start = text.as_ptr();
        BASE64.encode_append(&[7; 64], &mut text);
        assert_eq!((text.as_ptr(), text.len()), (start, 88));
    }

    proptest! {
        #[test]
        fn bytes_have_the_text_that_another_library_gives_them(bytes: Vec<u8>) {
            for (encoding, other) in [
                (&HEXUPPER, peer::HEXUPPER),
                (&HEXLOWER, peer::HEXLOWER),
                (&BASE32_NOPAD, peer::BASE32_NOPAD),
                (&BASE64, peer::BASE64),
                (&BASE64_NOPAD, peer::BASE64_NOPAD),
            ] {
                let text = encoding.encode(&bytes);
                prop_assert_eq!(&text, &other.encode(&bytes));
                prop_assert_eq!(text.len(), encoding.encode_len(bytes.len()));
                let mut digits = vec![0; text.len()];
                encoding.encode_mut(&bytes, &mut digits);
                prop_assert_eq!(text.as_bytes(), &*digits);
                prop_assert_eq!(encoding.decode(text.as_bytes()), Some(bytes.clone()));
            }
        }

        #[test]
        fn a_text_is_refused_if_another_library_refuses_it(text in "[A-Fa-f2-7+/g=]{0,12}") {
            for (encoding, other) in [
                (&HEXUPPER, peer::HEXUPPER_PERMISSIVE),
                (&HEXLOWER, peer::HEXLOWER_PERMISSIVE),
                (&BASE64_NOPAD, peer::BASE64_NOPAD),
            ] {
                if encoding.bits < 6 || !text.contains('=') {
                    prop_assert_eq!(encoding.decode(text.as_bytes()), other.decode(text.as_bytes()).ok());
                }
            }
            let upper = text.to_ascii_uppercase();
            let base32 = peer::BASE32_NOPAD.decode(upper.as_bytes()).ok();
            prop_assert_eq!(BASE32_NOPAD.decode(text.as_bytes()), base32);
        }
    }
}
