//! What tests with programs around the server need: tools, ports, other addresses of the loopback, a page over HTTP, a relay.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tidegate_conformance::PATIENCE;
use tidegate_conformance::subject::Setup;

/// A crowded machine delays the server's tasks, and the server refuses for it; that is tested elsewhere.
pub(crate) const UNHURRIED: &str = "[overload]\nscheduling_delay = \"off\"\n";

/// Returns the default set-up with `tables`, for a machine that is crowded by other tests.
pub(crate) fn unhurried(tables: &str) -> Setup {
    Setup::with(&format!("{UNHURRIED}{tables}"))
}

/// Returns a command for a program that `cargo xtask install` has unpacked below `.tools/peers`. It must be there.
pub(crate) fn unpacked(folder: &str, program: &str) -> Command {
    let told = std::env::var_os("TIDEGATE_TOOLS").map(PathBuf::from);
    let beside = || {
        let here = std::env::current_dir().ok()?;
        here.ancestors().map(|folder| folder.join(".tools")).find(|folder| folder.is_dir())
    };
    let tools = told.or_else(beside).expect("no folder .tools: run `cargo xtask install`");
    let home = tools.join("peers").join(folder);
    let path = home.join(program);
    assert!(path.is_file(), "{} is missing: run `cargo xtask install`", path.display());
    let mut command = Command::new(path);
    let libraries = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    command.env("LD_LIBRARY_PATH", home.join(libraries));
    command
}

/// Returns a port of 127.0.0.1 that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Connects from `source`, one of the addresses of the loopback.
pub(crate) fn connect_from(source: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from((source, 0))).unwrap();
    rustix::net::connect(&socket, &to).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Gets a page; returns its status and its body.
pub(crate) fn get(port: u16, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("an HTTP server");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a page");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no page: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    (status, if chunked { unchunked(body) } else { body.to_owned() })
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).expect("the size of a chunk");
        if size == 0 {
            break;
        }
        whole.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}

/// Passes control connections on to a server and writes down what clients say.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    said: Arc<Mutex<Vec<String>>>,
}

/// What the relay writes down for a new connection.
const CAME: &str = "(connects)";

impl Relay {
    /// Stands in front of `server` until the test ends.
    pub(crate) fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&said);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                log.lock().unwrap().push(CAME.into());
                let log = Arc::clone(&log);
                // One that fails ends its two sockets, which is what client and server see.
                thread::spawn(move || drop(pass(&client, server, &log)));
            }
        });
        Self { address, said }
    }

    /// Returns how many connections came.
    pub(crate) fn connections(&self) -> usize {
        self.count(CAME)
    }

    /// Returns how many lines begin with `verb`.
    pub(crate) fn count(&self, verb: &str) -> usize {
        self.said.lock().unwrap().iter().filter(|line| line.starts_with(verb)).count()
    }

    /// Returns everything that clients said.
    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }
}

fn pass(client: &TcpStream, server: SocketAddr, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let server = TcpStream::connect(server)?;
    let (mut down, mut up) = (server.try_clone()?, client.try_clone()?);
    let back = thread::spawn(move || {
        let _ = std::io::copy(&mut down, &mut up);
        let _ = up.shutdown(Shutdown::Write);
    });
    let mut lines = BufReader::new(client);
    let mut line = Vec::new();
    while matches!(lines.read_until(b'\n', &mut line), Ok(1..)) {
        log.lock().unwrap().push(String::from_utf8_lossy(&line).trim_end().to_owned());
        (&server).write_all(&line)?;
        line.clear();
    }
    let _ = server.shutdown(Shutdown::Write);
    let _ = back.join();
    Ok(())
}
