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
        assert_eq!(row.is_offered(Extras::ALL), !row.syntax.is_empty(), "{}", row.verb);
        if row.is_offered(Extras::ALL) {
            assert!(row.syntax.starts_with(row.verb), "{}", row.verb);
        }
    }
}

#[test]
fn every_offered_row_yields_a_command() {
    // One good line a verb: `run` and `run_more` together must know each of them (see the dialogues).
    for row in TABLE.iter().filter(|row| row.is_offered(Extras::ALL)) {
        let argument: Option<&[u8]> = match row.verb {
            "TYPE" => Some(b"I"),
            "MODE" => Some(b"S"),
            "STRU" => Some(b"F"),
            "PORT" => Some(b"127,0,0,1,200,1"),
            "EPRT" => Some(b"|1|127.0.0.1|51201|"),
            "REST" | "ALLO" => Some(b"10"),
            "RANG" => Some(b"0 9"),
            "MFF" => Some(b"modify=20200101000000; a"),
            "HOST" => Some(b"ftp.example.org"),
            "XCRC" | "XMD5" | "XSHA" | "XSHA1" | "XSHA256" | "XSHA512" => Some(b"a"),
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

/// 2020-01-01T00:00:00Z.
const NEW_YEAR: Timestamp = Timestamp { secs: 1_577_836_800, nanos: 0 };

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
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
        (b"TYPE A T", Command::Type(TypeCode::Ascii)),
        (b"TYPE I", Command::Type(TypeCode::Image)),
        (b"TYPE L 8", Command::Type(TypeCode::Image)),
        (b"MODE s", Command::Mode(ModeCode::Stream)),
        (b"MODE Z", Command::Mode(ModeCode::Deflate)),
        (b"RANG 0 0", Command::Rang(Some((0, 1)))),
        (b"RANG 5 9", Command::Rang(Some((5, 10)))),
        (b"RANG 1 0", Command::Rang(None)),
        (b"RANG 0 9223372036854775807", Command::Rang(Some((0, 1 << 63)))),
        (b"HASH a b", Command::Hash(b"a b")),
        (b"MD5 a b", Command::Md5(b"a b")),
        (b"AVBL", Command::Avbl(None)),
        (b"AVBL d", Command::Avbl(Some(b"d"))),
        (b"RMDA d", Command::Rmda(b"d")),
        (b"COMB a b", Command::Comb(b"a b")),
        (b"CLNT x 1.0", Command::Client { about: b"x 1.0", asks: false }),
        (b"CLNT", Command::Client { about: b"", asks: false }),
        (b"CSID Name=x;", Command::Client { about: b"Name=x;", asks: true }),
        (b"HOST ftp.example.org", Command::Host(b"ftp.example.org")),
        (b"HOST localhost", Command::Host(b"localhost")),
        (b"HOST a_b-c.d.", Command::Host(b"a_b-c.d.")),
        (b"HOST 192.0.2.1", Command::Host(b"192.0.2.1")),
        (b"HOST [2001:db8::1]", Command::Host(b"[2001:db8::1]")),
        (b"LANG", Command::Lang),
        (b"LANG  ", Command::Lang),
        (b"LANG en", Command::Lang),
        (b"LANG EN-us", Command::Lang),
        (b"MFF modify=20200101000000; a b", Command::Mff { facts: b"modify=20200101000000;", path: b"a b" }),
        (b"OPTS HASH", Command::OptsHash(None)),
        (b"OPTS HASH sha-512", Command::OptsHash(Some(HashAlgorithm::Sha512))),
        (b"OPTS HASH SHA1", Command::OptsHash(Some(HashAlgorithm::Sha1))),
        (b"OPTS HASH crc32", Command::OptsHash(Some(HashAlgorithm::Crc32))),
        (b"OPTS MODE Z LEVEL 9", Command::OptsModeZ(9)),
        (b"opts mode z level 1", Command::OptsModeZ(1)),
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
        (b"SITE help", Command::SiteHelp(None)),
        (b"SITE help chmod", Command::SiteHelp(Some(b"chmod"))),
        (b"SITE UMASK", Command::SiteUmask(None)),
        (b"SITE UMASK 027", Command::SiteUmask(Some(0o27))),
        (b"SITE UMASK 22", Command::SiteUmask(Some(0o22))),
        (b"SITE UMASK 0", Command::SiteUmask(Some(0))),
        (b"SITE UMASK 0777", Command::SiteUmask(Some(0o777))),
        (b"SITE IDLE", Command::SiteIdle(None)),
        (b"SITE IDLE 60", Command::SiteIdle(Some(60))),
        (b"SITE TIME", Command::SiteTime),
        (b"SITE QUOTA", Command::SiteQuota),
        (b"SITE UTIME 20200101000000 a b", Command::SiteUtime { time: NEW_YEAR, path: b"a b" }),
        (b"SITE UTIME 202001010000 a", Command::SiteUtime { time: NEW_YEAR, path: b"a" }),
        (
            b"SITE UTIME a b 20190101000000 20200101000000 20190101000000 UTC",
            Command::SiteUtime { time: NEW_YEAR, path: b"a b" },
        ),
        (b"SITE CHGRP 100 a", Command::SiteChgrp { gid: 100, path: b"a" }),
        (b"SITE SYMLINK a b", Command::SiteSymlink(b"a b")),
        (b"SITE MKDIR d", Command::SiteMkdir(b"d")),
        (b"SITE RMDIR d", Command::SiteRmdir(b"d")),
        (b"SITE CPFR a b", Command::SiteCpfr(b"a b")),
        (b"SITE CPTO c", Command::SiteCpto(b"c")),
        (b"SITE COPY a b", Command::SiteCopy(b"a b")),
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
        (b"TYPE A C", ParameterNotOffered),
        (b"TYPE A NT", ParameterNotOffered),
        (b"TYPE A X", ParameterNotOffered),
        (b"TYPE E", ParameterNotOffered),
        (b"TYPE L", ParameterNotOffered),
        (b"TYPE L 7", ParameterNotOffered),
        (b"MODE", Syntax),
        (b"MODE B", ParameterNotOffered),
        (b"MODE C", ParameterNotOffered),
        (b"MODE ZZ", Syntax),
        (b"RANG", Syntax),
        (b"RANG 1", Syntax),
        (b"RANG 1 ", Syntax),
        (b"RANG 2 1", Syntax),
        (b"RANG -1 1", Syntax),
        (b"RANG 0 1 2", Syntax),
        (b"RANG 0 9223372036854775808", Syntax),
        (b"HASH", Syntax),
        (b"XCRC", Syntax),
        (b"XCRC \"a\" x", Syntax),
        (b"XCRC \"a\" 5 4", Syntax),
        (b"XCRC \"a\" 1 2 3", Syntax),
        (b"MFF", Syntax),
        (b"MFF modify=20200101000000;", Syntax),
        (b"MFF  a", Syntax),
        (b"HOST", Syntax),
        (b"HOST ftp.example.org:21", Syntax),
        (b"HOST [2001:db8::1", Syntax),
        (b"HOST [2001:db8::1]:21", Syntax),
        (b"HOST 2001:db8::1", Syntax),
        (b"HOST 192.0.2.300", Syntax),
        (b"HOST -a", Syntax),
        (b"HOST a..b", Syntax),
        (b"HOST a b", Syntax),
        (b"HOST \xc3\xa4", Syntax),
        (b"LANG fr", ParameterNotOffered),
        (b"LANG ja-JP", ParameterNotOffered),
        (b"LANG e n", Syntax),
        (b"LANG 12", Syntax),
        (b"LANG en-", Syntax),
        (b"LANG toolonglang", Syntax),
        (b"OPTS HASH SHA-3", Syntax),
        (b"OPTS MODE", Syntax),
        (b"OPTS MODE Z LEVEL 0", Syntax),
        (b"OPTS MODE Z LEVEL 10", Syntax),
        (b"OPTS MODE S LEVEL 1", Syntax),
        (b"OPTS MODE Z SPEED 1", Syntax),
        (b"OPTS MODE Z LEVEL 1 2", Syntax),
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
        (b"SITE EXEC x", NotOffered),
        (b"SITE WHO", NotOffered),
        (b"SITE UTIME x", Syntax),
        (b"SITE UTIME 20200101000000", Syntax),
        (b"SITE UTIME 20200101000000 ", Syntax),
        (b"SITE UTIME a 20200101000000 20200101000000 20200101000000 CET", Syntax),
        (b"SITE UTIME a 20200101000000 20211301000000 20200101000000 UTC", Syntax),
        (b"SITE UMASK 8", Syntax),
        (b"SITE UMASK 1777", Syntax),
        (b"SITE UMASK 00022", Syntax),
        (b"SITE UMASK -1", Syntax),
        (b"SITE IDLE 0", Syntax),
        (b"SITE IDLE -1", Syntax),
        (b"SITE IDLE 60 s", Syntax),
        (b"SITE IDLE 4294967296", Syntax),
        (b"SITE CHGRP www a", Syntax),
        (b"SITE CHGRP 100", Syntax),
        (b"SITE SYMLINK", Syntax),
        (b"SITE MKDIR", Syntax),
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
    let plain = ListArgs::default();
    for (line, expected) in [
        (&b"LIST"[..], plain),
        (b"LIST ", plain),
        (b"LIST -a", ListArgs { hidden: true, dots: true, ..plain }),
        (b"LIST -A", ListArgs { hidden: true, ..plain }),
        (b"LIST -l", ListArgs { long: Some(true), ..plain }),
        (b"LIST -1", ListArgs { long: Some(false), ..plain }),
        (b"LIST -l1", ListArgs { long: Some(false), ..plain }),
        (b"LIST -1 -l", ListArgs { long: Some(true), ..plain }),
        (
            b"LIST -la d e",
            ListArgs { hidden: true, dots: true, long: Some(true), path: Some(b"d e"), ..plain },
        ),
        (b"LIST -l -R d", ListArgs { recursive: true, long: Some(true), path: Some(b"d"), ..plain }),
        (b"LIST -- -a", ListArgs { path: Some(b"-a"), ..plain }),
        (b"LIST -a --  -a", ListArgs { hidden: true, dots: true, path: Some(b" -a"), ..plain }),
        (b"LIST ./-a", ListArgs { path: Some(b"./-a"), ..plain }),
        (b"LIST  d", ListArgs { path: Some(b" d"), ..plain }),
        (b"LIST -zF", plain),
        (b"LIST -", plain),
    ] {
        assert_eq!(read(line), Ok(Command::List(expected)), "{}", line.escape_ascii());
    }
}

#[test]
fn digest_arguments() {
    let read = |line| match read(line) {
        Ok(Command::Digest(args)) => (args.path, args.range, args.shorter),
        other => std::panic!("{other:?}"),
    };
    assert_eq!(read(b"XCRC a b"), (&b"a b"[..], None, None));
    assert_eq!(read(b"XCRC a 5"), (&b"a 5"[..], None, Some((&b"a"[..], (5, None)))));
    assert_eq!(read(b"XCRC a b 5 9"), (&b"a b 5 9"[..], None, Some((&b"a b"[..], (5, Some(9))))));
    assert_eq!(read(b"XCRC a 1 2 3"), (&b"a 1 2 3"[..], None, Some((&b"a 1"[..], (2, Some(3))))));
    assert_eq!(read(b"XCRC a 9 5"), (&b"a 9 5"[..], None, Some((&b"a 9"[..], (5, None)))));
    assert_eq!(read(b"XCRC 5"), (&b"5"[..], None, None));
    assert_eq!(read(b"XCRC  5"), (&b" 5"[..], None, None));
    assert_eq!(read(b"XCRC \"a b\""), (&b"a b"[..], None, None));
    assert_eq!(read(b"XCRC \"a b\" 5"), (&b"a b"[..], Some((5, None)), None));
    assert_eq!(read(b"XCRC \"a b\" 5 9"), (&b"a b"[..], Some((5, Some(9))), None));
    assert_eq!(read(b"XCRC \"a"), (&b"\"a"[..], None, None));
    assert_eq!(read(b"XCRC \"\" 5"), (&b"\"\" 5"[..], None, Some((&b"\"\""[..], (5, None)))));
}

#[test]
fn facts_to_change() {
    let both = MffFacts { modified: Some(NEW_YEAR), mode: Some(0o640) };
    for facts in [&b"modify=20200101000000;UNIX.mode=0640;"[..], b"unix.MODE=640;Modify=20200101000000"] {
        assert_eq!(read_mff(facts), Ok(both));
    }
    for (facts, error) in [
        (&b"size=5;"[..], &b"size"[..]),
        (b"modify=20200101000000;owner=me;", b"owner"),
        (b"modify=x;", b""),
        (b"UNIX.mode=99;", b""),
        (b"modify", b""),
        (b"=5;", b""),
        (b";", b""),
        (b"modify=20200101000000;;", b""),
    ] {
        assert_eq!(read_mff(facts), Err(error), "{}", facts.escape_ascii());
    }
}

#[test]
fn names_in_quotes_and_without() {
    let read = |text: &[u8]| names(text, 3);
    let some = |names: &[&str]| Some(names.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>());
    assert_eq!(read(b"a b"), some(&["a", "b"]));
    assert_eq!(read(b"  a   \"b c\"  d "), some(&["a", "b c", "d"]));
    assert_eq!(read(b"\"a \"\"b\"\"\""), some(&["a \"b\""]));
    assert_eq!(read(b""), some(&[]));
    for bad in [&b"\"a"[..], b"\"\"", b"\"a\"b", b"a b c d"] {
        assert_eq!(read(bad), None, "{}", bad.escape_ascii());
    }
}

#[test]
fn site_rows_are_unique_and_complete() {
    let mut seen = HashSet::new();
    for row in SITE {
        assert!(seen.insert(row.word), "{} stands twice", row.word);
        assert_eq!(row.word, row.word.to_ascii_uppercase());
        assert_eq!(row.offer != Offer::Never, !row.syntax.is_empty(), "{}", row.word);
        assert!(
            row.feature.is_empty() || row.feature == std::format!("SITE {}", row.word) || row.word == "CPFR"
        );
        let names_a_path = ["<path>", "<file>", "<directory>", "<link>", "<to>"];
        if names_a_path.iter().any(|word| row.syntax.contains(word)) {
            assert_ne!(row.right, Rights::NONE, "{}", row.word);
        }
    }
    let known: HashSet<_> = Extras::NAMES.iter().map(|(name, _)| *name).collect();
    for row in SITE {
        if let Offer::Extra(extra) = row.offer {
            let name = Extras::NAMES.iter().find(|(_, one)| *one == extra).unwrap().0;
            assert!(name == std::format!("SITE {}", row.word) || row.word == "CPTO", "{name}");
        }
    }
    assert_eq!(known.len(), 9);
    assert_eq!(Extras::NAMES.iter().fold(Extras::NONE, |all, (_, one)| all.union(*one)), Extras::ALL);
    assert!(Extras::RMDA.union(Extras::RMDA).contains(Extras::RMDA));
}

#[test]
fn site_takes_what_its_sub_command_takes() {
    let site = lookup(b"SITE").unwrap();
    assert_eq!(demands(site, Some(b"chmod 644 a")), (Offer::Always, Rights::CHMOD));
    assert_eq!(demands(site, Some(b"COPY a b")).0, Offer::Extra(Extras::COPY));
    assert_eq!(demands(site, Some(b"EXEC a")).0, Offer::Never);
    assert_eq!(demands(site, Some(b"FROB")), (Offer::Always, Rights::NONE));
    assert_eq!(demands(lookup(b"RETR").unwrap(), Some(b"CHMOD")), (Offer::Always, Rights::READ));
}

#[test]
fn algorithms_are_found() {
    for algorithm in HashAlgorithm::ALL {
        assert_eq!(HashAlgorithm::find(algorithm.name().to_lowercase().as_bytes()), Some(algorithm));
        assert!(matches!(algorithm.digest_bytes(), 4 | 16 | 20 | 32 | 64));
    }
    assert_eq!(HashAlgorithm::find(b""), None);
}

#[test]
fn unknown_verbs() {
    for verb in [&b""[..], b"FROB", b"GET", b"\tNOOP", b"NOOP\t"] {
        assert!(lookup(verb).is_none(), "{}", verb.escape_ascii());
    }
    for (verb, foreign) in
        [(&b"get"[..], true), (b"POST", true), (b"ehlo", true), (b"RETR", false), (b"", false)]
    {
        assert_eq!(is_foreign_verb(verb), foreign);
    }
}

#[test]
fn nothing_on_a_path_without_login_and_right() {
    // Verbs that name a path: each needs a login and a right, save where the issue wants none.
    for row in TABLE.iter().filter(|row| row.is_offered(Extras::ALL)) {
        let takes_path = row.syntax.contains("<file>")
            || row.syntax.contains("<path>")
            || row.syntax.contains("<directory>");
        if takes_path {
            assert_ne!(row.needs, Needs::Nothing, "{}", row.verb);
            let checked_later = matches!(row.verb, "CWD" | "XCWD" | "STAT" | "SITE" | "MFF");
            assert!(row.right != Rights::NONE || checked_later, "{}", row.verb);
        }
    }
}
