//! What real clients make of a refusal: each comes back by itself and finishes, with the right content. A house that is full for
//! three seconds, an address that came too often, a server that drains while its successor takes the port.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{PASSWORD, Setup, Subject, USER};
use tidegate_conformance::tree::Noise;

use crate::lab::{free_port, unhurried};
use crate::run::{assert_well, run, run_well};

/// How long nobody can get in.
const CLOSED_FOR: Duration = Duration::from_secs(3);
/// Who finishes sooner was not refused; a client may have begun its wait before the test did.
const NOT_BEFORE: Duration = Duration::from_millis(2500);
/// When the last of them must have finished: rclone tries for 6.5 s and starts over twice, curl doubles its waits from 1 s.
const LATEST: Duration = Duration::from_secs(30);
/// A client that takes longer is stopped.
const LIMIT: Duration = Duration::from_mins(1);
const WANTED: &str = "wanted.bin";
const SENT: &str = "sent.bin";

/// A client and how it is told to be patient: nothing but its own documented options.
pub(crate) struct Visitor {
    pub(crate) name: &'static str,
    /// Downloads [`WANTED`] and uploads to [`SENT`].
    work: fn(&Errand),
}

struct Errand {
    address: SocketAddr,
    /// To be written.
    got: PathBuf,
    /// To be sent.
    own: PathBuf,
}

pub(crate) const VISITORS: [Visitor; 3] = [
    Visitor { name: "curl", work: curl },
    Visitor { name: "lftp", work: lftp },
    Visitor { name: "rclone", work: rclone },
];

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Both in one process and one session. `--retry` alone repeats what a 4xx refused; a port where nobody listens, as between two
/// servers, is tried again with `--retry-connrefused`.
fn curl(errand: &Errand) {
    let url = |name: &str| format!("ftp://{USER}:{PASSWORD}@{}/{name}", errand.address);
    let patient = ["--retry", "6", "--retry-connrefused", "-sS"];
    let (wanted, sent) = (url(WANTED), url(SENT));
    let down = ["-o", text(&errand.got), &wanted, "--next"];
    let up = ["-T", text(&errand.own), &sent];
    run_well(LIMIT, "curl", &[&["--disable"][..], &patient, &down, &patient, &up].concat());
}

/// Its first wait is 30 s; here it is one.
fn lftp(errand: &Errand) {
    let script = format!(
        "set net:reconnect-interval-base 1; set net:reconnect-interval-multiplier 1.5; set net:reconnect-interval-max 4; \
         set net:max-retries 20; set net:timeout 10; set cmd:fail-exit yes; open -u {USER},{PASSWORD} ftp://{}; \
         get {WANTED} -o {}; put {} -o {SENT}; bye",
        errand.address,
        errand.got.display(),
        errand.own.display()
    );
    run_well(LIMIT, "lftp", &["--norc", "-c", &script]);
}

/// As it comes.
fn rclone(errand: &Errand) {
    let password = run_well(LIMIT, "rclone", &["--config=", "obscure", PASSWORD]);
    let remote = |name: &str| {
        let port = errand.address.port();
        format!(":ftp,host=127.0.0.1,port={port},user={USER},pass={}:{name}", password.trim_end())
    };
    for (from, to) in
        [(remote(WANTED), text(&errand.got).to_owned()), (text(&errand.own).to_owned(), remote(SENT))]
    {
        let arguments = ["--config=", "copyto", &from, &to];
        assert_well(&run(LIMIT, "rclone", &arguments), "rclone", &arguments);
    }
}

/// What a visitor is to fetch and to bring, and where it lies.
struct Goods {
    work: TempDir,
    wanted: Vec<u8>,
    own: Vec<u8>,
}

impl Goods {
    fn lay_out(home: &Path, seed: u64) -> Self {
        let mut noise = Noise(seed);
        let goods =
            Self { work: TempDir::new().unwrap(), wanted: noise.bytes(300_000), own: noise.bytes(200_000) };
        fs::write(home.join(WANTED), &goods.wanted).unwrap();
        fs::write(goods.work.path().join("own"), &goods.own).unwrap();
        goods
    }

    /// Lets the visitor do its errand; returns how long it took.
    fn visit(&self, visitor: &Visitor, address: SocketAddr) -> Duration {
        let (got, own) = (self.work.path().join("got"), self.work.path().join("own"));
        let started = Instant::now();
        (visitor.work)(&Errand { address, got, own });
        started.elapsed()
    }

    fn check(&self, visitor: &Visitor, home: &Path) {
        assert!(fs::read(self.work.path().join("got")).unwrap() == self.wanted, "{}: download", visitor.name);
        assert!(fs::read(home.join(SENT)).unwrap() == self.own, "{}: upload", visitor.name);
    }
}

