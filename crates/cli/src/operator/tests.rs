use std::path::Path;

use clap::Parser;
use serde_json::json;
use tidegate_admin::message::{Failure, FailureKind};

use super::fake::{FakeServer, Heard};
use super::sessions::tests::{moving, session};
use super::status::tests::status;
use super::*;
use crate::args::{Cli, SessionsArgs};

/// Runs a command line against a socket.
fn typed(line: &str, socket: &Path) -> (Exit, Heard) {
    let mut words: Vec<String> = std::iter::once("tidegate").chain(line.split(' ')).map(Into::into).collect();
    words.extend(["--socket".into(), socket.to_str().unwrap().into()]);
    let mut out = Heard::default();
    let exit = run(&Cli::try_parse_from(words).unwrap().command, &mut out);
    (exit, out)
}

/// Runs a command line against a server with these answers; returns also what it was asked.
fn asked(line: &str, answers: Vec<Result<Value, Failure>>) -> (Exit, Heard, Vec<Request>) {
    let server = FakeServer::saying(answers);
    let (exit, out) = typed(line, &server.path());
    (exit, out, server.asked())
}

fn ban(address: &str, name: Option<&str>) -> Value {
    json!({
        "address": address, "name": name, "reason": "operator",
        "remaining_seconds": 60.0, "length_seconds": 900.0, "level": 1,
    })
}

fn why(account: Option<&str>, exists: Option<bool>) -> Value {
    json!({
        "address": account.is_none().then_some("192.0.2.7"), "account": account, "from": null,
        "account_exists": exists, "holders": [], "held": 0, "bans": [],
        "answers": [{
            "listener": null, "outcome": "admit", "rule": null, "cause": null, "signal": null,
            "retry_seconds": null, "line": null, "checks": [],
        }],
    })
}

/// Every command with what it asks, an answer, and a part of what it says.
fn table() -> Vec<(&'static str, Request, Value, &'static str)> {
    let page = json!({ "sessions": [session(7, None), moving(41, "/a")], "next": null });
    vec![
        ("status", Request::Status {}, json!(status()), "tidegate 0.1.0 is ready.\n"),
        ("sessions", Request::Sessions { after: 0, count: 500 }, page, "2 sessions, 1 transfer under way.\n"),
        (
            "limits",
            Request::Limits {},
            json!({ "limits": [{ "key": "limits.connections", "value": "10", "origin": "default" }] }),
            "limits.connections  10     default\n",
        ),
        (
            "bans",
            Request::Bans { cursor: 0, count: 1_000 },
            json!({ "bans": [ban("192.0.2.7", None)], "next": null }),
            "1 ban.\n",
        ),
        (
            "ban 192.0.2.7 --for 1h30m",
            Request::Ban { address: "192.0.2.7".parse().unwrap(), seconds: 5_400 },
            json!({ "address": "192.0.2.7", "seconds": 5_400 }),
            "192.0.2.7 is banned for 1h30m. ",
        ),
        (
            "unban 2001:db8::1",
            Request::Unban { address: "2001:db8::1".parse().unwrap() },
            json!({ "address": "2001:db8::/64", "ended": 2 }),
            "2001:db8::/64 is free again: 2 bans ended.\n",
        ),
        (
            "kick 41 --retry 60s",
            Request::Kick { id: 41, retry: 60 },
            json!({ "id": 41, "retry": 60 }),
            "Session 41 ends; its client is asked to come back in 1m.\n",
        ),
        (
            "reload",
            Request::Reload {},
            json!({ "changed": [["limits.connections", "10", "20"]], "warnings": [] }),
            "limits.connections  10   20\n",
        ),
        ("resume", Request::Resume {}, json!({ "ready": true }), "newcomers are let in again.\n"),
        (
            "drain --no-wait",
            Request::Drain {
                deadline_seconds: None,
                message: None,
                at: None,
                delay_seconds: None,
                stay: false,
            },
            json!({
                "begun": true, "begins_in_seconds": 0.0, "ends_in_seconds": 60.0, "open_seconds": 10.0, "message": null,
                "sessions": 2, "transfers": 1, "bytes": 5,
            }),
            "1 transfer may finish within 1m.\n",
        ),
    ]
}

#[test]
fn every_command_asks_and_tells() {
    for (line, request, answer, words) in table() {
        let (exit, out, requests) = asked(line, vec![Ok(answer)]);
        assert_eq!((exit, out.complained.as_str()), (Exit::Done, ""), "{line}");
        assert_eq!(requests, [request], "{line}");
        assert!(out.said.contains(words), "{line}: {}", out.said);
        assert!(out.said.lines().all(|line| line.chars().count() <= 100), "{line}: {}", out.said);
    }
}

