//! Too long, too many, too odd: lines (DESIGN §6.5, PROTOCOL §3.10 and A16).

use std::io::Write;

use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{Setup, Subject};

use crate::lab::{self, GROWTH_KIB_MAX, survives};
use crate::peer::{flood, read_codes};

#[test]
fn a_mebibyte_without_a_line_end() {
    let subject = Subject::start();
    for logged_in in [false, true] {
        let peak = survives(&subject, &format!("1 MiB without a line end, logged in: {logged_in}"), || {
            for _ in 0..10 {
                let mut client = greeted_or_logged_in(&subject, logged_in);
                // Sent without reading, as far as the server takes it; only then the reply is looked for. It gives up after
                // 64 KiB, reads on 128 KiB for the reply's sake and closes, so the rest may meet a reset.
                let _ = client.stream().write_all(&vec![b'A'; 1 << 20]);
                client.expect(500);
                match client.try_line() {
                    Ok(None) => {}
                    Ok(Some(line)) => panic!("one reply, not two: {line}"),
                    Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
                }
            }
        });
        assert!(peak <= GROWTH_KIB_MAX, "{peak} KiB");
    }
}

fn greeted_or_logged_in(subject: &Subject, logged_in: bool) -> Client {
    if logged_in { Client::logged_in(subject.address()) } else { Client::greeted(subject.address()) }
}

#[test]
fn a_hundred_thousand_mixed_commands_in_one_write() {
    let subject = Subject::start();
    let some: [(&str, u16); 10] = [
        ("NOOP", 200),
        ("PWD", 257),
        ("", 500),
        ("SYST", 215),
        ("FROB x", 500),
        ("TYPE I", 200),
        ("RNTO x", 503),
        ("CWD /", 250),
        ("SIZE nothing", 550),
        ("MODE S", 200),
    ];
    let text: String = some.iter().flat_map(|(line, _)| [line, "\r\n"]).collect();
    let wanted: Vec<u16> = some.iter().map(|(_, code)| *code).collect();
    let peak = survives(&subject, "100,000 mixed commands in one write", || {
        let mut client = Client::logged_in(subject.address());
        assert_eq!(flood(&client, text.repeat(10_000).as_bytes(), 100_000), wanted.repeat(10_000));
        client.command("NOOP", 200);
    });
    assert!(peak <= GROWTH_KIB_MAX, "{peak} KiB");
    let peak = survives(&subject, "100,000 NOOPs in one write, before login", || {
        let mut client = Client::greeted(subject.address());
        assert_eq!(flood(&client, &b"NOOP\r\n".repeat(100_000), 100_000), vec![200; 100_000]);
        client.command("NOOP", 200);
    });
    assert!(peak <= GROWTH_KIB_MAX, "{peak} KiB");
}

#[test]
fn a_hundred_thousand_long_replies_nobody_reads_at_first() {
    let subject = Subject::start();
    let mut deep = Client::logged_in(subject.address());
    for _ in 0..16 {
        deep.command(format!("MKD {}", "d".repeat(240)), 257);
        deep.command(format!("CWD {}", "d".repeat(240)), 250);
    }
    let peak = survives(&subject, "100,000 PWD with replies of 3.8 KiB", || {
        let mut client = Client::logged_in(subject.address());
        let way = format!("/{}", "d".repeat(240)).repeat(16);
        client.command(format!("CWD {way}"), 250);
        let mut writer = client.stream().try_clone().unwrap();
        std::thread::scope(|scope| {
            let sender = scope.spawn(move || writer.write_all(&b"PWD\r\n".repeat(100_000)));
            // For a while not one reply is read: what the sockets take is sent, the rest must not be made. Others are served.
            std::thread::sleep(std::time::Duration::from_millis(500));
            lab::next_client(&subject);
            assert_eq!(read_codes(client.stream(), 100_000), vec![257; 100_000]);
            sender.join().unwrap().expect("all commands sent");
        });
        client.command("NOOP", 200);
    });
    assert!(peak <= GROWTH_KIB_MAX, "{peak} KiB");
}

#[test]
fn lengths_below_at_and_above_each_bound() {
    let subject = Subject::start();
    survives(&subject, "lengths around each bound", || {
        let mut client = Client::logged_in(subject.address());
        // As one line: over the bound of a line, then over the bound of what is no line any more.
        client.command(format!("CWD {}", "/abc".repeat(4000)), 500);
        client.command("NOOP", 200);
        let mut other = Client::logged_in(subject.address());
        other.send(format!("CWD {}\r\n", "/abc".repeat(65 * 256)).as_bytes());
        other.expect(500);
        other.expect_eof();
        // Of a component.
        let (longest, longer) = ("c".repeat(255), "c".repeat(256));
        client.command(format!("MKD {longest}"), 257);
        client.command(format!("MKD {longer}"), 553);
        client.command(format!("CWD {longer}"), 550);
        client.command(format!("SIZE {longer}"), 550);
        client.command(format!("RMD {longest}"), 250);
        // Of a path: 15 names of 255 bytes make 3840; the last ones fill up to 4095, 4096 and 4097.
        let stem = format!("/{}", "p".repeat(255)).repeat(15);
        for depth in 1..=15 {
            client.command(format!("MKD {}", &stem[..256 * depth]), 257);
        }
        client.command(format!("MKD {stem}/{}", "q".repeat(200)), 257);
        for (last, makes, finds) in [(53, 257, 250), (54, 257, 250), (55, 553, 550)] {
            let path = format!("{stem}/{}/{}", "q".repeat(200), "r".repeat(last));
            assert_eq!(path.len(), 4042 + last);
            client.command(format!("MKD {path}"), makes);
            client.command(format!("CWD {path}"), finds);
            client.command(format!("CWD {stem}/{}", "q".repeat(200)), 250);
            // The same by a relative name: the bound is on where it leads.
            let made_already = if makes == 257 { 550 } else { makes };
            client.command(format!("MKD {}", "r".repeat(last)), made_already);
            client.command(format!("CWD {}", "r".repeat(last)), finds);
            let pwd = client.command("PWD", 257);
            let length = if finds == 250 { 4042 + last } else { 4041 };
            assert_eq!(pwd.text().split('"').nth(1).unwrap().len(), length);
            client.command("CWD /", 250);
        }
        // A long way to a short path is a path all the same, up to the bound on what is written.
        client.command(format!("CWD {}", "/.".repeat(2048)), 250);
        client.command(format!("CWD {}/", "/.".repeat(2048)), 550);
    });
    survives(&subject, "names and passwords that are too long", || {
        for (user, password) in [(256, 10), (257, 10), (4000, 10), (10, 1024), (10, 1025), (10, 4000)] {
            let mut client = Client::greeted(subject.address());
            let first = client.say(format!("USER {}", "u".repeat(user))).code;
            assert!([331, 501, 530].contains(&first), "{first}");
            let second = client.say(format!("PASS {}", "p".repeat(password))).code;
            assert!([501, 503, 530].contains(&second), "{second}");
            println!("USER of {user} bytes: {first}, PASS of {password} bytes: {second}");
        }
    });
}

#[test]
fn lines_that_never_fit_one_after_another() {
    let subject = Setup::default().start();
    let peak = survives(&subject, "1,000 lines of 60 KiB", || {
        let mut client = Client::logged_in(subject.address());
        let lines = [&vec![b'x'; 60_000][..], b"\r\n"].concat().repeat(100);
        for _ in 0..10 {
            assert_eq!(flood(&client, &lines, 100), [500; 100]);
        }
        client.command("NOOP", 200);
    });
    assert!(peak <= GROWTH_KIB_MAX, "{peak} KiB");
}
