//! Data connections through a proxy.

use super::*;
use crate::PROXY_TIME;
use crate::passive::proxied::PROXIED_MAX;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;

const PEER: &str = "192.0.2.7";
const PROXY: &str = "127.0.0.9";

fn header(source: &str) -> Vec<u8> {
    format!("PROXY TCP4 {source} 198.51.100.1 40000 50000\r\n").into_bytes()
}

/// A leased port whose data connection is expected through [`PROXY`], and the pool that counts.
fn behind() -> (PassivePorts, Arc<PassiveListener>) {
    let ports = PassivePorts::new(&PortChoice::Free).unwrap();
    let proxies: Arc<[IpNet]> = Arc::new(["::ffff:127.0.0.9/128".parse().unwrap()]);
    let lease = ports.lease("127.0.0.1:21".parse().unwrap()).unwrap().behind(proxies);
    (ports, Arc::new(lease))
}

fn wait_for(lease: &Arc<PassiveListener>, peer: &str) -> JoinHandle<TcpStream> {
    let (lease, peer) = (Arc::clone(lease), peer.parse().unwrap());
    tokio::spawn(async move { lease.accept_from(peer).await.unwrap() })
}

async fn closed(stream: &mut TcpStream) {
    // The close may come as a reset, because bytes were left unread.
    let outcome = timeout(PATIENCE, stream.read(&mut [0; 8])).await.unwrap();
    assert!(matches!(outcome, Ok(0) | Err(_)), "{outcome:?}");
}

async fn received(mut stream: TcpStream, expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    timeout(PATIENCE, stream.read_exact(&mut bytes)).await.unwrap().unwrap();
    assert_eq!(bytes, expected);
}

#[tokio::test]
async fn the_header_must_name_the_peer_and_the_data_behind_it_stays() {
    let (ports, lease) = behind();
    let waiting = wait_for(&lease, PEER);
    let wrong = [
        header("192.0.2.8"),
        b"hello, no header\r\n".to_vec(),
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0".to_vec(),
    ];
    for (strangers, bytes) in (1..).zip(&wrong) {
        let mut stranger = connect(PROXY, lease.local_addr()).await;
        stranger.write_all(bytes).await.unwrap();
        closed(&mut stranger).await;
        assert_eq!(ports.strangers(), strangers);
    }
    // Somebody who is no proxy is a stranger, header or not.
    let mut direct = connect("127.0.0.1", lease.local_addr()).await;
    direct.write_all(&header(PEER)).await.unwrap();
    closed(&mut direct).await;
    assert_eq!(ports.strangers(), 5);
    let mut right = connect(PROXY, lease.local_addr()).await;
    right.write_all(&[header(PEER), b"the data".to_vec()].concat()).await.unwrap();
    received(timeout(PATIENCE, waiting).await.unwrap().unwrap(), b"the data").await;
    assert_eq!(ports.strangers(), 5);
}

#[tokio::test]
async fn a_header_byte_by_byte_survives_cancelled_waits() {
    let (ports, lease) = behind();
    let mut proxy = connect(PROXY, lease.local_addr()).await;
    proxy.set_nodelay(true).unwrap();
    let header = header(PEER);
    for byte in &header {
        proxy.write_all(&[*byte]).await.unwrap();
        let wait = lease.accept_from(PEER.parse().unwrap());
        if let Ok(stream) = timeout(std::time::Duration::from_millis(2), wait).await {
            assert_eq!(byte, &b'\n');
            proxy.write_all(b"data").await.unwrap();
            return received(stream.unwrap(), b"data").await;
        }
    }
    proxy.write_all(b"data").await.unwrap();
    received(timeout(PATIENCE, wait_for(&lease, PEER)).await.unwrap().unwrap(), b"data").await;
    assert_eq!(ports.strangers(), 0);
}

#[tokio::test]
async fn the_peer_may_come_directly() {
    let (ports, lease) = behind();
    let waiting = wait_for(&lease, "127.0.0.1");
    let _silent = connect(PROXY, lease.local_addr()).await;
    let right = connect("127.0.0.1", lease.local_addr()).await;
    let accepted = timeout(PATIENCE, waiting).await.unwrap().unwrap();
    assert_eq!(accepted.peer_addr().unwrap(), right.local_addr().unwrap());
    assert_eq!(ports.strangers(), 0);
}

#[tokio::test]
async fn a_proxy_that_is_the_peer_itself_brings_a_header_too() {
    let (ports, lease) = behind();
    let waiting = wait_for(&lease, PROXY);
    for (strangers, bytes) in [(1, b"no header".to_vec()), (2, header(PEER))] {
        let mut stranger = connect(PROXY, lease.local_addr()).await;
        stranger.write_all(&bytes).await.unwrap();
        closed(&mut stranger).await;
        assert_eq!(ports.strangers(), strangers);
    }
    let mut right = connect(PROXY, lease.local_addr()).await;
    right.write_all(b"PROXY UNKNOWN\r\ndata").await.unwrap();
    received(timeout(PATIENCE, waiting).await.unwrap().unwrap(), b"data").await;
}

#[tokio::test]
async fn silent_proxies_are_bounded_and_do_not_hold_up_the_right_one() {
    let (ports, lease) = behind();
    let waiting = wait_for(&lease, PEER);
    let mut silent = Vec::new();
    for _ in 1..PROXIED_MAX {
        silent.push(connect(PROXY, lease.local_addr()).await);
    }
    // One place is left; whoever finds none is dropped at once, and with the place free again the right one gets in.
    let last = connect(PROXY, lease.local_addr()).await;
    let mut surplus = connect(PROXY, lease.local_addr()).await;
    closed(&mut surplus).await;
    assert_eq!(ports.strangers(), 1);
    drop(last);
    while ports.strangers() < 2 {
        tokio::task::yield_now().await;
    }
    let mut right = connect(PROXY, lease.local_addr()).await;
    right.write_all(&[header(PEER), b"data".to_vec()].concat()).await.unwrap();
    received(timeout(PATIENCE, waiting).await.unwrap().unwrap(), b"data").await;
    assert_eq!(ports.strangers(), 2);
}

#[tokio::test]
async fn a_late_header_makes_a_stranger() {
    let (ports, lease) = behind();
    let before = crate::clock::runtime_now();
    let waiting = wait_for(&lease, PEER);
    let mut late = connect(PROXY, lease.local_addr()).await;
    late.write_all(&header(PEER)[..20]).await.unwrap();
    closed(&mut late).await;
    assert!(crate::clock::runtime_now() - before >= PROXY_TIME, "dropped too early");
    assert_eq!(ports.strangers(), 1);
    waiting.abort();
}
