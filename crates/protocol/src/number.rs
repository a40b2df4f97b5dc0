//! Numbers as text, without an allocation or the formatting machinery.

use alloc::vec::Vec;

/// Appends `value` in decimal, blanks before it up to `width` bytes.
pub(crate) fn push_right(value: u64, width: usize, out: &mut Vec<u8>) {
    let digits = Digits::decimal(value);
    out.extend(core::iter::repeat_n(b' ', width.saturating_sub(digits.as_bytes().len())));
    out.extend_from_slice(digits.as_bytes());
}

/// Appends `value` in decimal, blanks behind it up to `width` bytes.
pub(crate) fn push_left(value: u64, width: usize, out: &mut Vec<u8>) {
    let digits = Digits::decimal(value);
    out.extend_from_slice(digits.as_bytes());
    out.extend(core::iter::repeat_n(b' ', width.saturating_sub(digits.as_bytes().len())));
}

/// Appends `value` in lower-case hexadecimal.
pub(crate) fn push_hex(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(Digits::of::<16>(value).as_bytes());
}

/// Appends bytes in lower-case hexadecimal, two digits each.
pub(crate) fn push_hex_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
    out.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
}

/// Appends the lower twelve bits of `value` as four octal digits.
pub(crate) fn push_octal4(value: u32, out: &mut Vec<u8>) {
    out.extend([9, 6, 3, 0].map(|shift| b'0' + (value >> shift & 7) as u8));
}

/// The digits of one number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digits {
    bytes: [u8; 20],
    start: usize,
}

impl Digits {
    /// Returns the decimal digits of `value`.
    pub(crate) fn decimal(value: u64) -> Self {
        Self::of::<10>(value)
    }

    /// `RADIX` is at least 10, so that 20 digits are enough.
    fn of<const RADIX: u64>(mut value: u64) -> Self {
        let mut bytes = [0; 20];
        let mut start = bytes.len();
        for slot in bytes.iter_mut().rev() {
            let digit = (value % RADIX).to_le_bytes()[0];
            *slot = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
            start -= 1;
            value /= RADIX;
            if value == 0 {
                break;
            }
        }
        Self { bytes, start }
    }

    /// Returns the digits, most significant first.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;

    #[test]
    fn decimal_is_what_the_library_writes() {
        for value in [0, 7, 10, 4_294_967_296, u64::MAX] {
            assert_eq!(Digits::decimal(value).as_bytes(), value.to_string().as_bytes());
            let mut hex = Vec::new();
            push_hex(value, &mut hex);
            assert_eq!(hex, format!("{value:x}").as_bytes());
        }
    }
}
