//! RFC 3659 §2.3: times. Every one is `YYYYMMDDHHMMSS`, perhaps with a fraction, in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::suite::prelude::*;

group! { "RFC 3659", "2.3", "rfc3659/section_2":
    Must mdtm_form "MDTM tells 14 digits, and perhaps a point and more digits";
    Must mdtm_is_utc "MDTM of a file with a known time tells it in UTC";
    Must a_new_file_is_of_now "MDTM of a file just stored tells now, in UTC";
}

fn time(s: &mut Session, file: &str) -> Result<String, Stop> {
    let reply = s.optional("MDTM", format!("MDTM {file}"))?;
    s.among(b"MDTM", &reply, &[213])?;
    Ok(reply.text().get(4..).unwrap_or_default().to_owned())
}

fn mdtm_form(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    let told = time(&mut s, "a")?;
    let (whole, fraction) = told.split_once('.').unwrap_or((&told, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    s.check(whole.len() == 14 && digits(whole) && digits(fraction), format!("not a time: {told:?}"))
}

fn mdtm_is_utc(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    let path = t.plant("a", b"x")?;
    // 2001-09-09 01:46:40 UTC is second 1,000,000,000.
    let then = UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let set = std::fs::File::options().write(true).open(path).and_then(|file| file.set_modified(then));
    set.map_err(|error| s.fail(error.to_string()))?;
    let told = time(&mut s, "a")?;
    s.check(told.starts_with("20010909014640"), format!("told {told}"))
}

/// Turns a time into seconds: enough of a calendar for times near now.
fn seconds(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    // Days since 1970-01-01, counting years from March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 719_469;
    Some(days * 86_400 + number(8, 10)? * 3600 + number(10, 12)? * 60 + number(12, 14)?)
}

fn a_new_file_is_of_now(t: &Stage<'_>) -> Outcome {
    let mut s = t.work()?;
    s.put("STOR a", b"x")?;
    let told = time(&mut s, "a")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(0);
    let close = seconds(&told).is_some_and(|told| (told - now).abs() < 300);
    s.check(close, format!("told {told} when it is second {now} of 1970"))
}
