//! Addresses of data connections.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tidegate_protocol::address::{
    AddressError, EpsvArg, format_epsv, format_pasv, parse_eprt, parse_epsv, parse_port,
};
use tidegate_protocol::command::{Command, lookup, parse};

use crate::split_head;

/// What is written can be read again, and nothing is read that would not be written so, save leading zeros and the many
/// spellings of one IPv6 address.
///
/// Input: an IPv6 address (16 bytes; its first 4 are the IPv4 address), a port, a delimiter; then an argument.
pub fn address(data: &[u8]) {
    let (numbers, rest) = split_head::<18>(data);
    let ([delimiter], argument) = split_head::<1>(rest);
    let [a, b, c, d, ..] = numbers;
    let v6: [u8; 16] = numbers[..16].try_into().unwrap();
    let port = u16::from_be_bytes([numbers[16], numbers[17]]);
    round_trip(Ipv4Addr::new(a, b, c, d), Ipv6Addr::from(v6), port, char::from(delimiter));
    port_argument(argument);
    eprt_argument(argument);
    epsv_argument(argument);
    through_commands(argument);
}

fn round_trip(v4: Ipv4Addr, v6: Ipv6Addr, port: u16, delimiter: char) {
    let written = format_pasv(v4, port);
    let expected = if port == 0 { Err(AddressError::Syntax) } else { Ok((v4, port)) };
    assert_eq!(parse_port(written.as_bytes()).map(|to| (*to.ip(), to.port())), expected, "{written}");

    let told = format_epsv(port);
    let digits = told.strip_prefix("|||").and_then(|rest| rest.strip_suffix('|'));
    assert_eq!(digits.and_then(|digits| digits.parse().ok()), Some(port), "{told}");

    for (family, ip) in [('1', IpAddr::V4(v4)), ('2', IpAddr::V6(v6))] {
        let text = ip.to_string();
        let is_delimiter =
            delimiter.is_ascii_graphic() && !text.contains(delimiter) && !delimiter.is_ascii_digit();
        let d = if is_delimiter { delimiter } else { '|' };
        let written = format!("{d}{family}{d}{text}{d}{port}{d}");
        let expected = if port == 0 { Err(AddressError::Syntax) } else { Ok(SocketAddr::new(ip, port)) };
        assert_eq!(parse_eprt(written.as_bytes()), expected, "{written}");
        // The other family's number does not fit the address.
        let other = if family == '1' { '2' } else { '1' };
        assert!(parse_eprt(format!("{d}{other}{d}{text}{d}{port}{d}").as_bytes()).is_err());
    }
}

fn port_argument(argument: &[u8]) {
    match parse_port(argument) {
        Ok(to) => {
            assert_ne!(to.port(), 0);
            let fields: Vec<&[u8]> = argument.split(|byte| *byte == b',').collect();
            assert!(fields.iter().all(|field| (1..=3).contains(&field.len())), "{}", argument.escape_ascii());
            let canonical: Vec<String> = fields.into_iter().map(without_zeros).collect();
            assert_eq!(canonical.join(","), format_pasv(*to.ip(), to.port()), "{}", argument.escape_ascii());
        }
        Err(error) => assert_eq!(error, AddressError::Syntax, "PORT has one family"),
    }
}

fn eprt_argument(argument: &[u8]) {
    let text = argument.escape_ascii();
    let fields = |delimiter: u8| -> Vec<&[u8]> { argument.split(|byte| *byte == delimiter).collect() };
    match parse_eprt(argument) {
        Ok(to) => {
            let delimiter = argument[0];
            assert!((33..=126).contains(&delimiter), "{text}");
            let [before, family, ip, port, after] = fields(delimiter)[..] else {
                panic!("{text}: five fields")
            };
            assert!(before.is_empty() && after.is_empty() && port.len() <= 5, "{text}");
            assert_eq!(family, if to.is_ipv4() { b"1" } else { b"2" }, "{text}");
            assert_eq!(without_zeros(port), to.port().to_string(), "{text}");
            assert_ne!(to.port(), 0, "{text}");
            match to.ip() {
                IpAddr::V4(v4) => assert_eq!(ip, v4.to_string().as_bytes(), "{text}"),
                IpAddr::V6(v6) => assert_eq!(groups(ip), Some(v6.segments()), "{text}"),
            }
        }
        Err(AddressError::Family) => {
            let family = fields(argument[0])[1];
            assert!(family.iter().all(u8::is_ascii_digit) && family != b"1" && family != b"2", "{text}");
        }
        Err(AddressError::Syntax) => {}
    }
}

fn epsv_argument(argument: &[u8]) {
    let expected = match argument {
        b"" => Ok(EpsvArg::Any),
        b"1" => Ok(EpsvArg::Family(1)),
        b"2" => Ok(EpsvArg::Family(2)),
        _ if argument.eq_ignore_ascii_case(b"ALL") => Ok(EpsvArg::All),
        _ if argument.iter().all(u8::is_ascii_digit) => Err(AddressError::Family),
        _ => Err(AddressError::Syntax),
    };
    assert_eq!(parse_epsv(argument), expected, "{}", argument.escape_ascii());
}

/// Blanks around the argument of a command are forgiven, nothing else.
fn through_commands(argument: &[u8]) {
    let run = |verb: &str| parse(lookup(verb.as_bytes()).expect("a verb of the table"), Some(argument));
    let bare = argument.trim_ascii();
    let port = parse_port(bare).map(|to| Command::Port(to.into()));
    assert_eq!(run("PORT").ok(), port.ok());
    assert_eq!(run("EPRT").ok(), parse_eprt(bare).map(Command::Eprt).ok());
    assert_eq!(run("EPSV").ok(), parse_epsv(bare).map(Command::Epsv).ok());
}

/// Returns a decimal number without its leading zeros.
fn without_zeros(digits: &[u8]) -> String {
    assert!(!digits.is_empty() && digits.iter().all(u8::is_ascii_digit), "{}", digits.escape_ascii());
    let text: String = digits.iter().copied().map(char::from).skip_while(|digit| *digit == '0').collect();
    if text.is_empty() { "0".to_owned() } else { text }
}

/// Reads the groups of an IPv6 address by RFC 4291 §2.2, not by the standard library.
fn groups(text: &[u8]) -> Option<[u16; 8]> {
    let text = std::str::from_utf8(text).ok()?;
    let (front, back) = match text.split_once("::") {
        Some((front, back)) => (side(front)?, Some(side(back)?)),
        None => (side(text)?, None),
    };
    let mut out = [0; 8];
    let back_len = back.as_ref().map_or(0, Vec::len);
    let is_whole = if back.is_some() { front.len() + back_len < 8 } else { front.len() == 8 };
    if !is_whole {
        return None;
    }
    out[..front.len()].copy_from_slice(&front);
    out[8 - back_len..].copy_from_slice(&back.unwrap_or_default());
    Some(out)
}

fn side(text: &str) -> Option<Vec<u16>> {
    let mut groups = Vec::new();
    for group in text.split(':').filter(|_| !text.is_empty()) {
        if group.contains('.') {
            let octets: Vec<u8> = group.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
            let [a, b, c, d] = octets[..] else { return None };
            groups.extend([u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]);
        } else {
            let fits = (1..=4).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_hexdigit());
            groups.push(u16::from_str_radix(group, 16).ok().filter(|_| fits)?);
        }
    }
    Some(groups)
}