/// Runs `situation` with every visitor at once, each with a server of its own; it returns how long the visitor took.
fn each(what: &str, situation: fn(&Visitor) -> Duration) {
    std::thread::scope(|scope| {
        let visits: Vec<_> =
            VISITORS.iter().map(|visitor| (visitor, scope.spawn(move || situation(visitor)))).collect();
        for (visitor, visit) in visits {
            let took = visit.join().unwrap_or_else(|_| panic!("{} {what}: see above", visitor.name));
            eprintln!("{} {what}: finished after {:.1} s", visitor.name, took.as_secs_f64());
            assert!(took >= NOT_BEFORE, "{} was not refused: {took:?}", visitor.name);
            assert!(took <= LATEST, "{} came back too late: {took:?}", visitor.name);
        }
    });
}

#[test]
fn a_full_house_is_waited_for() {
    each("at a full house", |visitor| {
        let subject = unhurried("[limits]\nconnections = 1\n").start();
        let goods = Goods::lay_out(&subject.home, 1);
        let holder = Client::logged_in(subject.address());
        let took = std::thread::scope(|scope| {
            let visit = scope.spawn(|| goods.visit(visitor, subject.address()));
            std::thread::sleep(CLOSED_FOR);
            drop(holder);
            visit.join().unwrap()
        });
        goods.check(visitor, &subject.home);
        assert!(subject.log().contains("server-full"), "nobody was refused:\n{}", subject.log());
        took
    });
}

#[test]
fn a_rate_is_waited_for() {
    each("over its rate", |visitor| {
        let subject = unhurried("[limits]\nconnection_rate_per_address = \"1/3s\"\n").start();
        let goods = Goods::lay_out(&subject.home, 2);
        drop(Client::greeted(subject.address()));
        let took = goods.visit(visitor, subject.address());
        goods.check(visitor, &subject.home);
        assert!(subject.log().contains("rate"), "nobody was refused:\n{}", subject.log());
        took
    });
}

/// The old server finishes the transfer it has and refuses everybody else; when it has ended, the new one takes the port. The
/// gap in which nobody listens is measured.
#[test]
fn a_successor_is_waited_for() {
    each("during a handover", |visitor| {
        let folder = TempDir::new().unwrap();
        let home = folder.path().join("home");
        fs::create_dir(&home).unwrap();
        let goods = Goods::lay_out(&home, 3);
        let setup = unhurried("[timeouts]\nshutdown = \"30s\"\n");
        let mut old = setup.start_on(TempDir::new().unwrap(), home.clone());
        let address = old.address();
        let mut inside = Client::logged_in(address);
        let mut upload = inside.passive();
        inside.command("STOR late.bin", 150);
        old.terminate();
        wait_until_draining(&old);
        let next = Setup { listen: vec![address.to_string()], ..setup };
        let (took, gap, _new) = std::thread::scope(|scope| {
            let (started, begun) = mpsc::channel();
            let goods = &goods;
            let visit = scope.spawn(move || {
                started.send(()).unwrap();
                goods.visit(visitor, address)
            });
            begun.recv().unwrap();
            std::thread::sleep(CLOSED_FOR);
            upload.write_all(b"the last bytes").unwrap();
            drop(upload);
            inside.expect(226);
            let status = old.wait();
            assert!(status.success(), "{status}: {}", old.log());
            let ended = Instant::now();
            let new = next.start_on(TempDir::new().unwrap(), home.clone());
            let gap = ended.elapsed();
            (visit.join().unwrap(), gap, new)
        });
        eprintln!("nobody listened for {} ms", gap.as_millis());
        assert!(gap < Duration::from_secs(5), "the port was free for {gap:?}");
        goods.check(visitor, &home);
        assert_eq!(fs::read(home.join("late.bin")).unwrap(), b"the last bytes");
        assert!(old.log().contains("draining"), "nobody was refused:\n{}", old.log());
        took
    });
}

/// A handover longer than any of them needs: curl without `--retry-connrefused` is the one that does not wait for it.
#[test]
fn a_port_where_nobody_listens_is_waited_for() {
    each("at a closed port", |visitor| {
        let folder = TempDir::new().unwrap();
        let home = folder.path().join("home");
        fs::create_dir(&home).unwrap();
        let goods = Goods::lay_out(&home, 4);
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        if visitor.name == "curl" {
            let url = format!("ftp://{USER}:{PASSWORD}@{address}/{WANTED}");
            let output = run(LIMIT, "curl", &["--disable", "-sS", "--retry", "6", &url]);
            assert_eq!(
                output.status.code(),
                Some(7),
                "curl came back to a closed port by --retry alone: {output:?}"
            );
        }
        let (took, _server) = std::thread::scope(|scope| {
            let visit = scope.spawn(|| goods.visit(visitor, address));
            std::thread::sleep(CLOSED_FOR);
            let setup = Setup { listen: vec![address.to_string()], ..unhurried("") };
            let server = setup.start_on(TempDir::new().unwrap(), home.clone());
            (visit.join().unwrap(), server)
        });
        goods.check(visitor, &home);
        took
    });
}

/// Waits until a newcomer is refused, at most `PATIENCE`: the drain has begun.
fn wait_until_draining(subject: &Subject) {
    let until = Instant::now() + PATIENCE;
    while Client::connect(subject.address()).reply().code != 421 {
        assert!(Instant::now() < until, "no drain has begun; the log says:\n{}", subject.log());
    }
}
