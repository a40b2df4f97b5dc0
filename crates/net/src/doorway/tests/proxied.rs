//! Callers who come through a trusted proxy.

use super::*;
use ipnet::IpNet;
use std::net::Shutdown;

const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 2121\r\n";
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

type Arrivals = Receiver<(TcpStream, Caller, SocketAddr)>;

fn networks(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// A doorway that admits everybody; those from `proxies` must bring a header in `time`.
fn behind(proxies: &[&str], proxy_places: usize, time: Duration) -> (Doorway, SocketAddr, Arrivals) {
    let listener = Listener::bind("0.0.0.0:0".parse().unwrap()).unwrap().with_proxies(networks(proxies));
    let local = SocketAddr::new([127, 0, 0, 1].into(), listener.local_addr().port());
    let (admitted, arrivals) = channel();
    let bounds = Bounds { proxy_places, proxy_time: time, ..Bounds::default() };
    let hire = |_| Usher { admitted, panics: 0 };
    (Doorway::open_with(vec![listener], hire, bounds).unwrap(), local, arrivals)
}

fn v2(family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [V2_SIGNATURE, &[0x21, family], &length, body].concat()
}

fn arrive(arrivals: &Arrivals) -> (TcpStream, Caller, SocketAddr) {
    let arrival = arrivals.recv_timeout(PATIENCE).unwrap();
    arrival.0.set_nonblocking(false).unwrap();
    arrival.0.set_read_timeout(Some(PATIENCE)).unwrap();
    arrival
}

/// Reads what the client sent: `expected`, then its end.
fn assert_receives(mut socket: &TcpStream, expected: &[u8]) {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, expected);
}

#[test]
fn the_addresses_of_the_header_count_and_the_clients_bytes_stay() {
    let (doorway, local, arrivals) = behind(&["127.0.0.0/8"], 8, LONG);
    let body: Vec<u8> = [[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]; 2]
        .concat()
        .into_iter()
        .chain([0xDC, 0x04, 0x08, 0x49])
        .collect();
    for (header, peer, reached) in [
        (V1.to_vec(), "192.0.2.7:56324", "198.51.100.1:2121"),
        (v2(0x21, &body), "[2001:db8::7]:56324", "[2001:db8::7]:2121"),
    ] {
        for split in [false, true] {
            let mut proxy = connect(local);
            if split {
                // Each byte alone, then the last with the client's first command.
                proxy.set_nodelay(true).unwrap();
                let (last, first) = header.split_last().unwrap();
                for byte in first {
                    proxy.write_all(&[*byte]).unwrap();
                    std::thread::yield_now();
                }
                proxy.write_all(&[&[*last], b"USER alice\r\n".as_slice()].concat()).unwrap();
            } else {
                proxy.write_all(&[&header, b"USER alice\r\n".as_slice()].concat()).unwrap();
            }
            proxy.shutdown(Shutdown::Write).unwrap();
            let (socket, caller, own) = arrive(&arrivals);
            let (peer, reached) = (peer.parse().unwrap(), reached.parse().unwrap());
            assert_eq!(caller, Caller { peer, reached, listener: 0 });
            assert_eq!(own, local);
            assert_receives(&socket, b"USER alice\r\n");
        }
    }
    let counts = doorway.counts();
    assert_eq!((counts.accepted, counts.admitted, counts.proxied), (4, 4, 4));
    assert_eq!((counts.proxy_bad, counts.proxy_late, counts.proxy_gone, counts.proxy_pending), (0, 0, 0, 0));
}

#[test]
fn each_byte_in_its_own_turn_is_enough() {
    let (doorway, local, arrivals) = behind(&["127.0.0.9/32"], 8, LONG);
    let mut proxy = from_the_proxy(local);
    proxy.set_nodelay(true).unwrap();
    for byte in V1 {
        // Whoever comes later is taken in a later turn: the thread has read all bytes before this one.
        let _direct = connect(local);
        let (_, caller, _) = arrive(&arrivals);
        assert_eq!(caller.peer.ip(), IpAddr::from([127, 0, 0, 1]));
        proxy.write_all(&[*byte]).unwrap();
    }
    let (_, caller, _) = arrive(&arrivals);
    assert_eq!(caller.peer, "192.0.2.7:56324".parse().unwrap());
    assert_eq!(doorway.counts().proxied, 1);
}

