use super::*;
use crate::testing::{LOOPBACKS, PATIENCE, pattern, read_to_end, tcp_pair};
use rustix::net::sockopt;
use std::io::{Read, Write};
use tokio::time::timeout;

/// Returns a server end on the reactor and a blocking client end.
fn pair(address: &str) -> (TcpStream, std::net::TcpStream) {
    let (server, client) = tcp_pair(address);
    server.set_nonblocking(true).unwrap();
    (TcpStream::from_std(server).unwrap(), client)
}

#[tokio::test]
async fn a_finished_download_arrives_whole_although_the_peer_wrote_into_it() {
    for address in LOOPBACKS {
        let (server, mut client) = pair(address);
        client.write_all(&pattern(10_000)).unwrap();
        timeout(PATIENCE, server.readable()).await.unwrap().unwrap();
        // As much as the kernel takes: most of it is still in flight when the socket closes.
        let mut sent = 0;
        while let Ok(count) = server.try_write(&pattern(65_536)) {
            sent += count;
            if server.writable().await.is_err() || sent > 1_000_000 {
                break;
            }
        }
        finish(server).unwrap();
        assert_eq!(read_to_end(&mut client).len(), sent);
    }
}

#[tokio::test]
async fn a_shutdown_ends_what_the_other_end_waits_for() {
    for address in LOOPBACKS {
        let (server, mut client) = pair(address);
        shutdown_write(&server).unwrap();
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
        client.write_all(b"still open this way").unwrap();
        timeout(PATIENCE, server.readable()).await.unwrap().unwrap();
        assert_eq!(server.try_read(&mut [0; 5]).unwrap(), 5);

        let (server, mut client) = pair(address);
        shutdown_both(&server).unwrap();
        timeout(PATIENCE, server.readable()).await.unwrap().unwrap();
        assert_eq!(server.try_read(&mut [0; 8]).unwrap(), 0);
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
        shutdown_both(&server).unwrap();
    }
}

#[test]
fn data_connections_get_keepalive_and_keep_nagle() {
    let (socket, _other) = tcp_pair("127.0.0.1:0");
    prepare_data(&socket).unwrap();
    assert!(sockopt::socket_keepalive(&socket).unwrap());
    assert!(!sockopt::tcp_nodelay(&socket).unwrap());
}

#[tokio::test]
async fn an_end_is_seen_only_behind_everything_that_was_sent() {
    for address in LOOPBACKS {
        let (server, mut client) = pair(address);
        assert!(!has_ended(&server));
        client.write_all(b"QUIT").unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        timeout(PATIENCE, server.readable()).await.unwrap().unwrap();
        assert!(!has_ended(&server), "there is something to read first");
        let mut read = [0; 8];
        while server.try_read(&mut read).is_ok_and(|count| count > 0) {}
        assert!(has_ended(&server));
    }
}
