//! Clients from many addresses of the loopback that each read to the end.

use std::io::{ErrorKind, Read as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Mutex;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tidegate_conformance::PATIENCE;

/// Clients at a time.
const THREADS: u32 = 8;

/// How clients ended.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    /// The line of the cause that was expected, whole, and the end of the stream.
    pub(crate) refused: u32,
    /// Let in; they leave at once.
    pub(crate) admitted: u32,
    /// What else happened, at most a few of them.
    pub(crate) others: Vec<String>,
}

/// Returns the `number`th address of a crowd; no two of the first 1,000,000 are alike.
fn source(number: u32) -> Ipv4Addr {
    let [_, high, middle, low] = (number % 1_000_000).to_be_bytes();
    Ipv4Addr::new(127, 16 + high, middle, low)
}

fn connect(number: u32, to: SocketAddr) -> std::io::Result<TcpStream> {
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddr::from((source(number), 0)))?;
    rustix::net::connect(&socket, &to)?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Visits `server` once from each of `crowd`; those who are not let in must read `cause`.
pub(crate) fn visit(server: SocketAddr, crowd: std::ops::Range<u32>, cause: &str) -> Ends {
    let ends = Mutex::new(Ends::default());
    let tail = format!("[cause={cause} retry=");
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (ends, tail, crowd) = (&ends, &tail, crowd.clone());
            scope.spawn(move || {
                for number in crowd.skip(thread as usize).step_by(THREADS as usize) {
                    let end = one(number, server, tail);
                    let mut ends = ends.lock().unwrap();
                    match end {
                        Ok(true) => ends.refused += 1,
                        Ok(false) => ends.admitted += 1,
                        Err(other) if ends.others.len() < 20 => ends.others.push(other),
                        Err(_) => {}
                    }
                }
            });
        }
    });
    ends.into_inner().unwrap()
}

/// Returns whether the client was refused as expected; `Err` tells what else happened.
fn one(number: u32, server: SocketAddr, tail: &str) -> Result<bool, String> {
    let mut stream = connect(number, server).map_err(|error| format!("cannot connect: {error}"))?;
    let mut first = [0; 4];
    stream.read_exact(&mut first).map_err(|error| format!("no line: {error}"))?;
    if &first == b"220 " {
        return Ok(false);
    }
    let mut rest = String::new();
    match stream.read_to_string(&mut rest) {
        Ok(_) if &first == b"421 " && rest.contains(tail) && rest.ends_with("]\r\n") => Ok(true),
        Ok(_) => Err(format!("it says {:?}", first.escape_ascii().to_string() + &rest)),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Err(format!("a reset behind {rest:?}")),
        Err(error) => Err(format!("no end behind {rest:?}: {error}")),
    }
}
