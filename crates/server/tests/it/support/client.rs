use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// No wait of a test is longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `what`, or fails by name.
pub(crate) async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

/// The client's end of a control connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    inbox: Vec<u8>,
}

/// The client's end of a data connection.
pub(crate) struct Data(pub(crate) TcpStream);

impl Client {
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        Self::over(soon("a connection", TcpStream::connect(to)).await.unwrap())
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream, inbox: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon("room to send", self.stream.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Returns the next whole reply, of however many lines.
    pub(crate) async fn reply(&mut self) -> String {
        let first = self.line().await;
        assert!(first.len() > 4, "{first:?}");
        let mut reply = first.clone();
        if first.as_bytes()[3] == b'-' {
            let last = format!("{} ", &first[..3]);
            loop {
                let line = self.line().await;
                reply.push_str(&line);
                if line.starts_with(&last) {
                    break;
                }
            }
        }
        reply
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(at) = self.inbox.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.inbox.drain(..=at).collect();
                return String::from_utf8_lossy(&line).into_owned();
            }
            let read = soon("a reply", self.stream.read_buf(&mut self.inbox)).await.unwrap();
            assert!(read > 0, "the server closed after {:?}", String::from_utf8_lossy(&self.inbox));
        }
    }

    /// Sends a command and returns its reply.
    pub(crate) async fn say(&mut self, command: &str) -> String {
        self.send(format!("{command}\r\n")).await;
        self.reply().await
    }

    /// Sends a command whose reply must start so.
    pub(crate) async fn expect(&mut self, command: &str, start: &str) -> String {
        let reply = self.say(command).await;
        assert!(reply.starts_with(start), "{command}: {reply}");
        reply
    }

    /// Waits for a reply that starts so.
    pub(crate) async fn hear(&mut self, start: &str) -> String {
        let reply = self.reply().await;
        assert!(reply.starts_with(start), "expected {start}, got {reply}");
        reply
    }

    /// Returns everything up to the server's orderly end.
    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = std::mem::take(&mut self.inbox);
        soon("the end", self.stream.read_to_end(&mut bytes)).await.expect("an end, not a reset");
        String::from_utf8(bytes).unwrap()
    }

    /// Opens a passive port and returns it.
    pub(crate) async fn epsv(&mut self) -> u16 {
        let reply = self.expect("EPSV", "229 ").await;
        let port = reply.split("(|||").nth(1).and_then(|rest| rest.split('|').next()).expect(&reply);
        port.parse().expect(&reply)
    }

    /// Opens a passive data connection.
    pub(crate) async fn data(&mut self) -> Data {
        let port = self.epsv().await;
        Data::connect(SocketAddr::new(self.stream.peer_addr().unwrap().ip(), port)).await
    }

    /// Opens a passive data connection whose buffer is small: what nobody reads does not fit into the kernel.
    pub(crate) async fn narrow_data(&mut self) -> Data {
        let port = self.epsv().await;
        let to = SocketAddr::new(self.stream.peer_addr().unwrap().ip(), port);
        let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        Data(soon("a data connection", socket.connect(to)).await.unwrap())
    }

    /// Sends a command with a passive data connection and returns it after the 150.
    pub(crate) async fn transfer(&mut self, command: &str) -> Data {
        let data = self.data().await;
        self.expect(command, "150").await;
        data
    }

    /// Downloads or lists whole.
    pub(crate) async fn fetch(&mut self, command: &str) -> Vec<u8> {
        let mut data = self.transfer(command).await;
        let bytes = data.rest().await;
        self.hear("226").await;
        bytes
    }

    /// Uploads whole.
    pub(crate) async fn store(&mut self, command: &str, bytes: &[u8]) {
        let mut data = self.transfer(command).await;
        data.send(bytes).await;
        drop(data);
        self.hear("226").await;
    }
}

impl Data {
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        Self(soon("a data connection", TcpStream::connect(to)).await.unwrap())
    }

    /// Connects from another address of this machine.
    pub(crate) async fn connect_from(from: IpAddr, to: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from, 0)).unwrap();
        Self(soon("a data connection", socket.connect(to)).await.unwrap())
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        soon("room for data", self.0.write_all(bytes)).await.unwrap();
    }

    /// Returns everything up to the server's orderly end.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        soon("the end of the data", self.0.read_to_end(&mut bytes)).await.expect("an end, not a reset");
        bytes
    }
}
