//! What goes to the person at the terminal.

use std::io::{self, IsTerminal, Write};

use crate::config::Drawing;

/// Returns whether colours are wanted: the variable `NO_COLOR` says no.
pub fn may_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Returns how problems are drawn on standard error.
pub fn drawing() -> Drawing {
    match (io::stderr().is_terminal(), may_colour()) {
        (false, _) => Drawing::Plain,
        (true, false) => Drawing::Lines,
        (true, true) => Drawing::Colour,
    }
}

/// Writes to standard output. A reader that went away (`| head`) is no error.
pub fn say(text: &str) {
    say_to_reader(text);
}

/// Writes to standard output; `false`: nobody reads any more.
pub fn say_to_reader(text: &str) -> bool {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}

/// Writes to standard error.
pub fn complain(text: &str) {
    // Nobody is left to be told.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes an error and what to do about it.
pub fn complain_with_hint(what: &str, hint: &str) {
    complain(&format!("error: {what}\n  hint: {hint}\n"));
}
