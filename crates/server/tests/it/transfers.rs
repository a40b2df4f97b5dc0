//! Transfers over real sockets, with and without kernel copies.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{Client, Data, House, Setup, soon};
use tidegate_server::{PortChoice, Timeouts};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| u8::try_from((at * 31 + at / 251) % 251).unwrap()).collect()
}

/// The same house with and without descriptors.
fn both() -> [House; 2] {
    [false, true].map(|kernel| Setup { kernel, ..Setup::default() }.start())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_come_and_go_unchanged() {
    for house in both() {
        let mut client = house.enter().await;
        for size in [0, 1, 1000, 3_000_000] {
            let bytes = content(size);
            client.store("STOR a", &bytes).await;
            assert!(house.files.get("/a").unwrap() == bytes, "{size} bytes up");
            assert!(client.fetch("RETR a").await == bytes, "{size} bytes down");
        }
        client.expect("REST 2999990", "350").await;
        assert_eq!(client.fetch("RETR a").await, &content(3_000_000)[2_999_990..]);
        client.store("APPE a", b"tail").await;
        assert_eq!(house.files.get("/a").unwrap().len(), 3_000_004);
        client.expect("RETR nowhere", "425").await;
        let summary = house.end().await;
        assert_eq!(
            (summary.transfers_completed, summary.transfers_failed, summary.transfers_cut),
            (10, 0, 0)
        );
        assert_eq!(summary.bytes_sent, 3_001_001 + 10);
        assert_eq!(summary.bytes_received, 3_001_001 + 4);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ascii_converts_line_ends() {
    for house in both() {
        let mut client = house.enter().await;
        house.files.put("/text", "one\ntwo\n");
        client.expect("TYPE A", "200").await;
        assert_eq!(client.fetch("RETR text").await, b"one\r\ntwo\r\n");
        client.store("STOR back", b"one\r\ntwo\r\n").await;
        assert_eq!(house.files.get("/back").unwrap(), b"one\ntwo\n");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listings_show_what_is_there() {
    let house = Setup::default().start();
    for number in 0..1000 {
        house.files.put(&format!("/file-{number:04}"), "x");
    }
    let mut client = house.enter().await;
    for command in ["LIST", "NLST", "MLSD"] {
        let text = String::from_utf8(client.fetch(command).await).unwrap();
        assert_eq!(text.lines().filter(|line| line.contains("file-0")).count(), 1000, "{command}");
    }
    let one = String::from_utf8(client.fetch("LIST file-0007").await).unwrap();
    assert_eq!(one.lines().count(), 1, "{one}");
    assert!(one.trim_end().ends_with(" file-0007"), "{one}");
    let facts = client.expect("MLST file-0007", "250-").await;
    assert!(facts.contains("size=1;"), "{facts}");
    let stat = client.expect("STAT /", "212").await;
    assert!(stat.contains("file-0000"), "{stat}");
    client.epsv().await;
    client.expect("LIST nowhere", "550").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abor_ends_a_download_that_nobody_reads() {
    for house in both() {
        house.files.put("/big", vec![7; 64 << 20]);
        let mut client = house.enter().await;
        let data = client.transfer("RETR big").await;
        // Until the socket buffers are full and the server waits.
        wait_until_still(&mut client).await;
        client.send("ABOR\r\n").await;
        let at_once = tokio::time::timeout(Duration::from_secs(2), async {
            client.hear("426").await;
            client.hear("226").await;
        });
        at_once.await.expect("at once, not when the client reads");
        drop(data);
        client.expect("NOOP", "200").await;
        let summary = house.end().await;
        assert_eq!((summary.transfers_failed, summary.transfers_cut), (1, 0));
    }
}

/// The ways clients send ABOR (PROTOCOL §3.3): plain, with Telnet IP and Synch in line, and with urgent data.
#[derive(Clone, Copy, Debug)]
enum AborForm {
    Plain,
    InLine,
    UrgentMark,
    AllUrgent,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abor_is_heard_in_every_form_before_the_data_connection_and_after() {
    let house = Setup::default().start();
    house.files.put("/big", vec![7; 64 << 20]);
    let mut client = house.enter().await;
    for form in [AborForm::Plain, AborForm::InLine, AborForm::UrgentMark, AborForm::AllUrgent] {
        client.epsv().await;
        client.expect("RETR big", "150").await;
        send_abor(&mut client, form).await;
        client.hear("426").await;
        client.hear("226").await;
        let _unread = client.transfer("RETR big").await;
        send_abor(&mut client, form).await;
        client.hear("426").await;
        client.hear("226").await;
        client.expect("NOOP", "200").await;
    }
}

async fn send_abor(client: &mut Client, form: AborForm) {
    use rustix::net::{SendFlags, send};
    let urgent = |stream: &tokio::net::TcpStream, bytes: &[u8]| {
        assert_eq!(send(stream, bytes, SendFlags::OOB).unwrap(), bytes.len());
    };
    match form {
        AborForm::Plain => client.send("ABOR\r\n").await,
        AborForm::InLine => client.send(b"\xff\xf4\xff\xf2ABOR\r\n").await,
        AborForm::UrgentMark => {
            client.send(b"\xff\xf4").await;
            urgent(&client.stream, b"\xff");
            client.send(b"\xf2ABOR\r\n").await;
        }
        AborForm::AllUrgent => urgent(&client.stream, b"ABOR\r\n"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quit_waits_for_the_transfer() {
    for house in both() {
        let mut client = house.enter().await;
        let mut data = client.transfer("STOR a").await;
        client.send("QUIT\r\n").await;
        data.send(b"whole").await;
        drop(data);
        client.hear("226").await;
        client.hear("221").await;
        assert_eq!(client.rest().await, "");
        assert_eq!(house.files.get("/a").unwrap(), b"whole");
    }
}

/// Waits until the transfer moves no more bytes, as STAT tells.
async fn wait_until_still(client: &mut Client) {
    let mut seen = String::new();
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let stat = client.expect("STAT", "211").await;
        if stat == seen {
            break;
        }
        seen = stat;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stat_is_answered_during_a_transfer_and_noop_after_it() {
    for house in both() {
        house.files.put("/big", vec![7; 32 << 20]);
        let mut client = house.enter().await;
        let mut data = client.transfer("RETR big").await;
        client.send("NOOP\r\nSTAT\r\n").await;
        let stat = client.hear("211").await;
        assert!(stat.contains("bytes"), "{stat}");
        assert_eq!(data.rest().await.len(), 32 << 20);
        client.hear("226").await;
        client.hear("200").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abor_discards_an_upload_but_not_a_complete_one() {
    for house in both() {
        let mut client = house.enter().await;
        let mut data = client.transfer("STOR cut").await;
        data.send(b"half of it").await;
        client.send("ABOR\r\n").await;
        client.hear("426").await;
        client.hear("226").await;
        assert_eq!(house.files.get("/cut"), None);

        let mut data = client.transfer("STOR slow").await;
        data.send(b"all of it").await;
        // The server's end of the data connection closes when it has read ours.
        data.0.shutdown().await.unwrap();
        assert_eq!(data.rest().await, b"");
        client.send("ABOR\r\n").await;
        client.expect("STAT", "211").await;
        house.files.commits.add_permits(1);
        client.hear("226").await;
        client.hear("22").await;
        assert_eq!(house.files.get("/slow").unwrap(), b"all of it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_dies_during_an_upload_leaves_no_file() {
    for house in both() {
        let mut client = house.enter().await;
        let mut data = client.transfer("STOR half").await;
        data.send(b"half of it").await;
        // As the kernel does for a killed process: both connections, the control connection first.
        drop(client);
        drop(data);
        no_session(&house).await;
        assert_eq!(house.files.get("/half"), None);
    }
}

/// Sends a file that is committed slowly, says `words` and closes both connections, the data connection first; then lets the
/// commit go on. Returns whether the file is there in the end.
async fn is_published_after(house: &House, words: &str) -> bool {
    let mut client = house.enter().await;
    let mut data = client.transfer("STOR slow").await;
    data.send(b"half of it").await;
    data.0.shutdown().await.unwrap();
    // The server closes its end when it has read ours, and commits.
    assert_eq!(data.rest().await, b"");
    client.send(words).await;
    drop(client);
    house.files.commits.add_permits(1);
    no_session(house).await;
    house.files.get("/slow").is_some()
}

async fn no_session(house: &House) {
    soon("the session's end", async {
        while house.handle.snapshot().sessions > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_gone_at_the_last_moment_leaves_no_file() {
    for house in both() {
        assert!(
            !is_published_after(&house, "").await,
            "it closed the data first, and the control connection at once"
        );
        let summary = house.end().await;
        assert_eq!((summary.transfers_completed, summary.transfers_failed), (0, 1));
    }
    for house in both() {
        assert!(is_published_after(&house, "QUIT\r\n").await, "it said goodbye");
        let summary = house.end().await;
        assert_eq!((summary.transfers_completed, summary.transfers_failed), (1, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_with_its_goodbye_right_behind_it_is_complete() {
    for house in both() {
        for round in 0..3 {
            let mut client = house.enter().await;
            let mut data = client.data().await;
            client.send(format!("STOR slow{round}\r\nQUIT\r\n")).await;
            data.send(b"all of it").await;
            data.0.shutdown().await.unwrap();
            assert_eq!(data.rest().await, b"");
            client.hear("150").await;
            drop(client);
            house.files.commits.add_permits(1);
            no_session(&house).await;
            assert_eq!(house.files.get(&format!("/slow{round}")), Some(b"all of it".to_vec()), "{round}");
        }
        let summary = house.end().await;
        assert_eq!((summary.transfers_completed, summary.transfers_failed), (3, 0));
    }
}

#[tokio::test]
async fn a_client_that_resets_before_it_is_greeted_is_forgotten() {
    let house = Setup::default().start();
    for _ in 0..20 {
        // Nothing of the session runs before this test waits, so that its greeting finds the reset.
        let stream = std::net::TcpStream::connect(house.address).unwrap();
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    }
    // Who comes later is greeted later.
    house.enter().await.expect("QUIT", "221").await;
    no_session(&house).await;
    assert_eq!(house.end().await.sessions_served, 21);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_upload_is_no_complete_upload() {
    for house in both() {
        let mut client = house.enter().await;
        let mut data = client.transfer("STOR reset").await;
        data.send(b"half of it").await;
        data.0.set_zero_linger().unwrap();
        drop(data);
        client.hear("426").await;
        assert_eq!(house.files.get("/reset"), None);
        client.expect("NOOP", "200").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storage_gives_its_descriptor_only_for_a_byte() {
    let house = Setup { kernel: true, ..Setup::default() }.start();
    let mut client = house.enter().await;
    let data = client.transfer("STOR aborted").await;
    client.send("ABOR\r\n").await;
    client.hear("426").await;
    client.hear("226").await;
    drop(data);
    let data = client.transfer("STOR reset").await;
    data.0.set_zero_linger().unwrap();
    drop(data);
    client.hear("426").await;
    assert!(!house.files.lent.load(Ordering::Relaxed), "no byte came");
    client.store("STOR a", b"bytes").await;
    assert!(house.files.lent.load(Ordering::Relaxed), "the kernel copies");
    assert_eq!(house.files.get("/a").unwrap(), b"bytes");
    client.store("STOR a", b"").await;
    assert_eq!(house.files.get("/a").unwrap(), b"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storage_that_fails_on_the_way_is_told() {
    for house in both() {
        house.files.put("/bad", content(100_000));
        let mut client = house.enter().await;
        let mut data = client.transfer("RETR bad").await;
        assert_eq!(data.rest().await.len(), 50_000);
        client.hear("451").await;
    }
    let house = Setup { kernel: true, ..Setup::default() }.start();
    house.files.put("/panic", "x");
    let mut client = house.enter().await;
    client.transfer("RETR panic").await;
    client.hear("451").await;
    client.expect("NOOP", "200").await;

    let house = Setup::default().start();
    let mut client = house.enter().await;
    let mut data = client.transfer("STOR full").await;
    data.send(b"more").await;
    client.hear("452").await;
    client.expect("NOOP", "200").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_leaves_early_is_a_broken_connection() {
    for house in both() {
        house.files.put("/big", vec![7; 32 << 20]);
        let mut client = house.enter().await;
        let mut data = client.transfer("RETR big").await;
        let mut some = [0; 1000];
        soon("bytes", data.0.read_exact(&mut some)).await.unwrap();
        drop(data);
        client.hear("426").await;
        client.expect("NOOP", "200").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_or_missing_data_connection_ends_and_the_session_lives() {
    let (long, short) = (Duration::from_secs(30), Duration::from_millis(300));
    for kernel in [false, true] {
        let timeouts = Timeouts { login: long, idle: long, data_open: short, data_stall: short };
        let house = Setup { timeouts, kernel, ..Setup::default() }.start();
        house.files.put("/big", vec![7; 64 << 20]);
        let mut client = house.enter().await;
        client.epsv().await;
        client.expect("RETR big", "150").await;
        client.hear("425").await;
        let _unread = client.transfer("RETR big").await;
        client.hear("426").await;
        let _unsent = client.transfer("STOR new").await;
        client.hear("426").await;
        client.expect("NOOP", "200").await;
        assert_eq!(house.files.get("/new"), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn active_mode_connects_to_the_client() {
    for (listen, bind) in [("127.0.0.1:0", "127.0.0.1:0"), ("[::1]:0", "[::1]:0")] {
        let house = Setup { listen: listen.parse().unwrap(), ..Setup::default() }.start();
        house.files.put("/a", "active");
        let mut client = house.enter().await;
        let listener = TcpListener::bind(bind).await.unwrap();
        let at = listener.local_addr().unwrap();
        let family = if at.is_ipv4() { 1 } else { 2 };
        client.expect(&format!("EPRT |{family}|{}|{}|", at.ip(), at.port()), "200").await;
        client.expect("RETR a", "150").await;
        let (stream, from) = soon("the server", listener.accept()).await.unwrap();
        assert_eq!(from.ip(), house.address.ip());
        assert_eq!(Data(stream).rest().await, b"active");
        client.hear("226").await;
        if at.is_ipv4() {
            let [high, low] = at.port().to_be_bytes();
            client.expect(&format!("PORT 127,0,0,1,{high},{low}"), "200").await;
            client.expect("RETR a", "150").await;
            let (stream, _) = soon("the server", listener.accept()).await.unwrap();
            assert_eq!(Data(stream).rest().await, b"active");
            client.hear("226").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passive_mode_over_ipv6_and_pasv_over_ipv4() {
    let house = Setup { listen: "[::1]:0".parse().unwrap(), ..Setup::default() }.start();
    house.files.put("/a", "six");
    let mut client = house.enter().await;
    assert_eq!(client.fetch("RETR a").await, b"six");

    // A dual-stack listener serves IPv4 as IPv4.
    let mut house = Setup { listen: "[::]:0".parse().unwrap(), ..Setup::default() }.start();
    house.address = SocketAddr::new("127.0.0.1".parse().unwrap(), house.address.port());
    house.files.put("/a", "four");
    let mut client = house.enter().await;
    let reply = client.expect("PASV", "227").await;
    let numbers: Vec<u8> =
        reply.split(['(', ')']).nth(1).unwrap().split(',').map(|number| number.parse().unwrap()).collect();
    assert_eq!(numbers[..4], [127, 0, 0, 1]);
    let port = u16::from_be_bytes([numbers[4], numbers[5]]);
    let mut data = Data::connect(SocketAddr::new(house.address.ip(), port)).await;
    client.expect("RETR a", "150").await;
    assert_eq!(data.rest().await, b"four");
    client.hear("226").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_on_the_passive_port_is_dropped_and_the_peer_awaited() {
    let house = Setup::default().start();
    house.files.put("/a", "secret");
    let mut client = house.enter().await;
    let port = client.epsv().await;
    let at = SocketAddr::new(house.address.ip(), port);
    let mut thief = Data::connect_from("127.0.0.77".parse().unwrap(), at).await;
    client.expect("RETR a", "150").await;
    let mut stolen = Vec::new();
    // Closed at once: an end or a reset, but no byte.
    let _ = soon("the thief's end", thief.0.read_to_end(&mut stolen)).await;
    assert_eq!(stolen, b"");
    let mut data = Data::connect(at).await;
    assert_eq!(data.rest().await, b"secret");
    client.hear("226").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passive_ports_run_out_and_come_back() {
    // An address of its own: the other tests take any free port of 127.0.0.1.
    let listen: SocketAddr = "127.0.0.9:0".parse().unwrap();
    let probe = std::net::TcpListener::bind(listen).unwrap();
    let only = probe.local_addr().unwrap().port();
    drop(probe);
    let house = Setup { listen, passive_ports: PortChoice::Range(only..=only), ..Setup::default() }.start();
    let (mut first, mut second) = (house.enter().await, house.enter().await);
    assert_eq!(first.epsv().await, only);
    second.expect("EPSV", "425").await;
    // A new lease replaces the old one.
    assert_eq!(first.epsv().await, only);
    first.expect("QUIT", "221").await;
    assert_eq!(first.rest().await, "");
    assert_eq!(second.epsv().await, only);
}
