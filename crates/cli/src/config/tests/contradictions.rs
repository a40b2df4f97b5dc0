//! Every contradiction of limits, networks and addresses: which key it is told at, which other key it names, and whether it
//! only warns.

use super::*;

/// Text behind a root and an account, the key, a part of the sentence, the other key, and whether it only warns.
type Contradiction = (&'static str, &'static str, &'static str, &'static str, bool);

const WARNS: bool = true;
const FAILS: bool = false;

const NUMBERS: &[Contradiction] = &[
    (
        "[[listener]]\npassive_ports = '50000-50009'\n[limits]\ntransfers = 11",
        "limits.transfers",
        "11 transfers need more passive ports than there are",
        "listener[1].passive_ports",
        WARNS,
    ),
    (
        "[[listener]]\npassive_ports = '50000-50009'\n[limits]\nconnections = 11",
        "listener[1].passive_ports",
        "10 passive ports are fewer than 11 connections",
        "limits.connections",
        WARNS,
    ),
    (
        "[limits]\ncommand_rate = '20/1s'",
        "limits.command_rate",
        "nobody is ever banned for it",
        "limits.login_failures",
        WARNS,
    ),
    (
        "[limits]\nconnections = 800\ntransfers = 100",
        "limits.connections",
        "800 connections need more descriptors than the system gives",
        "limits.transfers",
        FAILS,
    ),
    (
        "[limits]\nwaiting_room = { hold = '5s', places = 1000 }",
        "limits.waiting_room.places",
        "1000 who wait leave no descriptor",
        "limits.waiting_room.hold",
        FAILS,
    ),
    (
        "[limits]\nconnections_per_address = 8\nshadow = { connections_per_address = 8 }",
        "limits.shadow.connections_per_address",
        "8 is not below `limits.connections_per_address`",
        "limits.connections_per_address",
        WARNS,
    ),
    (
        "[limits]\nconnections = 100\nshadow = { connections = 101 }",
        "limits.shadow.connections",
        "not below",
        "limits.connections",
        WARNS,
    ),
    (
        "[limits]\ntransfers = 100\nshadow = { transfers_per_address = 100 }",
        "limits.shadow.transfers_per_address",
        "100 is not below `limits.transfers`",
        "limits.transfers",
        WARNS,
    ),
    (
        "[limits]\nconnection_rate_per_address = '30/10s'\nshadow = { connection_rate_per_address = '60/20s' }",
        "limits.shadow.connection_rate_per_address",
        "refuses nothing that `limits.connection_rate_per_address` lets through",
        "limits.connection_rate_per_address",
        WARNS,
    ),
    (
        "[[listener]]\nconnections = 9\nshadow = { connections = 9 }",
        "listener[1].shadow.connections",
        "9 is not below `listener[1].connections`",
        "listener[1].connections",
        WARNS,
    ),
    (
        "[[listener]]\nconnection_rate = '9/1s'\nshadow = { connection_rate = '9/1s' }",
        "listener[1].shadow.connection_rate",
        "lets through",
        "listener[1].connection_rate",
        WARNS,
    ),
    (
        "[limits]\nshadow = { connection_rate_per_address = '9/1s' }\n[[limits.override]]\nfrom = '10.0.0.0/8'\nconnection_rate_per_address = '8/1s'",
        "limits.override[10.0.0.0/8].connection_rate_per_address",
        "is not above `limits.shadow.connection_rate_per_address`",
        "limits.shadow.connection_rate_per_address",
        WARNS,
    ),
    (
        "[limits]\nconnections = 100\nconnections_per_address = 101",
        "limits.connections_per_address",
        "101 is more than `limits.connections`",
        "limits.connections",
        WARNS,
    ),
    (
        "[limits]\ntransfers = 9\ntransfers_per_address = 10",
        "limits.transfers_per_address",
        "10 is more than `limits.transfers`",
        "limits.transfers",
        WARNS,
    ),
    (
        "[limits]\nconnections_per_address = 9\ntransfers_per_address = 10",
        "limits.transfers_per_address",
        "10 is more than `limits.connections_per_address`",
        "limits.connections_per_address",
        WARNS,
    ),
    (
        "[limits]\nconnections = 100\nreserved = { connections = 100, from = ['10.0.0.0/8'] }",
        "limits.reserved.connections",
        "100 of 100 connections are kept",
        "limits.connections",
        FAILS,
    ),
    (
        "[[listener]]\nconnections = 30\n[[listener]]\naddress = '127.0.0.1:0'\nconnections = 20\n[limits]\nconnections = 51",
        "limits.connections",
        "51 is never reached: the listeners together take 50",
        "listener[1].connections",
        WARNS,
    ),
    (
        "[limits]\nreclaim = 'idle'",
        "limits.reclaim",
        "no address and no account is ever full",
        "limits.connections_per_address",
        WARNS,
    ),
    (
        "[limits]\nban = { first = '5m', most = '1m' }",
        "limits.ban.most",
        "the longest ban (1m) is shorter than the first (5m)",
        "limits.ban.first",
        FAILS,
    ),
    (
        "[[limits.override]]\nfrom = '10.0.0.0/8'\ntransfers_per_address = 3\n[[limits.override]]\nfrom = '10.0.0.0/8'\nconnections_per_address = 3",
        "limits.override[10.0.0.0/8].from",
        "10.0.0.0/8 has other limits already",
        "limits.override[10.0.0.0/8].from",
        FAILS,
    ),
];

