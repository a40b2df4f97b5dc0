use super::*;
use alloc::string::ToString;
use proptest::prelude::*;
use std::prelude::v1::*;

#[test]
fn port_table() {
    for (arg, expected) in [
        ("127,0,0,1,4,1", Some("127.0.0.1:1025")),
        ("192,0,2,255,255,255", Some("192.0.2.255:65535")),
        ("0,0,0,0,0,1", Some("0.0.0.0:1")),
        ("010,000,0,001,4,1", Some("10.0.0.1:1025")),
        ("127,0,0,1,0,0", None),
        ("127,0,0,1,4", None),
        ("127,0,0,1,4,1,", None),
        ("127,0,0,1,4,1,1", None),
        (",127,0,0,1,4,1", None),
        ("127,0,0,256,4,1", None),
        ("127,0,0,1,256,1", None),
        ("127,0,0,1,4,-1", None),
        ("127,0,0,1,+4,1", None),
        ("127,0,0,1, 4,1", None),
        ("127,0,0,1,4,1 ", None),
        ("127,0,,1,4,1", None),
        ("0127,0,0,1,4,1", None),
        ("127.0.0.1,4,1", None),
        ("127,0,0,0x1,4,1", None),
        ("", None),
        (",,,,,", None),
    ] {
        let parsed = parse_port(arg.as_bytes()).map(|address| address.to_string());
        assert_eq!(parsed, expected.map(ToString::to_string).ok_or(AddressError::Syntax), "{arg}");
    }
    assert_eq!(parse_port(b"127,0,0,1,4,\xff"), Err(AddressError::Syntax));
}

#[test]
fn eprt_table() {
    use AddressError::{Family, Syntax};
    for (arg, expected) in [
        ("|1|192.0.2.1|6275|", Ok("192.0.2.1:6275")),
        ("|2|2001:db8::1|6275|", Ok("[2001:db8::1]:6275")),
        ("!1!192.0.2.1!1!", Ok("192.0.2.1:1")),
        ("~2~::1~65535~", Ok("[::1]:65535")),
        ("|2|::ffff:192.0.2.1|6275|", Ok("[::ffff:192.0.2.1]:6275")),
        ("|3|192.0.2.1|6275|", Err(Family)),
        ("|0|192.0.2.1|6275|", Err(Family)),
        ("|12|192.0.2.1|6275|", Err(Family)),
        ("|99999999999999999999|x|6275|", Err(Family)),
        ("||192.0.2.1|6275|", Err(Syntax)),
        ("|x|192.0.2.1|6275|", Err(Syntax)),
        ("|+1|192.0.2.1|6275|", Err(Syntax)),
        ("| 1|192.0.2.1|6275|", Err(Syntax)),
        ("|1|2001:db8::1|6275|", Err(Syntax)),
        ("|2|192.0.2.1|6275|", Err(Syntax)),
        ("|2|fe80::1%1|6275|", Err(Syntax)),
        ("|2|[::1]|6275|", Err(Syntax)),
        ("|1|192.0.2.1|0|", Err(Syntax)),
        ("|1|192.0.2.1|65536|", Err(Syntax)),
        ("|1|192.0.2.1|+21|", Err(Syntax)),
        ("|1|192.0.2.1|000021|", Err(Syntax)),
        ("|1|192.0.2.1||", Err(Syntax)),
        ("|1||6275|", Err(Syntax)),
        ("|1|192.0.2.1|6275", Err(Syntax)),
        ("|1|192.0.2.1|6275|x", Err(Syntax)),
        ("|1|192.0.2.1|6275||", Err(Syntax)),
        ("1|192.0.2.1|6275|", Err(Syntax)),
        (" 1 192.0.2.1 6275 ", Err(Syntax)),
        (":2:::1:6275:", Err(Syntax)),
        ("|", Err(Syntax)),
        ("", Err(Syntax)),
    ] {
        let parsed = parse_eprt(arg.as_bytes()).map(|address| address.to_string());
        assert_eq!(parsed, expected.map(ToString::to_string), "{arg}");
    }
    assert_eq!(parse_eprt(b"\xff1\xff192.0.2.1\xff6275\xff"), Err(Syntax));
    assert_eq!(parse_eprt(b"\x001\x00192.0.2.1\x006275\x00"), Err(Syntax));
}

#[test]
fn epsv_table() {
    for (arg, expected) in [
        ("", Ok(EpsvArg::Any)),
        ("1", Ok(EpsvArg::Family(1))),
        ("2", Ok(EpsvArg::Family(2))),
        ("ALL", Ok(EpsvArg::All)),
        ("all", Ok(EpsvArg::All)),
        ("9", Err(AddressError::Family)),
        ("0", Err(AddressError::Family)),
        ("11", Err(AddressError::Family)),
        ("ALL ", Err(AddressError::Syntax)),
        ("-1", Err(AddressError::Syntax)),
        ("1 ", Err(AddressError::Syntax)),
        ("x", Err(AddressError::Syntax)),
    ] {
        assert_eq!(parse_epsv(arg.as_bytes()), expected, "{arg}");
    }
}

#[test]
fn formats() {
    assert_eq!(format_pasv(Ipv4Addr::new(192, 0, 2, 1), 50_001), "192,0,2,1,195,81");
    assert_eq!(format_epsv(50_001), "|||50001|");
}

proptest! {
    #[test]
    fn pasv_is_read_as_port(bits: u32, port in 1_u16..) {
        let address = Ipv4Addr::from_bits(bits);
        let text = format_pasv(address, port);
        prop_assert_eq!(parse_port(text.as_bytes()), Ok(SocketAddrV4::new(address, port)));
    }

    #[test]
    fn eprt_round_trips(address: IpAddr, port in 1_u16.., delimiter in prop::sample::select(&b"|!~#/$"[..])) {
        let family = if address.is_ipv4() { 1 } else { 2 };
        let text = format!("|{family}|{address}|{port}|").replace('|', &char::from(delimiter).to_string());
        prop_assert_eq!(parse_eprt(text.as_bytes()), Ok(SocketAddr::new(address, port)));
    }

    #[test]
    fn any_bytes_are_answered(arg: Vec<u8>) {
        let _ = (parse_port(&arg), parse_eprt(&arg), parse_epsv(&arg));
    }
}
