//! How one value is read: from what TOML found to the type the rest of the program uses.

mod creation;
mod files;
mod network;
mod place;
mod rate;
mod threshold;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use tidegate_admission::Reclaim;
use tidegate_types::{Rights, UploadStyle};
use toml::de::DeValue;

use super::duration;
use crate::keys::{DURABILITY, Kind, LISTENER_TLS, LOG_FORMAT, RECLAIM, UPLOAD};
pub use creation::{Mode, Owner, Who};
pub use files::{ExtraCommands, Patterns, SizeLimit};
pub use network::{Network, NetworkList};
pub use place::Place;
pub use rate::RateLimit;
pub use threshold::{DurationLimit, Factor, PercentLimit};

/// The longest account name, in bytes (PROTOCOL A16).
pub(super) const NAME_BYTES_MAX: usize = 256;
/// The longest greeting, in bytes.
pub(super) const GREETING_BYTES_MAX: usize = 400;

/// Why a value was not taken: a phrase that follows what was found, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    pub(super) what: String,
    pub(super) hint: Option<String>,
}

impl Mismatch {
    fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A type that one or more kinds of keys are read into.
pub trait Value: Sized + Clone + Default {
    /// Reads `found` as a value of `kind`; relative paths start at `folder`.
    fn read(found: &DeValue<'_>, kind: Kind, folder: &Path) -> Result<Self, Mismatch>;

    /// Returns the value as people read it.
    fn show(&self) -> String;

    /// Returns whether rows of `kind` are read into this type.
    fn fits(kind: Kind) -> bool;
}

/// Names what was found, for the start of an error.
pub(super) fn describe(found: &DeValue<'_>) -> String {
    match found {
        DeValue::String(text) => quote(text),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {}", number.as_str()),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(time) => format!("the time {time}"),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

/// Returns `text` in quotes, escaped, and cut when it is long.
pub(super) fn quote(text: &str) -> String {
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    let mut quoted = String::new();
    // Writing into a String does not fail.
    let _ = crate::escape::write_quoted(&mut quoted, &shown);
    quoted
}

fn text_of<'a>(found: &'a DeValue<'_>, noun: &str) -> Result<&'a str, Mismatch> {
    let text = found.as_str().ok_or_else(|| {
        let hint = matches!(found, DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_));
        let mismatch = Mismatch::new(format!("is not {noun}"));
        if hint { mismatch.hint("put it in quotes") } else { mismatch }
    })?;
    if text.chars().any(char::is_control) {
        return Err(Mismatch::new("has a control character in it").hint("remove line ends, tabs and escapes"));
    }
    Ok(text)
}

impl Value for String {
    fn read(found: &DeValue<'_>, kind: Kind, _: &Path) -> Result<Self, Mismatch> {
        let (noun, most) = match kind {
            Kind::AccountName => ("a name", NAME_BYTES_MAX),
            _ => ("a line of text", GREETING_BYTES_MAX),
        };
        let text = text_of(found, noun)?;
        if text.trim().is_empty() {
            return Err(Mismatch::new("is empty"));
        }
        if text.len() > most {
            return Err(Mismatch::new(format!("is longer than {most} bytes")));
        }
        if text.trim() != text {
            return Err(Mismatch::new("begins or ends with a space")
                .hint("clients could not say it; remove the space"));
        }
        Ok(text.into())
    }

    fn show(&self) -> String {
        crate::escape::for_people(self)
    }

    fn fits(kind: Kind) -> bool {
        matches!(kind, Kind::Greeting | Kind::AccountName)
    }
}

impl Value for PathBuf {
    fn read(found: &DeValue<'_>, _: Kind, folder: &Path) -> Result<Self, Mismatch> {
        let text = text_of(found, "a path")?;
        if text.is_empty() {
            return Err(Mismatch::new("is empty").hint("\".\" is the folder of this file"));
        }
        if text == "~" || text.starts_with("~/") {
            return Err(Mismatch::new("begins with ~, which is not expanded").hint("write the whole path"));
        }
        // `a/./b` and `a/` say the same as `a/b` and `a`; `..` stays, since links decide what it means.
        Ok(folder.join(text).components().filter(|part| *part != Component::CurDir).collect())
    }

    fn show(&self) -> String {
        crate::escape::for_people(&self.to_string_lossy())
    }

    fn fits(kind: Kind) -> bool {
        kind == Kind::Folder
    }
}

/// A socket address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenAddress(pub SocketAddr);

impl Default for ListenAddress {
    fn default() -> Self {
        Self(SocketAddr::from((Ipv4Addr::LOCALHOST, 2121)))
    }
}

impl ListenAddress {
    /// Reads `ADDRESS:PORT`. Errors: a hint at what was meant.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| match (text.parse::<IpAddr>(), text.parse::<u16>()) {
            (Ok(IpAddr::V4(address)), _) => format!("add the port: \"{address}:2121\""),
            (Ok(IpAddr::V6(address)), _) => {
                format!("put IPv6 in brackets and add the port: \"[{address}]:2121\"")
            }
            (_, Ok(port)) => format!(
                "add the address: \"127.0.0.1:{port}\" for this machine only, \"[::]:{port}\" for all"
            ),
            _ => match text.rsplit_once(':') {
                Some(("" | "*", port)) => format!("write \"[::]:{port}\" for every address of this machine"),
                Some(("localhost", port)) => format!("write \"127.0.0.1:{port}\" or \"[::1]:{port}\""),
                _ => {
                    "host names are not looked up here; write the address, and the port after a colon".into()
                }
            },
        })
    }
}