const ADDRESSES: &[Contradiction] = &[
    (
        "[limits]\nallow = ['10.0.0.0/8', '192.0.2.0/24']\ndeny = ['10.0.0.0/8', '172.16.0.0/12']",
        "limits.allow",
        "10.0.0.0/8 may not connect all the same",
        "limits.deny",
        WARNS,
    ),
    (
        "[limits]\nallow = ['10.0.0.0/8', '192.0.2.0/24']\ndeny = ['8.0.0.0/5', '192.0.2.0/24']",
        "limits.deny",
        "nobody may connect",
        "limits.allow",
        FAILS,
    ),
    (
        "[limits]\nallow = ['10.0.0.0/8']\ntrusted = ['192.0.2.0/24', '10.1.0.0/16']",
        "limits.trusted",
        "192.0.2.0/24 may not connect at all",
        "limits.allow",
        WARNS,
    ),
    (
        "[limits]\nallow = ['10.0.0.0/8']\nreserved = { connections = 1, from = ['192.0.2.7'] }",
        "limits.reserved.from",
        "192.0.2.7/32 may not connect at all",
        "limits.allow",
        WARNS,
    ),
    (
        "[limits]\nlogin_failures = '5/5m'\ntrusted = ['0.0.0.0/0']",
        "limits.login_failures",
        "bans nobody: every IPv4 address is trusted",
        "limits.trusted",
        WARNS,
    ),
    (
        "[admin]\nhttp = '127.0.0.1:9000'\nagent = '127.0.0.1:9000'",
        "admin.agent",
        "127.0.0.1:9000 is taken by admin.http",
        "admin.http",
        FAILS,
    ),
    (
        "[[listener]]\naddress = '[::]:9000'\n[admin]\nagent = '127.0.0.1:9000'",
        "admin.agent",
        "127.0.0.1:9000 is taken by listener[1]",
        "listener[1].address",
        FAILS,
    ),
    (
        "[[listener]]\npassive_ports = '9000-9009'\n[admin]\nhttp = '127.0.0.1:9005'",
        "listener[1].passive_ports",
        "port 9005 in it is admin.http",
        "admin.http",
        FAILS,
    ),
];

fn gate(text: &str) -> String {
    // The root first, then what may be sections, then the account: keys behind it would be the account's.
    format!("root = '/srv'\n{text}\n[[account]]\nname = 'a'\npassword_hash = '{HASH}'\n")
}

fn listed(text: &str) -> Vec<Problem> {
    match load(text) {
        Ok(loaded) => loaded.warnings.map_or(Vec::new(), |warnings| warnings.list),
        Err(problems) => problems.list,
    }
}

