//! No descriptor left. The limit is of a process, so the doorway under test runs in a child: this test binary again, running
//! [`child`] alone. The clients are here.

use super::*;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const ROLE: &str = "TIDEGATE_NET_TEST_ROLE";
const GREETING: &[u8] = b"220 ready\r\n";
const EXHAUSTED: &[u8] =
    b"421 The server is overloaded; try again in 5 seconds [cause=overloaded retry=5]\r\n";
const DESCRIPTORS_MAX: u64 = 80;

/// Greets and forgets, or says that nothing is left.
struct Greeter;

impl Doorman for Greeter {
    type Permit = ();

    fn decide(&mut self, _: &Caller, _: &mut Vec<u8>) -> Verdict<()> {
        Verdict::Admit(())
    }

    fn admit(&mut self, (): (), mut socket: TcpStream, _: Caller, _: SocketAddr) {
        socket.write_all(GREETING).unwrap();
    }

    fn exhausted(&mut self, _: &Caller, line: &mut Vec<u8>) {
        line.extend_from_slice(EXHAUSTED);
    }
}

/// Opens descriptors until there are none.
fn hoard() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

/// The process under test. Lines on its standard input: `report` answers the counts, `free` gives the descriptors back.
#[test]
#[ignore = "the child process of the other tests of this file"]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let hard = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(DESCRIPTORS_MAX), maximum: hard }).unwrap();
    let (listeners, locals) = bind(&["[::]:0"]);
    let mut hoarded = Vec::new();
    if role == "no-reserve" {
        hoarded = hoard();
        // The epoll and the mailbox.
        hoarded.truncate(hoarded.len() - 2);
    }
    let doorway = Doorway::open(listeners, |_| Greeter).unwrap();
    hoarded.extend(hoard());
    println!("\nanswer {}", locals[0].port());
    for line in io::stdin().lines() {
        if line.unwrap() == "free" {
            hoarded.clear();
            println!("\nanswer 0");
        } else {
            let counts = doorway.counts();
            println!("\nanswer {} {} {}", counts.exhausted, counts.pauses, counts.unspoken);
        }
    }
    doorway.stop();
}

/// The child as seen from here; killed on drop.
struct Subject {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    port: u16,
}

impl Subject {
    fn start(role: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["doorway::tests::exhausted::child", "--exact", "--ignored", "--nocapture"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut subject = Self { process, input, output, port: 0 };
        subject.port = u16::try_from(subject.answer()[0]).unwrap();
        subject
    }

    fn answer(&mut self) -> Vec<u64> {
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the child has ended");
            if let Some(numbers) = line.strip_prefix("answer ") {
                return numbers.split_whitespace().map(|number| number.parse().unwrap()).collect();
            }
        }
    }

    fn ask(&mut self, question: &str) -> Vec<u64> {
        writeln!(self.input, "{question}").unwrap();
        self.answer()
    }

    fn connect(&self, number: usize) -> TcpStream {
        let address: IpAddr = if number.is_multiple_of(2) { "127.0.0.1" } else { "::1" }.parse().unwrap();
        connect(SocketAddr::new(address, self.port))
    }

    /// User and system time of the child, in clock ticks of 10 ms (`proc_pid_stat`(5), fields 14 and 15).
    fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Lets `client` wait 2 s for something that does not come, and returns the share of a processor the child used, in percent.
    fn cpu_percent_while_waiting(&self, mut client: &TcpStream) -> u64 {
        let (before, start) = (self.cpu_ticks(), crate::clock::now());
        client.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let outcome = client.read(&mut [0; 8]);
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(outcome.is_err(), "it was answered: {outcome:?}");
        let elapsed = u64::try_from((crate::clock::now() - start).as_millis()).unwrap();
        (self.cpu_ticks() - before) * 1000 / elapsed
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn without_descriptors_everybody_still_reads_a_421() {
    let mut subject = Subject::start("reserve");
    for number in 0..100 {
        let mut client = subject.connect(number);
        if number % 3 == 0 {
            client.write_all(&pattern(60_000)).unwrap();
        }
        assert_eq!(read_to_end(&mut client), EXHAUSTED, "client {number}");
    }
    assert_eq!(subject.ask("report"), [100, 0, 0], "exhausted, pauses, unspoken");

    // Sixty at once who read and never close: more than the reserve. They are told in turn.
    let mut silent: Vec<_> = (0..60).map(|number| subject.connect(number)).collect();
    let before = (subject.cpu_ticks(), crate::clock::now());
    for (number, client) in silent.iter_mut().enumerate() {
        assert_eq!(read_to_end(client), EXHAUSTED, "silent client {number}");
    }
    let elapsed = u64::try_from((crate::clock::now() - before.1).as_millis()).unwrap();
    let ticks = subject.cpu_ticks() - before.0;
    // One tick of 10 ms is the measure's own error.
    assert!(ticks.saturating_sub(1) * 1000 <= 5 * elapsed, "{ticks} ticks of 10 ms in {elapsed} ms");
    let report = subject.ask("report");
    assert_eq!(report[0], 160);
    assert!(report[1] > 0, "it never paused: {report:?}");

    drop(silent);
    assert_eq!(subject.ask("free"), [0]);
    let mut greeted = Vec::new();
    wait_until("callers are admitted again", || {
        greeted = read_to_end(&mut subject.connect(1));
        greeted == GREETING
    });
}

#[test]
fn without_even_a_reserve_callers_wait_and_nothing_spins() {
    let mut subject = Subject::start("no-reserve");
    let mut clients: Vec<_> = (0..6).map(|number| subject.connect(number)).collect();
    let percent = subject.cpu_percent_while_waiting(&clients[0]);
    assert!(percent < 5, "{percent} % of a processor");
    let report = subject.ask("report");
    // Every 50 ms, and never more often.
    assert!(report[0] == 0 && (5..200).contains(&report[1]), "{report:?}");
    subject.ask("free");
    for client in &mut clients {
        assert_eq!(read_to_end(client), GREETING);
    }
}
