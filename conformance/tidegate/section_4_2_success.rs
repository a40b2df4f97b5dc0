//! 200 where clients expect 200.

use std::net::{Ipv4Addr, TcpListener};

use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{PASSWORD, Subject, USER};

#[test]
fn the_seed_rows_answer_200() {
    let subject = Subject::start();
    let mut client = Client::greeted(subject.address());
    client.command("OPTS UTF8 ON", 200);
    client.command("NOOP", 200);
    client.login(USER, PASSWORD);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let target = format!("PORT 127,0,0,1,{},{}", port >> 8, port & 0xff);
    let extended = format!("EPRT |1|127.0.0.1|{port}|");
    for line in [
        "TYPE A",
        "TYPE I",
        "TYPE A N",
        "TYPE L 8",
        "MODE S",
        "STRU F",
        "NOOP",
        &target,
        &extended,
        "OPTS UTF8 ON",
    ] {
        client.command(line, 200);
    }
    client.command("QUIT", 221);
    client.expect_eof();
}

#[test]
fn the_other_success_codes_are_those_strict_clients_want() {
    let subject = Subject::start();
    let mut client = Client::logged_in(subject.address());
    client.upload("STOR a", b"abc");
    for (line, code) in [
        ("PWD", 257),
        ("MKD d", 257),
        ("CWD d", 250),
        ("CDUP", 250),
        ("SIZE a", 213),
        ("MDTM a", 213),
        ("MFMT 20200101000000 a", 213),
        ("MLST a", 250),
        ("RNFR a", 350),
        ("RNTO b", 250),
        ("REST 1", 350),
        ("SITE CHMOD 600 b", 200),
        ("DELE b", 250),
        ("RMD d", 250),
        ("ALLO 10", 202),
        ("SYST", 215),
        ("FEAT", 211),
        ("HELP", 214),
        ("STAT", 211),
        ("ABOR", 225),
        ("AUTH TLS", 502),
        ("FROB", 500),
        ("TYPE E", 504),
        ("RNTO c", 503),
        ("REIN", 220),
        ("PWD", 530),
    ] {
        client.command(line, code);
    }
    let features = Client::greeted(subject.address()).command("FEAT", 211).lines;
    assert!(!features.iter().any(|line| line.contains("AUTH")), "{features:?}");
}