#[test]
fn each_is_told_at_both_keys_with_what_to_do() {
    for (text, key, what, other, warns) in NUMBERS.iter().chain(ADDRESSES) {
        let text = gate(text);
        let list = listed(&text);
        let [problem] = list.as_slice() else { panic!("{text}: {list:#?}") };
        assert_eq!(problem.key, *key, "{text}");
        assert!(problem.what.contains(what), "{text}: {problem:#?}");
        assert_eq!(problem.other.as_ref().map(|other| other.key.as_str()), Some(*other), "{text}");
        assert_eq!(problem.is_warning, *warns, "{text}");
        assert!(problem.at.is_some() && problem.hint.is_some(), "{text}: {problem:#?}");
        assert_eq!(load(&text).is_ok(), *warns);
    }
}

#[test]
fn what_cannot_work_is_an_error_in_serve_too_and_scarce_descriptors_are_not() {
    for (text, key, ..) in NUMBERS.iter().chain(ADDRESSES).filter(|(.., warns)| *warns == FAILS) {
        let of_machine = matches!(*key, "limits.connections" | "limits.waiting_room.places");
        assert_eq!(load_with(&gate(text), false).is_ok(), of_machine, "{text}");
    }
}

#[test]
fn what_looks_alike_and_is_none() {
    for text in [
        "[[listener]]\npassive_ports = '50000-50009'\n[limits]\ntransfers = 10",
        "[[listener]]\npassive_ports = '50000-50009'\n[[listener]]\naddress = '127.0.0.1:0'\n[limits]\ntransfers = 20",
        "[[listener]]\npassive_ports = '50000-50009'\n[[listener]]\naddress = '127.0.0.1:0'\npassive_ports = '50010-50019'\n[limits]\ntransfers = 20",
        "[limits]\nconnections = 380\ntransfers = 100",
        "[[listener]]\npassive_ports = '50000-50009'",
        "[[listener]]\npassive_ports = '50000-50009'\n[limits]\nconnections = 10",
        "[[listener]]\npassive_ports = '50000-50009'\n[limits]\nconnections = 11\ntransfers = 10",
        "[[listener]]\npassive_ports = '50000-50009'\n[[listener]]\naddress = '127.0.0.1:0'\n[limits]\nconnections = 50",
        "[limits]\ncommand_rate = '20/1s'\nlogin_failures = '10/5m'",
        "[limits]\nconnections_per_address = 8\nshadow = { connections_per_address = 7, connection_rate_per_address = '9/1s' }",
        "[limits]\nconnection_rate_per_address = '30/10s'\nshadow = { connection_rate_per_address = '30/20s' }",
        "[limits]\nallow = ['10.0.0.0/8']\ndeny = ['10.1.0.0/16']",
        "[limits]\nallow = ['10.0.0.0/8']\nlogin_failures = '5/5m'",
        "[limits]\nallow = ['10.1.0.0/16']\ntrusted = ['10.0.0.0/8']",
        "[limits]\nwaiting_room = { hold = '5s' }",
        "[limits]\nreclaim = 'dead'\nconnections_per_address = 4",
        "[limits]\nconnections_per_address = 9\ntransfers_per_address = 10\n[[limits.override]]\nfrom = '10.0.0.0/8'\nconnections_per_address = 20",
        "[limits]\nban = { first = '1d' }",
        "[[listener]]\nconnections = 30\n[[listener]]\naddress = '127.0.0.1:0'\n[limits]\nconnections = 51",
        "[admin]\nhttp = '127.0.0.1:0'\nagent = '127.0.0.1:0'",
        "[admin]\nhttp = '[::1]:2180'",
    ] {
        assert_eq!(listed(&gate(text)), [], "{text}");
    }
}

#[test]
fn a_value_that_could_not_be_read_contradicts_nothing() {
    for text in [
        "[limits]\nban = { first = '5m', most = 'long' }",
        "[limits]\nban = { first = 'short' }",
        "[limits]\nwaiting_room = { hold = 'a while', places = 9 }",
        "[limits]\nreserved = { connections = 9, from = 'office' }",
        "[[limits.override]]\nfrom = 'office'\nconnections_per_address = 9",
        "[[listener]]\naddress = 'x'\n[admin]\nhttp = '127.0.0.1:2121'",
    ] {
        let found = problems(&gate(text));
        assert_eq!(found.len(), 1, "{text}: {found:#?}");
    }
}

