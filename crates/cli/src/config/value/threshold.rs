//! What closes the house, and what a ban grows by.

use std::path::Path;
use std::time::Duration;

use toml::de::DeValue;

use super::{Mismatch, Value, text_of};
use crate::config::duration;
use crate::keys::Kind;

/// How a threshold is switched off.
const OFF: &str = "off";

/// A percentage from 1 to 100; `None`: off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PercentLimit(pub Option<u32>);

impl Value for PercentLimit {
    fn read(found: &DeValue<'_>, _: Kind, _: &Path) -> Result<Self, Mismatch> {
        let no_percentage = || Mismatch::new("is not a percentage");
        match found {
            DeValue::Integer(number) => {
                return Err(no_percentage().hint(format!("write \"{}%\"", number.as_str())));
            }
            DeValue::Float(_) => return Err(no_percentage().hint("write a whole percentage: \"80%\"")),
            DeValue::Boolean(false) => return Err(no_percentage().hint("write \"off\"")),
            _ => {}
        }
        let text = text_of(found, "a percentage")?;
        if text == OFF {
            return Ok(Self(None));
        }
        let digits = text.strip_suffix('%').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        match digits.map(str::parse::<u32>) {
            Some(Ok(0)) => {
                Err(Mismatch::new("would let nobody in").hint("\"off\" means that it closes nothing"))
            }
            Some(Ok(percent @ 1..=100)) => Ok(Self(Some(percent))),
            Some(Ok(_)) => Err(Mismatch::new("is above 100%").hint("\"off\" means that it closes nothing")),
            _ => Err(match text.trim_end_matches(['%', ' ']).trim_start().parse::<u32>() {
                Ok(percent @ 1..=100) => no_percentage().hint(format!("did you mean \"{percent}%\"?")),
                _ => no_percentage().hint("write a whole percentage, or \"off\""),
            }),
        }
    }

    fn show(&self) -> String {
        self.0.map_or_else(|| OFF.into(), |percent| format!("{percent}%"))
    }

    fn fits(kind: Kind) -> bool {
        kind == Kind::PercentOrOff
    }
}

/// A time span of at least a millisecond; `None`: off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DurationLimit(pub Option<Duration>);

impl Value for DurationLimit {
    fn read(found: &DeValue<'_>, kind: Kind, folder: &Path) -> Result<Self, Mismatch> {
        match found {
            DeValue::Boolean(false) => Err(Mismatch::new("is not a duration").hint("write \"off\"")),
            DeValue::String(text) if text.as_ref() == OFF => Ok(Self(None)),
            _ => match Duration::read(found, kind, folder)? {
                Duration::ZERO => {
                    Err(Mismatch::new("would let nobody in").hint("\"off\" means that it closes nothing"))
                }
                span => Ok(Self(Some(span))),
            },
        }
    }

    fn show(&self) -> String {
        self.0.map_or_else(|| OFF.into(), duration::show)
    }

    fn fits(kind: Kind) -> bool {
        kind == Kind::DurationOrOff
    }
}

/// A finite number, at least 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Factor(pub f64);

impl Default for Factor {
    fn default() -> Self {
        Self(1.0)
    }
}

impl Value for Factor {
    fn read(found: &DeValue<'_>, _: Kind, _: &Path) -> Result<Self, Mismatch> {
        let number = match found {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::String(text) if text.parse::<f64>().is_ok_and(f64::is_finite) => {
                return Err(Mismatch::new("is text, not a number").hint(format!("remove the quotes: {text}")));
            }
            _ => None,
        };
        match number.filter(|number: &f64| number.is_finite()) {
            Some(factor) if factor >= 1.0 => Ok(Self(factor)),
            Some(_) => Err(Mismatch::new("is below 1").hint("1.0 means that every ban lasts as long")),
            None => Err(Mismatch::new("is not a number to multiply by")),
        }
    }

    fn show(&self) -> String {
        format!("{:?}", self.0)
    }

    fn fits(kind: Kind) -> bool {
        kind == Kind::Factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Value>(literal: &str, kind: Kind) -> Result<T, Mismatch> {
        let value = DeValue::parse(literal).unwrap();
        T::read(value.get_ref(), kind, Path::new("/"))
    }

    #[test]
    fn every_percentage_reads_back_as_shown() {
        for limit in (1..=100).map(Some).chain([None]).map(PercentLimit) {
            assert_eq!(read(&format!("'{}'", limit.show()), Kind::PercentOrOff), Ok(limit));
        }
    }

    #[test]
    fn spans_and_factors_read_back_as_shown() {
        for limit in [None, Some(1), Some(100), Some(90_061_001)] {
            let limit = DurationLimit(limit.map(Duration::from_millis));
            assert_eq!(read(&format!("'{}'", limit.show()), Kind::DurationOrOff), Ok(limit));
        }
        for factor in [1.0, 1.5, 2.0, 1e9, 1e300] {
            assert_eq!(read(&Factor(factor).show(), Kind::Factor), Ok(Factor(factor)));
        }
        for bad in ["inf", "nan", "-inf", "0x10", "true"] {
            assert!(read::<Factor>(bad, Kind::Factor).is_err(), "{bad}");
        }
    }
}