#[test]
fn json_is_the_answer_as_it_came() {
    for (line, _, mut answer, _) in table() {
        // A later version may add a field, and a client may have sent a mark that turns text.
        answer["new_field"] = json!("\u{202e}x");
        let (exit, out, _) = asked(&format!("{line} --json"), vec![Ok(answer.clone())]);
        assert_eq!((exit, out.complained.as_str()), (Exit::Done, ""), "{line}");
        let document: Value = serde_json::from_str(&out.said).unwrap();
        if line == "sessions" || line == "bans" {
            assert_eq!(document[line], answer[line], "all pages are one");
            assert_eq!(document["next"], Value::Null);
        } else {
            assert_eq!(document, answer, "{line}");
            assert!(out.said.contains("\\u202ex"), "{line}: {}", out.said);
        }
        assert!(!out.said.contains('\u{202e}'), "{line}");
    }
}

#[test]
fn what_the_server_refuses_is_an_error_with_a_hint() {
    for (line, ..) in table() {
        let failure = || Failure::new(FailureKind::NotFound, "there is no such\u{1b}[2J", "look elsewhere");
        let (exit, out, _) = asked(line, vec![Err(failure())]);
        assert_eq!((exit, out.said.as_str()), (Exit::Failed, ""), "{line}");
        assert_eq!(out.complained, "error: there is no such\\u{1b}[2J\n  hint: look elsewhere\n", "{line}");
        let (exit, out, _) = asked(&format!("{line} --json"), vec![Err(failure())]);
        assert_eq!((exit, out.complained.as_str()), (Exit::Failed, ""), "{line}");
        let document: Value = serde_json::from_str(&out.said).unwrap();
        assert_eq!(document["ok"], false);
        assert_eq!(document["error"]["kind"], "not-found");
        assert_eq!(document["error"]["hint"], "look elsewhere");
    }
}

#[test]
fn a_server_that_is_not_there_is_an_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = folder.path().join("s.sock");
    for (line, ..) in table() {
        let (exit, out) = typed(line, &nobody);
        assert_eq!((exit, out.said.as_str()), (Exit::Failed, ""), "{line}");
        let words = &out.complained;
        assert!(words.contains(nobody.to_str().unwrap()) && words.contains("--socket"), "{line}: {words}");
    }
    let (exit, out) = typed("status --json", &nobody);
    let document: Value = serde_json::from_str(&out.said).unwrap();
    assert_eq!((exit, &document["error"]["kind"]), (Exit::Failed, &json!("no-answer")));
}

#[test]
fn a_server_of_another_version_is_told_apart() {
    let (exit, out, _) = asked("status", vec![Ok(json!({ "version": "9" }))]);
    assert_eq!(exit, Exit::Failed);
    assert!(out.complained.contains("same version"), "{}", out.complained);
}

#[test]
fn why_asks_about_an_address_or_an_account() {
    let limits = || Ok(json!({ "limits": [] }));
    let (exit, out, requests) = asked("why 192.0.2.7", vec![Ok(why(None, None)), limits()]);
    assert_eq!((exit, out.complained.as_str()), (Exit::Done, ""));
    assert!(out.said.starts_with("192.0.2.7 would be admitted now.\n"), "{}", out.said);
    let address = Some("192.0.2.7".parse().unwrap());
    assert_eq!(requests, [Request::Why { address, account: None, from: None }, Request::Limits {}]);

    let (exit, _, requests) =
        asked("why alice --from ::1", vec![Ok(why(Some("alice"), Some(true))), limits()]);
    assert_eq!(exit, Exit::Done);
    let from = Some("::1".parse().unwrap());
    assert_eq!(requests[0], Request::Why { address: None, account: Some("alice".into()), from });

    for (name, reason) in [("bob", "there is no account bob"), ("anonymous", "anonymous logins are off")] {
        let mut nobody = why(Some(name), Some(false));
        nobody["answers"][0]["outcome"] = json!("no-account");
        nobody["answers"][0]["line"] = json!("530 Login incorrect.");
        let line = format!("why {name}");
        let (exit, out, _) = asked(&line, vec![Ok(nobody.clone()), limits()]);
        assert_eq!(exit, Exit::Failed);
        assert!(out.complained.contains(reason), "{}", out.complained);
        let told = "would be told 530 now, whatever the password: there is no such account.\n  530 Login incorrect.\n";
        assert_eq!(out.said, format!("{name} {told}"));
        let (exit, out, _) = asked(&format!("{line} --json"), vec![Ok(nobody.clone())]);
        assert_eq!((exit, out.complained.as_str()), (Exit::Failed, ""));
        assert_eq!(serde_json::from_str::<Value>(&out.said).unwrap(), nobody);
    }

    let (exit, out, requests) = asked("why 192.0.2.7 --json", vec![Ok(why(None, None))]);
    assert_eq!((exit, requests.len()), (Exit::Done, 1));
    assert_eq!(serde_json::from_str::<Value>(&out.said).unwrap(), why(None, None));

    let (exit, out) = typed("why 192.0.2.7 --from ::1", Path::new("/nonexistent"));
    assert_eq!(exit, Exit::Usage);
    assert!(out.complained.contains("--from"), "{}", out.complained);
}

