//! `tidegate limits`, `kick`, `reload` and `resume`: one question, one answer.

use std::fmt::Write;
use tidegate_admin::message::{KickAnswer, LimitsAnswer, ReloadAnswer, Request, ResumeAnswer};

use super::table::{Column, Table};
use super::units::{counted, span};
use super::{Done, Out, ask};
use crate::args::{KickArgs, ServerArgs};
use crate::escape::for_people;

/// Shows every key in force.
pub(super) fn limits(server: &ServerArgs, out: &mut dyn Out) -> Done {
    ask(server, &Request::Limits {}, out, limits_text).map(|_| ())
}

/// Ends a session.
pub(super) fn kick(args: &KickArgs, out: &mut dyn Out) -> Done {
    let request = Request::Kick { id: args.id, retry: args.retry };
    let show = |answer: &KickAnswer, _| {
        format!(
            "Session {} ends; its client is asked to come back in {}.\n",
            answer.id,
            span(answer.retry.into())
        )
    };
    ask(&args.server, &request, out, show).map(|_| ())
}

/// Makes the server read its configuration again.
pub(super) fn reload(server: &ServerArgs, out: &mut dyn Out) -> Done {
    ask(server, &Request::Reload {}, out, reload_text).map(|_| ())
}

/// Ends a drain.
pub(super) fn resume(server: &ServerArgs, out: &mut dyn Out) -> Done {
    let show = |answer: &ResumeAnswer, _| {
        if answer.ready {
            "The drain is ended: newcomers are let in again.\n".to_owned()
        } else {
            "The drain is ended, but the server is not ready: tidegate status tells why.\n".to_owned()
        }
    };
    ask(server, &Request::Resume {}, out, show).map(|_| ())
}

fn limits_text(answer: &LimitsAnswer, colour: bool) -> String {
    let mut table = Table::new(&[(Column::Left, "KEY"), (Column::Flexible, "VALUE"), (Column::Left, "FROM")]);
    for limit in &answer.limits {
        table.row([limit.key.clone(), limit.value.clone(), limit.origin.clone()]);
    }
    table.lines(0, colour)
}

fn reload_text(answer: &ReloadAnswer, colour: bool) -> String {
    let mut text = match answer.changed.len() {
        0 => "Read again: nothing has changed.\n".to_owned(),
        count => format!("Read again: {} changed; nobody was sent away.\n\n", counted(count as u64, "value")),
    };
    let mut table = Table::new(&[(Column::Left, "KEY"), (Column::Left, "WAS"), (Column::Flexible, "IS NOW")]);
    for (key, old, new) in &answer.changed {
        table.row([key.clone(), old.clone(), new.clone()]);
    }
    if !table.is_empty() {
        text.push_str(&table.lines(2, colour));
    }
    for warning in &answer.warnings {
        // Writing into a String does not fail.
        let _ = writeln!(text, "\n  Note: {}", for_people(warning));
    }
    text
}

#[cfg(test)]
mod tests {
    use tidegate_admin::LimitRow;

    use super::*;

    #[test]
    fn limits_stand_in_three_columns() {
        let row = |key: &str, value: &str, origin: &str| LimitRow {
            key: key.into(),
            value: value.into(),
            origin: origin.into(),
        };
        let answer = LimitsAnswer {
            limits: vec![
                row("limits.connections", "10000", "tidegate.toml:12"),
                row("greeting", "\"\u{1b}\"", "default"),
                row("limits.deny", &"192.0.2.0/24, ".repeat(20), "tidegate.toml:13"),
            ],
        };
        let text = limits_text(&answer, false);
        assert!(text.starts_with("KEY                 VALUE  "), "{text}");
        assert!(text.contains("\nlimits.connections  10000  "), "{text}");
        assert!(text.contains("\"\\u{1b}\""), "{text}");
        assert!(text.contains("...  tidegate.toml:13\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }

    #[test]
    fn a_reload_says_what_changed() {
        assert_eq!(reload_text(&ReloadAnswer::default(), false), "Read again: nothing has changed.\n");
        let answer = ReloadAnswer {
            changed: vec![("limits.connections".into(), "10".into(), "20".into())],
            warnings: vec!["Too small\n".into()],
        };
        let expected = "\
Read again: 1 value changed; nobody was sent away.

  KEY                 WAS  IS NOW
  limits.connections  10   20

  Note: Too small\\n
";
        assert_eq!(reload_text(&answer, false), expected);
    }
}
