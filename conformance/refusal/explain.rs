//! `why` agrees with what happens next: random states, with time moving, over sockets.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{PASSWORD, USER};
use tidegate_conformance::tree::Noise;

use crate::house::{Control, House, Plan, wait_for};
use crate::visitor::{cause_of, client_from};

/// States that are asked about, half of them at the door and half after PASS.
const STEPS: usize = 160;
/// Worlds at the same time, each with its seed; `TIDEGATE_WORLDS` for another number.
const WORLDS: u64 = 4;
/// Who is idle for so long may have to make room.
const IDLE_FROM: Duration = Duration::from_secs(10);
/// How near to that a question may be answered either way.
const NEARLY: Duration = Duration::from_millis(700);
/// What must have been seen in all worlds together.
const OUTCOMES: [&str; 7] = ["admit", "refuse", "deny", "drop", "wait", "reclaim", "no-account"];

/// What `why` tells about one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) outcome: String,
    pub(crate) cause: Option<String>,
    pub(crate) retry: Option<u64>,
}

impl Answer {
    /// Reads the first answer of a report.
    pub(crate) fn of(report: &Value) -> Self {
        Self::read(&report["answers"][0])
    }

    /// Reads the answer about the listener at `address`; the only one when it is about a login.
    fn at(report: &Value, address: SocketAddr) -> Self {
        let answers = report["answers"].as_array().expect("answers");
        let named = answers.iter().find(|answer| answer["listener"] == address.to_string());
        Self::read(named.unwrap_or(&answers[0]))
    }

    fn read(answer: &Value) -> Self {
        let word = |key: &str| answer[key].as_str().map(str::to_owned);
        let outcome = word("outcome").unwrap_or_else(|| panic!("no outcome in {answer:#}"));
        let (cause, retry) = (word("cause"), answer["retry_seconds"].as_u64());
        assert_eq!(cause.is_none(), matches!(outcome.as_str(), "admit" | "no-account"), "{answer:#}");
        // The first check that refuses is the cause.
        let checks = answer["checks"].as_array().expect("every rule is told");
        let first = checks.iter().find(|check| check["refuses"] == true);
        assert_eq!(first.and_then(|check| check["cause"].as_str()), cause.as_deref(), "{answer:#}");
        Self { outcome, cause, retry }
    }
}

/// What then came.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fact {
    /// 220 or 230.
    In,
    /// 421 with its cause.
    Refused(String),
    /// 530.
    Denied,
    /// The end without a word.
    Silence,
    /// Nothing, and `status` says that somebody waits.
    Waits,
}

/// Somebody inside.
struct Guest {
    source: IpAddr,
    client: Client,
    logged_in: bool,
    /// When it last did something.
    since: Instant,
}

/// A house, who is inside it, and what comes next.
struct World {
    seed: u64,
    house: House,
    control: Control,
    noise: Noise,
    inside: Vec<Guest>,
    is_draining: bool,
    strangers: usize,
    seen: BTreeSet<String>,
    outcomes: BTreeSet<String>,
    boundaries: usize,
}

/// The listeners beside the first; which there are cannot change.
const LISTENERS: &str = "[[listener]]\naddress = \"127.0.0.1:0\"\n[[listener]]\naddress = \"[::1]:0\"\n";
const RESERVED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 71);

/// Rules and limits drawn by lot; with `reclaims` each address has one place, and it is taken back.
fn limits(noise: &mut Noise, reclaims: bool) -> Plan {
    let mut least = |from: u64, to: u64| from + noise.below(to - from + 1);
    let mut tables = format!(
        "[limits]\ntrusted = []\nlogin_failures = \"{}/5m\"\nban = {{ first = \"2s\", factor = 1.0 }}\n\
         connections = {}\nconnections_per_address = {}\nconnections_unauthenticated = {}\n\
         connection_rate_per_address = \"{}/3s\"\n",
        least(1, 2),
        least(5, 9),
        if reclaims { 1 } else { least(1, 4) },
        least(2, 6),
        least(2, 8),
    );
    if least(0, 1) == 0 {
        tables += "deny = [\"127.0.0.73\"]\n";
        tables += if least(0, 1) == 0 { "deny_silent = true\n" } else { "" };
    }
    if least(0, 2) == 0 {
        writeln!(tables, "reserved = {{ connections = {}, from = [\"{RESERVED}\"] }}", least(1, 3)).unwrap();
    }
    if least(0, 2) == 0 {
        tables += "waiting_room = { hold = \"20s\", places = 8 }\n";
    }
    if reclaims || least(0, 2) == 0 {
        tables += "reclaim = \"idle\"\n";
    }
    if least(0, 1) == 0 {
        let most = least(1, 5);
        write!(tables, "[[limits.override]]\nfrom = \"127.0.0.72/32\"\nconnections_per_address = {most}\n")
            .unwrap();
    }
    tables += "[timeouts]\nlogin = \"10m\"\nidle = \"10m\"\n";
    write!(tables, "[[listener]]\naddress = \"127.0.0.1:0\"\nconnections = {}\n", least(1, 3)).unwrap();
    tables += "[[listener]]\naddress = \"[::1]:0\"\n";
    Plan {
        listener: format!("connections = {}\n", least(4, 9)),
        account: format!("max_connections = {}\n", least(1, 3)),
        anonymous: format!("max_connections = {}\n", least(1, 2)),
        ..Plan::with(tables)
    }
}

