use std::fmt::Write;
use std::time::Duration;

/// The longest duration a configuration may name: ten years.
const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);

/// The units, longest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The text is no duration; `meant` is a text that is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurationError {
    /// A text that is a duration and may be what was meant.
    pub meant: Option<String>,
}

/// Reads `30s`, `5m`, `1h30m`, `500ms`: whole numbers with units, each unit once, longest first.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let error = || DurationError { meant: meant(text) };
    let mut rest = text;
    let mut next_unit = 0;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (number, after) = split(rest, |letter| letter.is_ascii_digit());
        let (unit, after) = split(after, |letter| letter.is_ascii_lowercase());
        let position =
            UNITS.iter().position(|(name, _)| *name == unit).filter(|position| *position >= next_unit);
        let (Some(position), Ok(number)) = (position, number.parse::<u64>()) else { return Err(error()) };
        let millis = UNITS.get(position).and_then(|(_, millis)| millis.checked_mul(number));
        total = millis.and_then(|millis| total.checked_add(millis)).ok_or_else(error)?;
        next_unit = position + 1;
        rest = after;
    }
    let duration = Duration::from_millis(total);
    if text.is_empty() || duration > LONGEST { Err(error()) } else { Ok(duration) }
}

/// Returns the shortest text that `parse` reads as `duration`, such as `1h30m`.
pub fn show(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".into();
    }
    let mut shown = String::new();
    for (unit, millis) in UNITS {
        if rest >= millis {
            // Writing into a String does not fail.
            let _ = write!(shown, "{}{unit}", rest / millis);
            rest %= millis;
        }
    }
    shown
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|letter| !belongs(letter)).unwrap_or(text.len()))
}

/// Guesses what `5 minutes`, `30 S` or `1.5h` should have been.
fn meant(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let (number, unit) = split(&text, |letter| letter.is_ascii_digit() || letter == '.');
    let unit = match unit.trim_matches([' ', '_', '-', '.']) {
        "" | "s" | "sec" | "secs" => "s",
        "ms" | "msec" | "msecs" => "ms",
        "m" | "min" | "mins" => "m",
        "h" | "hr" | "hrs" => "h",
        "d" => "d",
        word if word.starts_with("milli") => "ms",
        word if word.starts_with("sec") => "s",
        word if word.starts_with("min") => "m",
        word if word.starts_with("hour") => "h",
        word if word.starts_with("day") => "d",
        _ => return None,
    };
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let (whole, tenths) = number.split_once('.').unwrap_or((number, "0"));
    let tenths: u64 = if tenths.len() == 1 { tenths.parse().ok()? } else { return None };
    let total = whole.parse::<u64>().ok()?.checked_mul(*millis)?.checked_add(tenths * millis / 10)?;
    let duration = Duration::from_millis(total);
    (duration <= LONGEST && !duration.is_zero()).then(|| show(duration))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_ones() {
        for (text, millis) in [
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("500ms", 500),
            ("1d", 86_400_000),
            ("1m500ms", 60_500),
            ("0s", 0),
            ("90m", 5_400_000),
        ] {
            assert_eq!(parse(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
    }

    #[test]
    fn bad_ones_and_what_was_meant() {
        for (text, meant) in [
            ("", None),
            ("5 minutes", Some("5m")),
            ("5min", Some("5m")),
            ("30", Some("30s")),
            ("30 S", Some("30s")),
            ("1.5h", Some("1h30m")),
            ("5m1h", None),
            ("5m5m", None),
            ("-5s", None),
            ("five", None),
            ("99999999999999999999s", None),
            ("4000d", None),
            ("5\u{663}s", None),
        ] {
            assert_eq!(parse(text), Err(DurationError { meant: meant.map(Into::into) }), "{text}");
        }
    }

    #[test]
    fn shown_ones_read_back() {
        for millis in [0, 1, 999, 1000, 60_000, 3_600_000, 5_400_000, 86_400_000, 90_061_001] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse(&show(duration)).unwrap(), duration);
        }
    }
}