impl Value for ListenAddress {
    fn read(found: &DeValue<'_>, _: Kind, _: &Path) -> Result<Self, Mismatch> {
        let noun = "an address with a port";
        if let DeValue::Integer(port) = found {
            return Err(Mismatch::new(format!("is not {noun}"))
                .hint(format!("write \"127.0.0.1:{port}\" or \"[::]:{port}\"")));
        }
        Self::parse(text_of(found, noun)?).map_err(|hint| Mismatch::new(format!("is not {noun}")).hint(hint))
    }

    fn show(&self) -> String {
        self.0.to_string()
    }

    fn fits(kind: Kind) -> bool {
        kind == Kind::SocketAddress
    }
}

/// The ports for data connections, both ends included; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest port, at least 1024.
    pub low: u16,
    /// The highest port, at least `low`.
    pub high: u16,
}

impl Default for PortRange {
    fn default() -> Self {
        Self { low: 50000, high: 50999 }
    }
}

impl Value for PortRange {
    fn read(found: &DeValue<'_>, _: Kind, _: &Path) -> Result<Self, Mismatch> {
        let text = text_of(found, "a range of ports")?;
        let no_range = || Mismatch::new("is not a range of ports");
        let (low, high) = text.split_once('-').ok_or_else(|| match text.parse::<u16>() {
            Ok(port) => no_range().hint(format!("for a single port write \"{port}-{port}\"")),
            Err(_) => no_range(),
        })?;
        let port =
            |text: &str| text.trim().parse::<u16>().map_err(|_| no_range().hint("ports go up to 65535"));
        let (low, high) = (port(low)?, port(high)?);
        if low > high {
            return Err(Mismatch::new("is an empty range")
                .hint(format!("the lower port comes first: \"{high}-{low}\"")));
        }
        if low < 1024 {
            return Err(Mismatch::new("begins below 1024").hint("ports below 1024 belong to system services"));
        }
        Ok(Self { low, high })
    }

    fn show(&self) -> String {
        format!("{}-{}", self.low, self.high)
    }

    fn fits(kind: Kind) -> bool {
        kind == Kind::PortRange
    }
}

/// Which address a PASV reply tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PassiveAddress {
    /// The one the client reached.
    #[default]
    Auto,
    /// This one. Always IPv4: the 227 reply has no room for more, and EPSV tells none.
    Fixed(Ipv4Addr),
    /// What this host name means at the time.
    Host(String),
}