#[test]
fn pages_are_joined() {
    let first = json!({ "sessions": [session(1, None)], "next": 1 });
    let second = json!({ "sessions": [session(2, None)], "next": null });
    let (_, out, requests) = asked("sessions", vec![Ok(first), Ok(second)]);
    assert!(out.said.ends_with("\n2 sessions, 0 transfers under way.\n"), "{}", out.said);
    assert_eq!(requests[1], Request::Sessions { after: 1, count: 500 });

    let first = json!({ "bans": [ban("192.0.2.1", None)], "next": 7 });
    let second = json!({ "bans": [ban("192.0.2.2", Some("a"))], "next": null });
    let (_, out, requests) = asked("bans", vec![Ok(first), Ok(second)]);
    assert!(out.said.ends_with("\n2 bans.\n"), "{}", out.said);
    assert_eq!(requests[1], Request::Bans { cursor: 7, count: 1_000 });

    let stuck = json!({ "sessions": [], "next": 0 });
    let (exit, _, requests) = asked("sessions", vec![Ok(stuck)]);
    assert_eq!((exit, requests.len()), (Exit::Done, 1), "a page that leads nowhere is the last");
}

#[test]
fn nothing_to_end_is_an_error() {
    let none = || Ok(json!({ "address": "192.0.2.7", "ended": 0 }));
    let (exit, out, _) = asked("unban 192.0.2.7", vec![none()]);
    assert_eq!((exit, out.said.as_str()), (Exit::Failed, ""));
    assert_eq!(out.complained, "error: 192.0.2.7 was not banned\n  hint: tidegate bans shows who is\n");
    let (exit, out, _) = asked("unban 192.0.2.7 --json", vec![none()]);
    assert_eq!((exit, out.complained.as_str()), (Exit::Failed, ""));
    assert_eq!(serde_json::from_str::<Value>(&out.said).unwrap()["ended"], 0);
}

#[test]
fn a_report_of_many_lines_keeps_them() {
    let failure =
        Failure::new(FailureKind::Failed, "2 errors\n  here\u{1b}\n  there\n", "nothing was changed");
    let (_, out, _) = asked("reload", vec![Err(failure)]);
    assert_eq!(out.complained, "error: 2 errors\n  here\\u{1b}\n  there\n  hint: nothing was changed\n");
}

#[test]
fn watching_without_a_terminal_shows_once() {
    let page = json!({ "sessions": [], "next": null });
    let (exit, out, requests) = asked("sessions --watch", vec![Ok(page)]);
    assert_eq!((exit, requests.len()), (Exit::Done, 1));
    assert_eq!(out.said, "Nobody is inside.\n");
    assert!(out.complained.contains("no terminal"), "{}", out.complained);
}

#[test]
fn a_stream_ends_with_its_reader() {
    let page = json!({ "sessions": [session(7, Some("\u{202e}x"))], "next": null });
    let server = FakeServer::saying(vec![Ok(page.clone()), Ok(page)]);
    let args = SessionsArgs { watch: true, server: server.args(true) };
    let mut out = Heard { reads: Some(1), ..Heard::default() };
    assert_eq!(run(&Command::Sessions(args), &mut out), Exit::Done);
    let document: Value = serde_json::from_str(&out.said).unwrap();
    assert_eq!(document["sessions"][0]["account"], "\u{202e}x");
    assert!(out.said.lines().count() == 1 && !out.said.contains('\u{202e}'), "{}", out.said);
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn the_socket_stands_in_the_configuration() {
    let server = FakeServer::saying(vec![Ok(json!({ "ready": true }))]);
    let file = server.folder().join("a.toml");
    // Another key may be wrong: the server that runs does not care.
    std::fs::write(&file, "rooot = 1\n[admin]\nsocket = \"./s.sock\"\n").unwrap();
    let args = ServerArgs { config: Some(file.clone()), ..ServerArgs::default() };
    let found = find::socket(&args).unwrap();
    assert_eq!(std::fs::canonicalize(found).unwrap(), std::fs::canonicalize(server.path()).unwrap());

    std::fs::write(&file, "[admin]\nsocket = \"off\"\n").unwrap();
    let trouble = find::socket(&args).unwrap_err();
    assert_eq!(trouble.exit(), Exit::Failed);
    assert!(trouble.words().0.contains("off"), "{:?}", trouble.words());
    std::fs::write(&file, "[admin]\nsocket = 5\n").unwrap();
    let trouble = find::socket(&args).unwrap_err();
    assert_eq!(trouble.exit(), Exit::BadConfig);
    assert!(trouble.words().0.contains("a.toml:2"), "{:?}", trouble.words());
    std::fs::remove_file(&file).unwrap();
    assert_eq!(find::socket(&args).unwrap_err().exit(), Exit::BadConfig);
    let (exit, _) = typed("status", &server.path());
    assert_eq!(exit, Exit::Failed, "the answer is none of `status`");
}
