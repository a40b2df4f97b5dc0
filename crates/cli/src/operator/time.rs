//! When something shall begin, as people type it.

use std::time::Duration;

use jiff::civil::{DateTime, Time};
use jiff::{SignedDuration, Timestamp, Zoned};

use crate::config::parse_duration;

/// The furthest a drain is planned ahead: a year.
const AHEAD_MAX: Duration = Duration::from_hours(366 * 24);

/// A moment that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct When {
    /// The moment.
    pub(super) at: Zoned,
    /// How far it is ahead.
    pub(super) delay: Duration,
    /// Whether it was said as a delay, such as `+10m`.
    pub(super) is_relative: bool,
}

impl When {
    /// Returns the seconds since 1970 of a time of day, rounded up; `None`: it is a delay.
    pub(super) fn unix_secs(&self) -> Option<u64> {
        let moment = self.at.timestamp();
        let secs = moment.as_second() + i64::from(moment.subsec_nanosecond() > 0);
        (!self.is_relative).then(|| u64::try_from(secs).unwrap_or_default())
    }

    /// Returns the seconds of a delay, rounded up; `None`: it is a time of day.
    pub(super) fn delay_secs(&self) -> Option<u64> {
        self.is_relative.then(|| self.delay.as_secs() + u64::from(self.delay.subsec_nanos() > 0))
    }

    /// Returns the moment as people read it, with its offset, so that nobody guesses the zone.
    pub(super) fn show(&self) -> String {
        self.at.strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
    }
}

/// Reads `22:30` (the next one), `2026-11-23 22:30`, RFC 3339 or `+10m`, in the zone of `now`.
///
/// Errors: a sentence with what is wrong, and one with what to write.
pub(super) fn parse(text: &str, now: &Zoned) -> Result<When, (String, String)> {
    let text = text.trim();
    let at = read(text, now).ok_or_else(|| {
        let what = format!("--at: {:?} is no time", crate::escape::for_people(text));
        let hint = "write 22:30, '2026-11-23 22:30', 2026-11-23T22:30:00Z or +10m";
        (what, hint.to_owned())
    })?;
    let shown = at.strftime("%Y-%m-%d %H:%M:%S %:z");
    let delay = Duration::try_from(now.duration_until(&at)).map_err(|_| {
        let what = format!("--at: {shown} is over");
        (what, "leave --at out to begin now".to_owned())
    })?;
    if delay > AHEAD_MAX {
        return Err((format!("--at: {shown} is more than a year ahead"), "check the year".into()));
    }
    Ok(When { at, delay, is_relative: text.starts_with('+') })
}

fn read(text: &str, now: &Zoned) -> Option<Zoned> {
    if let Some(span) = text.strip_prefix('+') {
        let delay = SignedDuration::try_from(parse_duration(span).ok()?).ok()?;
        return now.checked_add(delay).ok();
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment.to_zoned(now.time_zone().clone()));
    }
    if text.contains('-') {
        return text.parse::<DateTime>().ok()?.to_zoned(now.time_zone().clone()).ok();
    }
    let time: Time = text.parse().ok().filter(|_| text.contains(':'))?;
    let today = now.date().to_datetime(time).to_zoned(now.time_zone().clone()).ok()?;
    if today > *now {
        return Some(today);
    }
    now.date().tomorrow().ok()?.to_datetime(time).to_zoned(now.time_zone().clone()).ok()
}

#[cfg(test)]
mod tests {
    use jiff::tz::{Offset, TimeZone};

    use super::*;

    fn now() -> Zoned {
        let zone = TimeZone::fixed(Offset::constant(1));
        "2026-11-22T20:00:00Z".parse::<Timestamp>().unwrap().to_zoned(zone)
    }

    #[test]
    fn every_way_to_say_it() {
        for (text, expected) in [
            ("22:30", "2026-11-22 22:30:00 +01:00"),
            ("20:30", "2026-11-23 20:30:00 +01:00"),
            ("21:00", "2026-11-23 21:00:00 +01:00"),
            ("22:30:15", "2026-11-22 22:30:15 +01:00"),
            ("2026-11-23 22:30", "2026-11-23 22:30:00 +01:00"),
            ("2026-11-23T22:30", "2026-11-23 22:30:00 +01:00"),
            ("2026-11-23T22:30:00Z", "2026-11-23 23:30:00 +01:00"),
            ("2026-11-23T22:30:00+02:00", "2026-11-23 21:30:00 +01:00"),
            ("+10m", "2026-11-22 21:10:00 +01:00"),
            (" +1h30m ", "2026-11-22 22:30:00 +01:00"),
            ("+0s", "2026-11-22 21:00:00 +01:00"),
        ] {
            let when = parse(text, &now()).unwrap_or_else(|error| panic!("{text}: {error:?}"));
            assert_eq!(when.show(), expected, "{text}");
            assert_eq!(when.delay, Duration::try_from(now().duration_until(&when.at)).unwrap());
        }
        assert_eq!(parse("+10m", &now()).unwrap().delay, Duration::from_mins(10));
        assert_eq!(parse("22:30", &now()).unwrap().delay, Duration::from_mins(90));
        let said = |text: &str| {
            let when = parse(text, &now()).unwrap();
            (when.unix_secs(), when.delay_secs())
        };
        assert_eq!(said("+1h"), (None, Some(3_600)));
        assert_eq!(said("+1500ms"), (None, Some(2)));
        assert_eq!(said("2026-11-22T22:30:00Z"), (Some(1_795_386_600), None));
    }

    #[test]
    fn what_is_no_time_is_told() {
        for text in ["", "soon", "25:00", "10", "2230", "+", "+5", "2026-13-01 10:00", "10m", "\x1b[2J"] {
            let (what, hint) = parse(text, &now()).unwrap_err();
            assert!(what.contains("is no time") && hint.contains("22:30"), "{text}: {what}");
            assert!(!what.contains('\x1b'));
        }
        let (what, hint) = parse("2026-11-22 20:59", &now()).unwrap_err();
        assert!(what.contains("2026-11-22 20:59:00 +01:00 is over") && hint.contains("begin now"), "{what}");
        let (what, _) = parse("2036-11-22 20:59", &now()).unwrap_err();
        assert!(what.contains("more than a year"), "{what}");
    }

    #[test]
    fn an_hour_that_is_missing_in_spring_still_is_a_time() {
        let Ok(zone) = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3") else { panic!("a zone") };
        let now = "2026-03-28T22:00:00Z".parse::<Timestamp>().unwrap().to_zoned(zone);
        // 02:30 does not exist on 2026-03-29: clocks go from 02:00 to 03:00.
        assert_eq!(parse("02:30", &now).unwrap().show(), "2026-03-29 03:30:00 +02:00");
    }
}
