//! Times as the FTP language writes them, all in UTC.

use alloc::vec::Vec;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use tidegate_types::Timestamp;

/// 0000-01-01T00:00:00Z: earlier times have no four-digit year and are shown as this.
const YEAR_0_SECS: i64 = -62_167_219_200;
/// How old a file may be for its time of day to be shown in LIST: 182 days, about half a year, as `ls` does.
const RECENT_SECS: i64 = 182 * 24 * 60 * 60;

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Reads `YYYYMMDDHHMMSS` with an optional fraction, in UTC (RFC 3659 §2.3); digits after the ninth are dropped.
///
/// `None` for anything else, for days and hours that no calendar has (29 February 2021; second 60, which no file system
/// can keep), and for the last 26 hours of the year 9999, which jiff cannot hold.
pub fn parse_time(arg: &[u8]) -> Option<Timestamp> {
    let (digits, rest) = arg.split_at_checked(14)?;
    let year = number(digits.get(..4)?)?;
    let [month, day, hour, minute, second] = [4, 6, 8, 10, 12]
        .map(|at| digits.get(at..at + 2).and_then(number).and_then(|n| i8::try_from(n).ok()));
    let civil = DateTime::new(year, month?, day?, hour?, minute?, second?, 0).ok()?;
    let secs = Offset::UTC.to_timestamp(civil).ok()?.as_second();
    let nanos = match rest.split_first() {
        None => 0,
        Some((b'.', fraction)) => parse_fraction(fraction)?,
        Some(_) => return None,
    };
    Some(Timestamp { secs, nanos })
}

/// Appends `YYYYMMDDHHMMSS` in UTC (RFC 3659 §2.3). Never a fraction, which is optional there and which many clients
/// cannot read. Years outside 0 to 9999 are shown as the nearest time that has four digits.
pub fn format_time(time: Timestamp, out: &mut Vec<u8>) {
    let civil = to_civil(time);
    push_year(civil.year(), out);
    for part in [civil.month(), civil.day(), civil.hour(), civil.minute(), civil.second()] {
        push_two(part, out);
    }
}

/// Appends the twelve bytes that LIST shows, in UTC: `Jan 02 15:04` for a file changed in the last 182 days before
/// `now`, else `Jan 02  2006`. A time in the future always shows its year: clients take one without for the past.
pub fn format_list_time(time: Timestamp, now: Timestamp, out: &mut Vec<u8>) {
    let civil = to_civil(time);
    let month = usize::try_from(civil.month() - 1).ok().and_then(|index| MONTHS.get(index));
    out.extend_from_slice(month.copied().unwrap_or(b"Jan"));
    out.push(b' ');
    push_two(civil.day(), out);
    out.push(b' ');
    if time.secs <= now.secs && time.secs >= now.secs.saturating_sub(RECENT_SECS) {
        push_two(civil.hour(), out);
        out.push(b':');
        push_two(civil.minute(), out);
    } else {
        out.push(b' ');
        push_year(civil.year(), out);
    }
}

fn to_civil(time: Timestamp) -> DateTime {
    let secs = time.secs.clamp(YEAR_0_SECS, jiff::Timestamp::MAX.as_second());
    Offset::UTC.to_datetime(jiff::Timestamp::from_second(secs).unwrap_or(jiff::Timestamp::UNIX_EPOCH))
}

/// Reads up to four digits and nothing else.
fn number(digits: &[u8]) -> Option<i16> {
    digits.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i16::from(byte - b'0')))
}

/// Reads the digits behind the point as nanoseconds.
fn parse_fraction(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let padded = digits.iter().map(|byte| u32::from(byte - b'0')).chain(core::iter::repeat(0));
    Some(padded.take(9).fold(0, |sum, digit| sum * 10 + digit))
}

fn push_year(year: i16, out: &mut Vec<u8>) {
    for part in [year / 100, year % 100] {
        push_two(i8::try_from(part).unwrap_or_default(), out);
    }
}

/// Appends two digits; `value` lies within 0 and 99.
fn push_two(value: i8, out: &mut Vec<u8>) {
    let value = value.unsigned_abs() % 100;
    out.extend_from_slice(&[b'0' + value / 10, b'0' + value % 10]);
}

#[cfg(test)]
mod tests;
