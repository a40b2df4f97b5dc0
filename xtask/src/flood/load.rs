//! The flood: connections from many loopback addresses that each read a line up to the end of the stream. It costs as little as it
//! can, since it shares the cores with the server: a few connections under way at a time, six system calls for each.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// Source addresses at most.
pub(super) const SOURCES_MAX: u64 = 65_000;
/// The threads of the flood.
const THREADS: u64 = 2;
/// The longest wait for one byte.
const STALL: Duration = Duration::from_secs(10);
/// No refusal is longer.
const LINE_BYTES_MAX: usize = 512;
/// Source ports; below those that the kernel gives to others.
const FIRST_PORT: u64 = 10_000;
const PORTS: u64 = 20_000;
/// Shorter sleeps cost more than they are worth.
const NAP: Duration = Duration::from_micros(500);

/// What to do.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) target: SocketAddr,
    /// From how many source addresses; 1: from 127.0.0.1.
    pub(super) sources: u64,
    /// What each client sends before it reads, as those do that do not wait for the greeting.
    pub(super) says: Option<&'static [u8]>,
    pub(super) connections: u64,
    /// Connections under way of each of the two threads; together no more than the server's listener can hold: a SYN that is
    /// dropped comes again after a second, and that second would be measured.
    pub(super) window: usize,
    /// How many connections this target had before: no pair of source address and port comes twice soon.
    pub(super) done: u64,
    /// Connections a second; `None`: as fast as it goes.
    pub(super) rate: Option<f64>,
    /// Ends it sooner.
    pub(super) most: Option<Duration>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Whole lines that begin with 421, with the end of the stream behind them.
    pub(super) lines: u64,
    /// Clients that were let in.
    pub(super) admitted: u64,
    /// Connections that ended in ECONNRESET, before or behind the line.
    pub(super) resets: u64,
    /// Anything else: no line, half a line, a connection that did not come about, silence.
    pub(super) errors: u64,
    /// The first that was not a refusal.
    pub(super) odd: Option<String>,
    /// From the first connection to the last end.
    pub(super) wall: Duration,
}

impl Tally {
    pub(super) fn connections(&self) -> u64 {
        self.lines + self.admitted + self.resets + self.errors
    }

    /// Whether every client read a refusal and nothing else.
    pub(super) fn is_clean(&self) -> bool {
        self.connections() == self.lines
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.lines += other.lines;
        self.admitted += other.admitted;
        self.resets += other.resets;
        self.errors += other.errors;
        if self.odd.is_none() {
            self.odd.clone_from(&other.odd);
        }
        self.wall = self.wall.max(other.wall);
    }

    fn count(&mut self, end: End) {
        match end {
            End::Refused => self.lines += 1,
            End::Admitted => self.admitted += 1,
            End::Reset(what) => {
                self.resets += 1;
                self.odd.get_or_insert(what);
            }
            End::Odd(what) => {
                self.errors += 1;
                self.odd.get_or_insert(what);
            }
        }
    }
}

enum End {
    Refused,
    Admitted,
    Reset(String),
    Odd(String),
}

/// Makes the flood and counts.
pub(super) fn run(plan: Plan) -> Tally {
    let started = Instant::now();
    let mut sum = Tally::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || share(plan, thread, started))).collect();
        for thread in threads {
            match thread.join() {
                Ok(tally) => sum.add(&tally),
                Err(_) => sum.count(End::Odd("a thread of the flood panicked".into())),
            }
        }
    });
    sum.wall = started.elapsed();
    sum
}

/// One thread's share: every `THREADS`th connection.
fn share(plan: Plan, thread: u64, started: Instant) -> Tally {
    let mut tally = Tally::default();
    let mut under_way = VecDeque::with_capacity(plan.window);
    for number in (thread..plan.connections).step_by(usize::try_from(THREADS).unwrap_or(1)) {
        if plan.most.is_some_and(|most| started.elapsed() > most) {
            break;
        }
        if let Some(rate) = plan.rate {
            #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 connections")]
            let due = started + Duration::from_secs_f64(number as f64 / rate);
            let left = due.saturating_duration_since(Instant::now());
            if left > NAP {
                under_way.drain(..).for_each(|socket| tally.count(finish(&socket)));
                std::thread::sleep(left);
            }
        }
        if under_way.len() == plan.window
            && let Some(oldest) = under_way.pop_front()
        {
            tally.count(finish(&oldest));
        }
        match open(plan, plan.done + number) {
            Ok(socket) => under_way.push_back(socket),
            Err(error) => tally.count(End::Odd(format!("cannot connect: {error}"))),
        }
    }
    under_way.drain(..).for_each(|socket| tally.count(finish(&socket)));
    tally
}

