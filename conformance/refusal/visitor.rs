//! Somebody who comes to a closed door, what was sent before a word was read, and the form of what is told.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{PASSWORD, USER};
use tidegate_conformance::tree::Noise;

/// The address that clients have when nothing else is said.
pub(crate) const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Bytes of garbage; less than the 128 KiB that a refusal reads.
const GARBAGE_BYTES: usize = 100 << 10;

/// How long a refused client is read from at least; half of what is promised.
const LINGERS: Duration = Duration::from_millis(500);

/// What a client has sent before it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Nothing,
    Login,
    ClientHello,
    Garbage,
}

impl Sent {
    pub(crate) const ALL: [Self; 4] = [Self::Nothing, Self::Login, Self::ClientHello, Self::Garbage];

    /// Returns the kind of the client with number `index`: each kind as often.
    pub(crate) fn of(index: usize) -> Self {
        Self::ALL[index % Self::ALL.len()]
    }

    /// Returns the bytes; the garbage has no line end.
    pub(crate) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Login => format!("USER {USER}\r\nPASS {PASSWORD}\r\n").into_bytes(),
            Self::ClientHello => client_hello(),
            Self::Garbage => vec![b'x'; GARBAGE_BYTES],
        }
    }

    /// Returns bytes that a session can live on with: before its login a line without an end, or one that begins as TLS does, would
    /// end it. So the garbage is two lines, and of the hello only what stands before its first LF is sent, as when the rest of it
    /// is still under way.
    pub(crate) fn lines(self) -> Vec<u8> {
        match self {
            Self::Nothing | Self::Login => self.bytes(),
            Self::ClientHello => {
                let hello = client_hello();
                hello.split(|byte| *byte == b'\n').next().unwrap_or_default().to_vec()
            }
            Self::Garbage => [vec![b'x'; GARBAGE_BYTES / 2], b"\r\n".to_vec()].concat().repeat(2),
        }
    }
}

