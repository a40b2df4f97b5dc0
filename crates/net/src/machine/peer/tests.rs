use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use rustix::net::sockopt;

use super::*;
use crate::clock;
use crate::testing::{LOOPBACKS, PATIENCE, tcp_pair};

#[test]
fn a_silence_is_long_after_so_many_attempts() {
    let pending = Silence { unacknowledged_segments: 1, ..Silence::default() };
    let no_room = Silence { unsent_bytes: 1, ..Silence::default() };
    let idle = Silence::default();
    let cases = [
        (idle, false, "nothing to answer"),
        (Silence { probes: 1, ..idle }, false, "the first probe is on its way"),
        (Silence { probes: 2, ..idle }, true, "a probe was not answered"),
        (Silence { backoff: 9, retransmits: 9, ..idle }, false, "what is acknowledged does not count"),
        (Silence { retransmits: 1, ..pending }, false, "one segment was lost"),
        (Silence { retransmits: 4, probes: 4, ..pending }, false, "not long enough"),
        (Silence { retransmits: 5, ..pending }, true, "sent in vain"),
        (Silence { backoff: 4, ..no_room }, false, "a reader that pauses"),
        (Silence { backoff: 5, ..no_room }, true, "a reader that has stopped"),
        (Silence { state: STATE_CLOSED, ..idle }, true, "given up"),
    ];
    for (silence, is_long, why) in cases {
        assert_eq!(silence.is_long(), is_long, "{why}: {silence:?}");
    }
}

/// Waits until the peer of `socket` is unreachable and returns how long that took.
fn time_to_silence(socket: &TcpStream) -> Duration {
    let start = clock::now();
    while !is_peer_unreachable(socket) {
        let info = Silence::of(&tcp_info(socket.as_fd()).unwrap());
        assert!(clock::now() < start + PATIENCE, "still reachable: {info:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    clock::now() - start
}

#[test]
fn a_client_that_never_reads_becomes_unreachable() {
    let (mut client, mut server) = tcp_pair(LOOPBACKS[0]);
    server.set_nonblocking(true).unwrap();
    let line = vec![b'.'; 64 * 1024];
    while server.write(&line).is_ok() {}
    assert!(!is_peer_unreachable(&server), "it may read at any moment");
    let took = time_to_silence(&server);
    assert!(took > Duration::from_secs(3), "{took:?}");
    // It reads after all: its kernel says so, and the connection lives again.
    client.set_nonblocking(false).unwrap();
    let reader = std::thread::spawn(move || {
        let (mut rest, mut bytes) = (vec![0; 1 << 16], 0_usize);
        while let Ok(count @ 1..) = io::Read::read(&mut client, &mut rest) {
            bytes += count;
        }
        bytes
    });
    crate::testing::wait_until("it is reachable again", || !is_peer_unreachable(&server));
    drop(server);
    assert!(reader.join().unwrap() > line.len());
}

/// Has the kernel drop every packet for `socket`, as a cable that was pulled does.
#[expect(unsafe_code, reason = "rustix does not offer SO_ATTACH_FILTER")]
fn cut_off(socket: &TcpStream) {
    // "Return 0": keep nothing of any packet.
    let mut keep_nothing = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 };
    let program = libc::sock_fprog { len: 1, filter: &raw mut keep_nothing };
    // SAFETY: the program and its one instruction live until the call returns, and the kernel copies them.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            libc::socklen_t::try_from(size_of_val(&program)).unwrap(),
        )
    };
    assert_eq!(outcome, 0, "{}", io::Error::last_os_error());
}

#[test]
fn a_client_that_is_cut_off_becomes_unreachable_when_something_is_sent() {
    std::thread::scope(|scope| {
        for address in LOOPBACKS {
            scope.spawn(move || {
                let (client, mut server) = tcp_pair(address);
                cut_off(&client);
                assert!(!is_peer_unreachable(&server), "nothing was sent");
                server.write_all(b"220 hello\r\n").unwrap();
                assert!(!is_peer_unreachable(&server), "it may be a lost segment");
                let took = time_to_silence(&server);
                assert!(took > Duration::from_secs(3), "{address}: {took:?}");
            });
        }
    });
}

#[test]
fn an_idle_client_that_is_cut_off_is_found_by_keepalive() {
    let (client, server) = tcp_pair(LOOPBACKS[0]);
    sockopt::set_socket_keepalive(&server, true).unwrap();
    sockopt::set_tcp_keepidle(&server, Duration::from_secs(1)).unwrap();
    sockopt::set_tcp_keepintvl(&server, Duration::from_secs(1)).unwrap();
    sockopt::set_tcp_keepcnt(&server, 9).unwrap();
    cut_off(&client);
    let took = time_to_silence(&server);
    assert!(took > Duration::from_millis(1_500), "{took:?}");
}

#[test]
fn what_is_no_connection_is_not_unreachable() {
    assert!(!is_peer_unreachable(std::fs::File::open("/dev/null").unwrap()));
    let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    assert!(!is_peer_unreachable(one));
    let (client, server) = tcp_pair(LOOPBACKS[1]);
    assert!(!is_peer_unreachable(&server) && !is_peer_unreachable(&client));
}
