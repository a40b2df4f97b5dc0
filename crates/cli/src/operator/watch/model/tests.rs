use super::*;
use crate::operator::sessions::tests::{moving, session};
use crate::operator::status::tests::status;

fn key(code: KeyCode) -> Input {
    Input::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn press(model: &mut Model, letter: char) -> Effect {
    model.take(key(KeyCode::Char(letter)))
}

fn news(sessions: Vec<SessionRow>) -> Input {
    Input::News(Box::new(Ok(News { status: status(), sessions })))
}

fn ids(model: &Model) -> Vec<u64> {
    model.sessions.iter().map(|session| session.id).collect()
}

/// 1: idle for long; 2: fast; 3: old; 4: slow.
fn crowd() -> Vec<SessionRow> {
    let mut idle = session(1, Some("alice"));
    idle.idle_seconds = 200.0;
    let mut old = session(3, None);
    old.age_seconds = 9_000.0;
    let mut slow = moving(4, "/slow");
    slow.transfer.as_mut().unwrap().bytes_per_second = 10;
    vec![idle, moving(2, "/fast"), old, slow]
}

fn model() -> Model {
    let mut model = Model::new(false);
    model.take(news(crowd()));
    model
}

#[test]
fn rows_are_sorted_by_what_was_chosen() {
    let mut model = model();
    assert_eq!(ids(&model), [2, 4, 1, 3], "by rate, then by number");
    press(&mut model, 'a');
    assert_eq!(ids(&model), [3, 1, 2, 4]);
    press(&mut model, 'i');
    assert_eq!(ids(&model)[0], 1);
    press(&mut model, 'r');
    assert_eq!(ids(&model), [2, 4, 1, 3]);
}

#[test]
fn the_selection_stays_with_its_session() {
    let mut model = model();
    assert_eq!(model.selected, Some(2));
    model.take(key(KeyCode::Down));
    assert_eq!(model.selected, Some(4));
    press(&mut model, 'a');
    assert_eq!((model.selected, model.selected_row()), (Some(4), Some(3)));
    model.take(key(KeyCode::Down));
    assert_eq!(model.selected, Some(4), "the last row is the last");
    model.take(key(KeyCode::Home));
    assert_eq!(model.selected, Some(3));
    model.take(key(KeyCode::End));
    assert_eq!(model.selected, Some(4));
    model.take(key(KeyCode::PageUp));
    assert_eq!(model.selected, Some(3));
    model.take(key(KeyCode::Up));
    assert_eq!(model.selected, Some(3));
    // It leaves: who is in its row now is selected.
    model.take(news(crowd().into_iter().filter(|session| session.id != 3).collect()));
    assert_eq!(model.selected, Some(1));
    model.take(news(Vec::new()));
    assert_eq!((model.selected, model.selected_row()), (None, None));
    model.take(key(KeyCode::Down));
    assert_eq!(press(&mut model, 'k'), Effect::None);
    assert_eq!(model.asking, None, "nobody to ask about");
}

#[test]
fn only_yes_ends_a_session() {
    let mut model = model();
    assert_eq!(press(&mut model, 'k'), Effect::None);
    assert_eq!(model.asking, Some(2));
    assert_eq!(press(&mut model, 'q'), Effect::None, "no, and not the end of the view");
    assert_eq!(model.asking, None);
    press(&mut model, 'k');
    assert_eq!(press(&mut model, 'y'), Effect::Kick(2));
    model.take(Input::Kicked(2, Ok(())));
    assert_eq!(model.note.as_deref(), Some("session 2 ends"));
    model.take(Input::Kicked(2, Err("there is no session 2".into())));
    assert_eq!(model.note.as_deref(), Some("session 2: there is no session 2"));
    press(&mut model, 'r');
    assert_eq!(model.note, None);
}

#[test]
fn a_question_about_somebody_who_left_is_withdrawn() {
    let mut model = model();
    press(&mut model, 'k');
    model.take(news(Vec::new()));
    assert_eq!(model.asking, None);
    assert_eq!(press(&mut model, 'y'), Effect::None, "nobody else is ended");
}

#[test]
fn it_ends_when_it_should() {
    for input in [
        key(KeyCode::Char('q')),
        key(KeyCode::Esc),
        Input::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)),
        Input::Stop,
    ] {
        assert_eq!(model().take(input), Effect::Quit);
    }
    let mut asking = model();
    press(&mut asking, 'k');
    let interrupt = Input::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    assert_eq!(asking.take(interrupt), Effect::Quit);
    let mut release = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
    release.kind = KeyEventKind::Release;
    assert_eq!(model().take(Input::Key(release)), Effect::None);
    assert_eq!(model().take(Input::Resized), Effect::None);
}

#[test]
fn silence_keeps_what_was_seen() {
    let mut model = model();
    model.take(Input::News(Box::new(Err("gone".into()))));
    assert_eq!((model.silence.as_deref(), model.sessions.len()), (Some("gone"), 4));
    model.take(news(Vec::new()));
    assert_eq!(model.silence, None);
}
