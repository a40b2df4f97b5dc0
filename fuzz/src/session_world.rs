//! Whole sessions in a world without sockets: line reader, session machine, gate, storage in memory and data connections.

use core::net::{IpAddr, Ipv4Addr};
use core::num::NonZeroU32;
use core::time::Duration;

use tidegate_admission::{Limits, LoginFailures, Rate, Reclaim, Reserved, Signal, TicketId, WaitingRoom};
use tidegate_protocol::command::Extras;
use tidegate_protocol::session::CommandRate;
use tidegate_testkit::{ConnectionId, DataScript, FakeAccount, Holds, Knock, Operation, World, WorldOptions};
use tidegate_types::{Rights, StorageErrorKind};

use crate::script::{self, number};

const CLIENTS: usize = 3;

/// What the testkit's world checks after every event holds whatever clients, storage and time do (one final reply a
/// command, limits, a port and a file are open for somebody); without a right nothing changes; and when the last client
/// is gone, every permit is back and nothing is open.
///
/// Input: a script, one step a line; `Play::perform` has the letters. `?n` as the first step makes answers take up to
/// n times 100 ms; `?nmk`: with seed m, and with the features of the gate that k has bits for (`gate`).
pub fn session_world(data: &[u8]) {
    let mut play = Play::new(data);
    for step in script::steps(data) {
        play.perform(step);
    }
    play.end();
}

/// Returns the limits of a small house, with the features that are set in `bits`.
fn gate(bits: u8) -> Limits {
    let has = |bit: u32| bits & (1 << bit) > 0;
    let on = |bit: u32, value: u32| has(bit).then_some(value);
    let hold = Duration::from_secs(if has(0) { 3 } else { 0 });
    let failures = |count| LoginFailures { count, period: Duration::from_mins(1) };
    Limits {
        waiting_room: WaitingRoom { hold, places: 2 },
        reclaim: if has(1) { Reclaim::Idle } else { Reclaim::Off },
        connections_unauthenticated: on(2, 1),
        connections_per_address: on(1, 1),
        login_failures: NonZeroU32::new(2).filter(|_| has(3)).map(failures),
        transfers: on(4, 1),
        connection_rate_per_address: if has(5) { Rate::new(3, Duration::from_secs(9)) } else { None },
        reserved: Reserved {
            connections: u32::from(has(6)),
            from: core::iter::once("192.0.2.3/32".parse().unwrap()).collect(),
        },
        ..Limits::new(2)
    }
}

struct Play {
    world: World,
    /// The connections of the clients, and which of them acts.
    clients: [Option<ConnectionId>; CLIENTS],
    /// Who of them waits before the door.
    waiting: [Option<TicketId>; CLIENTS],
    active: usize,
    /// Whether somebody was logged in who may change something.
    may_change: bool,
}

impl Play {
    fn new(data: &[u8]) -> Self {
        let mut options = WorldOptions::default();
        options.settings.extras = Extras::ALL;
        options.settings.mode_z = true;
        options.limits.connections = 2;
        if let Some(rest) = data.strip_prefix(b"?") {
            options.latency_max = Duration::from_millis(100) * u32::from(number(rest, 0));
            options.seed = u64::from(number(rest, 1));
            let bits = number(rest, 2);
            options.limits = gate(bits);
            options.settings.command_rate =
                CommandRate::new(u32::from(bits >> 7) * 20, Duration::from_secs(1));
        }
        let mut world = World::new(options);
        world.add_account("tide", FakeAccount::new("tide", "secret", Rights::ALL));
        world.add_account("none", FakeAccount::new("none", "secret", Rights::NONE));
        world.add_account("anonymous", FakeAccount::anonymous(Rights::READ_ONLY));
        world.fs.put("/f", b"content");
        world.fs.put("/d/x", b"x\r\ny\nz\r");
        world.fs.put("/d/.hidden", b"");
        world.fs.put_device("/device");
        let (clients, waiting) = ([None; CLIENTS], [None; CLIENTS]);
        let mut play = Self { world, clients, waiting, active: 0, may_change: false };
        play.choose(0);
        play
    }

