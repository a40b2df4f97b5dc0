//! So many in a time.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use tidegate_admission::{LoginFailures, Rate};
use toml::de::DeValue;

use super::{Mismatch, Value, text_of};
use crate::config::duration;
use crate::keys::Kind;

/// So many in a time, such as `30/10s`; neither is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    count: NonZeroU32,
    period: Duration,
}

impl Default for RateLimit {
    /// One a second. Stands in for a value that could not be read until the file is refused.
    fn default() -> Self {
        Self { count: NonZeroU32::MIN, period: Duration::from_secs(1) }
    }
}

impl RateLimit {
    /// Returns it as the gate takes it; never `None`, since neither part is zero.
    pub fn rate(self) -> Option<Rate> {
        Rate::new(self.count.get(), self.period)
    }

    /// Returns it as failed logins are counted.
    pub const fn failures(self) -> LoginFailures {
        LoginFailures { count: self.count, period: self.period }
    }

    /// Returns whether it refuses nothing that `other` lets through.
    pub fn is_no_tighter_than(self, other: Self) -> bool {
        let in_time_of = |one: Self, time: Self| u128::from(one.count.get()) * time.period.as_nanos();
        self.count >= other.count && in_time_of(self, other) >= in_time_of(other, self)
    }

    fn parse(text: &str) -> Result<Self, Mismatch> {
        let Some((count, period)) = text.split_once('/') else { return Err(no_rate(text)) };
        let is_number = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
        let (true, Ok(period)) = (is_number, duration::parse(period)) else { return Err(no_rate(text)) };
        let Ok(count) = count.parse::<u32>() else {
            return Err(Mismatch::new(format!("is more than {}", u32::MAX)).hint(NO_LIMIT));
        };
        match NonZeroU32::new(count) {
            None => Err(Mismatch::new("lets nothing through").hint(NO_LIMIT)),
            Some(_) if period.is_zero() => Err(Mismatch::new("is in no time at all")
                .hint(format!("name the time: \"{count}/1s\" is {count} a second"))),
            Some(count) => Ok(Self { count, period }),
        }
    }
}

const NO_LIMIT: &str = "leave the key out for no limit";

fn no_rate(text: &str) -> Mismatch {
    let mismatch = Mismatch::new("is not a rate");
    match meant(text) {
        Some(meant) => mismatch.hint(format!("did you mean \"{meant}\"?")),
        None => mismatch.hint("first how many, then a slash and the time: \"30/10s\" is 30 in 10 seconds"),
    }
}

/// Guesses what `30`, `30/10`, `30/s` or `30 per minute` should have been.
fn meant(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let cut = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (count, rest) = text.split_at_checked(cut)?;
    count.parse::<NonZeroU32>().ok()?;
    let rest = rest.trim_start();
    let rest = ["/", "per ", "a ", "in "].iter().find_map(|word| rest.strip_prefix(word)).unwrap_or(rest);
    let period = match rest.trim() {
        "" => "1s".to_owned(),
        period if period.starts_with(|letter: char| letter.is_ascii_digit()) => period.to_owned(),
        unit => format!("1{unit}"),
    };
    let period = match duration::parse(&period) {
        Ok(period) => duration::show(period),
        Err(error) => error.meant?,
    };
    Some(format!("{count}/{period}"))
}

impl Value for RateLimit {
    fn read(found: &DeValue<'_>, kind: Kind, _: &Path) -> Result<Self, Mismatch> {
        if let DeValue::Integer(number) = found {
            return Err(Mismatch::new("is not a rate").hint(format!("name the time too: \"{number}/1s\"")));
        }
        let rate = Self::parse(text_of(found, "a rate")?)?;
        match kind {
            Kind::RateUpTo(most) if rate.count.get() > most => {
                Err(Mismatch::new(format!("is more than {most}")).hint("name fewer, in a shorter time"))
            }
            _ => Ok(rate),
        }
    }

    fn show(&self) -> String {
        format!("{}/{}", self.count, duration::show(self.period))
    }

    fn fits(kind: Kind) -> bool {
        matches!(kind, Kind::Rate | Kind::RateUpTo(_))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_shown_reads_back(count in 1_u32.., millis in 1_u64..315_360_000_000) {
            let period = Duration::from_millis(millis);
            let rate = RateLimit { count: NonZeroU32::new(count).unwrap(), period };
            prop_assert_eq!(RateLimit::parse(&rate.show()), Ok(rate));
            prop_assert_eq!(rate.rate().map(|rate| (rate.count(), rate.period())), Some((count, period)));
        }
    }

    #[test]
    fn what_was_meant() {
        for (text, meant) in [
            ("30", Some("30/1s")),
            ("30/10", Some("30/10s")),
            ("30/s", Some("30/1s")),
            ("30/min", Some("30/1m")),
            ("30 / 10s", Some("30/10s")),
            ("30 per 10 seconds", Some("30/10s")),
            ("5 a minute", Some("5/1m")),
            ("5 in 5m", Some("5/5m")),
            ("0/s", None),
            ("many", None),
            ("5/fortnight", None),
            ("", None),
        ] {
            assert_eq!(super::meant(text).as_deref(), meant, "{text:?}");
            if let Some(meant) = meant {
                assert!(RateLimit::parse(meant).is_ok(), "{meant}");
            }
        }
    }

    #[test]
    fn tighter_in_burst_or_in_the_long_run() {
        let rate = |text: &str| RateLimit::parse(text).unwrap();
        for (one, other, expected) in [
            ("30/10s", "30/10s", true),
            ("60/20s", "30/10s", true),
            ("30/10s", "60/20s", false),
            ("20/1s", "30/10s", false),
            ("30/20s", "30/10s", false),
            ("4294967295/1ms", "1/3650d", true),
        ] {
            assert_eq!(rate(one).is_no_tighter_than(rate(other)), expected, "{one} against {other}");
        }
    }
}
