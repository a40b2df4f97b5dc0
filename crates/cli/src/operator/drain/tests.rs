use serde_json::json;
use tidegate_admin::message::{Failure, FailureKind};

use super::super::fake::{FakeServer, Heard};
use super::super::status::tests::status;
use super::*;

fn drain(begun: bool, sessions: u64, transfers: u64, left: f64) -> DrainStatus {
    DrainStatus {
        begun,
        begins_in_seconds: if begun { 0.0 } else { 600.0 },
        ends_in_seconds: if begun { left } else { 600.0 + left },
        open_seconds: left.min(10.0),
        message: None,
        sessions,
        transfers,
        bytes: transfers * 12_900_000,
    }
}

fn draining(drain: DrainStatus) -> Value {
    serde_json::to_value(Status { ready: false, drain: Some(drain), ..status() }).unwrap()
}

fn watch(server: &FakeServer, json: bool) -> Watch {
    Watch {
        client: Client::connect(&server.path()).unwrap(),
        seen: drain(true, 3, 2, 60.0),
        told: json!(drain(true, 3, 2, 60.0)),
        shown: None,
        json,
        every: Duration::from_millis(1),
    }
}

#[test]
fn progress_is_shown_until_the_server_is_gone() {
    let steps =
        [drain(true, 3, 2, 59.0), drain(true, 2, 1, 58.2), drain(true, 1, 0, 57.0), drain(true, 0, 0, 56.0)];
    for (terminal, json) in [(false, false), (true, false), (false, true)] {
        let answers = steps.iter().cloned().map(|step| Ok(draining(step))).collect();
        let server = FakeServer::saying(answers);
        let mut out = Heard { terminal, ..Heard::default() };
        watch(&server, json).until_ended(&mut out).unwrap();
        let lines = "3 sessions, 2 transfers (24.6 MiB so far), 1m left\n\
                     2 sessions, 1 transfer (12.3 MiB so far), 58s left\n\
                     1 session, 0 transfers, 57s left\n\
                     nobody is inside any more, 421 is said for 10s\n\
                     The server has ended after 0s; no transfer was under way at the end.\n";
        match (terminal, json) {
            (_, true) => assert_eq!(documents(&out.said), expected_documents(&steps)),
            (false, _) => assert_eq!(out.said, lines),
            (true, _) => {
                assert_eq!(out.said.matches(REWRITE).count(), 5, "{:?}", out.said);
                assert!(out.said.contains("said for 10s\nThe server has ended"), "{:?}", out.said);
            }
        }
        assert!(server.asked().iter().all(|request| *request == Request::Status {}));
    }
}

/// Returns the documents, one a line; the time that all took is left out.
fn documents(said: &str) -> Vec<Value> {
    let mut documents: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    if let Some(took) = documents.last_mut().and_then(|last| last.get_mut("took_seconds")) {
        assert!(took.as_f64().is_some_and(|secs| (0.0..60.0).contains(&secs)), "{said}");
        *took = Value::Null;
    }
    documents
}

/// The first and each whose numbers are others, then the end.
fn expected_documents(steps: &[DrainStatus]) -> Vec<Value> {
    let first = [json!(drain(true, 3, 2, 60.0))];
    let end = json!({ "ended": true, "took_seconds": null, "transfers_last_seen": 0 });
    first.into_iter().chain(steps.iter().skip(1).map(|step| json!(step))).chain([end]).collect()
}

#[test]
fn a_resume_and_an_error_are_the_last_line_for_programs() {
    let resumed = serde_json::to_value(status()).unwrap();
    let server = FakeServer::saying(vec![Ok(resumed)]);
    let mut out = Heard::default();
    let error = watch(&server, true).until_ended(&mut out).unwrap_err();
    assert!(matches!(error, Trouble::Told), "{error:?}");
    assert_eq!(error.exit(), Exit::Failed);
    assert_eq!(documents(&out.said), [json!(drain(true, 3, 2, 60.0)), json!({ "resumed": true })]);

    let answers =
        vec![Ok(json!(drain(true, 3, 2, 60.0))), Err(Failure::new(FailureKind::Failed, "no", "look"))];
    let server = FakeServer::saying(answers);
    let order = DrainArgs {
        deadline: None,
        message: None,
        at: None,
        stay: false,
        no_wait: false,
        server: server.args(true),
    };
    let mut out = Heard::default();
    assert_eq!(super::super::run(&crate::args::Command::Drain(order), &mut out), Exit::Failed);
    let last = documents(&out.said).pop().unwrap();
    assert_eq!((&last["ok"], &last["error"]["message"]), (&json!(false), &json!("no")));
}

