//! What the live view knows, and how it changes: pure.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tidegate_admin::message::{SessionRow, Status};

/// How many rows a page key moves.
const PAGE: isize = 10;

/// What the server told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct News {
    pub(super) status: Status,
    pub(super) sessions: Vec<SessionRow>,
}

/// What happens to the view.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// A key was pressed.
    Key(KeyEvent),
    /// The terminal has another size.
    Resized,
    /// The server told how it is, or why not.
    News(Box<Result<News, String>>),
    /// The session was ended, or why not.
    Kicked(u64, Result<(), String>),
    /// The view shall end.
    Stop,
}

/// What has to be done outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    Quit,
    /// End this session.
    Kick(u64),
}

/// By what the sessions are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// The fastest first.
    Rate,
    /// The oldest first.
    Age,
    /// The one that has done nothing for longest first.
    Idle,
}

impl Sort {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Age => "age",
            Self::Idle => "idle",
        }
    }

    fn weight(self, session: &SessionRow) -> f64 {
        match self {
            // Exact up to 2^53 bytes a second.
            #[expect(clippy::cast_precision_loss, reason = "order only")]
            Self::Rate => session.transfer.as_ref().map_or(-1.0, |transfer| transfer.bytes_per_second as f64),
            Self::Age => session.age_seconds,
            Self::Idle => session.idle_seconds,
        }
    }
}

/// What the view shows.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) status: Option<Status>,
    /// Sorted.
    pub(super) sessions: Vec<SessionRow>,
    pub(super) sort: Sort,
    /// The number of the selected session: it stays the same when rows move.
    pub(super) selected: Option<u64>,
    /// The session about to be ended, until the user says yes or no.
    pub(super) asking: Option<u64>,
    /// What became of the last order.
    pub(super) note: Option<String>,
    /// Why the server did not answer.
    pub(super) silence: Option<String>,
    pub(super) colour: bool,
}

impl Model {
    pub(super) fn new(colour: bool) -> Self {
        Self {
            status: None,
            sessions: Vec::new(),
            sort: Sort::Rate,
            selected: None,
            asking: None,
            note: None,
            silence: None,
            colour,
        }
    }

    /// Takes in what happened and tells what has to be done.
    pub(super) fn take(&mut self, input: Input) -> Effect {
        match input {
            Input::Key(key) if key.kind == KeyEventKind::Release => Effect::None,
            Input::Key(key) => self.press(key),
            Input::Resized => Effect::None,
            Input::Stop => Effect::Quit,
            Input::News(news) => {
                self.hear(*news);
                Effect::None
            }
            Input::Kicked(id, done) => {
                self.note = Some(match done {
                    Ok(()) => format!("session {id} ends"),
                    Err(why) => format!("session {id}: {why}"),
                });
                Effect::None
            }
        }
    }

    /// Returns the row of the selected session.
    pub(super) fn selected_row(&self) -> Option<usize> {
        self.selected.and_then(|id| self.sessions.iter().position(|session| session.id == id))
    }

    fn hear(&mut self, news: Result<News, String>) {
        match news {
            Ok(news) => {
                // Whoever takes the place of a session that is gone is selected next.
                let row = self.selected_row();
                (self.status, self.sessions, self.silence) = (Some(news.status), news.sessions, None);
                self.arrange();
                if self.selected_row().is_none() {
                    let last = self.sessions.len().saturating_sub(1);
                    let next = self.sessions.get(row.unwrap_or_default().min(last));
                    self.selected = next.map(|session| session.id);
                }
                if self.asking.is_some_and(|id| self.sessions.iter().all(|session| session.id != id)) {
                    self.asking = None;
                    self.note = Some("the session has ended by itself".into());
                }
            }
            Err(why) => self.silence = Some(why),
        }
    }

    fn arrange(&mut self) {
        let sort = self.sort;
        self.sessions.sort_by(|left, right| {
            sort.weight(right).total_cmp(&sort.weight(left)).then(left.id.cmp(&right.id))
        });
    }

    fn press(&mut self, key: KeyEvent) -> Effect {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Effect::Quit;
        }
        if let Some(id) = self.asking.take() {
            self.note = None;
            return match key.code {
                KeyCode::Char('y' | 'Y') => Effect::Kick(id),
                _ => Effect::None,
            };
        }
        self.note = None;
        match key.code {
            KeyCode::Char('q' | 'Q') | KeyCode::Esc => return Effect::Quit,
            KeyCode::Char('r') => self.sort_by(Sort::Rate),
            KeyCode::Char('a') => self.sort_by(Sort::Age),
            KeyCode::Char('i') => self.sort_by(Sort::Idle),
            KeyCode::Char('k') | KeyCode::Delete => self.asking = self.selected,
            KeyCode::Up => self.step(-1),
            KeyCode::Down => self.step(1),
            KeyCode::PageUp => self.step(-PAGE),
            KeyCode::PageDown => self.step(PAGE),
            KeyCode::Home => self.step(isize::MIN),
            KeyCode::End => self.step(isize::MAX),
            _ => {}
        }
        Effect::None
    }

    fn sort_by(&mut self, sort: Sort) {
        self.sort = sort;
        self.arrange();
    }

    fn step(&mut self, rows: isize) {
        let last = self.sessions.len().saturating_sub(1);
        let row = self.selected_row().unwrap_or_default().saturating_add_signed(rows).min(last);
        self.selected = self.sessions.get(row).map(|session| session.id);
    }
}

#[cfg(test)]
mod tests;
