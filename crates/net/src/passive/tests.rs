use super::*;
use crate::testing::PATIENCE;
use std::collections::HashSet;
use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;
use tokio::time::timeout;

mod proxied;

/// A loopback address of this process and test alone, so that other programs' ports do not matter.
fn own_address(test: u8) -> SocketAddr {
    let [.., high, low] = std::process::id().to_be_bytes();
    SocketAddr::from(([127, 100 + test, high, low], 21))
}

fn pool(range: RangeInclusive<u16>) -> PassivePorts {
    PassivePorts::new(&PortChoice::Range(range)).unwrap()
}

async fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    timeout(PATIENCE, socket.connect(to)).await.unwrap().unwrap()
}

#[test]
fn free_ports_lie_above_the_kernels_own() {
    for (text, expected) in [
        ("32768\t60999\n", 61000..=65535),
        ("32768\t64535\n", 64536..=65535),
        ("32768\t64536\n", DYNAMIC_PORTS),
        ("1024 65535", DYNAMIC_PORTS),
        ("", DYNAMIC_PORTS),
        ("one two", DYNAMIC_PORTS),
    ] {
        assert_eq!(free_ports(text), expected, "{text:?}");
    }
    let free = PassivePorts::new(&PortChoice::Free).unwrap();
    assert!(free.size() >= FREE_PORTS_MIN && free.free() == free.size());
}

