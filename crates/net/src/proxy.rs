//! The PROXY protocol header, version 1 and 2, that a trusted proxy sends before the first byte of its client.
//!
//! The parser is strict: whoever is trusted to say who somebody is has to say it without doubt. What it does not understand is
//! [`Parsed::Bad`], never a guess.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::address::normalize_socket_address;

mod receive;

pub(crate) use receive::{Header, Progress, take};

/// The longest header that is read: a v2 header with both addresses of any family, and 304 bytes of extensions.
pub const HEADER_BYTES_MAX: usize = 536;

/// The longest v1 header, CRLF included (specification, section 2.1).
const V1_BYTES_MAX: usize = 107;
const V1_START: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_FIXED_BYTES: usize = 16;
/// The extension that holds a checksum of the whole header (section 2.2.3).
const TLV_CRC32C: u8 = 0x03;

/// What the beginning of a connection says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// All of it belongs to a header that is not complete yet.
    NeedMore,
    /// A whole header.
    Done {
        /// Who connected where; `None` when the socket's own addresses count: a health check of the proxy itself (`LOCAL`), or a
        /// client that has no internet address (`UNKNOWN`, `AF_UNSPEC`, `AF_UNIX`).
        route: Option<Route>,
        /// Bytes of the header; those behind it are the client's.
        used: usize,
    },
    /// No header, or one that is not exactly right.
    Bad,
}

/// The two ends of the connection between the client and the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The client's address, normalised.
    pub source: SocketAddr,
    /// The address the client connected to, normalised.
    pub destination: SocketAddr,
}

/// Reads the PROXY protocol header at the start of `bytes`. Says `Bad` as soon as that is certain, and always within
/// [`HEADER_BYTES_MAX`] bytes; never panics.
///
/// Version 1 as in section 2.1 of the specification: `TCP4`, `TCP6` and `UNKNOWN`. Version 2 as in section 2.2: `LOCAL`, and
/// `PROXY` for TCP over IPv4 and IPv6; extensions are passed over, save a CRC-32C, which must be right. Datagrams are `Bad`.
pub fn parse(bytes: &[u8]) -> Parsed {
    let outcome = match bytes.first() {
        None => return Parsed::NeedMore,
        Some(b'P') => parse_v1(bytes),
        Some(b'\r') => parse_v2(bytes),
        Some(_) => None,
    };
    outcome.unwrap_or(Parsed::Bad)
}

/// Reads a version 1 header; `None` for a bad one.
fn parse_v1(bytes: &[u8]) -> Option<Parsed> {
    if !agree(bytes, V1_START) {
        return None;
    }
    let window = bytes.get(..V1_BYTES_MAX).unwrap_or(bytes);
    let Some(line_feed) = window.iter().position(|&byte| byte == b'\n') else {
        // The line is not whole: it must not be too long, and all of it printable, save a CR that waits for its LF.
        let text = window.strip_suffix(b"\r").unwrap_or(window);
        let fits = window.len() < V1_BYTES_MAX && text.iter().all(|&byte| is_printable(byte));
        return fits.then_some(Parsed::NeedMore);
    };
    let line = window.get(..line_feed)?.strip_suffix(b"\r")?;
    if !line.iter().all(|&byte| is_printable(byte)) {
        return None;
    }
    let text = std::str::from_utf8(line.strip_prefix(V1_START)?).ok()?;
    // Whatever follows UNKNOWN is to be ignored.
    let is_unknown = text == "UNKNOWN" || text.starts_with("UNKNOWN ");
    let route = if is_unknown { None } else { Some(v1_route(text)?) };
    Some(Parsed::Done { route, used: line_feed + 1 })
}

/// Reads what follows `PROXY ` when the client is known.
fn v1_route(text: &str) -> Option<Route> {
    let mut words = text.split(' ');
    let address = match words.next()? {
        "TCP4" => v1_address::<Ipv4Addr>,
        "TCP6" => v1_address::<Ipv6Addr>,
        _ => return None,
    };
    let (source, destination) = (address(words.next()?)?, address(words.next()?)?);
    let (source_port, destination_port) = (v1_port(words.next()?)?, v1_port(words.next()?)?);
    if words.next().is_some() {
        return None;
    }
    Some(Route::new((source, source_port), (destination, destination_port)))
}

fn v1_address<A: FromStr + Into<IpAddr>>(word: &str) -> Option<IpAddr> {
    word.parse::<A>().ok().map(Into::into)
}

