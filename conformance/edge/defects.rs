//! The defects that PROTOCOL §3 lists of four other servers, each with the case that shows it and what a server with
//! the defect says there. The judgement is apart from `expected.toml`, and must find the peer guilty.

use serde_json::{Value, json};

use crate::table;

/// One defect: `shown` finds it in the parts of the answer to `case`; `seen` is the answer of the peer that has it.
struct Defect {
    name: &'static str,
    case: &'static str,
    shown: fn(&[String]) -> bool,
    seen: fn() -> Value,
}

/// Returns the code of the reply at `index`; 0 for silence, a closed connection, or nothing.
fn code(parts: &[String], index: usize) -> u16 {
    parts.get(index).and_then(|part| part.get(..3)).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// Returns how many replies there are.
fn replies(parts: &[String]) -> usize {
    (0..parts.len()).filter(|&index| code(parts, index) != 0).count()
}

/// Returns whether an abort is not answered with 426 and 226, in that order and at once.
fn abort_ignored(parts: &[String]) -> bool {
    code(parts, 0) != 150 || code(parts, 1) != 426 || code(parts, 2) != 226
}

fn silent(parts: &[String]) -> bool {
    code(parts, 0) == 0
}

const DEFECTS: [Defect; 17] = [
    Defect {
        name: "a foreign passive peer is served",
        case: "PASV hijack from other IP",
        shown: |parts| !parts.iter().any(|part| part.contains("got b''") || part.contains("got b'<none>'")),
        seen: || {
            "150 Opening BINARY mode data connection for a.txt (12 bytes) // attacker(127.0.0.77) got b'line1\\nline2\\n' // <timeout>".into()
        },
    },
    Defect {
        name: "a foreign passive peer spoils the transfer",
        case: "PASV hijack from other IP",
        shown: |parts| parts.iter().any(|part| part.starts_with("425") || part.starts_with("426")),
        seen: || "425 Security: Bad IP connecting. // attacker(127.0.0.77) got b'' // <timeout>".into(),
    },
    Defect {
        name: "CR and LF in two packets are no line end",
        case: "split CR|LF",
        shown: |parts| code(parts, 0) != 200,
        seen: || json!(["<timeout>", "<timeout>"]),
    },
    Defect {
        name: "an argument is cut at NUL",
        case: "CWD NUL",
        shown: |parts| code(parts, 0) != 501,
        seen: || "250 CWD command successful".into(),
    },
    Defect {
        name: "REST wraps",
        case: "REST 18446744073709551615",
        shown: |parts| code(parts, 0) != 501,
        seen: || "350 Restarting at 18446744073709551615. Send STORE or RETRIEVE to initiate transfer".into(),
    },
    Defect {
        name: "REST takes what is no number",
        case: "REST x",
        shown: |parts| code(parts, 0) != 501,
        seen: || "350 Restart position accepted (0).".into(),
    },
    Defect {
        name: "three replies to one line",
        case: "line 70000 bytes then NOOP",
        // One line and a NOOP: at most a reply to each.
        shown: |parts| replies(parts) > 2 || (code(parts, 1) != 200 && replies(parts) > 1),
        seen: || {
            json!(["500 Command too long.", "500 Command too long.", "500 Command \"\" not understood."])
        },
    },
    Defect {
        name: "silence after leading spaces",
        case: "leading spaces",
        shown: silent,
        seen: || "<timeout>".into(),
    },
    Defect {
        name: "silence after a leading tab",
        case: "leading tab",
        shown: silent,
        seen: || "<timeout>".into(),
    },
    Defect {
        name: "silence after Telnet bytes",
        case: "IAC IP IAC DM + NOOP",
        shown: silent,
        seen: || "<timeout>".into(),
    },
    Defect {
        name: "silence after an empty line",
        case: "empty line then NOOP",
        shown: |parts| replies(parts) != 2,
        seen: || json!(["200 NOOP ok.", "<timeout>"]),
    },
    Defect {
        name: "EPSV ALL does not hold",
        case: "EPSV ALL,PASV,PORT,EPSV",
        shown: |parts| code(parts, 0) != 200 || code(parts, 1) < 500 || code(parts, 2) < 500,
        seen: || {
            "220 Active mode is disabled // 227 Entering Passive Mode (127,0,0,1,102,52) // 501 Active mode is disabled // 229 Extended Passive mode OK (|||22842|)".into()
        },
    },
    Defect {
        name: "257 does not double quotes",
        case: "MKD quote",
        shown: |parts| parts.iter().filter(|part| part.starts_with("257 \"/a\"\"b\" ")).count() != 2,
        seen: || {
            "257 \"a\"b\" : The directory was successfully created // 250 OK. Current directory is /a\"b // 257 \"/a\"b\" is your current location".into()
        },
    },
    Defect {
        name: "ABOR is ignored",
        case: "during RETR: plain",
        shown: abort_ignored,
        seen: || {
            "150 Opening BINARY mode data connection for big.bin (31457280 bytes). // <timeout> // <timeout> // <timeout> // then NOOP: 426 Failure writing network stream.".into()
        },
    },
    Defect {
        name: "ABOR as urgent data eats the next command",
        case: "during RETR: oob-all",
        shown: |parts| {
            abort_ignored(parts) || !parts.last().is_some_and(|last| last.starts_with("then NOOP: 200 "))
        },
        seen: || {
            "150 Opening BINARY mode data connection for big.bin (31457280 bytes) // 426 Transfer aborted. Data connection closed. // <timeout> // <timeout> // then NOOP: 500 'ABOR NOOP' not understood".into()
        },
    },
    Defect {
        name: "ABOR behind Telnet Synch is ignored",
        case: "during RETR: telnet",
        shown: abort_ignored,
        seen: || {
            "150-Accepted data connection ...(2 lines)... 150 30720.0 kbytes to download // <timeout> // <timeout> // <timeout> // then NOOP: 150 4.008 seconds (measured here), 0.97 Mbytes per second".into()
        },
    },
    Defect {
        name: "ABOR of an upload is ignored",
        case: "during STOR: ABOR",
        shown: abort_ignored,
        seen: || {
            "150 Ok to send data. // <timeout> // <timeout> // 226 Transfer complete. // kept=1000".into()
        },
    },
];

/// Returns a line for each defect that `answer` of a case shows.
pub(crate) fn found(answer: impl Fn(&str) -> Option<Value>) -> Vec<String> {
    let guilty =
        |defect: &&Defect| answer(defect.case).is_none_or(|answer| (defect.shown)(&table::parts(&answer)));
    let line = |defect: &Defect| format!("{} ({:?}): {:?}", defect.name, defect.case, answer(defect.case));
    DEFECTS.iter().filter(guilty).map(line).collect()
}

#[test]
fn a_server_with_the_defect_is_found_out() {
    for defect in &DEFECTS {
        assert!((defect.shown)(&table::parts(&(defect.seen)())), "{} is not seen", defect.name);
        assert!(table::cases().iter().any(|case| case.name == defect.case), "{} has no case", defect.name);
    }
    assert_eq!(found(|_| None).len(), DEFECTS.len(), "a case that was not played proves nothing");
}
