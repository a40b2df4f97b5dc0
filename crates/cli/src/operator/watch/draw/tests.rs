use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tidegate_admin::message::DrainStatus;

use super::super::model::{Input, News};
use super::*;
use crate::operator::sessions::tests::{moving, session};
use crate::operator::status::tests::status;

fn model(colour: bool) -> Model {
    let mut model = Model::new(colour);
    let sessions = vec![session(7, None), moving(41, "/pub/\u{1b}[2J.iso"), session(9, Some("bob"))];
    model.take(Input::News(Box::new(Ok(News { status: status(), sessions }))));
    model
}

fn press(model: &mut Model, code: KeyCode) {
    model.take(Input::Key(KeyEvent::new(code, KeyModifiers::NONE)));
}

fn drawn(model: &Model, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model)).unwrap();
    terminal.backend().buffer().clone()
}

/// Returns the view as text, without spaces at line ends.
fn seen(model: &Model, width: u16, height: u16) -> String {
    let buffer = drawn(model, width, height);
    let lines = buffer.content.chunks(usize::from(width)).map(|cells| {
        let line: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned() + "\n"
    });
    lines.collect()
}

#[test]
fn the_whole_view() {
    let expected = "\
tidegate 0.1.0 is ready.  running 3d4h  pid 4711
connections 12 of 10,000  not logged in 2 of 1,000  transfers 3 at 4.1 MiB/s
refused 1,210  2 bans  calm

ID  FROM        ACCOUNT  SINCE  IDLE  DOING                                 MOVED
41  192.0.2.41  alice    3m12s     -  download /pub/\\u{1b}[2J.iso           12.3 MiB at 4.1 MiB/s
 7  192.0.2.7   -        3m12s    4s  logging in
 9  192.0.2.9   bob      3m12s    4s  idle

sorted by rate: r rate, a age, i idle   arrows select   k ends it   q quits
";
    assert_eq!(seen(&model(false), 97, 10), expected);
}

#[test]
fn the_selected_row_is_marked_and_a_question_is_asked() {
    let mut model = model(true);
    press(&mut model, KeyCode::Down);
    let buffer = drawn(&model, 90, 10);
    let marked: Vec<u16> =
        (0..10).filter(|row| buffer.cell((0, *row)).unwrap().modifier.contains(Modifier::REVERSED)).collect();
    assert_eq!(marked, [6]);
    press(&mut model, KeyCode::Char('k'));
    let shown = seen(&model, 110, 10);
    let question = "End session 7? y/n  (not logged in, from 192.0.2.7:50007)";
    assert_eq!(shown.lines().last(), Some(question), "{shown}");
    model.take(Input::Kicked(7, Err("no\u{1b}[2J".into())));
    press(&mut model, KeyCode::Char('n'));
    model.take(Input::Kicked(7, Err("no\u{1b}[2J".into())));
    assert_eq!(seen(&model, 90, 10).lines().last(), Some("session 7: no\\u{1b}[2J"));
}

#[test]
fn colour_is_used_only_where_it_is_wanted() {
    for (colour, expected) in [(true, Color::Green), (false, Color::Reset)] {
        assert_eq!(drawn(&model(colour), 90, 10).cell((0, 0)).unwrap().fg, expected);
    }
}

#[test]
fn trouble_is_told() {
    let mut model = model(false);
    let mut status = status();
    status.ready = false;
    status.not_ready = Some("draining".into());
    status.waiting = 3;
    status.overload.level = "busy".into();
    status.overload.signal = Some("memory".into());
    status.drain = Some(DrainStatus {
        begun: true,
        begins_in_seconds: 0.0,
        ends_in_seconds: 42.0,
        open_seconds: 7.0,
        message: None,
        sessions: 0,
        transfers: 0,
        bytes: 0,
    });
    model.take(Input::News(Box::new(Ok(News { status, sessions: Vec::new() }))));
    let shown = seen(&model, 110, 6);
    assert!(shown.starts_with("tidegate 0.1.0 is not ready: draining."), "{shown}");
    assert!(
        shown.contains(
            "\ndrain under way, 42s left  waiting 3  refused 1,210  2 bans  busy (memory at 41 % of what closes the door)\n"
        ),
        "{shown}"
    );
    model.take(Input::News(Box::new(Err("no server answers".into()))));
    assert!(seen(&model, 90, 6).starts_with("No answer: no server answers"));
    assert_eq!(seen(&Model::new(false), 30, 6).lines().next(), Some("asking the server"));
}

#[test]
fn every_size_can_be_drawn() {
    let mut model = model(true);
    press(&mut model, KeyCode::Char('k'));
    for (width, height) in [(1, 1), (2, 5), (20, 3), (300, 100)] {
        drawn(&model, width, height);
    }
}

#[test]
fn the_selected_row_is_in_view() {
    let mut model = Model::new(false);
    let sessions = (1..=100).map(|id| session(id, Some("alice"))).collect();
    model.take(Input::News(Box::new(Ok(News { status: status(), sessions }))));
    press(&mut model, KeyCode::End);
    assert!(seen(&model, 90, 12).contains("\n100 "), "{}", seen(&model, 90, 12));
}

/// Sessions that need much room: a long address, a long path, a long name.
fn crowded() -> Model {
    let mut model = Model::new(false);
    let mut six = moving(1200, "/pub/some/long/path/release-2026.11.22.tar.gz");
    six.peer = "[2001:db8:1234:5678:9abc:def0:1234:5678]:50000".into();
    let sessions =
        vec![session(7, None), six, moving(43, "/incoming/x"), session(9, Some("a-very-very-long-name"))];
    model.take(Input::News(Box::new(Ok(News { status: status(), sessions }))));
    model
}

#[test]
fn what_tells_least_gives_way_where_there_is_little_room() {
    let wide = "
  ID  FROM                                    ACCOUNT           SINCE  IDLE  DOING                           MOVED
  43  192.0.2.43                              alice             3m12s     -  download /incoming/x            12.3 MiB at 4.1 MiB/s
1200  2001:db8:1234:5678:9abc:def0:1234:5678  alice             3m12s     -  download /pub/some/long/pat...  12.3 MiB at 4.1 MiB/s
   7  192.0.2.7                               -                 3m12s    4s  logging in
";
    let standard = "
  ID  FROM                ACCOUNT     SINCE  DOING                     RATE
  43  192.0.2.43          alice       3m12s  download /incoming/x      4.1 MiB/s
1200  2001:db8:1234:5...  alice       3m12s  download /pub/some/lo...  4.1 MiB/s
   7  192.0.2.7           -           3m12s  logging in
   9  192.0.2.9           a-very-...  3m12s  idle
";
    let narrow = "
  ID  FROM                ACCOUNT     DOING            RATE
  43  192.0.2.43          alice       download /in...  4.1 MiB/s
";
    for (width, expected) in [(130, wide), (80, standard), (64, narrow)] {
        let shown = seen(&crowded(), width, 12);
        assert!(shown.contains(expected), "{width}:\n{shown}");
    }
}

#[test]
fn nothing_that_matters_is_cut_off_on_eighty_columns() {
    let mut model = crowded();
    let shown = seen(&model, 80, 10);
    assert!(shown.ends_with("k ends it   q quits\n"), "{shown}");
    press(&mut model, KeyCode::Char('k'));
    assert!(seen(&model, 80, 10).contains("\nEnd session 43? y/n  (alice, from 192.0.2.43:50043)\n"));
    model.take(Input::News(Box::new(Ok(News { status: status(), sessions: Vec::new() }))));
    assert!(seen(&model, 80, 10).contains("\n\nNobody is inside.\n"), "{}", seen(&model, 80, 10));
    assert_eq!(seen(&Model::new(false), 80, 10).trim_end().lines().count(), 10, "only the keys below");
}