/// Connects from `source`, one of the addresses of the loopback.
pub(crate) fn connect_from(source: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket =
        rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .unwrap();
    rustix::net::bind(&socket, &SocketAddr::from((source, 0))).unwrap();
    rustix::net::connect(&socket, &to).unwrap_or_else(|error| panic!("connecting from {source}: {error}"));
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Connects from `source`; the greeting is not read.
pub(crate) fn client_from(source: Ipv4Addr, to: SocketAddr) -> Client {
    Client::from_stream(connect_from(source, to))
}

/// Connects from `source` and reads the greeting, which must be 220.
pub(crate) fn greeted_from(source: Ipv4Addr, to: SocketAddr) -> Client {
    let mut client = client_from(source, to);
    client.expect(220);
    client
}

/// Connects, sends, and reads to the end. Any error, a reset above all, fails: also one that comes behind the line and the end,
/// which Linux shows to nobody who only reads, and other systems take for the end of everything.
pub(crate) fn visit(source: Ipv4Addr, to: SocketAddr, sent: Sent) -> String {
    let began = Instant::now();
    let mut stream = connect_from(source, to);
    stream.write_all(&sent.bytes()).unwrap_or_else(|error| panic!("sending {sent:?}: {error}"));
    let mut text = String::new();
    stream
        .read_to_string(&mut text)
        .unwrap_or_else(|error| panic!("reading with {sent:?} after {text:?}: {error}"));
    // Whoever was refused may go on talking for a second, and is read and dropped.
    if began.elapsed() < LINGERS {
        stream.write_all(b"QUIT\r\n").unwrap_or_else(|error| panic!("a word more after {sent:?}: {error}"));
        let reset = stream.take_error().unwrap();
        assert!(reset.is_none() || began.elapsed() > LINGERS, "after {sent:?} and {text:?}: {reset:?}");
    }
    text
}

/// Visits, and returns the retry of the refusal, which must be all that is said.
pub(crate) fn refused(source: Ipv4Addr, to: SocketAddr, cause: &str) -> u32 {
    whole_line(&visit(source, to, Sent::Nothing), cause)
}

/// Checks that `text` is one refusal and nothing else, and returns its retry; 0 for `denied`, which has none.
pub(crate) fn whole_line(text: &str, cause: &str) -> u32 {
    let line = text.strip_suffix("\r\n").unwrap_or_else(|| panic!("no whole line: {text:?}"));
    if cause == "denied" {
        assert_denied(line);
        return 0;
    }
    assert_form(line, 421, cause)
}

/// Returns the cause of a refusal's line, whatever it is.
pub(crate) fn cause_of(line: &str) -> &str {
    if line.starts_with("530 ") {
        return "denied";
    }
    let tail = line.split_once("[cause=").unwrap_or_else(|| panic!("no cause in {line:?}")).1;
    tail.split_once(' ').expect("a retry behind the cause").0
}

/// Checks the form of a refusal (DESIGN §2.4) and returns its retry.
pub(crate) fn assert_form(line: &str, code: u16, cause: &str) -> u32 {
    let plain = line.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    assert!(line.starts_with(&format!("{code} ")) && plain, "{line:?} must be one {code} for {cause}");
    let tail = line.rsplit_once(" [").unwrap_or_else(|| panic!("no tail: {line}")).1;
    let retry = tail
        .strip_prefix(&format!("cause={cause} retry="))
        .and_then(|rest| rest.strip_suffix(']'))
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or_else(|| panic!("the tail of {line:?} must say cause={cause} and retry"));
    assert!(retry >= 1, "{line}");
    let seconds = if retry == 1 { "second" } else { "seconds" };
    assert!(line.contains(&format!("; try again in {retry} {seconds} [")), "{line}");
    let own_pool =
        ["address-full", "account-full", "anonymous-full", "unauthenticated-full"].contains(&cause);
    assert_eq!(line.contains("Too many connections"), own_pool, "{line}");
    retry
}

/// Checks the 530 of somebody who may never come: no retry.
pub(crate) fn assert_denied(line: &str) {
    assert!(line.starts_with("530 ") && line.is_ascii(), "{line:?} must be a 530");
    assert!(!line.contains("retry=") && !line.contains("again"), "{line}");
    assert!(!line.contains("Too many connections"), "{line}");
}

/// Reads a session's last words: replies may stand before the 421, then comes the end without a reset. Returns its retry.
pub(crate) fn last_words(client: &mut Client, cause: &str) -> u32 {
    let mut last = None;
    while let Some(line) = client.line() {
        last = Some(line);
    }
    client.expect_eof();
    assert!(client.stream().take_error().unwrap().is_none(), "a reset behind {last:?}");
    assert_form(&last.expect("a 421, not only the end of the connection"), 421, cause)
}

/// Returns what OpenSSL 3 sends first: TLS 1.3 offered, TLS 1.2 accepted.
fn client_hello() -> Vec<u8> {
    let mut noise = Noise(0x0516_0301);
    let mut body = vec![0x03, 0x03];
    body.extend(noise.bytes(32));
    body.push(32);
    body.extend(noise.bytes(32));
    let suites: [u16; 17] = [
        0x1302, 0x1303, 0x1301, 0xc02c, 0xc030, 0x009f, 0xcca9, 0xcca8, 0xccaa, 0xc02b, 0xc02f, 0x009e,
        0xc024, 0xc028, 0xc023, 0xc027, 0x00ff,
    ];
    body.extend(length16(&suites.iter().flat_map(|suite| suite.to_be_bytes()).collect::<Vec<_>>()));
    body.extend([1, 0]);
    let name = b"ftp.example.com";
    let server_name = length16(&[&[0][..], &length16(name)].concat());
    let key_share = length16(&[&[0x00, 0x1d][..], &length16(&noise.bytes(32))].concat());
    let extensions: [(u16, Vec<u8>); 8] = [
        (0x0000, server_name),
        (0x000b, vec![3, 0, 1, 2]),
        (0x000a, length16(&[0x00, 0x1d, 0x00, 0x17, 0x00, 0x1e, 0x00, 0x19, 0x00, 0x18])),
        (0x0016, Vec::new()),
        (0x0017, Vec::new()),
        (0x000d, length16(&[0x04, 0x03, 0x05, 0x03, 0x06, 0x03, 0x08, 0x07, 0x08, 0x04, 0x04, 0x01])),
        (0x002b, vec![4, 0x03, 0x04, 0x03, 0x03]),
        (0x0033, key_share),
    ];
    let extensions: Vec<u8> = extensions
        .iter()
        .flat_map(|(kind, content)| [kind.to_be_bytes().to_vec(), length16(content)].concat())
        .collect();
    body.extend(length16(&extensions));
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let handshake = [&[0x01][..], &length[1..], &body].concat();
    [&[0x16, 0x03, 0x01][..], &length16(&handshake)].concat()
}

/// Returns `content` behind its length in two bytes.
fn length16(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&length[..], content].concat()
}

/// The visitors themselves are tested: a door that closes at once after its line, without reading on, is found out, whether it ends
/// its sending side first or not.
#[test]
fn a_visitor_notices_a_reset() {
    let door = TcpListener::bind((HERE, 0)).unwrap();
    let to = door.local_addr().unwrap();
    let told = |sent: Sent, half: bool| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut socket, _) = door.accept().unwrap();
                // Something has come that is not read, so the close is a reset.
                socket.peek(&mut [0; 1]).unwrap();
                socket.write_all(b"421 x; try again in 1 second [cause=rate retry=1]\r\n").unwrap();
                if half {
                    socket.shutdown(Shutdown::Write).unwrap();
                }
            });
            std::panic::catch_unwind(|| visit(HERE, to, sent))
        })
    };
    for sent in [Sent::Login, Sent::ClientHello, Sent::Garbage] {
        for half in [false, true] {
            assert!(told(sent, half).is_err(), "a reset after {sent:?} was not noticed, half={half}");
        }
    }
}
