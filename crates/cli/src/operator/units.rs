//! Numbers as people read them.

/// The units of bytes above the byte itself.
const BYTE_UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Returns `812 B`, `12.3 MiB`: three or four digits, powers of 1,024.
pub(super) fn bytes(count: u64) -> String {
    if count < 1024 {
        return format!("{count} B");
    }
    // In tenths of the unit, rounded down, so that 1023.99 KiB does not become 1024.0 KiB.
    let mut tenths = u128::from(count) * 10 / 1024;
    let mut units = BYTE_UNITS.iter();
    let mut unit = units.next();
    while tenths >= 10_240 {
        match units.next() {
            Some(larger) => unit = Some(larger),
            None => break,
        }
        tenths /= 1024;
    }
    let unit = unit.copied().unwrap_or_default();
    if tenths >= 1000 {
        format!("{} {unit}", tenths / 10)
    } else {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

/// Returns `4.1 MiB/s`.
pub(super) fn rate(bytes_per_sec: u64) -> String {
    format!("{}/s", bytes(bytes_per_sec))
}

/// Returns a time span by its two largest units: `12s`, `3m12s`, `2h5m`, `4d3h`. Parts of a second are cut off.
pub(super) fn span(secs: f64) -> String {
    // Saturates; a negative one or NaN is 0.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates as wanted")]
    let secs = secs as u64;
    let pair = |large: u64, unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit}{small}{small_unit}"),
    };
    match secs {
        0..60 => format!("{secs}s"),
        60..3_600 => pair(secs / 60, "m", secs % 60, "s"),
        3_600..86_400 => pair(secs / 3_600, "h", secs % 3_600 / 60, "m"),
        _ => pair(secs / 86_400, "d", secs % 86_400 / 3_600, "h"),
    }
}

/// Returns the number with a comma between thousands: `65,000`.
pub(super) fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Returns `1 session`, `2 sessions`, `1,000 sessions`.
pub fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", number(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_or_four_digits() {
        for (count, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (102_399, "99.9 KiB"),
            (102_400, "100 KiB"),
            (1_048_575, "1023 KiB"),
            (12_900_000, "12.3 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(bytes(count), expected, "{count}");
        }
        assert_eq!(rate(4_300_000), "4.1 MiB/s");
    }

    #[test]
    fn spans_have_two_units() {
        for (secs, expected) in [
            (0.0, "0s"),
            (-3.0, "0s"),
            (f64::NAN, "0s"),
            (59.99, "59s"),
            (60.0, "1m"),
            (192.4, "3m12s"),
            (7_500.0, "2h5m"),
            (7_201.0, "2h"),
            (356_400.0, "4d3h"),
        ] {
            assert_eq!(span(secs), expected, "{secs}");
        }
    }

    #[test]
    fn thousands_are_grouped() {
        for (count, expected) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (65_000, "65,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(number(count), expected);
        }
        assert_eq!((counted(1, "ban"), counted(0, "ban")), ("1 ban".into(), "0 bans".into()));
    }
}