#[test]
fn groups_are_written_in_any_form_and_misspellings_are_told() {
    for text in [
        "[limits]\nreserved = { connections = 8, from = ['10.0.0.0/8'] }",
        "[limits.reserved]\nconnections = 8\nfrom = ['10.0.0.0/8']",
        "[limits]\nreserved.connections = 8\nreserved.from = ['10.0.0.0/8']",
    ] {
        let config = load(&gate(text)).unwrap().config;
        assert_eq!(config.limits.reserved.unwrap().connections.value, 8, "{text}");
    }
    for (text, expected) in [
        (
            "[limits]\nreserved = 8",
            "limits.reserved: is a group of keys | expected reserved = { connections = ..., from = ... }",
        ),
        (
            "[limits]\nreserved = { connections = 8 }",
            "limits.reserved.from: is missing | expected the key `from` | add `from = ...`: a list of networks",
        ),
        (
            "[limits]\nban = { fisrt = '1m' }",
            "limits.ban.fisrt: unknown key | there is no such key | did you mean `first`?",
        ),
        ("[limits]\nbam = { first = '1m' }", "did you mean `ban`?"),
        ("[limits.override]\nfrom = '10.0.0.0/8'", "double brackets | expected [[limits.override]]"),
        ("[limits]\nshadow = { command_rate = '9/1s' }", "`command_rate` belongs under [limits]"),
        ("[overload]\nmemroy = '80%'", "did you mean `memory`?"),
        ("connection_rate = '9/1s'", "`connection_rate` belongs under [[listener]] or [listener.shadow]"),
    ] {
        let found = problems(&gate(text));
        assert!(found.iter().any(|problem| problem.contains(expected)), "{text}: {found:#?}");
    }
}

#[test]
fn defaults_are_those_of_the_gate() {
    let defaults = Config::defaults();
    assert_eq!(defaults.overload, Overload::default());
    let (ban, standard) = (&defaults.limits.ban, tidegate_admission::BanPolicy::default());
    assert_eq!(
        (ban.first.value, ban.factor.0, ban.most.value, ban.silent),
        (standard.first, standard.factor, standard.most, standard.silent)
    );
    let (room, standard) = (&defaults.limits.waiting_room, tidegate_admission::WaitingRoom::default());
    assert_eq!((room.hold.value, room.places.value), (standard.hold, standard.places));
    assert_eq!(defaults.limits.trusted.value.show(), "127.0.0.0/8, ::1/128");
    assert!(defaults.limits.login_failures.is_none() && defaults.limits.reserved.is_none());
    assert_eq!((&defaults.state.value, &defaults.admin.socket.value), (&Place::Auto, &Place::Auto));
    assert!(defaults.admin.http.is_none() && defaults.admin.agent.is_none());
}

#[test]
fn the_socket_is_found_in_a_file_with_other_errors() {
    let socket = |text: &str| admin_socket(&Source::from_text("t.toml", Path::new("/etc"), text));
    assert_eq!(socket("greting = 1\n[admin]\nsocket = './x'").unwrap(), Place::At("/etc/x".into()));
    assert_eq!(socket("[admin]\nsocket = 'off'").unwrap(), Place::Off);
    assert_eq!(socket("root = 7").unwrap(), Place::Auto);
    assert_eq!(socket("[admin]\nsocket = 7").unwrap_err().list.len(), 1);
    assert!(socket("[admin").is_err());
}

/// A contradiction as it is seen: both places, what was expected, what to do. Kept word for word.
#[test]
fn contradictions_are_worth_reading() {
    let text = "root = \"/srv\"\n\n[anonymous]\nenabled = true\n\n[[listener]]\npassive_ports = \"50000-50099\"\n\n[limits]\nconnections_per_address = 8\ntransfers = 120\nshadow = { connections_per_address = 8 }\n";
    let warnings = load(text).unwrap().warnings.unwrap();
    assert_eq!(warnings.render(Drawing::Lines), include_str!("contradictions.txt"));
    let network = "root = \"/srv\"\n\n[anonymous]\nenabled = true\n\n[limits]\ndeny = [\"198.51.100.0/24\", \"10.0.0.5/8\"]\n";
    assert_eq!(load(network).unwrap_err().render(Drawing::Plain), include_str!("network.txt"));
}
