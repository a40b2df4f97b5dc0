use super::*;
use crate::testing::{LOOPBACKS, PATIENCE, pattern, read_to_end, tcp_pair};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use tokio::time::timeout;

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Returns a non-blocking end and a blocking one.
fn pair(address: &str) -> (std::net::TcpStream, std::net::TcpStream) {
    let (server, client) = tcp_pair(address);
    server.set_nonblocking(true).unwrap();
    (server, client)
}

/// Makes the next close of `socket` a reset.
fn reset(socket: std::net::TcpStream) {
    rustix::net::sockopt::set_socket_linger(&socket, Some(std::time::Duration::ZERO)).unwrap();
    drop(socket);
}

/// Waits until the non-blocking `socket` has something to read, an error included.
fn wait_readable(socket: &std::net::TcpStream) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let patience = Timespec::try_from(PATIENCE).unwrap();
    let ready = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&patience)).unwrap();
    assert_eq!(ready, 1, "nothing to read");
}

type SendStep = fn(BorrowedFd<'_>, BorrowedFd<'_>, u64, u64) -> Result<Sent, CopyError>;

const SENDERS: [SendStep; 2] = [|socket, file, at, max| send_file(socket, file, at, max), send_buffered];

#[test]
fn a_send_step_ends_at_its_budget_at_the_end_and_when_the_socket_is_full() {
    let content = pattern(300_000);
    for (send, address) in SENDERS.into_iter().zip(LOOPBACKS) {
        let file = file_of(&content);
        let (server, mut client) = pair(address);
        let step = |at, max| send(server.as_fd(), file.as_fd(), at, max).unwrap();
        assert_eq!(step(0, 0), Sent { moved: 0, end: SendEnd::Budget });
        assert_eq!(step(1000, 5000), Sent { moved: 5000, end: SendEnd::Budget });
        assert_eq!(step(299_000, 5000), Sent { moved: 1000, end: SendEnd::EndOfFile });
        assert_eq!(step(300_000, 1), Sent { moved: 0, end: SendEnd::EndOfFile });
        let mut read = vec![0; 6000];
        client.read_exact(&mut read).unwrap();
        assert!(read[..5000] == content[1000..6000] && read[5000..] == content[299_000..]);

        // Nobody reads: the socket must fill up long before 100 MB.
        let sparse = tempfile::tempfile().unwrap();
        sparse.set_len(100_000_000).unwrap();
        let sent = send(server.as_fd(), sparse.as_fd(), 0, 100_000_000).unwrap();
        assert_eq!(sent.end, SendEnd::WouldBlock);
        assert!(sent.moved > 0 && sent.moved < 100_000_000);
        drop(server);
        assert_eq!(read_to_end(&mut client).len() as u64, sent.moved, "exactly what was reported");
    }
}

#[test]
fn a_send_step_tells_which_side_failed() {
    for send in SENDERS {
        let (server, client) = pair("127.0.0.1:0");
        let unreadable = File::options().write(true).open("/dev/null").unwrap();
        let error = send(server.as_fd(), unreadable.as_fd(), 0, 10).unwrap_err();
        assert!(matches!(error, CopyError::File { moved: 0, .. }), "{error:?}");

        reset(client);
        wait_readable(&server);
        let file = file_of(&pattern(10));
        let error = send(server.as_fd(), file.as_fd(), 0, 10).unwrap_err();
        assert!(matches!(error, CopyError::Socket { moved: 0, .. }), "{error:?}");
    }
}

#[test]
fn a_receive_step_ends_at_its_budget_at_the_end_and_when_nothing_came() {
    let content = pattern(COPY_BUFFER_BYTES + 12_345);
    for address in LOOPBACKS {
        let (server, mut client) = pair(address);
        let mut file = file_of(b"head ");
        let step = |max| receive_file(&server, &file, max).unwrap();
        assert_eq!(step(u64::MAX), Received { moved: 0, end: ReceiveEnd::WouldBlock });
        assert_eq!(step(0), Received { moved: 0, end: ReceiveEnd::Budget });
        let sent = content.clone();
        let writer = std::thread::spawn(move || client.write_all(&sent).unwrap());
        wait_readable(&server);
        assert_eq!(step(7), Received { moved: 7, end: ReceiveEnd::Budget });
        let mut moved = 7;
        loop {
            wait_readable(&server);
            let received = step(100_000);
            moved += received.moved;
            match received.end {
                ReceiveEnd::Budget => assert_eq!(received.moved, 100_000),
                ReceiveEnd::WouldBlock => assert!(received.moved > 0),
                ReceiveEnd::EndOfStream => break,
            }
        }
        writer.join().unwrap();
        assert_eq!(moved, content.len() as u64);
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut written = Vec::new();
        file.read_to_end(&mut written).unwrap();
        assert!(written == [b"head ", &content[..]].concat());
    }
}

