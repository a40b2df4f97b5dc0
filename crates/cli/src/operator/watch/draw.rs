//! What the live view looks like: a function of the model alone.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState};
use std::fmt::Write;
use tidegate_admin::message::{SessionRow, Status};
use unicode_width::UnicodeWidthStr;

use super::model::{Model, Sort};
use crate::escape::for_people;
use crate::operator::session_rows;
use crate::operator::status::{drain_state, headline, overload, pool};
use crate::operator::table::{Column, cut};
use crate::operator::units::{counted, number, rate, span};

/// The lines above the table.
const HEADER_LINES: u16 = 4;
/// Places of columns in a row of a session.
const AGE: usize = 3;
const IDLE: usize = 4;
const DOING: usize = 5;
const RATE: usize = 6;
/// What stands between two columns.
const GAP: usize = 2;
/// What is left at least to what a session is doing, while other columns can give way.
const DOING_WIDTH_MIN: usize = 24;
/// How much of an address and of a name is shown where there is little room.
const FROM_WIDTH: usize = 18;
const ACCOUNT_WIDTH: usize = 10;

/// Draws the whole view.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let [header, table, footer] =
        Layout::vertical([Constraint::Length(HEADER_LINES), Constraint::Min(1), Constraint::Length(1)])
            .areas(frame.area());
    frame.render_widget(Paragraph::new(header_lines(model)), header);
    draw_table(frame, table, model);
    frame.render_widget(Paragraph::new(footer_line(model)), footer);
}

fn header_lines(model: &Model) -> Vec<Line<'static>> {
    let Some(status) = &model.status else {
        return vec![Line::from(model.silence.as_deref().map_or("asking the server".into(), for_people))];
    };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let first = match (&model.silence, status.ready) {
        (Some(why), _) => (format!("No answer: {}", for_people(why)), Color::Red),
        (None, true) => (headline(status), Color::Green),
        (None, false) => (headline(status), Color::Yellow),
    };
    let style = if model.colour { bold.fg(first.1) } else { bold };
    vec![
        Line::from(vec![
            Span::styled(first.0, style),
            Span::raw(format!("  running {}  pid {}", span(status.uptime_seconds), status.pid)),
        ]),
        Line::from(places(status, &model.sessions)),
        Line::from(trouble(status)),
        Line::default(),
    ]
}

fn places(status: &Status, sessions: &[SessionRow]) -> String {
    let all = sessions
        .iter()
        .filter_map(|session| session.transfer.as_ref())
        .fold(0_u64, |sum, transfer| sum.saturating_add(transfer.bytes_per_second));
    format!(
        "connections {}  not logged in {}  transfers {} at {}",
        pool(&status.connections),
        pool(&status.unauthenticated),
        pool(&status.transfers),
        rate(all)
    )
}

fn trouble(status: &Status) -> String {
    let refused = status.refusals.iter().fold(0_u64, |sum, row| sum.saturating_add(row.count));
    let (level, signal) = overload(&status.overload);
    let mut line = String::new();
    // What an operator must not miss comes first: the end of the line may be cut off.
    // Writing into a String does not fail.
    if let Some(drain) = &status.drain {
        let _ = write!(line, "drain {}  ", drain_state(drain));
    }
    if status.waiting > 0 {
        let _ = write!(line, "waiting {}  ", number(status.waiting.into()));
    }
    let _ = write!(line, "refused {}  {}  {level}", number(refused), counted(status.bans, "ban"));
    if level != "calm" && !signal.is_empty() {
        let _ = write!(line, " ({signal})");
    }
    for_people(&line)
}

fn draw_table(frame: &mut Frame<'_>, area: Rect, model: &Model) {
    if model.status.is_none() {
        return;
    }
    if model.sessions.is_empty() {
        frame.render_widget(Paragraph::new("Nobody is inside."), area);
        return;
    }
    let shape = Shape::fitting(&model.sessions, area.width.into());
    let sorted = match model.sort {
        Sort::Rate => RATE,
        Sort::Age => AGE,
        Sort::Idle => IDLE,
    };
    let underlined = Modifier::BOLD | Modifier::UNDERLINED;
    let heading = shape.columns().map(|(index, column, title, _)| {
        Cell::from(aligned(column, title.to_owned())).style(style_of(index == sorted, underlined))
    });
    let heading = Row::new(heading.collect::<Vec<_>>());
    let rows = model.sessions.iter().map(|session| {
        let mut cells = shape.cells(session).into_iter().enumerate();
        let shown = shape.columns().filter_map(|(index, column, _, width)| {
            let (_, text) = cells.find(|(at, _)| *at == index)?;
            Some(aligned(column, cut(&text, width)))
        });
        Row::new(shown.collect::<Vec<_>>())
    });
    let length = |width: usize| Constraint::Length(u16::try_from(width).unwrap_or(u16::MAX));
    let widths: Vec<Constraint> = shape.columns().map(|(_, _, _, width)| length(width)).collect();
    let table = Table::new(rows, widths)
        .header(heading)
        .column_spacing(2)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected(model.selected_row());
    frame.render_stateful_widget(table, area, &mut state);
}