#[test]
fn why_agrees_with_what_happens() {
    let first = crate::seed();
    let worlds = std::env::var("TIDEGATE_WORLDS").map_or(WORLDS, |count| count.parse().expect("a number"));
    let mut outcomes = BTreeSet::new();
    let seeds: Vec<u64> = (0..worlds).map(|index| first.wrapping_add(index)).collect();
    for seeds in seeds.chunks(usize::try_from(WORLDS).unwrap()) {
        thread::scope(|scope| {
            let worlds: Vec<_> =
                seeds.iter().map(|seed| (seed, scope.spawn(|| World::new(*seed).live()))).collect();
            for (seed, world) in worlds {
                outcomes.extend(world.join().unwrap_or_else(|_| panic!("seed {seed}: see above")));
            }
        });
    }
    for outcome in OUTCOMES.into_iter().filter(|_| worlds >= WORLDS) {
        assert!(
            outcomes.contains(outcome),
            "{worlds} worlds from seed {first} on, and no {outcome}: {outcomes:?}"
        );
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut noise = Noise(seed);
        let house = limits(&mut noise, false).start();
        let control = house.control();
        Self {
            seed,
            house,
            control,
            noise,
            inside: Vec::new(),
            is_draining: false,
            strangers: 0,
            seen: BTreeSet::new(),
            outcomes: BTreeSet::new(),
            boundaries: 0,
        }
    }

    /// Returns the outcomes that were told and came true.
    fn live(mut self) -> BTreeSet<String> {
        for step in 0..STEPS {
            // Half-way all have been idle for long enough, and for some steps nothing else changes.
            if step == STEPS / 2 {
                self.let_all_idle();
            } else if !(STEPS / 2..=STEPS / 2 + 10).contains(&step) {
                self.change();
            }
            self.settle();
            // By the command now and then: it must print the same.
            let by_command = step % 16 == 0;
            if step % 2 == 0 { self.try_the_door(by_command) } else { self.try_a_login(by_command) }
        }
        let Self { seed, seen, boundaries, outcomes, .. } = self;
        eprintln!("seed {seed}: told {outcomes:?}, {seen:?}; {boundaries} at the turn of a second");
        assert!(seen.contains("admit") && seen.len() >= 6, "seed {seed} saw little: {seen:?}");
        assert!(boundaries <= STEPS / 20, "seed {seed}: {boundaries} at the turn of a second");
        outcomes
    }

    fn address(&mut self) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, 0, 70 + u8::try_from(self.noise.below(4)).unwrap())
    }

    /// Changes something, or lets time go by.
    fn change(&mut self) {
        match self.noise.below(14) {
            0..=1 if !self.inside.is_empty() => {
                let at = usize::try_from(self.noise.below(self.inside.len() as u64)).unwrap();
                self.inside.swap_remove(at);
            }
            4 => {
                let address = self.address();
                let seconds = 1 + self.noise.below(3);
                let order = json!({ "command": "ban", "address": address.to_string(), "seconds": seconds });
                if let Err(error) = self.control.try_ask(&order) {
                    assert!(address == RESERVED && error["kind"] == "refused", "{address}: {error}");
                }
            }
            5 => {
                let address = self.address();
                self.control.ask(&json!({ "command": "unban", "address": address.to_string() }));
            }
            6 => {
                let plan = limits(&mut self.noise, false);
                self.house.reload(|old| *old = plan);
            }
            7..=9 => thread::sleep(Duration::from_millis(self.noise.below(700))),
            10 if !self.is_draining && self.noise.below(3) == 0 => {
                self.control.ask(&json!({ "command": "drain", "deadline_seconds": 600, "stay": true }));
                self.is_draining = true;
                // It sends everybody away: nobody here transfers anything.
                self.inside.clear();
            }
            11 | 12 if self.is_draining => self.resume(),
            13 if self.noise.below(2) == 0 => self.fail_to_log_in(),
            _ => {}
        }
    }

    fn resume(&mut self) {
        self.control.ask(&json!({ "command": "resume" }));
        self.is_draining = false;
    }

    /// Fills the house by one from each address and waits until all of them may have to make room.
    fn let_all_idle(&mut self) {
        if self.is_draining {
            self.resume();
        }
        let plan = limits(&mut self.noise, true);
        self.house.reload(|old| *old = plan);
        self.inside.clear();
        for step in 0..12 {
            self.settle();
            if step % 2 == 0 { self.try_the_door(false) } else { self.try_a_login(false) }
        }
        thread::sleep(IDLE_FROM + NEARLY);
        // One more from each address that has its place.
        let addresses: Vec<IpAddr> = self.inside.iter().map(|guest| guest.source).collect();
        for source in addresses {
            self.settle();
            let listener = if source.is_ipv6() { 2 } else { 0 };
            self.knock(source, self.house.addresses()[listener], false);
        }
        self.meet_what_is_rare();
    }

    /// What chance may leave out: a waiting room, and who may not come at all, told so or not.
    fn meet_what_is_rare(&mut self) {
        let places = self.inside.len().max(1);
        let waiting = format!("connections = {places}\nwaiting_room = {{ hold = \"20s\", places = 8 }}\n");
        let denied = "deny = [\"::1\"]\n".to_owned();
        for rules in [waiting, format!("{denied}deny_silent = true\n"), denied] {
            self.house.reload(|old| *old = Plan::with(format!("[limits]\ntrusted = []\n{rules}{LISTENERS}")));
            // The second one finds no place when the first was let in.
            for _ in 0..2 {
                self.settle();
                self.knock(IpAddr::V6(Ipv6Addr::LOCALHOST), self.house.addresses()[2], false);
            }
        }
    }

    /// Waits until the server has seen everybody leave who left.
    fn settle(&mut self) {
        let expected = self.inside.len() as u64;
        let until = Instant::now() + PATIENCE;
        loop {
            let status = self.control.ask(&json!({ "command": "status" }));
            let count = |value: &Value| value.as_u64().expect("a number");
            // Reserved places are counted apart.
            let inside = count(&status["connections"]["in_use"]) + count(&status["reserved"]);
            if inside == expected && status["waiting"] == 0 {
                return;
            }
            assert!(Instant::now() < until, "seed {}: {expected} must be inside, {status:#}", self.seed);
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn why(&mut self, request: &Value, at: SocketAddr, by_command: Option<&[&str]>) -> Answer {
        let answer = Answer::at(&self.control.ask(request), at);
        // Of a name that nobody has the command makes an error.
        if let Some(command) = by_command.filter(|_| answer.outcome != "no-account") {
            let told = Answer::at(&self.house.ask(command), at);
            // Time has moved: a retry may be smaller, or a rate be over.
            let same = told.cause == answer.cause || answer.retry == Some(1);
            assert!(same, "seed {}: {told:?} by the command, {answer:?} over the socket", self.seed);
        }
        answer
    }

    /// Compares what was told with what came. Somebody whose place was taken is no more inside then.
    fn compare(&mut self, before: &Answer, fact: &Fact, what: &str) {
        let cause = before.cause.as_deref();
        self.seen.insert(cause.unwrap_or(&before.outcome).to_owned());
        let agrees = match (before.outcome.as_str(), fact) {
            ("admit", Fact::In)
            | ("deny" | "no-account", Fact::Denied)
            | ("drop", Fact::Silence)
            | ("wait", Fact::Waits) => true,
            // The failure that it is may be the one that brings a ban.
            ("no-account", Fact::Refused(cause)) => cause == "login-failures",
            ("reclaim", Fact::In) => {
                self.find_who_made_room(what);
                true
            }
            ("refuse", Fact::Refused(came)) => cause == Some(came),
            _ => false,
        };
        if agrees {
            self.outcomes.insert(before.outcome.clone());
            return;
        }
        // Time moves between the question and the attempt: the last second of a ban or of a rate may end there.
        let ends = cause.is_some_and(|cause| ["rate", "banned", "login-failures"].contains(&cause));
        let is_at_the_turn = ends && before.retry == Some(1);
        assert!(
            is_at_the_turn || self.someone_turns_idle(),
            "seed {}, {what}: told {before:?}, then came {fact:?}",
            self.seed
        );
        self.boundaries += 1;
        if !is_at_the_turn && *fact == Fact::In {
            self.find_who_made_room(what);
        }
    }

    fn someone_turns_idle(&self) -> bool {
        self.inside.iter().any(|guest| guest.since.elapsed().abs_diff(IDLE_FROM) < NEARLY)
    }

    /// Takes him out who read that his place was given away.
    fn find_who_made_room(&mut self, what: &str) {
        let inside = &mut self.inside;
        let gone = wait_for(&format!("who made room for {what}"), || {
            inside.iter_mut().position(|guest| {
                matches!(glance(&mut guest.client), Glance::Line(line) if cause_of(&line) == "reclaimed")
            })
        });
        inside.swap_remove(gone);
    }

    /// Reads what the door says: a line, the end, or nothing as long as `status` tells of somebody who waits.
    fn hear(&mut self, client: &mut Client) -> Fact {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let line = match glance(client) {
                Glance::Line(line) => line,
                Glance::End => return Fact::Silence,
                Glance::Nothing => {
                    let status = self.control.ask(&json!({ "command": "status" }));
                    if status["waiting"] == 1 {
                        return Fact::Waits;
                    }
                    continue;
                }
            };
            return match line.get(..4) {
                Some("220 " | "230 ") => Fact::In,
                Some("530 ") => Fact::Denied,
                _ => Fact::Refused(cause_of(&line).to_owned()),
            };
        }
        panic!("seed {}: nothing came for {PATIENCE:?}", self.seed);
    }

    fn try_the_door(&mut self, by_command: bool) {
        let addresses = self.house.addresses();
        let (source, to) = match self.noise.below(5) {
            0 => (IpAddr::V6(Ipv6Addr::LOCALHOST), addresses[2]),
            index => (IpAddr::V4(self.address()), addresses[usize::try_from(index % 2).unwrap()]),
        };
        self.knock(source, to, by_command);
    }

    /// Asks about a connection from `source`, and makes it.
    fn knock(&mut self, source: IpAddr, to: SocketAddr, by_command: bool) {
        let name = source.to_string();
        let command = ["why", &name];
        let request = json!({ "command": "why", "address": name });
        let before = self.why(&request, to, by_command.then_some(&command));
        let mut client = match source {
            IpAddr::V4(source) => client_from(source, to),
            IpAddr::V6(_) => {
                Client::from_stream(TcpStream::connect_timeout(&to, PATIENCE).expect("an IPv6 loopback"))
            }
        };
        let fact = self.hear(&mut client);
        self.compare(&before, &fact, &format!("a connection from {source} to {to}"));
        if fact == Fact::In {
            self.inside.push(Guest { source, client, logged_in: false, since: Instant::now() });
        }
    }

    /// Returns somebody inside who has not logged in.
    fn newcomer(&mut self) -> Option<Guest> {
        let at = self.inside.iter().position(|guest| !guest.logged_in)?;
        Some(self.inside.swap_remove(at))
    }

    fn try_a_login(&mut self, by_command: bool) {
        let Some(Guest { source, mut client, .. }) = self.newcomer() else {
            return self.try_the_door(by_command);
        };
        let (user, password) = match self.noise.below(12) {
            0 => {
                self.strangers += 1;
                (format!("stranger{}", self.strangers), PASSWORD)
            }
            1..=4 => ("anonymous".into(), "me@"),
            _ => (USER.to_owned(), PASSWORD),
        };
        client.command(format!("USER {user}"), 331);
        let from = source.to_string();
        let command = ["why", &user, "--from", &from];
        let request = json!({ "command": "why", "account": user, "from": from });
        let to = self.house.address();
        let before = self.why(&request, to, by_command.then_some(&command));
        assert!(!user.starts_with("stranger") || before.outcome != "admit", "{before:?} for {user}");
        client.send(format!("PASS {password}\r\n").as_bytes());
        let fact = self.hear(&mut client);
        self.compare(&before, &fact, &format!("a login of {user} from {source}"));
        if fact == Fact::In {
            self.inside.push(Guest { source, client, logged_in: true, since: Instant::now() });
        }
    }

    /// A wrong password: the first or the second is a ban on the name, here; never for those who are reserved.
    fn fail_to_log_in(&mut self) {
        let Some(Guest { source, mut client, .. }) = self.newcomer() else { return };
        client.command(format!("USER {USER}"), 331);
        client.send(b"PASS wrong\r\n");
        match self.hear(&mut client) {
            Fact::Denied => {}
            Fact::Refused(cause) => {
                assert!(cause == "login-failures" || cause == "banned", "{cause} of {source}");
            }
            other => panic!("seed {}: {other:?} to a wrong password from {source}", self.seed),
        }
    }
}

/// What a glance at a connection finds.
enum Glance {
    Nothing,
    Line(String),
    End,
}

/// Reads a line if one comes soon.
fn glance(client: &mut Client) -> Glance {
    client.stream().set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let read = client.try_line();
    client.stream().set_read_timeout(Some(PATIENCE)).unwrap();
    match read {
        Ok(line) => line.map_or(Glance::End, Glance::Line),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Glance::Nothing,
        Err(error) => panic!("reading: {error}"),
    }
}
