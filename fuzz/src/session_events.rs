//! The session machine alone, under histories that no honest shell would give it.

mod answers;
mod shell;

use crate::script;
use shell::Shell;

/// The promises of the session machine hold in any history of events (DESIGN §1, protocol), and the same history has the
/// same actions: one final reply a command and in order, well-formed lines, nothing on storage before login, at most one
/// transfer, a bounded queue, a deadline in every phase, nothing after Close.
///
/// Input: a script, one step a line; `Step` has the letters. `?n` as the first step allows n times 16 commands a second.
pub fn session_events(data: &[u8]) {
    let pace = data.strip_prefix(b"?").map(|rest| 16 * u32::from(script::number(rest, 0)));
    let run = || {
        let mut shell = Shell::new(pace);
        for step in script::steps(data) {
            shell.perform(&Step::read(step));
        }
        shell.digest()
    };
    assert_eq!(run(), run(), "the same history, other actions");
}

/// One step of a history.
#[derive(Debug)]
enum Step<'a> {
    /// A command line: every step that begins with no letter of those below, or with `>`.
    Line(&'a [u8]),
    /// `&n`: the line behind it, 32 n times.
    Repeated(u16, &'a [u8]),
    /// `<`: a line that is too long.
    LineTooLong,
    /// `(`: 64 KiB without a line end.
    LineEndless,
    /// `=k`: an answer of kind k to what was asked last.
    Answer(u8),
    /// `!kr`: an answer of kind k to request r, asked or not.
    Hostile(u8, u8),
    /// `:`: the connection is admitted, again.
    Opened,
    /// `+`: the data connection stands.
    DataOpened,
    /// `-k`: the transfer ends in way k, running or not.
    Ends(u8),
    /// `@`: a tick, due or not.
    Tick,
    /// `#nm`: n seconds and m times 64 seconds pass, then a tick.
    Passes(u16),
    /// `%n`: bytes moved n seconds ago; told unasked, and to whoever asks from now on.
    Progress(u8),
    /// `~`: a long job goes on.
    Busy,
    /// `*n`: the server drains until n seconds from now.
    Drain(u8),
    /// `$`: the drain has run out of time.
    DrainExpired,
    /// `)`: the drain is called off.
    Stay,
    /// `[`: an operator ends the session.
    Kicked,
    /// `]n`: n percent of the timeouts are left.
    Pressed(u8),
    /// `^`: the client closed its side.
    PeerClosed,
}

impl<'a> Step<'a> {
    fn read(step: &'a [u8]) -> Self {
        let (letter, rest) = step.split_first().map_or((b' ', step), |(letter, rest)| (*letter, rest));
        let number = |at| script::number(rest, at);
        match letter {
            b'>' => Self::Line(rest),
            b'&' => Self::Repeated(32 * u16::from(number(0)), rest.get(1..).unwrap_or_default()),
            b'<' => Self::LineTooLong,
            b'(' => Self::LineEndless,
            b'=' => Self::Answer(number(0)),
            b'!' => Self::Hostile(number(0), number(1)),
            b':' => Self::Opened,
            b'+' => Self::DataOpened,
            b'-' => Self::Ends(number(0)),
            b'@' => Self::Tick,
            b'#' => Self::Passes(u16::from(number(0)) + 64 * u16::from(number(1))),
            b'%' => Self::Progress(number(0)),
            b'~' => Self::Busy,
            b'*' => Self::Drain(number(0)),
            b'$' => Self::DrainExpired,
            b')' => Self::Stay,
            b'[' => Self::Kicked,
            b']' => Self::Pressed(number(0)),
            b'^' => Self::PeerClosed,
            _ => Self::Line(step),
        }
    }
}
