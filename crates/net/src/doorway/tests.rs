use super::*;
use crate::testing::{LOOPBACKS, PATIENCE, connect, pattern, read_to_end, wait_until};
use std::io::{Read, Write};
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, Sender, channel};

mod exhausted;
mod proxied;
mod waiting;

const LINE: &[u8] =
    b"421 Too many connections (8 of 8); try again in 30 seconds [cause=server-full retry=30]\r\n";
const LONG: Duration = Duration::from_mins(10);

/// Refuses everybody with a fixed line.
struct Refuser(&'static [u8]);

impl Doorman for Refuser {
    type Permit = ();

    fn decide(&mut self, _: &Caller, line: &mut Vec<u8>) -> Verdict<()> {
        assert!(line.is_empty());
        line.extend_from_slice(self.0);
        Verdict::Refuse
    }

    fn admit(&mut self, (): (), _: TcpStream, _: Caller, _: SocketAddr) {
        unreachable!("everybody is refused");
    }

    fn exhausted(&mut self, _: &Caller, line: &mut Vec<u8>) {
        line.extend_from_slice(self.0);
    }
}

/// Admits everybody and hands them to the test; the permit is the caller seen at the decision.
struct Usher {
    admitted: Sender<(TcpStream, Caller, SocketAddr)>,
    panics: usize,
}

impl Doorman for Usher {
    type Permit = Caller;

    fn decide(&mut self, caller: &Caller, _: &mut Vec<u8>) -> Verdict<Caller> {
        if self.panics > 0 {
            self.panics -= 1;
            panic!("a planted panic of the doorman");
        }
        Verdict::Admit(*caller)
    }

    fn admit(&mut self, permit: Caller, socket: TcpStream, caller: Caller, local: SocketAddr) {
        // What they reached may be known more exactly by now.
        assert_eq!((permit.peer, permit.listener), (caller.peer, caller.listener));
        // A test that has ended no longer listens.
        let _ = self.admitted.send((socket, caller, local));
    }

    fn exhausted(&mut self, _: &Caller, _: &mut Vec<u8>) {}
}

fn bind(addresses: &[&str]) -> (Vec<Listener>, Vec<SocketAddr>) {
    let listeners: Vec<Listener> =
        addresses.iter().map(|address| Listener::bind(address.parse().unwrap()).unwrap()).collect();
    let locals = listeners.iter().map(Listener::local_addr).collect();
    (listeners, locals)
}

fn refusing(places: usize, time: Duration) -> (Doorway, Vec<SocketAddr>) {
    let (listeners, locals) = bind(&LOOPBACKS);
    let bounds = Bounds { linger_places: places, linger_time: time, ..Bounds::default() };
    (Doorway::open_with(listeners, |_| Refuser(LINE), bounds).unwrap(), locals)
}

fn ushering(
    addresses: &[&str],
    panics: usize,
) -> (Doorway, Vec<SocketAddr>, Receiver<(TcpStream, Caller, SocketAddr)>) {
    let (listeners, locals) = bind(addresses);
    let (admitted, arrivals) = channel();
    (Doorway::open(listeners, |_| Usher { admitted, panics }).unwrap(), locals, arrivals)
}

/// One refused client; `kind` says what it sends before it reads.
fn be_refused(address: SocketAddr, kind: usize) {
    let mut client = connect(address);
    match kind % 4 {
        0 => {}
        1 => client.write_all(b"USER alice\r\nPASS secret\r\n").unwrap(),
        2 => client.write_all(&pattern(60_000)).unwrap(),
        _ => {
            client.write_all(b"USER alice\r\nPASS secret\r\n").unwrap();
            let mut line = vec![0; LINE.len()];
            client.read_exact(&mut line).unwrap();
            assert_eq!(line, LINE);
            client.write_all(&pattern(60_000)).unwrap();
            assert_eq!(read_to_end(&mut client), b"");
            return;
        }
    }
    assert_eq!(read_to_end(&mut client), LINE);
}

#[test]
fn a_thousand_refused_clients_read_the_whole_line_and_then_the_end() {
    let (listeners, locals) = bind(&LOOPBACKS);
    let doorway = Doorway::open(listeners, |_| Refuser(LINE)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let locals = &locals;
            scope.spawn(move || {
                (0..125).for_each(|round| be_refused(locals[(thread + round / 4) % 2], round));
            });
        }
    });
    let counts = doorway.counts();
    assert_eq!((counts.accepted, counts.refused), (1000, 1000));
    assert_eq!((counts.unspoken, counts.admitted, counts.pauses, counts.panics), (0, 0, 0, 0));
    wait_until("nobody lingers", || doorway.counts().lingering == 0);
    doorway.stop();
}

