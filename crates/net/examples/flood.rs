//! Floods a doorway that refuses everybody, and a bare accept-write-shutdown-drain-close loop as the floor, from 127.0.0.0/8 in
//! turn, and prints refusals a second and processor time of the serving thread for each; once more as if all came through a
//! trusted proxy. Bounded: 2 s for each of the three, 4 client threads.
//!
//! `cargo run --release -p tidegate-net --example flood [ROUNDS]`

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};
use rustix::time::{ClockId, clock_gettime};
use tidegate_net::{Caller, Doorman, Doorway, Listener, Verdict};

const LINE: &[u8] =
    b"421 Too many connections (8 of 8); try again in 30 seconds [cause=server-full retry=30]\r\n";
/// What a trusted proxy sends first.
const HEADER: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 2121\r\n";
const ROUND: Duration = Duration::from_secs(2);
const CLIENT_THREADS: u64 = 4;

/// Refuses everybody; the processor time of its thread so far is in the cell.
struct Refuser {
    cell: Arc<Mutex<Duration>>,
    decided: u64,
}

impl Doorman for Refuser {
    type Permit = ();

    fn decide(&mut self, _: &Caller, line: &mut Vec<u8>) -> Verdict<()> {
        // Asked now and then: the question costs a system call.
        if self.decided.is_multiple_of(256)
            && let Ok(mut cell) = self.cell.lock()
        {
            *cell = thread_time();
        }
        self.decided += 1;
        line.extend_from_slice(LINE);
        Verdict::Refuse
    }

    fn admit(&mut self, (): (), _: TcpStream, _: Caller, _: SocketAddr) {}

    fn exhausted(&mut self, _: &Caller, _: &mut Vec<u8>) {}
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
}

#[expect(clippy::disallowed_methods, reason = "an example has no clock module")]
fn now() -> Instant {
    Instant::now()
}

/// Is refused again and again from ever new addresses, until `ROUND` is over; returns how often the whole line came.
fn flood(target: SocketAddr, header: &[u8]) -> (u64, Duration) {
    let (started, refused) = (now(), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..CLIENT_THREADS {
            let refused = &refused;
            scope.spawn(move || {
                let mut number = thread;
                while now() - started < ROUND {
                    number += CLIENT_THREADS;
                    let [.., high, low] = number.to_be_bytes();
                    match be_refused([127, 1, high, low], target, header) {
                        Ok(()) => {
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => complain(&format!("client {number}: {error}")),
                    }
                }
            });
        }
    });
    (refused.into_inner(), now() - started)
}

fn be_refused(from: [u8; 4], target: SocketAddr, header: &[u8]) -> std::io::Result<()> {
    let client = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_socket_timeout(&client, sockopt::Timeout::Recv, Some(Duration::from_secs(10)))?;
    bind(&client, &SocketAddr::from((from, 0)))?;
    connect(&client, &target)?;
    let mut line = [0; 128];
    let (mut stream, mut length) = (TcpStream::from(client), 0);
    stream.write_all(header)?;
    loop {
        match stream.read(line.get_mut(length..).unwrap_or_default())? {
            0 => break,
            count => length += count,
        }
    }
    if line.get(..length) == Some(LINE) { Ok(()) } else { Err(std::io::ErrorKind::InvalidData.into()) }
}

fn doorway(header: &[u8]) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let proxies = if header.is_empty() { Vec::new() } else { vec!["127.0.0.0/8".parse()?] };
    let listener = Listener::bind("127.0.0.1:0".parse()?)?.with_proxies(proxies);
    let target = listener.local_addr();
    let cell = Arc::new(Mutex::new(Duration::ZERO));
    let doorway = Doorway::open(vec![listener], |_| Refuser { cell: Arc::clone(&cell), decided: 0 })?;
    let (refused, took) = flood(target, header);
    let counts = doorway.counts();
    doorway.stop();
    if counts.unspoken + counts.pauses + counts.exhausted > 0 {
        complain(&format!("not clean: {counts:?}"));
    }
    let cpu = *cell.lock().map_err(|_| "the doorman panicked")?;
    Ok(figures(refused, took, cpu))
}

/// The floor: one thread, blocking calls, nothing decided.
fn bare() -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let target = listener.local_addr()?;
    let stop = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let mut buffer = [0; 4096];
            while let Ok((mut stream, _)) = listener.accept() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let _ = stream.write_all(LINE);
                let _ = stream.shutdown(Shutdown::Write);
                while matches!(stream.read(&mut buffer), Ok(1..)) {}
            }
            thread_time()
        });
        let (refused, took) = flood(target, b"");
        stop.store(true, Ordering::Relaxed);
        let _wake = TcpStream::connect(target);
        server.join().map(|cpu| figures(refused, took, cpu))
    });
    outcome.map_err(|_| "the server panicked".into())
}

#[expect(clippy::print_stderr, reason = "an example")]
fn complain(what: &str) {
    eprintln!("{what}");
}

/// Returns refusals a second, and microseconds of processor time for each.
#[expect(clippy::cast_precision_loss, reason = "counts of a few seconds")]
fn figures(refused: u64, took: Duration, cpu: Duration) -> (f64, f64) {
    let refused = refused as f64;
    (refused / took.as_secs_f64(), cpu.as_secs_f64() * 1e6 / refused)
}

#[expect(clippy::print_stdout, reason = "that is its purpose")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rounds = std::env::args().nth(1).map_or(Ok(3), |word| word.parse())?;
    for _ in 0..rounds {
        let (bare_rate, bare_cpu) = bare()?;
        println!("bare    {bare_rate:6.0}/s {bare_cpu:5.1} us each");
        for (name, header) in [("doorway", b"".as_slice()), ("proxied", HEADER)] {
            let (rate, cpu) = doorway(header)?;
            let (times, share) = (rate / bare_rate, cpu / bare_cpu);
            println!("{name} {rate:6.0}/s {cpu:5.1} us each: {times:.2} and {share:.2} of bare");
        }
    }
    Ok(())
}