#[test]
fn empty_ranges_and_port_zero_are_errors() {
    #[expect(clippy::reversed_empty_ranges, reason = "that is the case")]
    for range in [10..=9, 0..=10] {
        let error = PassivePorts::new(&PortChoice::Range(range)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn each_port_is_leased_once_and_comes_back() {
    for local in [own_address(1), "[::1]:21".parse().unwrap()] {
        let ports = pool(62_000..=62_029);
        let mut leases = Vec::new();
        let last = loop {
            match ports.lease(local) {
                Ok(lease) => leases.push(lease),
                Err(error) => break error,
            }
        };
        assert!(matches!(last, LeaseError::NoFreePort), "{last:?}");
        let leased: HashSet<u16> = leases.iter().map(PassiveListener::port).collect();
        assert_eq!(leased.len(), leases.len(), "one port twice");
        // On the IPv6 loopback another program may hold a few.
        assert!(leases.len() == 30 || (local.is_ipv6() && leases.len() > 20), "{}", leases.len());
        assert!(leases.iter().all(|lease| lease.local_addr().ip() == local.ip()));
        let back = leases.swap_remove(7).port();
        assert_eq!(ports.lease(local).unwrap().port(), back);
        drop(leases);
        assert_eq!(ports.free(), 30);
    }
}

#[tokio::test]
async fn a_port_used_by_others_is_passed_over_and_kept() {
    let local = own_address(2);
    let _other = std::net::TcpListener::bind(SocketAddr::new(local.ip(), 62_100)).unwrap();
    for _ in 0..20 {
        let ports = pool(62_100..=62_101);
        let lease = ports.lease(local).unwrap();
        assert_eq!(lease.port(), 62_101);
        assert!(matches!(ports.lease(local).unwrap_err(), LeaseError::NoFreePort));
        drop(lease);
        assert_eq!(ports.free(), 2);
    }
}

#[tokio::test]
async fn an_address_of_another_machine_is_an_error_and_costs_no_port() {
    let ports = pool(62_200..=62_201);
    assert!(matches!(ports.lease("192.0.2.1:21".parse().unwrap()).unwrap_err(), LeaseError::Io(_)));
    assert_eq!(ports.free(), 2);
}

#[test]
fn a_lease_without_a_runtime_is_an_error() {
    let ports = pool(62_200..=62_201);
    assert!(matches!(ports.lease(own_address(3)).unwrap_err(), LeaseError::Io(_)));
    assert_eq!(ports.free(), 2);
}

#[tokio::test]
async fn a_port_rests_while_the_longer_unused_half_is_leased() {
    let local = own_address(4);
    let ports = pool(62_300..=62_307);
    let mut seen: Vec<u16> = Vec::new();
    for round in 0..300 {
        let port = ports.lease(local).unwrap().port();
        let recent = &seen[seen.len().saturating_sub(4)..];
        assert!(!recent.contains(&port), "round {round}: {port} again after {recent:?}");
        seen.push(port);
    }
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 8, "every port has its turn");
}

#[tokio::test]
async fn the_next_port_cannot_be_guessed() {
    let local = own_address(5);
    let round =
        |ports: &PassivePorts| (0..64).map(|_| ports.lease(local).unwrap().port()).collect::<Vec<_>>();
    // Shuffled: some first port lies in the upper half, which is not the longest-unused one by number (misses once in 2^32).
    assert!((0..32).any(|_| pool(62_400..=62_463).lease(local).unwrap().port() >= 62_432));
    // Drawn: no cycle repeats.
    let ports = pool(62_400..=62_463);
    assert_ne!(round(&ports), round(&ports));
}

#[tokio::test]
async fn strangers_are_closed_and_the_right_peer_is_still_awaited() {
    let ports = PassivePorts::new(&PortChoice::Free).unwrap();
    let lease = ports.lease("[::ffff:127.0.0.1]:21".parse().unwrap()).unwrap();
    assert!(lease.local_addr().is_ipv4());
    let to = lease.local_addr();
    let waiting = tokio::spawn(async move {
        let mapped = "::ffff:127.0.0.1".parse().unwrap();
        lease.accept_from(mapped).await.unwrap()
    });
    for strangers in 1..=3 {
        let mut thief = connect("127.0.0.77", to).await;
        assert_eq!(timeout(PATIENCE, thief.read(&mut [0; 8])).await.unwrap().unwrap(), 0);
        assert_eq!(ports.strangers(), strangers);
    }
    let right = connect("127.0.0.1", to).await;
    let accepted = timeout(PATIENCE, waiting).await.unwrap().unwrap();
    assert_eq!(accepted.peer_addr().unwrap(), right.local_addr().unwrap());
    assert_eq!(ports.free(), ports.size(), "the lease went with the wait");
}

#[tokio::test]
async fn strangers_on_ipv6_are_closed_too() {
    let ports = PassivePorts::new(&PortChoice::Free).unwrap();
    let lease = Arc::new(ports.lease("[::1]:21".parse().unwrap()).unwrap());
    let wait_for = |peer: &str| {
        let (lease, peer) = (Arc::clone(&lease), peer.parse().unwrap());
        tokio::spawn(async move { lease.accept_from(peer).await.unwrap() })
    };
    let waiting = wait_for("2001:db8::1");
    let mut thief = connect("::1", lease.local_addr()).await;
    assert_eq!(timeout(PATIENCE, thief.read(&mut [0; 8])).await.unwrap().unwrap(), 0);
    assert_eq!(ports.strangers(), 1);
    waiting.abort();
    let _right = connect("::1", lease.local_addr()).await;
    timeout(PATIENCE, wait_for("::1")).await.unwrap().unwrap();
    assert_eq!(ports.strangers(), 1);
}

#[tokio::test]
async fn ports_whose_connections_are_in_time_wait_are_leased_at_once() {
    let local = own_address(6);
    let ports = pool(62_500..=62_507);
    for round in 0..400 {
        let lease = ports.lease(local).unwrap_or_else(|error| panic!("round {round}: {error}"));
        let client = connect("127.0.0.1", lease.local_addr()).await;
        let server =
            timeout(PATIENCE, lease.accept_from("127.0.0.1".parse().unwrap())).await.unwrap().unwrap();
        // The server closes first, as after every download: TIME_WAIT stays on its side.
        drop(server);
        drop(client);
    }
    assert_eq!(ports.free(), 8);
}
