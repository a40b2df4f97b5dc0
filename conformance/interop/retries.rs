//! Which refusals make a real client try again, and which end its work: the codes of the refusal contract (DESIGN §2) are chosen
//! by this. A relay counts how often each client comes.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{PASSWORD, Setup, Subject, USER};

use crate::lab::{Relay, unhurried};
use crate::run::{run, run_well};

/// No client may take longer to give up: each is told to try three times.
const LIMIT: Duration = Duration::from_secs(50);

/// What a client does about a refusal that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    /// It connects again, as often as it was told to.
    ComesBack,
    /// It asks again in the same session, or in a new one.
    AsksAgain,
    /// It asks once and ends with a failure.
    GivesUp,
}

use Does::{AsksAgain, ComesBack, GivesUp};

/// A way to be refused, and what curl, lftp and rclone do about it.
struct Row {
    cause: &'static str,
    /// Returns the server and whoever stands in the way.
    refuses: fn() -> (Subject, Guests),
    does: [Does; 3],
}

/// Whoever stands in the way: sessions, and a data connection under way.
type Guests = (Vec<Client>, Option<TcpStream>);

const TABLE: [Row; 4] = [
    // 421 as the greeting.
    Row { cause: "server-full", refuses: server_full, does: [ComesBack, ComesBack, ComesBack] },
    // 421 after PASS.
    Row { cause: "account-full", refuses: account_full, does: [ComesBack, ComesBack, ComesBack] },
    // 450 to RETR; the session stays. rclone takes 450 for `not found`, as it does 550: its listing is refused first, and it says
    // that there is no such directory.
    Row { cause: "transfers-full", refuses: transfers_full, does: [AsksAgain, AsksAgain, GivesUp] },
    // 530 as the greeting: permanent. lftp tries every greeting but 220 again, up to its net:max-retries.
    Row { cause: "denied", refuses: denied, does: [GivesUp, ComesBack, GivesUp] },
];

fn server_full() -> (Subject, Guests) {
    let subject = unhurried("[limits]\nconnections = 1\n").start();
    let holder = Client::logged_in(subject.address());
    (subject, (vec![holder], None))
}

fn account_full() -> (Subject, Guests) {
    let subject = Setup { account: "max_connections = 1\n".into(), ..unhurried("") }.start();
    let holder = Client::logged_in(subject.address());
    (subject, (vec![holder], None))
}

fn transfers_full() -> (Subject, Guests) {
    let subject = unhurried("[limits]\ntransfers = 1\n").start();
    let mut holder = Client::logged_in(subject.address());
    let mut data = holder.passive();
    holder.command("STOR held", 150);
    data.write_all(b"some").unwrap();
    (subject, (vec![holder], Some(data)))
}

fn denied() -> (Subject, Guests) {
    (unhurried("[limits]\ndeny = [\"127.0.0.1/32\"]\n").start(), (Vec::new(), None))
}

/// Runs a client that wants one file and is told to try three times; returns whether it ended well.
fn visit(client: &str, address: SocketAddr) -> bool {
    let url = format!("ftp://{USER}:{PASSWORD}@{address}/wanted");
    let work = tempfile::TempDir::new().unwrap();
    // Its `cat` does not end after a failure.
    let got = work.path().join("got");
    let output = match client {
        "curl" => run(LIMIT, "curl", &["--disable", "-sS", "--retry", "2", "-o", "/dev/null", &url]),
        "lftp" => {
            let script = format!(
                "set net:reconnect-interval-base 1; set net:reconnect-interval-multiplier 1; set net:max-retries 3; \
                 set net:timeout 5; set cmd:fail-exit yes; open -u {USER},{PASSWORD} ftp://{address}; get wanted -o {}",
                got.display()
            );
            run(LIMIT, "lftp", &["--norc", "-c", &script])
        }
        _ => {
            let password = run_well(LIMIT, "rclone", &["--config=", "obscure", PASSWORD]);
            let (port, password) = (address.port(), password.trim_end());
            let remote = format!(":ftp,host=127.0.0.1,port={port},user={USER},pass={password}:wanted");
            let few = ["--config=", "--retries=1", "--low-level-retries=3"];
            run(LIMIT, "rclone", &[&few[..], &["cat", &remote]].concat())
        }
    };
    eprintln!("{client}: {} {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    output.status.success()
}

#[test]
fn what_each_client_tries_again() {
    let mut wrong = Vec::new();
    for row in TABLE {
        for (client, does) in ["curl", "lftp", "rclone"].into_iter().zip(row.does) {
            let (subject, in_the_way) = (row.refuses)();
            std::fs::write(subject.home.join("wanted"), b"content").unwrap();
            let relay = Relay::before(subject.address());
            let well = visit(client, relay.address);
            let (came, asked) = (relay.connections(), relay.count("RETR"));
            eprintln!("{client} at {}: came {came} times, asked {asked} times", row.cause);
            assert!(!well, "{client} got the file past {}", row.cause);
            let found = match (came, asked) {
                (2.., _) => ComesBack,
                (_, 2..) => AsksAgain,
                _ => GivesUp,
            };
            if found != does {
                wrong.push(format!("{client} at {}: {found:?}, not {does:?}: {:?}", row.cause, relay.said()));
            }
            drop(in_the_way);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