impl Value for PassiveAddress {
    fn read(found: &DeValue<'_>, _: Kind, _: &Path) -> Result<Self, Mismatch> {
        let text = text_of(found, "an address")?;
        match text.parse::<IpAddr>() {
            _ if text == "auto" => Ok(Self::Auto),
            Ok(IpAddr::V4(address)) if address.is_unspecified() => {
                Err(Mismatch::new("is no address a client can reach")
                    .hint("write \"auto\" or the outside address"))
            }
            Ok(IpAddr::V4(address)) => Ok(Self::Fixed(address)),
            Ok(IpAddr::V6(_)) => Err(Mismatch::new("is an IPv6 address, which a PASV reply cannot tell")
                .hint("leave the key out: IPv6 clients use EPSV, which needs no address")),
            Err(_) if is_host_name(text) => Ok(Self::Host(text.into())),
            Err(_) => Err(Mismatch::new("is neither an address nor a host name")),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Auto => "auto".into(),
            Self::Fixed(address) => address.to_string(),
            Self::Host(name) => name.clone(),
        }
    }

    fn fits(kind: Kind) -> bool {
        kind == Kind::PassiveAddress
    }
}

/// Returns whether `text` is a host name: labels of letters, digits and hyphens, the last one not a number (RFC 1123 §2.1).
fn is_host_name(text: &str) -> bool {
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let last_is_number =
        text.rsplit('.').next().is_none_or(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() <= 253 && !last_is_number && text.split('.').all(label)
}

impl Value for Rights {
    fn read(found: &DeValue<'_>, _: Kind, _: &Path) -> Result<Self, Mismatch> {
        match found {
            DeValue::String(word) => right_of(word),
            DeValue::Array(words) if words.is_empty() => {
                Err(Mismatch::new("with nothing in it gives no right")
                    .hint("remove the account, or name a right"))
            }
            DeValue::Array(words) => words.iter().try_fold(Self::NONE, |rights, word| match word.get_ref() {
                DeValue::String(word) => Ok(rights.union(right_of(word)?)),
                other => {
                    Err(Mismatch::new(format!("with {} in it is not a list of rights", describe(other))))
                }
            }),
            _ => Err(Mismatch::new("is not a list of rights")),
        }
    }

    fn show(&self) -> String {
        Self::SETS
            .iter()
            .find(|(_, set)| set == self)
            .map_or_else(|| self.words().join(", "), |(name, _)| (*name).into())
    }

    fn fits(kind: Kind) -> bool {
        kind == Kind::Rights
    }
}

fn right_of(word: &str) -> Result<Rights, Mismatch> {
    let known = || Rights::NAMES.iter().chain(&Rights::SETS).map(|(name, _)| *name);
    Rights::parse(word).map_err(|_| {
        let hint = match suggest(word, known()) {
            Some(close) => format!("did you mean \"{close}\"?"),
            None => format!("the rights are: {}", known().collect::<Vec<_>>().join(", ")),
        };
        Mismatch::new(format!("names no right: {}", quote(word))).hint(hint)
    })
}

/// Returns the candidate that is a slip of the finger away from `word`.
pub(super) fn suggest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase().replace('-', "_");
    candidates
        .map(|candidate| {
            let plain = candidate.to_ascii_lowercase().replace('-', "_");
            let slips = strsim::damerau_levenshtein(&word, &plain);
            let closeness = if plain.starts_with(&word) && word.len() >= 3 { 0 } else { slips };
            (closeness, candidate)
        })
        .filter(|(slips, candidate)| *slips <= 1 + candidate.len() / 5)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

impl Value for Duration {
    fn read(found: &DeValue<'_>, kind: Kind, _: &Path) -> Result<Self, Mismatch> {
        if let DeValue::Integer(number) = found {
            return Err(Mismatch::new("has no unit").hint(format!("for seconds write \"{number}s\"")));
        }
        let text = text_of(found, "a duration")?;
        let duration = duration::parse(text).map_err(|error| {
            let mismatch = Mismatch::new("is not a duration");
            match error.meant {
                Some(meant) => mismatch.hint(format!("did you mean \"{meant}\"?")),
                None => mismatch.hint("units are ms, s, m, h and d"),
            }
        })?;
        match kind {
            Kind::Duration { least_secs, .. } if duration < Self::from_secs(least_secs) => {
                Err(Mismatch::new("is too short").hint(format!("the shortest is \"{least_secs}s\"")))
            }
            Kind::Duration { most_secs, .. } if duration > Self::from_secs(most_secs) => {
                Err(Mismatch::new("is too long").hint(format!("the longest is \"{most_secs}s\"")))
            }
            _ => Ok(duration),
        }
    }

    fn show(&self) -> String {
        duration::show(*self)
    }

    fn fits(kind: Kind) -> bool {
        matches!(kind, Kind::Duration { .. })
    }
}

impl Value for u32 {
    fn read(found: &DeValue<'_>, kind: Kind, _: &Path) -> Result<Self, Mismatch> {
        let (most, hint) = match kind {
            Kind::CountUpTo(most) => (most, format!("write a number from 1 to {most}")),
            _ => (Self::MAX, "leave the key out for no limit".into()),
        };
        let mismatch = |what: String| Err(Mismatch::new(what).hint(&hint));
        match found {
            DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
                Ok(0) if most == Self::MAX => mismatch("would let nobody in".into()),
                Ok(..1) => mismatch("is below 1".into()),
                Ok(count) => match Self::try_from(count) {
                    Ok(count) if count <= most => Ok(count),
                    _ => mismatch(format!("is above {most}")),
                },
                Err(_) => mismatch(format!("is above {most}")),
            },
            DeValue::String(text) if text.parse::<Self>().is_ok() => {
                Err(Mismatch::new("is text, not a number").hint(format!("remove the quotes: {text}")))
            }
            _ => mismatch("is not a whole number".into()),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }

    fn fits(kind: Kind) -> bool {
        matches!(kind, Kind::Count | Kind::CountUpTo(_))
    }
}

impl Value for bool {
    fn read(found: &DeValue<'_>, _: Kind, _: &Path) -> Result<Self, Mismatch> {
        let no_switch = Mismatch::new("is neither true nor false");
        match found {
            DeValue::Boolean(value) => Ok(*value),
            DeValue::String(text) => Err(match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" => no_switch.hint("write true, without quotes"),
                "false" | "no" | "off" => no_switch.hint("write false, without quotes"),
                _ => no_switch,
            }),
            _ => Err(no_switch),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }

    fn fits(kind: Kind) -> bool {
        kind == Kind::Switch
    }
}

/// Declares how the words of a row become an enum, in the order of the words.
macro_rules! words {
    ($type:ty, $words:expr, [$($variant:expr),+]) => {
        impl Value for $type {
            fn read(found: &DeValue<'_>, _: Kind, _: &Path) -> Result<Self, Mismatch> {
                let position = word_position(found, $words)?;
                [$($variant),+].get(position).copied().ok_or_else(|| Mismatch::new("has no meaning yet"))
            }

            fn show(&self) -> String {
                let position = [$($variant),+].iter().position(|variant| variant == self);
                position.and_then(|position| $words.get(position)).map_or_else(String::new, |word| (*word).into())
            }

            fn fits(kind: Kind) -> bool {
                kind == Kind::Word($words)
            }
        }
    };
}

fn word_position(found: &DeValue<'_>, words: &'static [&'static str]) -> Result<usize, Mismatch> {
    let text = text_of(found, "one of the words")?;
    words.iter().position(|word| *word == text).ok_or_else(|| {
        let mismatch = Mismatch::new("is not one of the words");
        match (suggest(text, words.iter().copied()), text) {
            (Some(close), _) => mismatch.hint(format!("did you mean \"{close}\"?")),
            (None, "explicit" | "required" | "implicit") if words == LISTENER_TLS => {
                Mismatch::new("is designed but not built yet")
                    .hint("this version serves without TLS; write \"off\" or leave the key out")
            }
            _ => mismatch,
        }
    })
}

/// What is synced to disk before an upload is called done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The file and its folder.
    #[default]
    Full,
    /// The file.
    File,
    /// Nothing.
    None,
}

/// Whether a listener encrypts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListenerTls {
    /// It does not.
    #[default]
    Off,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Text,
    /// For programs, one object a line.
    Json,
}

words!(Durability, DURABILITY, [Self::Full, Self::File, Self::None]);
words!(ListenerTls, LISTENER_TLS, [Self::Off]);
words!(LogFormat, LOG_FORMAT, [Self::Auto, Self::Text, Self::Json]);
words!(Reclaim, RECLAIM, [Self::Off, Self::Dead, Self::Idle]);
words!(UploadStyle, UPLOAD, [UploadStyle::Atomic, UploadStyle::InPlace]);
