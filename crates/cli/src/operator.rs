//! The commands that look into a running server and steer it, over its control socket.

mod bans;
mod drain;
mod find;
mod manage;
mod session_rows;
mod sessions;
mod status;
mod table;
mod time;
mod units;
mod watch;
mod why;

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::io::{self, IsTerminal};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidegate_admin::message::Request;
use tidegate_admin::{Client, ClientError};

use crate::args::{Command, ServerArgs};
use crate::escape::{for_people, is_hostile};
use crate::{Exit, console};

pub use units::counted;

/// Where the words of a command go.
pub trait Out {
    /// Writes to standard output; `false`: nobody reads any more.
    fn say(&mut self, text: &str) -> bool;
    /// Writes to standard error.
    fn complain(&mut self, text: &str);
    /// Returns whether standard output is a terminal.
    fn is_terminal(&self) -> bool;
    /// Returns whether it may be coloured.
    fn colour(&self) -> bool;
}

/// The terminal, or whatever the shell put in its place.
#[derive(Clone, Copy, Debug)]
pub struct Terminal;

impl Out for Terminal {
    fn say(&mut self, text: &str) -> bool {
        console::say_to_reader(text)
    }

    fn complain(&mut self, text: &str) {
        console::complain(text);
    }

    fn is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    fn colour(&self) -> bool {
        self.is_terminal() && console::may_colour()
    }
}

/// Why a command did not do what it should.
#[derive(Debug)]
enum Trouble {
    /// The server cannot be reached, or will not.
    Client(ClientError),
    /// Something else; the last is how the program ends.
    Other { what: String, hint: Option<String>, exit: Exit },
    /// All was said already.
    Told,
}

impl Trouble {
    fn new(exit: Exit, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Other { what: what.into(), hint: Some(hint.into()), exit }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Other { exit, .. } => *exit,
            Self::Client(_) | Self::Told => Exit::Failed,
        }
    }

    /// Returns the word for programs: that of the server where it spoke.
    fn kind(&self) -> &'static str {
        match self {
            Self::Client(ClientError::Refused(failure)) => failure.kind.as_str(),
            Self::Client(_) => "no-answer",
            Self::Other { exit: Exit::Usage, .. } => "usage",
            Self::Other { .. } | Self::Told => "failed",
        }
    }

    /// Returns what is wrong, and what to do about it.
    fn words(&self) -> (String, Option<String>) {
        match self {
            Self::Client(error) => (error.to_string(), error.hint()),
            Self::Other { what, hint, .. } => (what.clone(), hint.clone()),
            Self::Told => (String::new(), None),
        }
    }
}

impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

type Done = Result<(), Trouble>;

/// Does what an operator's command says. `serve` and its like are none.
pub fn run(command: &Command, out: &mut dyn Out) -> Exit {
    let (server, done) = match command {
        Command::Serve(_) | Command::CheckConfig(_) | Command::HashPassword => return Exit::Usage,
        Command::Status(args) => (&args.server, status::run(&args.server, out)),
        Command::Sessions(args) => (&args.server, sessions::run(args, out)),
        Command::Why(args) => (&args.server, why::run(args, out)),
        Command::Limits(args) => (&args.server, manage::limits(&args.server, out)),
        Command::Bans(args) => (&args.server, bans::list(&args.server, out)),
        Command::Ban(args) => (&args.server, bans::ban(args, out)),
        Command::Unban(args) => (&args.server, bans::unban(args, out)),
        Command::Kick(args) => (&args.server, manage::kick(args, out)),
        Command::Reload(args) => (&args.server, manage::reload(&args.server, out)),
        Command::Drain(args) => (&args.server, drain::run(args, out)),
        Command::Resume(args) => (&args.server, manage::resume(&args.server, out)),
    };
    match done {
        Ok(()) => Exit::Done,
        Err(trouble) => {
            tell(&trouble, server.json, out);
            trouble.exit()
        }
    }
}

fn tell(trouble: &Trouble, json: bool, out: &mut dyn Out) {
    let (what, hint) = match trouble {
        Trouble::Told => return,
        trouble => trouble.words(),
    };
    if json {
        let error = json!({ "kind": trouble.kind(), "message": what, "hint": hint });
        // On one line, because it may be the last of several documents.
        out.say(&harmless(&format!("{}\n", json!({ "ok": false, "error": error }))));
        return;
    }
    out.complain(&format!("error: {}\n", lines_for_people(what.trim_end())));
    if let Some(hint) = hint {
        out.complain(&format!("  hint: {}\n", lines_for_people(&hint)));
    }
}

/// Returns `text` with hostile letters escaped, its lines kept.
fn lines_for_people(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(for_people).collect();
    lines.join("\n")
}

/// Writes a document for programs. Letters that JSON allows and terminals obey are escaped.
fn say_json(value: &Value, out: &mut dyn Out) {
    out.say(&harmless(&format!("{value:#}\n")));
}

/// Returns the text of a document with hostile letters as `\uXXXX`; they stand in strings only, line ends aside.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_hostile(letter) && letter != '\n' {
            // Writing into a String does not fail.
            let _ = write!(shown, "\\u{:04x}", u32::from(letter));
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// A connection to the server that is meant.
fn connect(server: &ServerArgs) -> Result<Client, Trouble> {
    Ok(Client::connect(&find::socket(server)?)?)
}

/// Asks one thing and shows the answer: as it came for programs, in words for people.
fn ask<T: DeserializeOwned>(
    server: &ServerArgs,
    request: &Request,
    out: &mut dyn Out,
    show: impl FnOnce(&T, bool) -> String,
) -> Result<T, Trouble> {
    let mut client = connect(server)?;
    let value: Value = client.call(request)?;
    let answer: T = understood(&value)?;
    if server.json {
        say_json(&value, out);
    } else {
        let text = show(&answer, out.colour());
        out.say(&text);
    }
    Ok(answer)
}

fn understood<T: DeserializeOwned>(value: &Value) -> Result<T, Trouble> {
    T::deserialize(value).map_err(|error| {
        Trouble::new(
            Exit::Failed,
            format!("the server answered something else than this program knows: {error}"),
            "use the program of the same version as the server",
        )
    })
}

/// Returns a heading, bold where colours are wanted.
fn bold(text: &str, colour: bool) -> String {
    if colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
}
