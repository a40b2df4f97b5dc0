use super::*;

fn read(line: &str) -> Result<Request, String> {
    serde_json::from_str(line).map_err(|error| error.to_string())
}

#[test]
fn every_command_is_read_and_named() {
    let least = [
        r#"{"command":"status"}"#,
        r#"{"command":"sessions"}"#,
        r#"{"command":"session","id":7}"#,
        r#"{"command":"why","address":"2001:db8::1"}"#,
        r#"{"command":"limits"}"#,
        r#"{"command":"bans"}"#,
        r#"{"command":"ban","address":"192.0.2.7","seconds":900}"#,
        r#"{"command":"unban","address":"192.0.2.7"}"#,
        r#"{"command":"kick","id":7}"#,
        r#"{"command":"reload"}"#,
        r#"{"command":"drain"}"#,
        r#"{"command":"resume"}"#,
    ];
    for (line, name) in least.into_iter().zip(COMMANDS) {
        let request = read(line).unwrap();
        assert_eq!(request.command(), name);
        let written = serde_json::to_string(&request).unwrap();
        assert_eq!(read(&written).unwrap(), request, "{written}");
    }
}

#[test]
fn what_is_left_out_has_a_default() {
    assert_eq!(read(r#"{"command":"sessions"}"#), Ok(Request::Sessions { after: 0, count: 100 }));
    assert_eq!(read(r#"{"command":"kick","id":7}"#), Ok(Request::Kick { id: 7, retry: 1 }));
    let now =
        Request::Drain { deadline_seconds: None, message: None, at: None, delay_seconds: None, stay: false };
    assert_eq!(read(r#"{"command":"drain"}"#), Ok(now));
}

#[test]
fn mistakes_name_what_is_known() {
    let unknown_command = read(r#"{"command":"explode"}"#).unwrap_err();
    assert!(COMMANDS.iter().all(|name| unknown_command.contains(name)), "{unknown_command}");
    let unknown_field = read(r#"{"command":"kick","id":7,"now":true}"#).unwrap_err();
    assert!(unknown_field.contains("`now`") && unknown_field.contains("`retry`"), "{unknown_field}");
    for line in [
        r#"{"command":"status","verbose":true}"#,
        r#"{"command":"kick"}"#,
        r#"{"command":"kick","id":-1}"#,
        r#"{"command":"ban","address":"here","seconds":1}"#,
        r#"{"command":"ban","address":"192.0.2.7"}"#,
        r"{}",
        r"[]",
        r#""status""#,
        "",
    ] {
        assert!(read(line).is_err(), "{line}");
    }
}

#[test]
fn an_answer_says_one_thing() {
    let good = Reply { ok: true, result: Some(KickAnswer { id: 7, retry: 1 }), error: None };
    assert_eq!(serde_json::to_string(&good).unwrap(), r#"{"ok":true,"result":{"id":7,"retry":1}}"#);
    let bad: Reply<KickAnswer> = Reply {
        ok: false,
        result: None,
        error: Some(Failure::new(FailureKind::NotFound, "there is no session 7", "`sessions` lists them")),
    };
    assert_eq!(
        serde_json::to_string(&bad).unwrap(),
        r#"{"ok":false,"error":{"kind":"not-found","message":"there is no session 7","hint":"`sessions` lists them"}}"#
    );
}

#[test]
fn kinds_are_the_words_of_the_wire() {
    for kind in FailureKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
}
