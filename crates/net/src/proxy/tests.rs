use super::*;
use proptest::prelude::*;

const V4: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 56324 21\r\n";

fn done(source: &str, destination: &str, used: usize) -> Parsed {
    let route = Route { source: source.parse().unwrap(), destination: destination.parse().unwrap() };
    Parsed::Done { route: Some(route), used }
}

fn own(used: usize) -> Parsed {
    Parsed::Done { route: None, used }
}

/// A version 2 header of `body`.
fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [V2_SIGNATURE.as_slice(), &[command, family], &length, body].concat()
}

const BODY_V4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0xDC, 0x04, 0, 21];

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[kind], length.as_slice(), value].concat()
}

/// Appends a checksum extension to the whole version 2 `header`, and makes it right.
fn with_checksum(mut header: Vec<u8>) -> Vec<u8> {
    let length = u16::from_be_bytes([header[14], header[15]]) + 7;
    header[14..16].copy_from_slice(&length.to_be_bytes());
    header.extend(tlv(TLV_CRC32C, &[0; 4]));
    let at = header.len() - 4;
    let checksum = crc32c_without(&header, at);
    header[at..].copy_from_slice(&checksum.to_be_bytes());
    header
}

/// `parse` must wait at every place where `header` may be cut.
fn assert_waits_for_all(header: &[u8]) {
    for cut in 0..header.len() {
        assert_eq!(parse(&header[..cut]), Parsed::NeedMore, "cut at {cut} of {header:?}");
    }
}

#[test]
fn version_1_names_both_ends() {
    for (header, source, destination) in [
        (V4, "192.0.2.7:56324", "198.51.100.1:21"),
        ("PROXY TCP6 2001:db8::7 2001:DB8:0:0:0:0:0:1 65535 0\r\n", "[2001:db8::7]:65535", "[2001:db8::1]:0"),
        ("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:c633:6401 1 2\r\n", "192.0.2.7:1", "198.51.100.1:2"),
    ] {
        let expected = done(source, destination, header.len());
        assert_eq!(parse(header.as_bytes()), expected, "{header:?}");
        assert_eq!(parse(format!("{header}USER x\r\n").as_bytes()), expected, "{header:?} and more");
        assert_waits_for_all(header.as_bytes());
    }
}

#[test]
fn version_1_with_an_unknown_client_says_nothing_about_it() {
    let longest = format!("PROXY UNKNOWN {0} {0} 65535 65535\r\n", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    assert_eq!(longest.len(), V1_BYTES_MAX);
    for header in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN anything at all\r\n", &longest] {
        assert_eq!(parse(header.as_bytes()), own(header.len()), "{header:?}");
        assert_waits_for_all(header.as_bytes());
    }
}

#[test]
fn version_1_has_no_second_form() {
    for header in [
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324 21\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324 21\r\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324 21 \r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324 21 x\r\n",
        "PROXY TCP4  192.0.2.7 198.51.100.1 56324 21\r\n",
        "PROXY  TCP4 192.0.2.7 198.51.100.1 56324 21\r\n",
        "PROXY TCP4\t192.0.2.7 198.51.100.1 56324 21\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
        "PROXY TCP4 192.0.2.07 198.51.100.1 56324 21\r\n",
        "PROXY TCP4 192.0.2 198.51.100.1 56324 21\r\n",
        "PROXY TCP4 3221225991 198.51.100.1 56324 21\r\n",
        "PROXY TCP4 2001:db8::7 2001:db8::1 56324 21\r\n",
        "PROXY TCP6 192.0.2.7 198.51.100.1 56324 21\r\n",
        "PROXY TCP6 fe80::1%eth0 2001:db8::1 56324 21\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 65536 21\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 056324 21\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 +6324 21\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 -1 21\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1  21\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324 00\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 56324 21\0\r\n",
        "PROXY UDP4 192.0.2.7 198.51.100.1 56324 21\r\n",
        "PROXY tcp4 192.0.2.7 198.51.100.1 56324 21\r\n",
        "PROXY UNKNOWNX\r\n",
        "PROXY UNKNOWN \u{e9}\r\n",
        "PROXY\r\n",
        "PROXY \r\n",
        "PROXYTCP4 192.0.2.7 198.51.100.1 56324 21\r\n",
        "proxy TCP4 192.0.2.7 198.51.100.1 56324 21\r\n",
        "USER alice\r\n",
        "GET / HTTP/1.1\r\n",
        "\n",
        "PROXY TCP4 192.0.2.7\r198.51.100.1",
    ] {
        assert_eq!(parse(header.as_bytes()), Parsed::Bad, "{header:?}");
    }
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(V1_BYTES_MAX - 15));
    assert_eq!(long.len(), V1_BYTES_MAX + 1);
    assert_eq!(parse(long.as_bytes()), Parsed::Bad);
    assert_eq!(parse(&long.as_bytes()[..V1_BYTES_MAX]), Parsed::Bad);
}