#[test]
fn a_receive_step_tells_which_side_failed() {
    let (server, mut client) = pair("127.0.0.1:0");
    client.write_all(b"no room for this").unwrap();
    wait_readable(&server);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let error = receive_file(&server, &full, 100).unwrap_err();
    let CopyError::File { moved: 0, source } = &error else { panic!("{error:?}") };
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    assert_eq!(error.moved(), 0);

    reset(client);
    wait_readable(&server);
    let error = receive_file(&server, file_of(b""), 100).unwrap_err();
    assert!(matches!(error, CopyError::Socket { moved: 0, .. }), "{error:?}");
}

/// The server's way: the reactor waits, a blocking thread copies.
async fn download(stream: Arc<TcpStream>, file: Arc<File>, size: u64) -> u64 {
    let mut at = 0;
    while at < size {
        stream.writable().await.unwrap();
        let (stream, file) = (Arc::clone(&stream), Arc::clone(&file));
        let step = move || send_file_step(&stream, &*file, at, (size - at).min(1_000_000));
        at += tokio::task::spawn_blocking(step).await.unwrap().unwrap().moved;
    }
    at
}

async fn upload(stream: Arc<TcpStream>, file: Arc<File>) -> u64 {
    let mut moved = 0;
    loop {
        stream.readable().await.unwrap();
        let (stream, file) = (Arc::clone(&stream), Arc::clone(&file));
        let step = move || receive_file_step(&stream, &*file, 1_000_000);
        let received = tokio::task::spawn_blocking(step).await.unwrap().unwrap();
        moved += received.moved;
        if received.end == ReceiveEnd::EndOfStream {
            return moved;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_files_go_both_ways_through_the_reactor_without_a_lost_wake_up() {
    let content = pattern(20_000_000);
    for address in LOOPBACKS {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let source = Arc::new(file_of(&content));
        let mut target = tempfile::tempfile().unwrap();
        let copy = Arc::new(target.try_clone().unwrap());
        let receiving = tokio::spawn(upload(Arc::new(far), copy));
        let sending = download(Arc::new(near), source, content.len() as u64);
        assert_eq!(timeout(PATIENCE, sending).await.unwrap(), content.len() as u64);
        assert_eq!(timeout(PATIENCE, receiving).await.unwrap().unwrap(), content.len() as u64);
        let mut written = Vec::new();
        target.seek(SeekFrom::Start(0)).unwrap();
        target.read_to_end(&mut written).unwrap();
        assert!(written == content);
    }
}

#[tokio::test]
async fn a_step_that_would_block_makes_the_reactor_wait() {
    let (server, mut client) = pair("127.0.0.1:0");
    let server = TcpStream::from_std(server).unwrap();
    // Polls once: is it ready without anything happening?
    let at_once = std::time::Duration::ZERO;
    timeout(PATIENCE, server.writable()).await.unwrap().unwrap();
    let sparse = tempfile::tempfile().unwrap();
    sparse.set_len(100_000_000).unwrap();
    assert_eq!(send_file_step(&server, &sparse, 0, 100_000_000).unwrap().end, SendEnd::WouldBlock);
    assert!(timeout(at_once, server.writable()).await.is_err(), "still thought writable");

    client.write_all(b"five!").unwrap();
    timeout(PATIENCE, server.readable()).await.unwrap().unwrap();
    let received = receive_file_step(&server, file_of(b""), 100).unwrap();
    assert_eq!(received, Received { moved: 5, end: ReceiveEnd::WouldBlock });
    assert!(timeout(at_once, server.readable()).await.is_err(), "still thought readable");
}
