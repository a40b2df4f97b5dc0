//! NULs and Telnet without end (PROTOCOL §3.3 and §3.10): the reply count stays right, memory flat.

use tidegate_conformance::client::Client;
use tidegate_conformance::subject::Subject;

use crate::lab::{GROWTH_KIB_MAX, survives};
use crate::peer::flood;

const MIB: usize = 1 << 20;

/// Sends `bytes` in a session and expects `codes`; then the session must still be in step.
fn storm(subject: &Subject, what: &str, bytes: &[u8], codes: &[u16]) {
    for logged_in in [true, false] {
        let name = format!("{what}, logged in: {logged_in}");
        let peak = survives(subject, &name, || {
            let mut client = Client::greeted(subject.address());
            if logged_in {
                client.login(tidegate_conformance::subject::USER, tidegate_conformance::subject::PASSWORD);
            }
            assert!(flood(&client, bytes, codes.len()) == codes, "{name}: other codes than wanted");
            client.command("NOOP", 200);
            client.command("SYST", 215);
        });
        assert!(peak <= GROWTH_KIB_MAX, "{name}: {peak} KiB");
    }
}

#[test]
fn nul_storms() {
    let subject = Subject::start();
    let peak = survives(&subject, "NULs in 20,000 lines, and 1 MiB of them in one", || {
        let mut client = Client::logged_in(subject.address());
        let lines = b"CWD d\0x\r\nNO\0OP\r\n\0NOOP\r\nNOOP\0\r\n";
        let codes = flood(&client, &lines.repeat(5_000), 20_000);
        for four in codes.chunks(4) {
            assert_eq!(&four[..3], [501, 500, 500]);
            assert!([500, 501].contains(&four[3]), "{four:?}");
        }
        client.command("NOOP", 200);
        let _ = std::io::Write::write_all(&mut client.stream(), &vec![0; MIB]);
        client.expect(500);
        assert!(!matches!(client.try_line(), Ok(Some(_))), "one reply, not two");
    });
    assert!(peak <= GROWTH_KIB_MAX, "{peak} KiB");
}

#[test]
fn option_floods() {
    let subject = Subject::start();
    let options: Vec<u8> =
        (0..=249).filter(|byte| *byte != b'\n').flat_map(|byte| [0xff, 0xfb + byte % 4, byte]).collect();
    let bytes = [&options[..], b"NOOP\r\n"].concat().repeat(2 * MIB / options.len());
    storm(&subject, "2 MiB of IAC WILL, WONT, DO, DONT", &bytes, &vec![200; 2 * MIB / options.len()]);
    let split = [&b"NO"[..], &options, b"OP\r", b"\xff\xf1\n"].concat().repeat(1000);
    storm(&subject, "options inside of 1,000 NOOPs", &split, &[200; 1000]);
}

#[test]
fn ten_mebibytes_of_interrupts_and_of_one_subnegotiation() {
    let subject = Subject::start();
    let bytes = [&b"\xff\xf4".repeat(5 * MIB)[..], b"NOOP\r\n"].concat();
    storm(&subject, "10 MiB of IAC IP", &bytes, &[200]);
    let bytes = [&b"\xff\xfa"[..], &vec![0; 10 * MIB], b"\r\nNOOP\r\n"].concat();
    // The line end that ends it ends an empty line.
    storm(&subject, "IAC SB without an IAC SE for 10 MiB", &bytes, &[500, 200]);
}

#[test]
fn doubled_escapes() {
    let subject = Subject::start();
    let line = [&b"\xff\xff".repeat(1000)[..], b"\r\n"].concat();
    let bytes = [&line[..], b"NOOP\r\n"].concat().repeat(500);
    let peak = survives(&subject, "1 MiB of IAC IAC in 500 lines", || {
        let client = Client::logged_in(subject.address());
        assert!(flood(&client, &bytes, 1000) == [500, 200].repeat(500));
    });
    assert!(peak <= GROWTH_KIB_MAX, "{peak} KiB");
    // 32,768 doubled escapes are 32 KiB of a line: too long, yet a line. Twice as many are none.
    let bytes = [&b"\xff\xff".repeat(32 * 1024)[..], b"\r\nNOOP\r\n"].concat();
    storm(&subject, "64 KiB of IAC IAC in one line", &bytes, &[500, 200]);
}
