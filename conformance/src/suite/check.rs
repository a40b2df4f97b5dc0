//! What a check is, and what may come of it.

use super::stage::Stage;

/// How strongly a check demands something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A document says must, or leaves no other reading.
    Must,
    /// A document recommends it.
    Should,
    /// No document demands it; clients in wide use do.
    Practice,
    /// Whatever the documents say: without it somebody is harmed.
    Safety,
}

impl Level {
    /// Returns its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Should => "should",
            Self::Practice => "practice",
            Self::Safety => "safety",
        }
    }
}

/// One thing a server is asked to do right.
#[derive(Debug)]
pub struct Check {
    /// Unique within its group; a valid identifier.
    pub name: &'static str,
    /// How strongly it is demanded.
    pub level: Level,
    /// What it demands, in one sentence.
    pub demands: &'static str,
    /// The check itself.
    pub run: fn(&Stage<'_>) -> Outcome,
}

/// The checks of one file, which belong to one section of one document.
#[derive(Debug)]
pub struct Group {
    /// Such as `RFC 3659`.
    pub document: &'static str,
    /// Such as `4`.
    pub section: &'static str,
    /// The file below `conformance/` without `.rs`.
    pub path: &'static str,
    /// What is checked.
    pub checks: &'static [Check],
}

/// Why a check did not pass.
#[derive(Clone, Debug)]
pub enum Stop {
    /// The server did something else than demanded.
    Fail(Failure),
    /// The server knows nothing of this optional extension, and does not say otherwise in FEAT.
    NotOffered(String),
    /// The check cannot be made from here.
    NotApplicable(String),
}

/// What went wrong, with the end of the dialogue that shows it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// One line.
    pub what: String,
    /// The last lines said by client (`C:`) and server (`S:`).
    pub dialogue: Vec<String>,
}

/// What a check returns.
pub type Outcome = Result<(), Stop>;

/// Declares the group of a file: `group! { "RFC 959", "5.3", "rfc959/section_5_3": Must name "sentence"; … }`. Each name is
/// a function `fn name(t: &Stage) -> Outcome` of the same file.
macro_rules! group {
    ($document:literal, $section:literal, $path:literal: $($level:ident $name:ident $demands:literal;)*) => {
        pub(crate) const GROUP: Group = Group {
            document: $document,
            section: $section,
            path: $path,
            checks: &[$(Check { name: stringify!($name), level: Level::$level, demands: $demands, run: $name }),*],
        };
    };
}