/// Reads a port in its one decimal form: no sign, no leading zero.
fn v1_port(word: &str) -> Option<u16> {
    let canonical = word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    if canonical { word.parse().ok() } else { None }
}

fn is_printable(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte)
}

/// Reads a version 2 header; `None` for a bad one.
fn parse_v2(bytes: &[u8]) -> Option<Parsed> {
    if !agree(bytes, V2_SIGNATURE) {
        return None;
    }
    // Version and command, then family and transport: what cannot become right is said before the rest came.
    let command = bytes.get(12).copied();
    let kind = match (command, bytes.get(13).copied()) {
        (None | Some(0x20 | 0x21), None) => return Some(Parsed::NeedMore),
        // LOCAL, whose family is to be ignored, and PROXY for an unspecified one.
        (Some(0x20), Some(_)) | (Some(0x21), Some(0x00)) => Kind::Own,
        (Some(0x21), Some(0x11)) => Kind::V4,
        (Some(0x21), Some(0x21)) => Kind::V6,
        (Some(0x21), Some(0x31)) => Kind::Unix,
        _ => return None,
    };
    let Some(&[high, low]) = bytes.get(14..V2_FIXED_BYTES) else { return Some(Parsed::NeedMore) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let used = V2_FIXED_BYTES + length;
    if used > HEADER_BYTES_MAX || length < kind.address_bytes() {
        return None;
    }
    let Some(header) = bytes.get(..used) else { return Some(Parsed::NeedMore) };
    let (addresses, extensions) = header.get(V2_FIXED_BYTES..)?.split_at_checked(kind.address_bytes())?;
    let route = match kind {
        // Without a known family nobody can tell where the extensions begin.
        Kind::Own => return Some(Parsed::Done { route: None, used }),
        Kind::Unix => None,
        Kind::V4 => Some(v2_route::<4>(addresses)?),
        Kind::V6 => Some(v2_route::<16>(addresses)?),
    };
    check_extensions(header, extensions)?;
    Some(Parsed::Done { route, used })
}

/// What the address block of a version 2 header holds.
#[derive(Clone, Copy)]
enum Kind {
    /// Nothing that counts.
    Own,
    V4,
    V6,
    Unix,
}

impl Kind {
    fn address_bytes(self) -> usize {
        match self {
            Self::Own => 0,
            Self::V4 => 2 * (4 + 2),
            Self::V6 => 2 * (16 + 2),
            Self::Unix => 2 * 108,
        }
    }
}

/// Reads source and destination address, then both ports.
fn v2_route<const N: usize>(block: &[u8]) -> Option<Route>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = block.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let &[source_high, source_low, destination_high, destination_low] = rest else { return None };
    Some(Route::new(
        (IpAddr::from(*source), u16::from_be_bytes([source_high, source_low])),
        (IpAddr::from(*destination), u16::from_be_bytes([destination_high, destination_low])),
    ))
}

/// Walks over the extensions; `None` when one is cut off, or a checksum is wrong or of another size than 4 bytes.
fn check_extensions(header: &[u8], extensions: &[u8]) -> Option<()> {
    let mut rest = extensions;
    while !rest.is_empty() {
        let (&[kind, high, low], tail) = rest.split_first_chunk::<3>()?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, behind) = tail.split_at_checked(length)?;
        if kind == TLV_CRC32C {
            let claimed = u32::from_be_bytes(value.try_into().ok()?);
            let at = header.len() - tail.len();
            if crc32c_without(header, at) != claimed {
                return None;
            }
        }
        rest = behind;
    }
    Some(())
}

/// Returns the CRC-32C (RFC 3720 appendix B.4) of `header` with the four bytes from `at` on taken as zero.
fn crc32c_without(header: &[u8], at: usize) -> u32 {
    // Castagnoli's polynomial, bits reversed. Bit by bit: at most 536 bytes, and only when a proxy sends a checksum.
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    let checksum = at..at + 4;
    let mut crc = u32::MAX;
    for (index, &byte) in header.iter().enumerate() {
        crc ^= if checksum.contains(&index) { 0 } else { u32::from(byte) };
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
        }
    }
    !crc
}

/// Returns whether `bytes` begins with `start`, as far as it goes.
fn agree(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(one, other)| one == other)
}

impl Route {
    fn new(source: (IpAddr, u16), destination: (IpAddr, u16)) -> Self {
        Self {
            source: normalize_socket_address(source.into()),
            destination: normalize_socket_address(destination.into()),
        }
    }
}

#[cfg(test)]
mod tests;