fn aligned(column: Column, text: String) -> Line<'static> {
    match column {
        Column::Right => Line::from(text).right_aligned(),
        Column::Left | Column::Flexible => Line::from(text),
    }
}

/// Which columns are shown, and how wide: what tells least gives way, so that what a session is doing can be read.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// How much of an address and of a name is shown.
    from_width: usize,
    account_width: usize,
    /// Whether what was moved is told beside the rate.
    has_moved: bool,
    has_idle: bool,
    has_age: bool,
    widths: [usize; session_rows::COLUMNS.len()],
}

impl Shape {
    /// Returns the fullest shape that leaves [`DOING_WIDTH_MIN`] columns of `width` (or what it takes) to what sessions do.
    fn fitting(sessions: &[SessionRow], width: usize) -> Self {
        let full = Self {
            from_width: usize::MAX,
            account_width: usize::MAX,
            has_moved: true,
            has_idle: true,
            has_age: true,
            widths: [0; session_rows::COLUMNS.len()],
        };
        let rate_only = Self { has_moved: false, ..full };
        let short = Self { from_width: FROM_WIDTH, account_width: ACCOUNT_WIDTH, ..rate_only };
        let without_idle = Self { has_idle: false, ..short };
        let least = Self { has_age: false, ..without_idle };
        let shapes =
            [full, rate_only, short, without_idle, least].map(|shape| shape.measured(sessions, width));
        let doing = shapes.map(|(shape, wanted)| (shape, shape.widths.get(DOING).copied(), wanted));
        let fits = |(_, got, wanted): &&(Self, Option<usize>, usize)| {
            got.is_some_and(|got| got >= (*wanted).min(DOING_WIDTH_MIN))
        };
        let [.., (narrowest, ..)] = doing;
        doing.iter().find(fits).map_or(narrowest, |(shape, ..)| *shape)
    }

    /// Returns it with its widths for these sessions, and how wide the column of what they do would like to be.
    fn measured(mut self, sessions: &[SessionRow], width: usize) -> (Self, usize) {
        let mut widest = self.titles().map(UnicodeWidthStr::width);
        for session in sessions {
            for (widest, cell) in widest.iter_mut().zip(self.cells(session)) {
                *widest = cell.width().max(*widest);
            }
        }
        let [_, from, account, ..] = &mut widest;
        *from = (*from).min(self.from_width);
        *account = (*account).min(self.account_width);
        self.widths = widest;
        let wanted = widest.get(DOING).copied().unwrap_or_default();
        let all: usize = self.columns().map(|(.., width)| width + GAP).sum();
        let others = all.saturating_sub(wanted + GAP);
        if let Some(doing) = self.widths.get_mut(DOING) {
            // What is left over goes to it, so that the last column stands at the right edge.
            *doing = width.saturating_sub(others).max(1);
        }
        (self, wanted)
    }

    fn titles(&self) -> [&'static str; session_rows::COLUMNS.len()] {
        let [id, from, account, age, idle, doing, _] = session_rows::COLUMNS.map(|(_, title)| title);
        [id, from, account, age, idle, doing, if self.has_moved { "MOVED" } else { "RATE" }]
    }

    /// Returns the columns that are shown: index, how they stand, title, width.
    fn columns(&self) -> impl Iterator<Item = (usize, Column, &'static str, usize)> {
        let (has_age, has_idle) = (self.has_age, self.has_idle);
        let columns = session_rows::COLUMNS.map(|(column, _)| column).into_iter().zip(self.titles());
        let columns = columns.zip(self.widths).enumerate();
        columns
            .filter(move |(index, _)| (*index != AGE || has_age) && (*index != IDLE || has_idle))
            .map(|(index, ((column, title), width))| (index, column, title, width))
    }

    /// Returns the cells of a session, escaped, those that are not shown too.
    fn cells(&self, session: &SessionRow) -> [String; session_rows::COLUMNS.len()] {
        let [id, from, account, age, idle, doing, mut moved] = session_rows::cells(session);
        if let (false, Some(transfer)) = (self.has_moved, &session.transfer) {
            moved = rate(transfer.bytes_per_second);
        }
        [id, from, account, age, idle, doing, moved].map(|cell| for_people(&cell))
    }
}

fn style_of(is_sorted: bool, sorted: Modifier) -> Style {
    Style::new().add_modifier(if is_sorted { sorted } else { Modifier::BOLD })
}

fn footer_line(model: &Model) -> Line<'static> {
    if let Some(id) = model.asking {
        let session = model.sessions.iter().find(|session| session.id == id);
        let whose = session.map_or_else(String::new, |session| {
            let account = session.account.as_deref().unwrap_or("not logged in");
            format!("  ({account}, from {})", session.peer)
        });
        let question = for_people(&format!("End session {id}? y/n{whose}"));
        return Line::styled(question, Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED));
    }
    match &model.note {
        Some(note) => Line::raw(for_people(note)),
        None => Line::raw(format!(
            "sorted by {}: r rate, a age, i idle   arrows select   k ends it   q quits",
            model.sort.as_str()
        )),
    }
}

#[cfg(test)]
mod tests;
