use super::*;
use core::net::{Ipv4Addr, SocketAddrV4};
use std::collections::HashSet;
use std::prelude::v1::*;

fn read(line: &[u8]) -> Result<Command<'_>, CommandError> {
    let (verb, argument) = verb_of(line);
    parse(lookup(verb).expect("a verb of the table"), argument)
}

#[test]
fn verbs_are_unique_and_upper_case() {
    let mut seen = HashSet::new();
    for row in TABLE {
        assert!(seen.insert(row.verb), "{} stands twice", row.verb);
        assert_eq!(row.verb, row.verb.to_ascii_uppercase());
        assert!(!row.rfc.is_empty());
        assert_eq!(row.is_offered(), !row.syntax.is_empty(), "{}", row.verb);
        if row.is_offered() {
            assert!(row.syntax.starts_with(row.verb), "{}", row.verb);
        }
    }
}

#[test]
fn every_offered_row_yields_a_command() {
    // One good line a verb: `run` and `run_small` together must know each of them (see the dialogues).
    for row in TABLE.iter().filter(|row| row.is_offered()) {
        let argument: Option<&[u8]> = match row.verb {
            "TYPE" => Some(b"I"),
            "MODE" => Some(b"S"),
            "STRU" => Some(b"F"),
            "PORT" => Some(b"127,0,0,1,200,1"),
            "EPRT" => Some(b"|1|127.0.0.1|51201|"),
            "REST" | "ALLO" => Some(b"10"),
            "MFMT" => Some(b"20200101000000 a"),
            "OPTS" => Some(b"UTF8 ON"),
            "SITE" => Some(b"HELP"),
            _ => match row.shape {
                Shape::Path(_) => Some(b"a"),
                _ => None,
            },
        };
        assert!(parse(row, argument).is_ok(), "{}", row.verb);
    }
}

