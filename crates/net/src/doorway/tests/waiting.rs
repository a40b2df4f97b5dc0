//! The waiting room: held without a word, then admitted, refused, or gone.

use super::*;
use std::collections::VecDeque;
use std::net::Shutdown;
use std::sync::Mutex;

/// What a test tells the doorman to answer, and what the doorman saw.
#[derive(Default)]
struct Book {
    answers: VecDeque<(u64, bool)>,
    gave_up: Vec<u64>,
    asked: usize,
    deadline: Option<Duration>,
}

type SharedBook = Arc<Mutex<Book>>;

/// Lets everybody wait with the numbers 100, 101, ...
struct Host {
    book: SharedBook,
    next: u64,
    admitted: Sender<(TcpStream, Caller, SocketAddr)>,
}

impl Doorman for Host {
    type Permit = ();

    fn decide(&mut self, _: &Caller, _: &mut Vec<u8>) -> Verdict<()> {
        self.next += 1;
        Verdict::Wait(99 + self.next)
    }

    fn admit(&mut self, (): (), socket: TcpStream, caller: Caller, local: SocketAddr) {
        let _ = self.admitted.send((socket, caller, local));
    }

    fn exhausted(&mut self, _: &Caller, line: &mut Vec<u8>) {
        line.extend_from_slice(b"421 no place\r\n");
    }

    fn next_answer(&mut self, line: &mut Vec<u8>) -> Option<(u64, Verdict<()>)> {
        assert!(line.is_empty());
        let mut book = self.book.lock().unwrap();
        book.asked += 1;
        let (ticket, admit) = book.answers.pop_front()?;
        if admit {
            return Some((ticket, Verdict::Admit(())));
        }
        line.extend_from_slice(LINE);
        Some((ticket, Verdict::Refuse))
    }

    fn gave_up(&mut self, ticket: u64) {
        self.book.lock().unwrap().gave_up.push(ticket);
    }

    fn next_deadline(&mut self) -> Option<Duration> {
        self.book.lock().unwrap().deadline
    }
}

struct Room {
    doorway: Doorway,
    local: SocketAddr,
    book: SharedBook,
    arrivals: Receiver<(TcpStream, Caller, SocketAddr)>,
}

fn open(waiting_places: usize) -> Room {
    let (mut listeners, locals) = bind(&LOOPBACKS[..1]);
    let proxies = vec!["127.0.0.9/32".parse().unwrap()];
    let listeners = listeners.drain(..).map(|listener| listener.with_proxies(proxies.clone())).collect();
    let (admitted, arrivals) = channel();
    let book = SharedBook::default();
    let host = Host { book: Arc::clone(&book), next: 0, admitted };
    let bounds = Bounds { waiting_places, ..Bounds::default() };
    let doorway = Doorway::open_with(listeners, |_| host, bounds).unwrap();
    Room { doorway, local: locals[0], book, arrivals }
}

impl Room {
    /// Connects somebody and waits until `number` are held.
    fn enter(&self, number: u64) -> TcpStream {
        let client = connect(self.local);
        wait_until("they are held", || self.doorway.counts().waiting == number);
        client
    }

    fn answer(&self, ticket: u64, admit: bool) {
        self.book.lock().unwrap().answers.push_back((ticket, admit));
    }

    fn wake(&self) {
        self.doorway.linger_handle().wake();
    }

    /// Returns how often the thread wakes while `client` waits 300 ms for nothing: the doorman is asked every turn while somebody
    /// waits.
    fn turns_in_300_ms(&self, mut client: &TcpStream) -> usize {
        let asked = self.book.lock().unwrap().asked;
        client.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        assert!(client.read(&mut [0; 8]).is_err(), "answered");
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        self.book.lock().unwrap().asked - asked
    }
}

/// Nothing has come for `client`, and it is not closed.
fn assert_silent(client: &TcpStream) {
    client.set_nonblocking(true).unwrap();
    let error = (&*client).read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    client.set_nonblocking(false).unwrap();
}

#[test]
fn those_who_wait_are_admitted_or_refused_when_the_answer_comes() {
    let room = open(8);
    let mut clients: Vec<TcpStream> = (1..=4).map(|number| room.enter(number)).collect();
    // What they send while they wait is not lost.
    clients[1].write_all(b"USER alice\r\n").unwrap();
    clients[2].write_all(&pattern(60_000)).unwrap();
    clients.iter().for_each(assert_silent);
    room.answer(101, true);
    room.answer(102, false);
    // Unknown tickets are no error.
    room.answer(7, true);
    room.answer(8, false);
    room.wake();
    let (socket, caller, local) = room.arrivals.recv_timeout(PATIENCE).unwrap();
    let peer = clients[1].local_addr().unwrap();
    assert_eq!((caller, local), (Caller { peer, reached: room.local, listener: 0 }, room.local));
    assert!(socket.nodelay().unwrap());
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut line = [0; 12];
    (&socket).read_exact(&mut line).unwrap();
    assert_eq!(&line, b"USER alice\r\n");
    assert_eq!(read_to_end(&mut clients[2]), LINE);
    assert_silent(&clients[0]);
    assert_silent(&clients[3]);
    let counts = room.doorway.counts();
    assert_eq!((counts.waiting, counts.admitted, counts.refused, counts.unspoken), (2, 1, 1, 0));
    // The refused one lingers as anybody else does: it is read until it has sent too much.
    wait_until("closed for sending too much", || clients[2].write_all(&[b'x'; 4096]).is_err());
    wait_until("nobody lingers", || room.doorway.counts().lingering == 0);
    assert_eq!(room.doorway.counts().unspoken, 0);
    // The admitted one is no longer watched as one who waits: that it has gone is news for its session alone.
    drop(clients.remove(1));
    assert!(room.turns_in_300_ms(&clients[0]) <= 4);
    drop(clients.remove(0));
    wait_until("the first has gone", || room.doorway.counts().waiting == 1);
    assert_eq!(room.book.lock().unwrap().gave_up, [100]);
}