#[test]
fn version_2_names_both_ends() {
    let v6: Vec<u8> = [
        "2001:db8::7".parse::<Ipv6Addr>().unwrap().octets().as_slice(),
        &"::ffff:198.51.100.1".parse::<Ipv6Addr>().unwrap().octets(),
        &[0xDC, 0x04, 0, 21],
    ]
    .concat();
    let extended = [BODY_V4.as_slice(), &tlv(0x05, b"an id"), &tlv(0x04, &[0; 200])].concat();
    for (header, source, destination) in [
        (v2(0x21, 0x11, &BODY_V4), "192.0.2.7:56324", "198.51.100.1:21"),
        (v2(0x21, 0x21, &v6), "[2001:db8::7]:56324", "198.51.100.1:21"),
        (v2(0x21, 0x11, &extended), "192.0.2.7:56324", "198.51.100.1:21"),
        (with_checksum(v2(0x21, 0x11, &extended)), "192.0.2.7:56324", "198.51.100.1:21"),
    ] {
        let expected = done(source, destination, header.len());
        assert_eq!(parse(&header), expected, "{header:?}");
        assert_eq!(parse(&[&header, b"USER x\r\n".as_slice()].concat()), expected, "{header:?} and more");
        assert_waits_for_all(&header);
    }
}

#[test]
fn version_2_without_an_internet_address_leaves_the_sockets_own() {
    for header in [
        v2(0x20, 0x00, b""),
        v2(0x20, 0x11, &BODY_V4),
        v2(0x20, 0xFF, b"ignored"),
        v2(0x21, 0x00, b""),
        v2(0x21, 0x00, b"ignored"),
        v2(0x21, 0x31, &[b'x'; 216]),
        with_checksum(v2(0x21, 0x31, &[b'x'; 216])),
        v2(0x20, 0x00, &[0; HEADER_BYTES_MAX - V2_FIXED_BYTES]),
    ] {
        assert_eq!(parse(&header), own(header.len()), "{header:?}");
        assert_waits_for_all(&header);
    }
}

#[test]
fn version_2_has_no_second_form() {
    let extended = |extension: &[u8]| v2(0x21, 0x11, &[BODY_V4.as_slice(), extension].concat());
    let mut other_signature = v2(0x21, 0x11, &BODY_V4);
    other_signature[11] = b'\r';
    for header in [
        other_signature,
        v2(0x11, 0x11, &BODY_V4),
        v2(0x22, 0x11, &BODY_V4),
        v2(0x01, 0x11, &BODY_V4),
        v2(0x21, 0x12, &BODY_V4),
        v2(0x21, 0x22, &[0; 36]),
        v2(0x21, 0x32, &[0; 216]),
        v2(0x21, 0x10, &BODY_V4),
        v2(0x21, 0x01, &BODY_V4),
        v2(0x21, 0x41, &BODY_V4),
        v2(0x21, 0x11, &BODY_V4[..11]),
        v2(0x21, 0x21, &[0; 35]),
        v2(0x21, 0x31, &[0; 215]),
        extended(&[5]),
        extended(&[5, 0]),
        extended(&[5, 0, 1]),
        extended(&[5, 0xFF, 0xFF, 1, 2, 3]),
        extended(&tlv(TLV_CRC32C, &[0; 3])),
        extended(&tlv(TLV_CRC32C, &[0; 5])),
        v2(0x20, 0x00, &[0; HEADER_BYTES_MAX - V2_FIXED_BYTES + 1]),
    ] {
        assert_eq!(parse(&header), Parsed::Bad, "{header:?}");
    }
    // Too long and too short are said by the length alone.
    for (family, length) in [(0x11, 0xFFFF), (0x11, 521), (0x11, 11), (0x21, 35), (0x31, 215), (0x11, 0_u16)]
    {
        let [high, low] = length.to_be_bytes();
        let start = [V2_SIGNATURE.as_slice(), &[0x21, family, high, low]].concat();
        assert_eq!(parse(&start), Parsed::Bad, "{family:#x} {length}");
    }
}

