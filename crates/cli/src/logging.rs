//! Log lines: one event one line, whatever bytes a client puts into a name (PROTOCOL A14).

mod outlet;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::{self, Debug};
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{Format, Json, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter, format};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use crate::config::LogFormat;
use crate::escape::{is_escaped, is_hostile, write_escaped, write_quoted};
pub use outlet::Outlet;

/// The variables that choose what is logged, the first one that is set wins.
const FILTER_VARIABLES: [&str; 2] = ["TIDEGATE_LOG", "RUST_LOG"];

/// How lines are written, decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineStyle {
    /// For people; coloured on a terminal.
    Text {
        /// Whether levels have colours.
        colour: bool,
    },
    /// One JSON object a line.
    Json,
}

impl LineStyle {
    /// Returns the style for a format when standard error is, or is not, a terminal.
    pub fn of(format: LogFormat, is_terminal: bool, may_colour: bool) -> Self {
        let text = Self::Text { colour: is_terminal && may_colour };
        match format {
            LogFormat::Text => text,
            LogFormat::Auto if is_terminal => text,
            LogFormat::Auto | LogFormat::Json => Self::Json,
        }
    }
}

/// Starts logging to standard error for the whole process, panics included, and returns where the lines go: whoever logs never waits
/// for a reader. Errors: a sentence, when it was started before, the filter variable is not a filter, or there is no thread.
pub fn start(format: LogFormat) -> Result<Outlet, String> {
    let style = LineStyle::of(format, std::io::stderr().is_terminal(), crate::console::may_colour());
    let filter = filter()?;
    let outlet = Outlet::open(std::io::stderr(), tell_loss)
        .map_err(|error| format!("cannot write to standard error: {error}"))?;
    let writer = outlet.clone();
    let dispatch = dispatch(style, filter, move || writer.clone());
    tracing::dispatcher::set_global_default(dispatch).map_err(|error| error.to_string())?;
    // The usual hook writes to standard error itself, and waits for its reader.
    std::panic::set_hook(Box::new(log_panic));
    Ok(outlet)
}

fn tell_loss(lines: u64) {
    tracing::warn!(lines, "log lines were lost: nobody read standard error, or too slowly");
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let words = panic.payload_as_str().unwrap_or("something that is no text");
    let at = panic.location().map(ToString::to_string);
    let thread = std::thread::current();
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(at, thread = thread.name(), backtrace, "panicked: {words}");
}

fn filter() -> Result<EnvFilter, String> {
    let chosen = FILTER_VARIABLES.iter().find_map(|name| Some((name, std::env::var(name).ok()?)));
    match chosen.filter(|(_, text)| !text.trim().is_empty()) {
        None => Ok(EnvFilter::new("info")),
        Some((name, text)) => {
            EnvFilter::try_new(&text).map_err(|error| format!("{name} is not a log filter: {error}"))
        }
    }
}

/// Returns a dispatcher that writes lines of `style` to what `writer` makes.
pub fn dispatch<W>(style: LineStyle, filter: EnvFilter, writer: W) -> Dispatch
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    match style {
        LineStyle::Text { colour } => {
            let layer = layer.with_ansi(colour).event_format(format().with_target(false));
            Dispatch::new(registry.with(layer.fmt_fields(TextFields)))
        }
        LineStyle::Json => {
            let lines = JsonLines(format().json().flatten_event(true));
            Dispatch::new(
                registry.with(layer.with_ansi(false).event_format(lines).fmt_fields(JsonFields::new())),
            )
        }
    }
}

/// Writes fields as `name="value"`; the quotes are left out where nothing can be mistaken.
struct TextFields;

impl<'w> FormatFields<'w> for TextFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = TextVisitor { writer, is_first: true, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct TextVisitor<'w> {
    writer: Writer<'w>,
    is_first: bool,
    result: fmt::Result,
}

impl TextVisitor<'_> {
    /// Writes a field. What `is_shown` was formatted by the caller, who may have escaped it: once is enough then.
    fn write(&mut self, field: &Field, value: &str, is_shown: bool) -> fmt::Result {
        if !std::mem::replace(&mut self.is_first, false) {
            self.writer.write_char(' ')?;
        }
        if field.name() == "message" {
            return write_escaped(&mut self.writer, value);
        }
        write!(self.writer, "{}=", field.name())?;
        let is_plain =
            |letter: char| !(letter.is_whitespace() || is_hostile(letter) || "\"'=\\".contains(letter));
        if !value.is_empty() && value.chars().all(is_plain) {
            self.writer.write_str(value)
        } else if is_shown && is_escaped(value) {
            write!(self.writer, "\"{value}\"")
        } else {
            write_quoted(&mut self.writer, value)
        }
    }
}

impl Visit for TextVisitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.result = self.result.and_then(|()| self.write(field, value, false));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.result = self.result.and_then(|()| self.write(field, &format!("{value:?}"), true));
    }
}

/// JSON lines in which the letters that JSON allows and terminals obey are escaped as well.
struct JsonLines(Format<Json>);

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::with_capacity(256);
        self.0.format_event(context, Writer::new(&mut line), event)?;
        for letter in line.trim_end_matches('\n').chars() {
            // Outside of strings JSON has no such letters, so `\uXXXX` always stands inside one.
            if is_hostile(letter) {
                write!(writer, "\\u{:04x}", u32::from(letter))?;
            } else {
                writer.write_char(letter)?;
            }
        }
        writer.write_char('\n')
    }
}

#[cfg(test)]
mod tests;