#[test]
fn good_lines() {
    for (line, expected) in [
        (&b"user tide"[..], Command::User(b"tide")),
        (b"PASS ", Command::Pass(b"")),
        (b"PASS", Command::Pass(b"")),
        (b"PASS  two blanks ", Command::Pass(b" two blanks ")),
        (b"CWD  d", Command::Cwd(b" d")),
        (b"CWD d ", Command::Cwd(b"d ")),
        (b"NOOP  ", Command::Noop),
        (b"NOOP anything", Command::Noop),
        (b"PWD ", Command::Pwd),
        (b"QUIT now", Command::Quit),
        (b"TYPE A", Command::Type(TypeCode::Ascii)),
        (b"type a n", Command::Type(TypeCode::Ascii)),
        (b"TYPE I", Command::Type(TypeCode::Image)),
        (b"TYPE L 8", Command::Type(TypeCode::Image)),
        (b"MODE s", Command::Mode),
        (b"STRU F", Command::Stru),
        (b"ALLO 10", Command::Allo(10)),
        (b"ALLO 10 R 5", Command::Allo(10)),
        (b"REST 9223372036854775807", Command::Rest(i64::MAX as u64)),
        (b"REST 007", Command::Rest(7)),
        (b"EPSV", Command::Epsv(EpsvArg::Any)),
        (b"EPSV all", Command::Epsv(EpsvArg::All)),
        (b"EPSV 1", Command::Epsv(EpsvArg::Family(1))),
        (b"PORT 127,0,0,1,200,1", Command::Port(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 51201).into())),
        (b"EPRT |1|127.0.0.1|51201|", Command::Eprt(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 51201).into())),
        (b"STOU", Command::Stou(None)),
        (b"STOU a", Command::Stou(Some(b"a"))),
        (b"STAT", Command::Stat(None)),
        (b"STAT  ", Command::Stat(None)),
        (b"HELP", Command::Help(None)),
        (b"OPTS UTF8 ON", Command::OptsUtf8),
        (b"opts utf8 on", Command::OptsUtf8),
        (b"OPTS UTF-8 NLST", Command::OptsUtf8),
        (b"OPTS UTF8", Command::OptsUtf8),
        (b"OPTS MLST type;size;", Command::OptsMlst(b"type;size;")),
        (b"OPTS MLST", Command::OptsMlst(b"")),
        (b"SITE help", Command::SiteHelp),
        (b"SITE CHMOD 644 a b", Command::SiteChmod { mode: 0o644, path: b"a b" }),
        (b"SITE CHMOD 4755 a", Command::SiteChmod { mode: 0o4755, path: b"a" }),
    ] {
        assert_eq!(read(line), Ok(expected), "{}", line.escape_ascii());
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn bad_lines() {
    use CommandError::{Family, NoOptions, NotOffered, ParameterNotOffered, SiteUnknown, Syntax};
    for (line, expected) in [
        (&b"USER"[..], Syntax),
        (b"USER ", Syntax),
        (b"CWD", Syntax),
        (b"PWD x", Syntax),
        (b"FEAT x", Syntax),
        (b"TYPE", Syntax),
        (b"TYPE I N", Syntax),
        (b"TYPE A N N", Syntax),
        (b"TYPE X", Syntax),
        (b"TYPE A T", ParameterNotOffered),
        (b"TYPE A X", ParameterNotOffered),
        (b"TYPE E", ParameterNotOffered),
        (b"TYPE L", ParameterNotOffered),
        (b"TYPE L 7", ParameterNotOffered),
        (b"MODE", Syntax),
        (b"MODE B", ParameterNotOffered),
        (b"MODE C", ParameterNotOffered),
        (b"MODE Z", ParameterNotOffered),
        (b"MODE X", Syntax),
        (b"MODE S S", Syntax),
        (b"STRU R", ParameterNotOffered),
        (b"STRU P", ParameterNotOffered),
        (b"STRU X", Syntax),
        (b"ALLO", Syntax),
        (b"ALLO x", Syntax),
        (b"ALLO 10 R", Syntax),
        (b"ALLO 10 Q 5", Syntax),
        (b"ALLO 10 R 5 6", Syntax),
        (b"REST", Syntax),
        (b"REST x", Syntax),
        (b"REST -1", Syntax),
        (b"REST +5", Syntax),
        (b"REST 5 ", Syntax),
        (b"REST 9223372036854775808", Syntax),
        (b"REST 18446744073709551615", Syntax),
        (b"REST 99999999999999999999999", Syntax),
        (b"EPSV 9", Family),
        (b"EPSV foo", Syntax),
        (b"PORT 1,2,3", Syntax),
        (b"PORT 127,0,0,300,1,1", Syntax),
        (b"PORT 127,0,0,1,0,0", Syntax),
        (b"EPRT foo", Syntax),
        (b"EPRT |3|x|5|", Family),
        (b"MFMT 20210229000000 a", Syntax),
        (b"MFMT 20200101000000", Syntax),
        (b"MFMT 20200101000000 ", Syntax),
        (b"OPTS", Syntax),
        (b"OPTS UTF8 OFF", ParameterNotOffered),
        (b"OPTS UTF8 MAYBE", Syntax),
        (b"OPTS FROB", NoOptions),
        (b"SITE", Syntax),
        (b"SITE FROB", SiteUnknown),
        (b"SITE UTIME x", NotOffered),
        (b"SITE CHMOD", Syntax),
        (b"SITE CHMOD 644", Syntax),
        (b"SITE CHMOD 888 a", Syntax),
        (b"SITE CHMOD 64 a", Syntax),
        (b"SITE CHMOD 00644 a", Syntax),
        (b"AUTH TLS", NotOffered),
        (b"ACCT x", NotOffered),
        (b"SMNT x", NotOffered),
    ] {
        assert_eq!(read(line), Err(expected), "{}", line.escape_ascii());
    }
}

#[test]
fn list_options() {
    for (line, hidden, dots, path) in [
        (&b"LIST"[..], false, false, None),
        (b"LIST ", false, false, None),
        (b"LIST -a", true, true, None),
        (b"LIST -A", true, false, None),
        (b"LIST -la d e", true, true, Some(&b"d e"[..])),
        (b"LIST -l -R d", false, false, Some(b"d")),
        (b"LIST -- -a", false, false, Some(b"-a")),
        (b"LIST ./-a", false, false, Some(b"./-a")),
        (b"LIST  d", false, false, Some(b" d")),
        (b"LIST -z", false, false, None),
    ] {
        assert_eq!(read(line), Ok(Command::List(ListArgs { hidden, dots, path })), "{}", line.escape_ascii());
    }
}

#[test]
fn unknown_verbs() {
    for verb in [&b""[..], b"FROB", b"GET", b"\tNOOP", b"NOOP\t"] {
        assert!(lookup(verb).is_none(), "{}", verb.escape_ascii());
    }
    assert!(is_http_verb(b"get") && is_http_verb(b"POST") && !is_http_verb(b"RETR"));
}

#[test]
fn nothing_on_a_path_without_login_and_right() {
    // Verbs that name a path: each needs a login and a right, save where the issue wants none.
    for row in TABLE.iter().filter(|row| row.is_offered()) {
        let takes_path = row.syntax.contains("<file>")
            || row.syntax.contains("<path>")
            || row.syntax.contains("<directory>");
        if takes_path {
            assert_ne!(row.needs, Needs::Nothing, "{}", row.verb);
            let checked_later = matches!(row.verb, "CWD" | "XCWD" | "STAT" | "SITE");
            assert!(row.right != Rights::NONE || checked_later, "{}", row.verb);
        }
    }
}
