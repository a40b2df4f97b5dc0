//! Starts, or finds, the server under test.

use std::net::{SocketAddr, ToSocketAddrs};

use super::peers;
use super::stage::Place;
use crate::subject::{PASSWORD, Setup, Subject, USER};

/// The servers that the suite can start by itself.
pub const SUBJECTS: [&str; 5] = ["tidegate", "vsftpd", "proftpd", "pure-ftpd", "pyftpdlib"];

/// A server that is there for the suite; one that was started for it ends when this is dropped.
#[derive(Debug)]
pub struct Hosted {
    /// Where it is.
    pub place: Place,
    _server: Server,
}

#[derive(Debug)]
#[expect(dead_code, reason = "held until the suite ends")]
enum Server {
    Tidegate(Box<Subject>),
    Peer(peers::Peer),
    Elsewhere,
}

/// Starts the server `subject` names, or takes it as `HOST:PORT`. Errors: it cannot be started or found, with the reason.
pub fn host(subject: &str) -> Result<Hosted, String> {
    match subject {
        "tidegate" => {
            // MODE Z is off by default; its checks need a server that offers it.
            let tables = "[files]\nmode_z = true\nmax_file_size = \"1GiB\"\n".into();
            let subject = Setup { anonymous: false, tables, ..Setup::default() }.start();
            let home = Some(subject.home.clone());
            let place = account(subject.address(), home);
            Ok(Hosted { place, _server: Server::Tidegate(Box::new(subject)) })
        }
        "vsftpd" | "proftpd" | "pure-ftpd" | "pyftpdlib" => {
            let peer = peers::Peer::start(subject)?;
            let place = account(peer.address, Some(peer.home.clone()));
            Ok(Hosted { place, _server: Server::Peer(peer) })
        }
        _ => elsewhere(subject).map(|place| Hosted { place, _server: Server::Elsewhere }),
    }
}

fn account(address: SocketAddr, home: Option<std::path::PathBuf>) -> Place {
    Place { address, user: USER.into(), password: PASSWORD.into(), home, disposable: true }
}

fn elsewhere(subject: &str) -> Result<Place, String> {
    let unknown = || format!("{subject} is neither one of {} nor HOST:PORT", SUBJECTS.join(", "));
    let mut addresses = subject.to_socket_addrs().map_err(|error| format!("{}: {error}", unknown()))?;
    let address = addresses.next().ok_or_else(unknown)?;
    let set = |name: &str| std::env::var(format!("TIDEGATE_SUBJECT_{name}")).ok();
    let mut place = account(address, set("HOME").map(Into::into));
    place.disposable = false;
    place.user = set("USER").unwrap_or(place.user);
    place.password = set("PASSWORD").unwrap_or(place.password);
    Ok(place)
}
