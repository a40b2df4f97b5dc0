use super::*;
use crate::testing::{LOOPBACKS, PATIENCE, connect, wait_until};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{FdFlags, fcntl_getfd};
use std::net::TcpStream;

fn accept(listener: &Listener) -> (OwnedFd, SocketAddr) {
    let mut accepted = None;
    wait_until("a connection", || match listener.accept() {
        Ok(one) => {
            accepted = Some(one);
            true
        }
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            false
        }
    });
    accepted.unwrap()
}

#[test]
fn accepted_sockets_do_not_block_and_know_their_peer() {
    for address in LOOPBACKS {
        let listener = Listener::bind(address.parse().unwrap()).unwrap();
        assert_ne!(listener.local_addr().port(), 0);
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let client = connect(listener.local_addr());
        let (socket, peer) = accept(&listener);
        assert_eq!(peer, client.local_addr().unwrap());
        assert!(fcntl_getfl(&socket).unwrap().contains(OFlags::NONBLOCK));
        assert!(fcntl_getfd(&socket).unwrap().contains(FdFlags::CLOEXEC));
    }
}

#[test]
fn the_unspecified_ipv6_address_takes_both_and_ipv4_peers_look_like_ipv4() {
    let listener = Listener::bind("[::]:0".parse().unwrap()).unwrap();
    let port = listener.local_addr().port();
    for target in ["127.0.0.1", "::1"] {
        let client = connect(SocketAddr::new(target.parse().unwrap(), port));
        let (_, peer) = accept(&listener);
        assert_eq!(peer, client.local_addr().unwrap());
    }
}

#[test]
fn a_single_ipv6_address_is_only_itself() {
    let listener = Listener::bind("[::1]:0".parse().unwrap()).unwrap();
    assert!(sockopt::ipv6_v6only(&listener).unwrap());
    let ipv4 = SocketAddr::new("127.0.0.1".parse().unwrap(), listener.local_addr().port());
    // Somebody else may listen there on IPv4; whoever it is, this listener gets nothing.
    let _ = TcpStream::connect_timeout(&ipv4, PATIENCE);
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn errors_say_what_to_do() {
    let first = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let error = Listener::bind(first.local_addr()).unwrap_err();
    assert!(matches!(error, BindError::InUse(_)), "{error:?}");
    assert!(error.to_string().contains("choose another port"), "{error}");

    let error = Listener::bind("192.0.2.1:0".parse().unwrap()).unwrap_err();
    assert!(matches!(error, BindError::NotHere(_)), "{error:?}");
    assert!(error.to_string().starts_with("192.0.2.1:0 is not an address of this machine"), "{error}");

    let address = "0.0.0.0:21".parse().unwrap();
    let text = BindError::new(address, Errno::ACCESS).to_string();
    assert!(text.contains("1024") && text.contains("0.0.0.0:21"), "{text}");
    let text = BindError::new(address, Errno::MFILE).to_string();
    assert!(text.starts_with("cannot listen on 0.0.0.0:21: "), "{text}");
}

#[test]
fn a_port_can_be_listened_on_again_while_its_connections_linger() {
    for address in LOOPBACKS {
        let listener = Listener::bind(address.parse().unwrap()).unwrap();
        let local = listener.local_addr();
        let client = connect(local);
        // Closed by this side first: the kernel keeps it in TIME_WAIT.
        drop(accept(&listener));
        drop(client);
        drop(listener);
        Listener::bind(local).unwrap();
    }
}

#[test]
fn control_connections_get_their_options() {
    for address in LOOPBACKS {
        let (socket, _other) = crate::testing::tcp_pair(address);
        prepare_control(&socket).unwrap();
        assert!(sockopt::tcp_nodelay(&socket).unwrap());
        assert!(sockopt::socket_oobinline(&socket).unwrap());
        assert!(sockopt::socket_keepalive(&socket).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&socket).unwrap(), KEEPALIVE_IDLE);
        assert_eq!(sockopt::tcp_keepintvl(&socket).unwrap(), KEEPALIVE_INTERVAL);
        assert_eq!(sockopt::tcp_keepcnt(&socket).unwrap(), KEEPALIVE_PROBES);
    }
}