    /// Performs one step; every step that begins with none of these letters is a command line with its CR LF.
    fn perform(&mut self, step: &[u8]) {
        let (letter, rest) = step.split_first().map_or((b' ', step), |(letter, rest)| (*letter, rest));
        let n = |at| number(rest, at);
        match letter {
            // Bytes as they are, or with a bare LF.
            b'"' => self.send(&[rest]),
            b'\'' => self.send(&[rest, b"\n"]),
            b'&' => {
                let line = [rest.get(1..).unwrap_or_default(), b"\r\n"].concat();
                self.send(&[&line.repeat(usize::from(n(0)))]);
            }
            // Another client, connected if need be.
            b':' => self.choose(usize::from(n(0)) % CLIENTS),
            b'#' => self.world.advance(
                Duration::from_millis(100) * u32::from(n(0)) + Duration::from_mins(u64::from(n(1) % 8)),
            ),
            b'+' => self.script(rest),
            // Answers, bytes and ends are held back; `{` alone lets go.
            b'{' => self.world.hold(Holds { answers: n(0) & 1 > 0, data: n(0) & 2 > 0, ends: n(0) & 4 > 0 }),
            b'%' => {
                let operation = Operation::ALL[usize::from(n(0)) % Operation::ALL.len()];
                let kind = StorageErrorKind::ALL[usize::from(n(1)) % StorageErrorKind::ALL.len()];
                self.world.fs.fail_next(operation, kind);
            }
            b'@' => self.world.ports_free = Some(u32::from(n(0))).filter(|free| *free < 9),
            b'~' => self.world.fs.set_space(Some(usize::from(n(0))).filter(|bytes| *bytes < 128)),
            b'!' => self.world.logins_unavailable ^= true,
            b'*' => self.world.drain_saying(u32::from(n(0)), (n(1) > 0).then_some("back at noon")),
            b'$' => self.world.drain_expired(),
            b')' => self.world.resume(),
            b']' => self.world.observe(Signal::Memory { used: u64::from(n(0)), limit: 100 }),
            b'(' => self.world.relimit(gate(n(0))),
            b'[' => self.strike(n(0)),
            b'^' => {
                if let Some(id) = self.clients[self.active] {
                    self.world.hang_up(id);
                }
            }
            b'?' => {}
            _ => self.send(&[step, b"\r\n"]),
        }
        self.look();
    }

    fn send(&mut self, parts: &[&[u8]]) {
        if let Some(id) = self.clients[self.active] {
            self.world.send(id, &parts.concat());
        }
    }

    /// The active client is thrown out, seems to be gone, or goes away from the door.
    fn strike(&mut self, what: u8) {
        match (self.clients[self.active], self.waiting[self.active]) {
            (_, Some(ticket)) => {
                self.waiting[self.active] = None;
                self.world.give_up(ticket);
            }
            (Some(id), None) if what.is_multiple_of(2) && self.world.closed(id).is_none() => {
                self.world.kick(id, 7);
            }
            (Some(id), None) => self.world.seem_dead(id),
            (None, None) => {}
        }
    }

    fn choose(&mut self, client: usize) {
        self.active = client;
        let is_out = self.clients[client].is_none_or(|id| self.world.closed(id).is_some());
        if is_out && self.waiting[client].is_none() {
            let last = u8::try_from(client).unwrap_or_default() + 1;
            let knock = self.world.knock(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 0);
            self.note(client, knock);
        }
    }

    fn note(&mut self, client: usize, knock: Knock) {
        match knock {
            Knock::Inside(id) => self.clients[client] = Some(id),
            Knock::Waits(ticket) => self.waiting[client] = Some(ticket),
            Knock::Refused(line) => {
                let text = String::from_utf8(line).expect("one ASCII line");
                assert!(text.starts_with("421 ") && text.ends_with("]\r\n") && text.is_ascii(), "{text:?}");
            }
        }
    }

    /// `+kn...`: the next data connection behaves like k, with n; the rest is what the client sends.
    fn script(&mut self, argument: &[u8]) {
        let at = usize::from(number(argument, 1));
        let send = argument.get(2..).unwrap_or_default().to_vec();
        let mut script = DataScript { send, ..DataScript::default() };
        match number(argument, 0) % 8 {
            1 => script.opens_after = None,
            2 => script.refused = true,
            3 => (script.chunk, script.pause) = (1, Duration::from_secs(1) * u32::from(number(argument, 1))),
            4 => script.stalls_at = Some(at),
            5 => script.breaks_at = Some(at),
            6 => script.opens_after = Some(Duration::from_secs(1) * u32::from(number(argument, 1))),
            _ => script.chunk = at.max(1),
        }
        if let Some(id) = self.clients[self.active] {
            self.world.script(id, script);
        }
    }

    fn look(&mut self) {
        for (ticket, knock) in self.world.take_called() {
            let client = self.waiting.iter().position(|waiting| *waiting == Some(ticket));
            let client = client.expect("somebody waits for that");
            self.waiting[client] = None;
            self.note(client, knock);
        }
        for id in self.clients.into_iter().flatten() {
            let rights = self.world.session(id).profile().map(|profile| profile.rights);
            self.may_change |= rights == Some(Rights::ALL);
            // Logged in and out again within one step: as who, nobody knows.
            let logins = self.world.take_replies(id).iter().filter(|reply| reply.code == 230).count();
            self.may_change |= logins > usize::from(rights.is_some());
            self.world.take_received(id);
            self.world.take_wire(id);
        }
        if !self.may_change {
            let files: Vec<Vec<u8>> = self.world.fs.files().into_iter().map(|(_, content)| content).collect();
            assert_eq!(files, [&b""[..], b"x\r\ny\nz\r", b"content"], "changed without a right");
            assert!(self.world.fs.partials().is_empty());
        }
    }

    /// Everybody leaves: at the latest their deadlines send them away. Who said QUIT may still fetch a byte a minute.
    fn end(mut self) {
        self.world.hold(Holds::default());
        for ticket in self.waiting.into_iter().flatten() {
            self.world.give_up(ticket);
        }
        self.waiting = [None; CLIENTS];
        self.look();
        for id in self.clients.into_iter().flatten() {
            self.world.hang_up(id);
        }
        self.world.advance(Duration::from_hours(7 * 24));
        self.look();
        self.world.check_empty();
    }
}
