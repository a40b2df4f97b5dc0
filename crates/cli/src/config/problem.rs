use std::fmt;
use std::ops::Range;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity, SourceCode,
};

use super::source::Source;

/// Something in a configuration that is wrong, or that an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key it is about, such as `account[alice].home`; empty when the file is not TOML.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// The bytes of the file it is about.
    pub at: Option<Range<usize>>,
    /// What to write beside those bytes: what was expected.
    pub label: String,
    /// The other key of a contradiction.
    pub other: Option<Other>,
    /// What to do.
    pub hint: Option<String>,
    /// Whether it only warns.
    pub is_warning: bool,
}

/// The other side of a contradiction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// The key, such as `limits.transfers`.
    pub key: String,
    /// Where its value stands; `None`: it is a default, or derived.
    pub at: Option<Range<usize>>,
    /// What to write beside it.
    pub label: String,
}

impl Problem {
    /// Returns an error about `key`.
    pub fn new(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            what: what.into(),
            at: None,
            label: String::new(),
            other: None,
            hint: None,
            is_warning: false,
        }
    }

    /// Names the key that it contradicts, and points at its value.
    pub fn against(
        mut self,
        key: impl Into<String>,
        span: Option<Range<usize>>,
        label: impl Into<String>,
    ) -> Self {
        self.other = Some(Other { key: key.into(), at: span, label: label.into() });
        self
    }

    /// Points at bytes of the file, with what was expected there.
    pub fn at(mut self, span: Option<Range<usize>>, label: impl Into<String>) -> Self {
        self.at = span;
        self.label = label.into();
        self
    }

    /// Adds what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Makes it a warning.
    pub fn warning(mut self) -> Self {
        self.is_warning = true;
        self
    }
}

/// What was found in one file, in the order of its lines, ready to be shown.
#[derive(Clone, Debug)]
pub struct Problems {
    /// The file.
    pub source: Source,
    /// At least one problem.
    pub list: Vec<Problem>,
    /// Bytes of the file that must not be shown.
    pub(super) secrets: Vec<Range<usize>>,
}

/// How problems are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// ASCII without colour.
    Plain,
    /// Unicode lines without colour.
    Lines,
    /// Unicode lines and colour.
    Colour,
}

impl Problems {
    /// Returns whether one of them is more than a warning.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| !problem.is_warning)
    }

    /// Returns all problems as text that ends with a line that counts them.
    pub fn render(&self, drawing: Drawing) -> String {
        let theme = match drawing {
            Drawing::Plain => GraphicalTheme::none(),
            Drawing::Lines => GraphicalTheme::unicode_nocolor(),
            Drawing::Colour => GraphicalTheme::unicode(),
        };
        let handler =
            GraphicalReportHandler::new_themed(theme).with_width(110).with_context_lines(1).with_links(false);
        let text = NamedSource::new(&self.source.name, self.source.showable(&self.secrets));
        let mut out = String::new();
        for problem in &self.list {
            // Writing into a String does not fail; a report that cannot be drawn still gets its first line.
            if handler.render_report(&mut out, &Shown { problem, text: &text }).is_err() {
                out.push_str(&problem.to_string());
                out.push('\n');
            }
            out.push('\n');
        }
        out.push_str(&self.count());
        out
    }

    /// Returns a line such as `2 errors and 1 warning in tidegate.toml`.
    fn count(&self) -> String {
        let warnings = self.list.iter().filter(|problem| problem.is_warning).count();
        let errors = self.list.len() - warnings;
        let plural = |count: usize, noun: &str| match count {
            1 => format!("1 {noun}"),
            _ => format!("{count} {noun}s"),
        };
        let counted = match (errors, warnings) {
            (_, 0) => plural(errors, "error"),
            (0, _) => plural(warnings, "warning"),
            _ => format!("{} and {}", plural(errors, "error"), plural(warnings, "warning")),
        };
        format!("{counted} in {}\n", self.source.name)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => f.write_str(&self.what),
            key => write!(f, "{key}: {}", self.what),
        }
    }
}

/// One problem with the text it points into, as miette wants it.
#[derive(Debug)]
struct Shown<'a> {
    problem: &'a Problem,
    text: &'a NamedSource<String>,
}

impl Shown<'_> {
    /// Returns the places it is about with what to write beside them.
    fn spans(&self) -> impl Iterator<Item = (&Range<usize>, &str)> {
        let own = self.problem.at.as_ref().map(|at| (at, self.problem.label.as_str()));
        let other = self.problem.other.as_ref();
        own.into_iter().chain(other.and_then(|other| Some((other.at.as_ref()?, other.label.as_str()))))
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(if self.problem.is_warning { Severity::Warning } else { Severity::Error })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.spans().next().map(|_| self.text as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let labelled = self.spans().map(|(at, label)| {
            let label = Some(label.to_owned()).filter(|label| !label.is_empty());
            LabeledSpan::new(label, at.start, at.len())
        });
        self.spans().next().map(|_| Box::new(labelled) as Box<dyn Iterator<Item = LabeledSpan>>)
    }
}