#[test]
fn a_health_check_and_an_unknown_client_have_the_sockets_own_addresses() {
    let (doorway, local, arrivals) = behind(&["127.0.0.0/8"], 8, LONG);
    for header in [V2_LOCAL, b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN a b 1 2\r\n"] {
        let mut proxy = connect(local);
        proxy.write_all(header).unwrap();
        let (_, caller, own) = arrive(&arrivals);
        assert_eq!(caller, Caller { peer: proxy.local_addr().unwrap(), reached: local, listener: 0 });
        assert_eq!(own, local);
    }
    assert_eq!(doorway.counts().proxied, 3);
}

#[test]
fn bad_headers_are_closed_without_a_word_and_counted() {
    let (doorway, local, arrivals) = behind(&["127.0.0.0/8"], 64, LONG);
    let oversized = [V2_SIGNATURE, &[0x21, 0x11, 0x7F, 0xFF]].concat();
    let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
    let garbage: [&[u8]; 5] = [b"USER alice\r\n", b"PROXY TCP4 1 2 3 4\r\n", &oversized, &endless, b"\0"];
    for (number, bytes) in garbage.iter().enumerate() {
        let mut proxy = connect(local);
        proxy.write_all(bytes).unwrap();
        // The close may come as a reset, because bytes were left unread: no word is owed to a broken proxy.
        let mut answer = Vec::new();
        let _ = proxy.read_to_end(&mut answer);
        assert_eq!(answer, b"", "{number}");
        wait_until("it is counted", || doorway.counts().proxy_bad == number as u64 + 1);
    }
    // Broken off inside the header.
    let mut proxy = connect(local);
    proxy.write_all(&V1[..20]).unwrap();
    proxy.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut proxy), b"");
    wait_until("it is counted", || doorway.counts().proxy_bad == 6);
    // Only looked whether the port is open.
    drop(connect(local));
    wait_until("the look is over", || doorway.counts().proxy_gone == 1);
    let counts = doorway.counts();
    assert_eq!((counts.proxy_bad, counts.proxied, counts.admitted, counts.refused), (6, 0, 0, 0));
    assert!(arrivals.try_recv().is_err());
}

#[test]
fn a_late_header_is_closed_without_a_word_and_counted() {
    let time = Duration::from_millis(200);
    let (doorway, local, arrivals) = behind(&["127.0.0.0/8"], 64, time);
    let before = crate::clock::now();
    let mut silent = connect(local);
    let mut slow = connect(local);
    slow.write_all(&V1[..V1.len() - 1]).unwrap();
    for proxy in [&mut silent, &mut slow] {
        assert_eq!(read_to_end(proxy), b"");
        assert!(crate::clock::now() - before >= time, "closed too early");
    }
    wait_until("both counted", || doorway.counts().proxy_late == 2);
    assert_eq!(doorway.counts().proxy_pending, 0);
    assert!(arrivals.try_recv().is_err());
}

#[test]
fn others_on_the_same_listener_are_ordinary_clients() {
    let (doorway, local, arrivals) = behind(&["127.0.0.9/32", "::/0"], 8, LONG);
    let mut client = connect(local);
    client.write_all(V1).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let (socket, caller, own) = arrive(&arrivals);
    // Its header is not believed: it is a command line like any other.
    assert_eq!(caller, Caller { peer: client.local_addr().unwrap(), reached: local, listener: 0 });
    assert_eq!(own, local);
    assert_receives(&socket, V1);
    assert_eq!(doorway.counts().proxied, 0);
}

