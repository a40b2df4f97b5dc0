//! ABOR and STAT while data moves: answered at once, in every form, also while the client does not read.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::net::{SendFlags, send};
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{Setup, Subject};

/// "At once", generously: what a person does not notice.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Starts a download that the client does not read.
fn stuck_download(subject: &Subject) -> (Client, TcpStream) {
    std::fs::write(subject.home.join("big"), vec![7; 64 << 20]).unwrap();
    let mut client = Client::logged_in(subject.address());
    let mut data = client.passive();
    client.command("RETR big", 150);
    data.read_exact(&mut [0; 1000]).unwrap();
    (client, data)
}

fn urgent(client: &Client, bytes: &[u8]) {
    assert_eq!(send(client.stream(), bytes, SendFlags::OOB).unwrap(), bytes.len());
}

/// A way to say ABOR.
type Form = fn(&mut Client);

#[test]
fn four_forms_of_abor() {
    let subject = Subject::start();
    let forms: [(&str, Form); 4] = [
        ("plain", |client| client.send(b"ABOR\r\n")),
        ("all urgent", |client| urgent(client, b"ABOR\r\n")),
        ("IP and Synch", |client| {
            client.send(b"\xff\xf4\xff");
            urgent(client, b"\xf2");
            client.send(b"ABOR\r\n");
        }),
        ("urgent IAC, DM in band", |client| {
            urgent(client, b"\xff\xf4\xff");
            client.send(b"\xf2ABOR\r\n");
        }),
    ];
    for (name, form) in forms {
        let (mut client, _data) = stuck_download(&subject);
        let asked = Instant::now();
        form(&mut client);
        client.expect(426);
        client.expect(226);
        assert!(asked.elapsed() < AT_ONCE, "{name}: {:?}", asked.elapsed());
        client.command("NOOP", 200);
        client.command("RETR big", 425);
        assert_eq!(client.download("NLST"), b"big\r\n");
    }
}

#[test]
fn abor_behind_a_full_queue_of_commands() {
    let subject = Subject::start();
    let (mut client, _data) = stuck_download(&subject);
    client.send(&b"PWD\r\n".repeat(40));
    client.send(b"ABOR\r\n");
    let asked = Instant::now();
    client.expect(426);
    assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
    let mut codes: Vec<u16> = (0..41).map(|_| client.reply().code).collect();
    assert_eq!(codes.iter().filter(|code| **code == 226).count(), 1, "{codes:?}");
    codes.retain(|code| *code != 226);
    assert_eq!(codes, [257; 40]);
}

#[test]
fn abor_cuts_an_upload_and_keeps_the_old_file() {
    let subject = Subject::start();
    let mut client = Client::logged_in(subject.address());
    client.upload("STOR a", b"the old file");
    let mut data = client.passive();
    client.command("STOR a", 150);
    data.write_all(b"half").unwrap();
    client.send(b"ABOR\r\n");
    client.expect(426);
    client.expect(226);
    assert_eq!(client.download("RETR a"), b"the old file");
    assert_eq!(client.download("NLST"), b"a\r\n");
}

#[test]
fn stat_at_once_noop_and_quit_after() {
    let subject = Subject::start();
    let (mut client, mut data) = stuck_download(&subject);
    client.send(b"NOOP\r\nSTAT\r\nQUIT\r\n");
    let asked = Instant::now();
    let status = client.expect(211);
    assert!(asked.elapsed() < AT_ONCE);
    assert!(status.lines.iter().any(|line| line.starts_with(" Sending file (")), "{status:?}");
    let mut rest = Vec::new();
    data.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), (64 << 20) - 1000);
    client.expect(226);
    client.expect(200);
    client.expect(221);
    client.expect_eof();
}

#[test]
fn a_stalled_data_connection_is_426_and_the_session_lives() {
    let subject = Setup::with("[timeouts]\ndata_stall = \"1s\"\ndata_open = \"1s\"\n").start();
    let (mut client, data) = stuck_download(&subject);
    let reply = client.expect(426);
    assert!(reply.text().contains("cause=data-stalled"), "{reply:?}");
    drop(data);
    client.command("NOOP", 200);
    let mut upload = client.passive();
    client.command("STOR a", 150);
    upload.write_all(b"then nothing").unwrap();
    client.expect(426);
    client.command("NOOP", 200);
    // Nobody connects at all.
    client.command("EPSV", 229);
    client.command("NLST", 150);
    client.expect(425);
    client.command("NOOP", 200);
}

#[test]
fn a_client_that_never_reads_is_not_answered_into_memory() {
    let subject = Subject::start();
    for index in 0..1000 {
        std::fs::write(subject.home.join(format!("{index}{}", "x".repeat(240))), b"").unwrap();
    }
    let before = subject.resident_kib();
    let clients: Vec<Client> = (0..20)
        .map(|_| {
            let mut client = Client::logged_in(subject.address());
            client.send(&b"STAT .\r\n".repeat(17));
            client
        })
        .collect();
    // Each answer is about 320 KiB; 17 of them for 20 clients are over 100 MiB. What the sockets and one answer hold is not.
    std::thread::sleep(Duration::from_secs(2));
    let grown = subject.resident_kib().saturating_sub(before);
    assert!(grown < 40 * 1024, "{grown} KiB for {} clients that do not read", clients.len());
    let mut other = Client::logged_in(subject.address());
    other.command("NOOP", 200);
}
