//! The header by which a trusted proxy says whose connection it is.

use core::net::{IpAddr, SocketAddr};

use tidegate_net::proxy::{HEADER_BYTES_MAX, Parsed, Route, parse};

use crate::split_head;

/// A header has one length and one meaning: what is read of it in pieces is the same, what follows it changes nothing, what is bad
/// stays bad whatever follows, and no answer takes more than [`HEADER_BYTES_MAX`] bytes. What a proxy would write about any two
/// ends is read back as those.
///
/// Input: what the proxy sends. The same bytes are also taken for two addresses and their ports.
pub fn proxy_header(data: &[u8]) {
    let all = parse(data);
    match all {
        Parsed::NeedMore => {
            assert!(data.len() < HEADER_BYTES_MAX, "waits for ever: {}", data.escape_ascii());
            assert_prefixes_wait(data);
        }
        Parsed::Done { route, used } => {
            assert!(used <= data.len() && used <= HEADER_BYTES_MAX, "{used} bytes of {}", data.len());
            let (header, behind) = data.split_at(used);
            assert_eq!(parse(header), all, "what follows decides: {}", behind.escape_ascii());
            assert_prefixes_wait(header.get(..used - 1).unwrap_or_default());
            if let Some(route) = route {
                check_route(header, route);
            }
        }
        Parsed::Bad => {
            // Whoever reads it in pieces learns it too, and then for good.
            let first = (0..=data.len()).find(|end| parse(&data[..*end]) == Parsed::Bad);
            let first = first.expect("all of it is bad");
            assert!(first <= HEADER_BYTES_MAX, "bad after {first} bytes");
            assert!(first > 0 && (first..=data.len()).all(|end| parse(&data[..end]) == Parsed::Bad));
            assert_eq!(parse(&[data, b"\r\n"].concat()), Parsed::Bad);
        }
    }
    write_and_read(data);
}

fn assert_prefixes_wait(header: &[u8]) {
    for end in 0..=header.len() {
        assert_eq!(parse(&header[..end]), Parsed::NeedMore, "{end} bytes of {}", header.escape_ascii());
    }
}

/// Reads a header once more, the short way.
fn check_route(header: &[u8], route: Route) {
    for end in [route.source, route.destination] {
        assert_eq!(end.ip(), end.ip().to_canonical(), "not normalised");
    }
    if header.starts_with(b"PROXY ") {
        let text = str::from_utf8(header).expect("printable");
        let words: Vec<&str> = text.trim_end_matches("\r\n").split(' ').collect();
        let [_, _, source, destination, source_port, destination_port] = words[..] else {
            panic!("{} words: {text:?}", words.len());
        };
        assert_eq!(route.source, told(source, source_port));
        assert_eq!(route.destination, told(destination, destination_port));
    } else {
        let is_v4 = header[13] >> 4 == 1;
        let (addresses, ports) = if is_v4 { (16..24, 24..28) } else { (16..48, 48..52) };
        let address = |at: usize| -> IpAddr {
            let half = addresses.len() / 2;
            let bytes = &header[addresses.clone()][at * half..(at + 1) * half];
            if is_v4 {
                IpAddr::from(<[u8; 4]>::try_from(bytes).unwrap())
            } else {
                IpAddr::from(<[u8; 16]>::try_from(bytes).unwrap()).to_canonical()
            }
        };
        let port =
            |at: usize| u16::from_be_bytes([header[ports.start + 2 * at], header[ports.start + 2 * at + 1]]);
        assert_eq!(route.source, SocketAddr::new(address(0), port(0)));
        assert_eq!(route.destination, SocketAddr::new(address(1), port(1)));
    }
}

fn told(address: &str, port: &str) -> SocketAddr {
    let address: IpAddr = address.parse().expect("an address");
    SocketAddr::new(address.to_canonical(), port.parse().expect("a port"))
}

/// Writes headers of both versions as a proxy does.
fn write_and_read(data: &[u8]) {
    let (bytes, rest) = split_head::<37>(data);
    let [kind, bytes @ ..] = bytes;
    let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let address = |at: usize| -> IpAddr {
        if kind % 2 == 0 {
            IpAddr::from([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        } else {
            IpAddr::from(<[u8; 16]>::try_from(&bytes[at..at + 16]).unwrap())
        }
    };
    let (source, destination) = ((address(0), port(32)), (address(16), port(34)));
    let route = Route {
        source: SocketAddr::new(source.0.to_canonical(), source.1),
        destination: SocketAddr::new(destination.0.to_canonical(), destination.1),
    };
    let family = if kind % 2 == 0 { 4 } else { 6 };
    let text = format!("PROXY TCP{family} {} {} {} {}\r\n", source.0, destination.0, source.1, destination.1);
    let expected = Parsed::Done { route: Some(route), used: text.len() };
    assert_eq!(parse(&[text.as_bytes(), rest].concat()), expected, "{text:?}");

    let mut block = Vec::new();
    for end in [source.0, destination.0] {
        match end {
            IpAddr::V4(v4) => block.extend_from_slice(&v4.octets()),
            IpAddr::V6(v6) => block.extend_from_slice(&v6.octets()),
        }
    }
    block.extend_from_slice(&source.1.to_be_bytes());
    block.extend_from_slice(&destination.1.to_be_bytes());
    // One extension that means nothing: PP2_TYPE_NOOP.
    let padding = &rest[..rest.len().min(64)];
    block.push(4);
    block.extend_from_slice(&u16::try_from(padding.len()).unwrap().to_be_bytes());
    block.extend_from_slice(padding);
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21".to_vec();
    header.push(if kind % 2 == 0 { 0x11 } else { 0x21 });
    header.extend_from_slice(&u16::try_from(block.len()).unwrap().to_be_bytes());
    header.extend_from_slice(&block);
    let expected = Parsed::Done { route: Some(route), used: header.len() };
    assert_eq!(parse(&[&header[..], rest].concat()), expected, "{}", header.escape_ascii());
}