#[test]
fn a_reader_that_leaves_ends_the_showing() {
    for terminal in [false, true] {
        let server = FakeServer::saying(vec![]);
        let mut out = Heard { terminal, reads: Some(1), ..Heard::default() };
        watch(&server, !terminal).until_ended(&mut out).unwrap();
        assert!(server.asked().is_empty(), "nobody reads, so nothing is asked");
    }
}

#[test]
fn a_drain_that_is_resumed_fails() {
    let resumed = serde_json::to_value(status()).unwrap();
    let server = FakeServer::saying(vec![Ok(draining(drain(true, 1, 1, 9.0))), Ok(resumed)]);
    let mut out = Heard::default();
    let error = watch(&server, false).until_ended(&mut out).unwrap_err();
    assert_eq!(error.exit(), Exit::Failed);
    assert!(error.words().0.contains("was resumed"));
}

#[test]
fn an_error_is_no_end() {
    let failure = Failure::new(FailureKind::Failed, "no", "look");
    let server = FakeServer::saying(vec![Err(failure)]);
    let error = watch(&server, false).until_ended(&mut Heard::default()).unwrap_err();
    assert_eq!(error.words(), ("no".into(), Some("look".into())));
}

#[test]
fn the_beginning_tells_what_was_understood() {
    assert_eq!(
        begun(&drain(true, 3, 2, 60.0), None),
        "Draining: nobody is let in any more; 2 transfers may finish within 1m.\n`tidegate resume` ends the drain.\n"
    );
    let now: jiff::Timestamp = "2026-11-22T20:00:00Z".parse().unwrap();
    let when = time::parse("+10m", &now.to_zoned(jiff::tz::TimeZone::UTC)).unwrap();
    let planned = DrainStatus { message: Some("New disks".into()), ..drain(false, 3, 2, 60.0) };
    assert_eq!(
        begun(&planned, Some(&when)),
        "A drain is planned for 2026-11-22 20:10:00 +00:00 (in 10m); it lasts at most 1m.\n\
         Clients are told: New disks\n`tidegate resume` ends the drain.\n"
    );
    assert_eq!(progress(&planned), "begins in 10m: 3 sessions, 2 transfers inside");
}

#[test]
fn the_end_tells_no_more_than_is_known() {
    let took = Duration::from_secs(61);
    for (seen, expected) in [
        (drain(true, 0, 0, 1.0), "The server has ended after 1m1s; no transfer was under way at the end.\n"),
        (drain(false, 2, 1, 1.0), "The server has ended after 1m1s, before the drain began.\n"),
        (
            drain(true, 2, 2, 1.0),
            "The server has ended after 1m1s; 2 transfers were under way when last seen: its log tells whether any was cut.\n",
        ),
    ] {
        assert_eq!(ended(&seen, took), expected);
    }
}

#[test]
fn orders_are_sent_as_typed() {
    let answer = json!(drain(false, 0, 0, 300.0));
    let server = FakeServer::saying(vec![Ok(answer)]);
    let args = DrainArgs {
        deadline: Some(Duration::from_millis(299_500)),
        message: Some("New disks".into()),
        at: Some("+10m".into()),
        stay: true,
        no_wait: true,
        server: server.args(false),
    };
    let mut out = Heard::default();
    let before = clock::unix_secs();
    let typed = |at: &str| DrainArgs { at: Some(at.into()), ..args.clone() };
    run(&args, &mut out).unwrap();
    assert!(out.said.starts_with("A drain is planned for "), "{}", out.said);
    let asked = server.asked();
    let order = |at, delay_seconds| Request::Drain {
        deadline_seconds: Some(300),
        message: Some("New disks".into()),
        at,
        delay_seconds,
        stay: true,
    };
    assert_eq!(asked, [order(None, Some(600))], "a delay stays one");
    let server = FakeServer::saying(vec![Ok(json!(drain(false, 0, 0, 300.0)))]);
    let moment = jiff::Timestamp::from_second((before + 3_600).try_into().unwrap()).unwrap();
    let later = DrainArgs { server: server.args(false), ..typed(&moment.to_string()) };
    run(&later, &mut Heard::default()).unwrap();
    assert_eq!(server.asked(), [order(Some(before + 3_600), None)]);

    let nowhere =
        crate::args::ServerArgs { socket: Some("/nonexistent/s.sock".into()), ..Default::default() };
    let late = DrainArgs { at: Some("1999-01-01 00:00".into()), server: nowhere, ..args };
    assert_eq!(run(&late, &mut Heard::default()).unwrap_err().exit(), Exit::Usage);
}
