/// The units, smallest first, with their factors of 1024 and of 1000.
const UNITS: [(&str, u64, &str, u64); 4] = [
    ("KiB", 1 << 10, "KB", 1_000),
    ("MiB", 1 << 20, "MB", 1_000_000),
    ("GiB", 1 << 30, "GB", 1_000_000_000),
    ("TiB", 1 << 40, "TB", 1_000_000_000_000),
];

/// The text is no size; `meant` is a text that is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SizeError {
    pub(super) meant: Option<String>,
}

/// Reads `10GiB`, `500 MB`, `4096B`: a whole number and a unit, `KiB` of 1024 bytes and `KB` of 1000.
pub(super) fn parse(text: &str) -> Result<u64, SizeError> {
    let error = || SizeError { meant: meant(text) };
    let (number, unit) = split(text);
    let number: u64 = number.parse().map_err(|_| error())?;
    let factor = factor_of(unit.strip_prefix(' ').unwrap_or(unit)).ok_or_else(error)?;
    number.checked_mul(factor).ok_or_else(error)
}

/// Returns the shortest text that `parse` reads as `bytes`, such as `10GiB`.
pub(super) fn show(bytes: u64) -> String {
    let units = UNITS.iter().flat_map(|(binary, by, decimal, per)| [(*binary, *by), (*decimal, *per)]);
    let whole = units.filter(|(_, factor)| bytes != 0 && bytes.is_multiple_of(*factor));
    match whole.max_by_key(|(_, factor)| *factor) {
        Some((unit, factor)) => format!("{}{unit}", bytes / factor),
        None => format!("{bytes}B"),
    }
}

fn factor_of(unit: &str) -> Option<u64> {
    let known = UNITS.iter().flat_map(|(binary, by, decimal, per)| [(*binary, *by), (*decimal, *per)]);
    known.chain([("B", 1)]).find(|(name, _)| *name == unit).map(|(_, factor)| factor)
}

fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()))
}

/// Guesses what `10G`, `10 gib`, `1.5GiB` or `4096` should have been; units of 1024 where the text does not tell.
fn meant(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let (number, unit) = text
        .split_at(text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len()));
    let unit = unit.trim_matches([' ', '_', '-']);
    let factor = match unit {
        "" | "b" | "byte" | "bytes" => 1,
        _ => UNITS.iter().find_map(|(binary, by, decimal, per)| {
            let (binary, decimal) = (binary.to_ascii_lowercase(), decimal.to_ascii_lowercase());
            let short = binary.get(..1) == Some(unit) || binary.get(..2) == Some(unit);
            (unit == binary || short).then_some(*by).or_else(|| (unit == decimal).then_some(*per))
        })?,
    };
    let (whole, tenths) = number.split_once('.').unwrap_or((number, "0"));
    let tenths: u64 = if tenths.len() == 1 { tenths.parse().ok()? } else { return None };
    let bytes = whole
        .parse::<u64>()
        .ok()?
        .checked_mul(factor)?
        .checked_add(factor / 10 * tenths + factor % 10 * tenths / 10)?;
    (bytes > 0).then(|| show(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_ones() {
        for (text, bytes) in [
            ("10GiB", 10 << 30),
            ("10 GiB", 10 << 30),
            ("500MB", 500_000_000),
            ("1KB", 1_000),
            ("1KiB", 1_024),
            ("4096B", 4_096),
            ("0B", 0),
            ("16777215TiB", 16_777_215 << 40),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
            assert_eq!(parse(&show(bytes)), Ok(bytes), "{text} as shown");
        }
    }

    #[test]
    fn shown_in_the_largest_unit_that_is_whole() {
        for (bytes, shown) in [
            (0, "0B"),
            (1, "1B"),
            (1_000, "1KB"),
            (1_024, "1KiB"),
            (1_536 << 20, "1536MiB"),
            (1 << 40, "1TiB"),
            (2_500_000_000, "2500MB"),
            (u64::MAX, "18446744073709551615B"),
        ] {
            assert_eq!(show(bytes), shown);
        }
    }

    #[test]
    fn bad_ones_get_what_was_meant() {
        for (text, meant) in [
            ("", None),
            ("10G", Some("10GiB")),
            ("10gib", Some("10GiB")),
            ("10  mb", Some("10MB")),
            ("10m", Some("10MiB")),
            ("4096", Some("4KiB")),
            ("1.5GiB", Some("1536MiB")),
            ("0.5KiB", Some("512B")),
            ("1.55GiB", None),
            ("-1KiB", None),
            ("0", None),
            ("10EiB", None),
            ("ten", None),
            ("GiB", None),
            ("16777216TiB", None),
            ("99999999999999999999B", None),
            ("1GiB ", Some("1GiB")),
            (" 1GiB", Some("1GiB")),
            ("1_000B", None),
        ] {
            assert_eq!(parse(text), Err(SizeError { meant: meant.map(Into::into) }), "{text:?}");
        }
    }
}