/// Connects from the source that belongs to `number`.
fn open(plan: Plan, number: u64) -> rustix::io::Result<OwnedFd> {
    let socket =
        rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(STALL))?;
    let port = FIRST_PORT + number / plan.sources % PORTS;
    let mut tried = 0;
    while let Err(error) = rustix::net::bind(
        &socket,
        &SocketAddr::new(source(number, plan.sources).into(), port_of(port + tried)),
    ) {
        // Somebody else's, which is rare.
        if error != Errno::ADDRINUSE || tried == 8 {
            return Err(error);
        }
        tried += 1;
    }
    rustix::net::connect(&socket, &plan.target)?;
    if let Some(line) = plan.says {
        // A server that has closed already answers with a reset: the read will tell.
        let _ = rustix::net::send(&socket, line, SendFlags::NOSIGNAL);
    }
    Ok(socket)
}

fn port_of(number: u64) -> u16 {
    u16::try_from(number).unwrap_or(0)
}

/// Returns one of `sources` addresses from 127.1.0.1 on; 127.0.0.1 when there is one.
fn source(number: u64, sources: u64) -> Ipv4Addr {
    if sources == 1 {
        return Ipv4Addr::LOCALHOST;
    }
    let index = number % sources;
    let byte = |value: u64| u8::try_from(value).unwrap_or(1);
    Ipv4Addr::new(127, byte(1 + index / (254 * 256)), byte(index / 254 % 256), byte(1 + index % 254))
}

/// Reads to the end and judges it.
fn finish(socket: &OwnedFd) -> End {
    let mut bytes = [0; LINE_BYTES_MAX];
    // The whole line and the end of the stream in one call.
    let got = match rustix::net::recv(socket, &mut bytes, RecvFlags::WAITALL) {
        Ok((_, got)) => got,
        Err(Errno::CONNRESET) => return End::Reset("reset instead of a line".into()),
        Err(error) => return End::Odd(format!("no line: {error}")),
    };
    let text = bytes.get(..got).unwrap_or_default();
    if text.starts_with(b"220") {
        return End::Admitted;
    }
    let shown = || text.escape_ascii().to_string();
    // A reset behind the line is told by the next call only.
    match rustix::net::recv(socket, &mut [0; 1], RecvFlags::empty()) {
        Ok((_, 0)) if text.starts_with(b"421") && text.ends_with(b"\r\n") => End::Refused,
        Ok((_, 0)) => End::Odd(format!("no refusal: `{}`", shown())),
        Ok(_) => End::Odd(format!("more than a line: `{}`", shown())),
        Err(Errno::CONNRESET) => End::Reset(format!("reset behind `{}`", shown())),
        Err(error) => End::Odd(format!("no end behind `{}`: {error}", shown())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::io::Write;
    use std::net::{Shutdown, TcpListener};

    #[test]
    fn sixty_five_thousand_sources_differ() {
        let sources: BTreeSet<Ipv4Addr> =
            (0..SOURCES_MAX).map(|number| source(number, SOURCES_MAX)).collect();
        assert_eq!(sources.len() as u64, SOURCES_MAX);
        assert!(sources.iter().all(|address| address.is_loopback() && address.octets()[3] != 0));
        assert_eq!(source(SOURCES_MAX, SOURCES_MAX), source(0, SOURCES_MAX));
        assert_eq!(source(77, 1), Ipv4Addr::LOCALHOST);
    }

    fn plan(target: SocketAddr, connections: u64) -> Plan {
        Plan {
            target,
            sources: SOURCES_MAX,
            says: None,
            connections,
            window: 14,
            done: 7_000_000 * connections,
            rate: None,
            most: None,
        }
    }

    /// Refusals, an admission, half a line and a reset are told apart.
    #[test]
    fn every_end_is_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            for number in 0..40 {
                let (mut stream, _) = listener.accept().unwrap();
                match number % 4 {
                    0 => stream.write_all(b"421 no\r\n").unwrap(),
                    1 => stream.write_all(b"220 yes\r\n").unwrap(),
                    2 => stream.write_all(b"421 n").unwrap(),
                    // Closed with a lingering time of zero: a reset.
                    _ => rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap(),
                }
                if number % 4 != 3 {
                    stream.shutdown(Shutdown::Write).unwrap();
                }
            }
        });
        let tally = run(plan(target, 40));
        server.join().unwrap();
        let counts = (tally.lines, tally.admitted, tally.errors, tally.resets);
        assert_eq!(counts, (10, 10, 10, 10), "{tally:?}");
        assert!(!tally.is_clean() && tally.odd.is_some());
    }

    #[test]
    fn a_pace_is_kept() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            for _ in 0..50 {
                listener.accept().unwrap().0.write_all(b"421 no\r\n").unwrap();
            }
        });
        let tally = run(Plan { rate: Some(100.0), ..plan(target, 50) });
        server.join().unwrap();
        assert!(tally.is_clean(), "{tally:?}");
        assert!(tally.wall >= Duration::from_millis(480), "{:?}", tally.wall);
    }
}