#[test]
fn a_full_slab_closes_the_oldest_and_counts_it() {
    let (doorway, locals) = refusing(8, LONG);
    let mut clients: Vec<_> = (0..20)
        .map(|number| {
            let mut client = connect(locals[number % 2]);
            assert_eq!(read_to_end(&mut client), LINE, "client {number}");
            client
        })
        .collect();
    wait_until("twelve evicted", || doorway.counts().unspoken == 12);
    assert_eq!(doorway.counts().lingering, 8);
    for (number, client) in clients.iter_mut().enumerate() {
        let evicted = number < 12;
        if evicted {
            // A closed socket answers with a reset, and then writing fails.
            wait_until("the oldest are closed", || client.write_all(b"NOOP\r\n").is_err());
        } else {
            client.write_all(b"NOOP\r\n").unwrap();
        }
    }
    assert_eq!(doorway.counts().lingering, 8, "the newest are read on");
    drop(clients);
    wait_until("those who closed have left", || doorway.counts().lingering == 0);
    // Many more come and go than the slab has places.
    for round in 0..50 {
        be_refused(locals[round % 2], round);
    }
    wait_until("nobody lingers", || doorway.counts().lingering == 0);
    assert_eq!(doorway.counts().unspoken, 12);
    doorway.stop();
}

#[test]
fn a_place_whose_client_has_closed_is_taken_over_without_a_loss() {
    let (doorway, locals) = refusing(1, LONG);
    for round in 0..200 {
        assert_eq!(read_to_end(&mut connect(locals[round % 2])), LINE, "round {round}");
    }
    // A few of the closes may be on their way still when the next one comes.
    assert!(doorway.counts().unspoken <= 10, "{:?}", doorway.counts());
}

#[test]
fn a_silent_client_is_closed_when_its_time_is_over() {
    let time = Duration::from_millis(300);
    let (doorway, locals) = refusing(4, time);
    let before = crate::clock::now();
    let mut client = connect(locals[0]);
    assert_eq!(read_to_end(&mut client), LINE);
    wait_until("its time is over", || doorway.counts().lingering == 0 && client.write_all(b"x").is_err());
    assert!(crate::clock::now() - before >= time, "closed too early");
    assert_eq!(doorway.counts().unspoken, 0);
}

#[test]
fn a_client_that_never_stops_sending_is_closed_after_128_kib() {
    let (doorway, locals) = refusing(4, LONG);
    let mut client = connect(locals[1]);
    let mut sent = 0;
    wait_until("closed for sending too much", || match client.write(&[b'x'; 4096]) {
        Ok(count) => {
            sent += count as u64;
            false
        }
        Err(_) => true,
    });
    assert!(sent >= LINGER_DROPPED_BYTES_MAX, "only {sent} bytes");
    wait_until("nobody lingers", || doorway.counts().lingering == 0);
}

#[test]
fn an_empty_line_closes_without_a_word() {
    let (listeners, locals) = bind(&LOOPBACKS);
    let doorway = Doorway::open(listeners, |_| Refuser(b"")).unwrap();
    for local in locals {
        assert_eq!(read_to_end(&mut connect(local)), b"");
    }
    assert_eq!(doorway.counts().refused, 2);
}