#[test]
fn a_checksum_finds_every_flipped_bit() {
    // The check value of CRC-32C: RFC 3720 gives others, all catalogues this one.
    assert_eq!(crc32c_without(b"123456789", 100), 0xE306_9283);
    let header = with_checksum(v2(0x21, 0x11, &[BODY_V4.as_slice(), &tlv(0xE0, b"custom")].concat()));
    let expected = parse(&header);
    assert!(matches!(expected, Parsed::Done { route: Some(_), .. }));
    for bit in V2_FIXED_BYTES * 8..header.len() * 8 {
        let mut flipped = header.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        // A flip in the frame of the checksum's own extension may make it another one, which is passed over.
        let frame = header.len() - 7..header.len() - 4;
        if !frame.contains(&(bit / 8)) {
            assert_eq!(parse(&flipped), Parsed::Bad, "bit {bit}");
        }
    }
}

fn address() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
    let v4 = any::<([u8; 4], [u8; 4])>().prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b)));
    let v6 = any::<([u8; 16], [u8; 16])>().prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b)));
    (prop_oneof![v4, v6], any::<(u16, u16)>())
        .prop_map(|((a, b), (p, q))| (SocketAddr::new(a, p), SocketAddr::new(b, q)))
}

fn header_of(source: SocketAddr, destination: SocketAddr, form: u8, extensions: &[Vec<u8>]) -> Vec<u8> {
    let octets = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let (word, family) = if source.is_ipv4() { ("TCP4", 0x11) } else { ("TCP6", 0x21) };
    if form == 1 {
        let (from, to) = (source.ip(), destination.ip());
        return format!("PROXY {word} {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes();
    }
    let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
    let mut body = [octets(source.ip()), octets(destination.ip()), ports].concat();
    // Any kind but the checksum's.
    body.extend(extensions.iter().zip(4..).flat_map(|(value, kind)| tlv(kind, value)));
    let header = v2(0x21, family, &body);
    if form == 2 { header } else { with_checksum(header) }
}

/// Bytes that go far into the parser: pieces of headers, and noise.
fn nearly_headers() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"PROXY ".to_vec()),
        Just(b"TCP4 192.0.2.7 198.51.100.1 1 2\r\n".to_vec()),
        Just(b"UNKNOWN".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(V2_SIGNATURE.to_vec()),
        Just(vec![0x21, 0x11, 0, 19]),
        Just(vec![0x21, 0x31, 0, 216]),
        Just(BODY_V4.to_vec()),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    proptest::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_was_written_is_read_and_every_prefix_waits(
        (source, destination) in address(),
        form in 1_u8..=3,
        extensions in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..6),
        behind in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let header = header_of(source, destination, form, &extensions);
        let expected = Parsed::Done { route: Some(Route::new(
            (source.ip(), source.port()), (destination.ip(), destination.port()),
        )), used: header.len() };
        prop_assert_eq!(parse(&[&header, behind.as_slice()].concat()), expected);
        for cut in 0..header.len() {
            prop_assert_eq!(parse(&header[..cut]), Parsed::NeedMore);
        }
    }

    #[test]
    fn one_decision_is_made_once_and_in_time(bytes in nearly_headers()) {
        let decision = (0..=bytes.len()).find(|&cut| parse(&bytes[..cut]) != Parsed::NeedMore);
        let Some(cut) = decision else {
            prop_assert!(bytes.len() < HEADER_BYTES_MAX);
            return Ok(());
        };
        prop_assert!(cut <= HEADER_BYTES_MAX);
        // More bytes change nothing.
        let decided = parse(&bytes[..cut]);
        for longer in cut..=bytes.len() {
            prop_assert_eq!(parse(&bytes[..longer]), decided);
        }
        if let Parsed::Done { used, .. } = decided {
            prop_assert_eq!(used, cut);
        }
    }
}
