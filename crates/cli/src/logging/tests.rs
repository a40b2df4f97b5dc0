use std::io;
use std::sync::{Arc, Mutex};

use super::*;
use proptest::prelude::*;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(style: LineStyle, write: impl FnOnce()) -> String {
    let sink = Sink::default();
    let made = sink.clone();
    let dispatch = dispatch(style, EnvFilter::new("info"), move || made.clone());
    tracing::dispatcher::with_default(&dispatch, write);
    let bytes = sink.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

const TEXT: LineStyle = LineStyle::Text { colour: false };
const HOSTILE: &str = "a\x1b[2J\nroot";

/// Writes one event with the text everywhere a field can hold it, inside a span that holds it too.
fn one_event(text: &str) {
    let span = tracing::info_span!("session", client = text, shown = %text);
    let _inside = span.enter();
    tracing::info!(user = text, path = %text, raw = ?text, "login of {text}");
}

#[test]
fn a_hostile_user_name_is_one_harmless_line() {
    let text = logged(TEXT, || one_event(HOSTILE));
    assert_eq!(text.matches('\n').count(), 1, "{text:?}");
    assert!(text.ends_with('\n') && !text.contains('\x1b'), "{text:?}");
    assert!(text.contains(r#"user="a\u{1b}[2J\nroot""#), "{text}");
    assert!(text.contains(r"login of a\u{1b}[2J\nroot"), "{text}");

    let json = logged(LineStyle::Json, || one_event(HOSTILE));
    assert_eq!(json.matches('\n').count(), 1, "{json:?}");
    assert!(!json.contains('\x1b'));
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["user"], HOSTILE);
    assert_eq!(value["level"], "INFO");
}

#[test]
fn fields_cannot_be_forged() {
    let text = logged(TEXT, || tracing::info!(user = %"x level=ERROR", id = 7, "hello"));
    assert!(text.trim_end().ends_with(r#"INFO hello user="x level=ERROR" id=7"#), "{text}");
    let text = logged(TEXT, || tracing::info!(user = %"\" id=8", empty = "", "hello"));
    assert!(text.trim_end().ends_with(r#"hello user="\" id=8" empty="""#), "{text}");
}

#[test]
fn what_is_escaped_already_is_not_escaped_again() {
    let path = "/e\u{202e} \"q\" \\ \n".as_bytes();
    let text = logged(TEXT, || tracing::info!(path = %tidegate_types::Shown(path), "hello"));
    assert!(text.trim_end().ends_with(r#"hello path="/e\u{202e} \"q\" \\ \n""#), "{text}");
    let text = logged(TEXT, || tracing::info!(path = %"ends in \\", raw = r"a\n b", "hello"));
    assert!(text.trim_end().ends_with(r#"hello path="ends in \\" raw="a\\n b""#), "{text}");
}

#[test]
fn only_levels_have_colours() {
    let text = logged(LineStyle::Text { colour: true }, || tracing::info!(user = "\x1b[31mred", "hello"));
    assert!(
        text.contains('\x1b') && !text.contains("[31m\u{1b}") && text.contains(r#"user="\u{1b}[31mred""#),
        "{text:?}"
    );
}

#[test]
fn auto_is_text_for_people_only() {
    assert_eq!(LineStyle::of(LogFormat::Auto, true, true), LineStyle::Text { colour: true });
    assert_eq!(LineStyle::of(LogFormat::Auto, true, false), TEXT);
    assert_eq!(LineStyle::of(LogFormat::Auto, false, true), LineStyle::Json);
    assert_eq!(LineStyle::of(LogFormat::Text, false, true), TEXT);
    assert_eq!(LineStyle::of(LogFormat::Json, true, true), LineStyle::Json);
}

proptest! {
    #[test]
    fn any_text_is_one_line(text in any::<String>()) {
        let line = logged(TEXT, || one_event(&text));
        prop_assert_eq!(line.matches('\n').count(), 1);
        prop_assert!(!line.trim_end_matches('\n').chars().any(is_hostile));
        let json = logged(LineStyle::Json, || one_event(&text));
        prop_assert_eq!(json.matches('\n').count(), 1);
        prop_assert!(!json.trim_end_matches('\n').chars().any(is_hostile));
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(value["user"].as_str(), Some(text.as_str()));
    }
}