#[test]
fn whoever_hangs_up_gives_up_and_a_late_answer_is_dropped() {
    let room = open(8);
    let [mut first, second, third] = [1, 2, 3].map(|number| room.enter(number));
    first.write_all(b"USER alice\r\n").unwrap();
    drop(first);
    wait_until("the first gave up", || room.book.lock().unwrap().gave_up == [100]);
    second.shutdown(Shutdown::Write).unwrap();
    wait_until("the second gave up", || room.book.lock().unwrap().gave_up == [100, 101]);
    room.answer(100, true);
    room.answer(101, false);
    room.answer(102, true);
    room.wake();
    let (_, caller, _) = room.arrivals.recv_timeout(PATIENCE).unwrap();
    assert_eq!(caller.peer, third.local_addr().unwrap());
    let counts = room.doorway.counts();
    assert_eq!((counts.waiting, counts.admitted, counts.refused), (0, 1, 0));
}

#[test]
fn the_doorman_is_asked_when_he_said_so_without_a_wake() {
    let room = open(8);
    room.book.lock().unwrap().deadline = Some(Duration::from_millis(50));
    let mut client = room.enter(1);
    room.answer(100, false);
    assert_eq!(read_to_end(&mut client), LINE);
    drop(client);
    wait_until("nobody is here", || room.doorway.counts().lingering == 0);
    let asked = room.book.lock().unwrap().asked;
    room.wake();
    // The thread has woken when it has taken somebody in; nobody waited then.
    let _client = room.enter(1);
    assert!(room.book.lock().unwrap().asked - asked <= 1, "asked although nobody waited");
}

#[test]
fn a_stop_answers_those_who_wait() {
    let room = open(64);
    let mut clients: Vec<TcpStream> = (1..=20).map(|number| room.enter(number)).collect();
    (100..120).for_each(|ticket| room.answer(ticket, false));
    room.doorway.request_stop();
    for client in &mut clients {
        assert_eq!(read_to_end(client), LINE);
    }
    drop(clients);
    room.doorway.stop();
    assert!(room.book.lock().unwrap().gave_up.is_empty());
}

#[test]
fn whoever_has_no_answer_at_the_stop_is_closed_and_the_doorman_knows() {
    let room = open(64);
    let mut clients: Vec<TcpStream> = (1..=3).map(|number| room.enter(number)).collect();
    room.doorway.stop();
    for client in &mut clients {
        assert_eq!(read_to_end(client), b"");
    }
    assert_eq!(room.book.lock().unwrap().gave_up, [100, 101, 102]);
}

#[test]
fn a_full_room_refuses_aloud() {
    let room = open(2);
    let held = [1, 2].map(|number| room.enter(number));
    let mut third = connect(room.local);
    assert_eq!(read_to_end(&mut third), b"421 no place\r\n");
    assert_eq!(room.book.lock().unwrap().gave_up, [102]);
    held.iter().for_each(assert_silent);
    let counts = room.doorway.counts();
    assert_eq!((counts.waiting, counts.refused, counts.exhausted), (2, 1, 1));
}

#[test]
fn part_of_a_header_costs_no_processor_time() {
    let room = open(8);
    let _client = room.enter(1);
    let mut proxy = proxied::from_the_proxy(room.local);
    proxy.write_all(b"PROXY TCP4 192.0.2.7").unwrap();
    wait_until("the header is awaited", || room.doorway.counts().proxy_pending == 1);
    assert!(room.turns_in_300_ms(&proxy) <= 4);
}

#[test]
fn waiting_costs_no_processor_time() {
    let room = open(8);
    let mut client = room.enter(1);
    // Bytes that wait in the kernel must not wake the thread again and again.
    client.write_all(&pattern(10_000)).unwrap();
    room.wake();
    wait_until("asked after the wake", || room.book.lock().unwrap().asked > 0);
    assert!(room.turns_in_300_ms(&client) <= 4);
}

#[test]
fn many_wakes_ring_once() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mailbox = Mailbox::new(Arc::new(Counters::default())).unwrap();
    let rings = || {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&mailbox, PollFlags::IN)], Some(&now)).unwrap() == 1
    };
    for _ in 0..3 {
        (0..1000).for_each(|_| mailbox.wake());
        let mut count = [0; 8];
        assert_eq!(rustix::io::read(&mailbox, &mut count).unwrap(), 8);
        assert_eq!(u64::from_ne_bytes(count), 1);
        mailbox.silence();
        assert!(!rings());
    }
}