#[test]
fn admitted_callers_arrive_prepared_with_both_addresses() {
    let (doorway, locals, arrivals) = ushering(&["127.0.0.1:0", "[::]:0"], 0);
    let v4 = |port| SocketAddr::new(IpAddr::from([127, 0, 0, 1]), port);
    for (target, listener) in [
        (locals[0], 0),
        (v4(locals[1].port()), 1),
        (SocketAddr::new("::1".parse().unwrap(), locals[1].port()), 1),
    ] {
        let client = connect(target);
        let (socket, caller, local) = arrivals.recv_timeout(PATIENCE).unwrap();
        assert_eq!(caller, Caller { peer: client.local_addr().unwrap(), reached: target, listener });
        assert_eq!(local, target);
        assert!(socket.nodelay().unwrap());
        let error = (&socket).read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
    assert_eq!((doorway.counts().accepted, doorway.counts().admitted), (3, 3));
}

#[test]
fn a_panic_of_the_doorman_costs_one_connection() {
    let (doorway, locals, arrivals) = ushering(&LOOPBACKS, 2);
    for _ in 0..2 {
        assert_eq!(read_to_end(&mut connect(locals[0])), b"");
    }
    let _client = connect(locals[1]);
    arrivals.recv_timeout(PATIENCE).unwrap();
    assert_eq!(doorway.counts().panics, 2);
}

#[test]
fn sessions_hand_over_their_socket_and_the_last_word_arrives() {
    let (doorway, locals, arrivals) = ushering(&LOOPBACKS, 0);
    let handle = doorway.linger_handle();
    for round in 0..200 {
        let mut client = connect(locals[round % 2]);
        let (socket, ..) = arrivals.recv_timeout(PATIENCE).unwrap();
        client.write_all(&pattern(60_000)).unwrap();
        (&socket).write_all(LINE).unwrap();
        handle.linger(socket.into());
        client.write_all(&pattern(30_000)).unwrap();
        assert_eq!(read_to_end(&mut client), LINE, "round {round}");
    }
    assert_eq!(doorway.counts().unspoken, 0);
    // Delivered just before the stop: still spoken.
    let mut client = connect(locals[0]);
    let (socket, ..) = arrivals.recv_timeout(PATIENCE).unwrap();
    let late = connect(locals[1]);
    let (late_socket, ..) = arrivals.recv_timeout(PATIENCE).unwrap();
    client.write_all(&pattern(60_000)).unwrap();
    (&socket).write_all(LINE).unwrap();
    handle.linger(socket.into());
    doorway.request_stop();
    assert_eq!(read_to_end(&mut client), LINE);
    drop(client);
    doorway.stop();
    // After the end the socket closes at once.
    (&late_socket).write_all(LINE).unwrap();
    handle.linger(late_socket.into());
    assert_eq!(read_to_end(&mut { late }), LINE);
}

#[test]
fn a_stop_answers_those_who_are_connected_and_then_listens_no_more() {
    for round in 0..20 {
        let (doorway, locals) = refusing(64, LONG);
        let clients: Vec<_> = (0..20).map(|number| connect(locals[number % 2])).collect();
        doorway.request_stop();
        for mut client in clients {
            assert_eq!(read_to_end(&mut client), LINE, "round {round}");
        }
        doorway.stop();
        for local in locals {
            assert_eq!(TcpStream::connect(local).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        }
    }
}

#[test]
fn a_stop_waits_a_second_at_most_for_silent_clients() {
    let (listeners, locals) = bind(&LOOPBACKS);
    let doorway = Doorway::open(listeners, |_| Refuser(LINE)).unwrap();
    let mut client = connect(locals[0]);
    assert_eq!(read_to_end(&mut client), LINE);
    let before = crate::clock::now();
    doorway.stop();
    let took = crate::clock::now() - before;
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(client);
}

/// Tells the test that somebody came, and closes silently (so that nobody else lingers) when the test says so.
struct Slow(Sender<()>, Receiver<()>);

impl Doorman for Slow {
    type Permit = ();

    fn decide(&mut self, _: &Caller, _: &mut Vec<u8>) -> Verdict<()> {
        self.0.send(()).unwrap();
        self.1.recv_timeout(PATIENCE).unwrap();
        Verdict::Refuse
    }

    fn admit(&mut self, (): (), _: TcpStream, _: Caller, _: SocketAddr) {}

    fn exhausted(&mut self, _: &Caller, _: &mut Vec<u8>) {}
}

#[test]
fn what_is_handed_over_in_the_turn_of_the_stop_is_still_spoken() {
    let (listeners, locals) = bind(&LOOPBACKS);
    let ((came, arrivals), (go, going)) = (channel(), channel());
    let doorway = Doorway::open(listeners, |_| Slow(came, going)).unwrap();
    let mut refused = connect(locals[0]);
    arrivals.recv_timeout(PATIENCE).unwrap();
    // The thread is busy with the doorman while both of these happen.
    let (mut session, mut client) = crate::testing::tcp_pair(LOOPBACKS[1]);
    session.write_all(LINE).unwrap();
    doorway.linger_handle().linger(session.into());
    doorway.request_stop();
    go.send(()).unwrap();
    assert_eq!(read_to_end(&mut refused), b"");
    assert_eq!(read_to_end(&mut client), LINE);
    drop((refused, client));
    let counters = Arc::clone(&doorway.counters);
    doorway.stop();
    assert_eq!(counters.snapshot().unspoken, 0);
}

#[test]
fn the_mailbox_wakes_once_and_keeps_the_newest() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let counters = Arc::new(Counters::default());
    let mailbox = Mailbox::new(Arc::clone(&counters)).unwrap();
    let rings = || {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&mailbox, PollFlags::IN)], Some(&now)).unwrap() == 1
    };
    assert!(!rings());
    let (_near, far) = crate::testing::tcp_pair(LOOPBACKS[0]);
    for _ in 0..=LINGER_PLACES {
        mailbox.deliver(far.try_clone().unwrap().into());
    }
    assert!(rings());
    assert_eq!(counters.snapshot().unspoken, 1, "the oldest gave way");
    mailbox.silence();
    assert!(!rings());
    assert_eq!(std::iter::from_fn(|| mailbox.take()).count(), LINGER_PLACES);
}