#[test]
fn mapped_networks_are_recognised() {
    let listener = Listener::bind("[::]:0".parse().unwrap()).unwrap();
    let port = listener.local_addr().port();
    let listener = listener.with_proxies(networks(&["::ffff:127.0.0.0/104"]));
    let (admitted, arrivals) = channel();
    let _doorway = Doorway::open(vec![listener], |_| Usher { admitted, panics: 0 }).unwrap();
    let mut proxy = connect(SocketAddr::new([127, 0, 0, 1].into(), port));
    proxy.write_all(V1).unwrap();
    assert_eq!(arrive(&arrivals).1.peer, "192.0.2.7:56324".parse().unwrap());
}

/// A socket bound to 127.0.0.9, the proxy of these tests, and connected.
pub(super) fn from_the_proxy(to: SocketAddr) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let stream = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&stream, &SocketAddr::from(([127, 0, 0, 9], 0))).unwrap();
    connect(&stream, &to).unwrap();
    let stream = TcpStream::from(stream);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn a_full_pool_of_silent_proxies_does_not_hurt_ordinary_callers() {
    let places = PROXY_PLACES;
    // Both ends of each connection are in this process.
    let descriptors = crate::raise_descriptor_limit().unwrap();
    assert!(descriptors >= 4 * 1024, "this test needs 4,096 descriptors, the hard limit is {descriptors}");
    let (doorway, local, arrivals) = behind(&["127.0.0.9/32"], places, LONG);
    let mut silent: Vec<TcpStream> = (0..places + 50).map(|_| from_the_proxy(local)).collect();
    wait_until("the oldest fifty gave way", || {
        (doorway.counts().proxy_late, doorway.counts().proxy_pending) == (50, places as u64)
    });
    for _ in 0..100 {
        let client = connect(local);
        assert_eq!(arrive(&arrivals).1.peer, client.local_addr().unwrap());
    }
    // The oldest were closed, the newest are still heard.
    for (number, proxy) in silent.iter_mut().enumerate() {
        if number < 50 {
            assert_eq!(read_to_end(proxy), b"", "{number}");
        } else {
            proxy.write_all(V1).unwrap();
            assert_eq!(arrive(&arrivals).1.peer, "192.0.2.7:56324".parse().unwrap());
        }
    }
    assert_eq!(doorway.counts().proxy_pending, 0);
}

#[test]
fn refused_callers_behind_a_proxy_read_the_whole_line() {
    let listener = Listener::bind(LOOPBACKS[0].parse().unwrap()).unwrap();
    let local = listener.local_addr();
    let listener = listener.with_proxies(networks(&["127.0.0.0/8"]));
    let doorway = Doorway::open(vec![listener], |_| Refuser(LINE)).unwrap();
    for round in 0..200 {
        let mut proxy = connect(local);
        let (first, rest) = V1.split_at(if round % 2 == 0 { V1.len() } else { 11 });
        proxy.write_all(first).unwrap();
        proxy.write_all(rest).unwrap();
        proxy.write_all(&pattern(round * 100)).unwrap();
        assert_eq!(read_to_end(&mut proxy), LINE, "round {round}");
    }
    let counts = doorway.counts();
    assert_eq!((counts.refused, counts.proxied, counts.unspoken), (200, 200, 0));
}

#[test]
fn a_stop_answers_proxies_whose_header_has_come_and_closes_the_others() {
    let (doorway, local, arrivals) = behind(&["127.0.0.0/8"], 8, LONG);
    let mut silent = connect(local);
    let mut speaking = connect(local);
    wait_until("both are awaited", || doorway.counts().proxy_pending == 2);
    speaking.write_all(V1).unwrap();
    let counters = Arc::clone(&doorway.counters);
    doorway.stop();
    arrive(&arrivals);
    assert_eq!(read_to_end(&mut silent), b"");
    let counts = counters.snapshot();
    assert_eq!((counts.proxied, counts.proxy_gone, counts.proxy_pending), (1, 1, 0));
}
