//! Addresses of data connections as commands and replies write them: PORT and 227 (RFC 959 §4.1.2), EPRT, EPSV and 229
//! (RFC 2428).

use alloc::format;
use alloc::string::String;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use core::str::FromStr;

/// Why an argument names no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// It is not written as the RFC asks: 501.
    Syntax,
    /// It names a protocol family other than IPv4 (1) and IPv6 (2): 522 `(1,2)`.
    Family,
}

/// What stands after EPSV (RFC 2428 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpsvArg {
    /// Nothing: the family of the control connection.
    Any,
    /// `1` for IPv4 or `2` for IPv6.
    Family(u8),
    /// `ALL`: from now on no other command may set up data connections (RFC 2428 §4).
    All,
}

/// Reads the argument of PORT, `h1,h2,h3,h4,p1,p2`: six decimal numbers up to 255, without signs and blanks.
/// Errors: `Syntax`, also for port 0. Whose address it is, the caller checks.
pub fn parse_port(arg: &[u8]) -> Result<SocketAddrV4, AddressError> {
    let mut numbers = [0_u8; 6];
    let mut fields = arg.split(|byte| *byte == b',');
    for number in &mut numbers {
        *number = fields.next().and_then(parse_octet).ok_or(AddressError::Syntax)?;
    }
    let [h1, h2, h3, h4, p1, p2] = numbers;
    let port = u16::from_be_bytes([p1, p2]);
    if fields.next().is_some() || port == 0 {
        return Err(AddressError::Syntax);
    }
    Ok(SocketAddrV4::new(Ipv4Addr::new(h1, h2, h3, h4), port))
}

/// Reads the argument of EPRT, `|1|192.0.2.1|6275|` with any printable delimiter (RFC 2428 §2).
/// Errors: `Family` for a protocol number other than 1 and 2; `Syntax` for all else, also for port 0, an address of the
/// other family and scope ids (`%eth0`), which mean nothing on another machine.
pub fn parse_eprt(arg: &[u8]) -> Result<SocketAddr, AddressError> {
    let delimiter = *arg.first().ok_or(AddressError::Syntax)?;
    if !delimiter.is_ascii_graphic() {
        return Err(AddressError::Syntax);
    }
    let mut fields = arg.split(|byte| *byte == delimiter);
    let mut next = || fields.next().ok_or(AddressError::Syntax);
    // Nothing stands before the first delimiter and after the last.
    let (_, family, address, port, after) = (next()?, next()?, next()?, next()?, next()?);
    if !after.is_empty() || fields.next().is_some() {
        return Err(AddressError::Syntax);
    }
    let address = match parse_family(family)? {
        1 => IpAddr::V4(parse_text::<Ipv4Addr>(address)?),
        _ => IpAddr::V6(parse_text::<Ipv6Addr>(address)?),
    };
    if port.len() > 5 || !is_digits(port) {
        return Err(AddressError::Syntax);
    }
    match parse_text::<u16>(port)? {
        0 => Err(AddressError::Syntax),
        port => Ok(SocketAddr::new(address, port)),
    }
}

/// Reads the argument of EPSV: nothing, `1`, `2` or `ALL` in any case.
/// Errors: `Family` for another number, `Syntax` for anything else.
pub fn parse_epsv(arg: &[u8]) -> Result<EpsvArg, AddressError> {
    if arg.is_empty() {
        Ok(EpsvArg::Any)
    } else if arg.eq_ignore_ascii_case(b"ALL") {
        Ok(EpsvArg::All)
    } else {
        parse_family(arg).map(EpsvArg::Family)
    }
}

/// Returns `h1,h2,h3,h4,p1,p2`, which stands in parentheses in a 227 reply (RFC 1123 §4.1.2.6).
pub fn format_pasv(address: Ipv4Addr, port: u16) -> String {
    let [h1, h2, h3, h4] = address.octets();
    let [p1, p2] = port.to_be_bytes();
    format!("{h1},{h2},{h3},{h4},{p1},{p2}")
}

/// Returns `|||port|`, which stands in parentheses in a 229 reply (RFC 2428 §3).
pub fn format_epsv(port: u16) -> String {
    format!("|||{port}|")
}

/// Returns 1 for IPv4 or 2 for IPv6, as RFC 2428 §2 numbers them.
fn parse_family(text: &[u8]) -> Result<u8, AddressError> {
    match text {
        b"1" => Ok(1),
        b"2" => Ok(2),
        _ if is_digits(text) => Err(AddressError::Family),
        _ => Err(AddressError::Syntax),
    }
}

fn parse_octet(text: &[u8]) -> Option<u8> {
    if text.len() > 3 || !is_digits(text) {
        return None;
    }
    parse_text(text).ok()
}

fn parse_text<T: FromStr>(text: &[u8]) -> Result<T, AddressError> {
    core::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(AddressError::Syntax)
}

/// Returns whether `text` is digits only, at least one: `FromStr` alone would let a plus sign pass.
fn is_digits(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests;
