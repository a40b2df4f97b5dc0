use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::fake::Fake;
use crate::guests::GUESTS_MAX;

const PATIENCE: Duration = Duration::from_secs(20);

struct Service {
    fake: Arc<Fake>,
    address: SocketAddr,
    stop: CancellationToken,
}

async fn start() -> Service {
    let fake = Arc::new(Fake::new(1));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let identity = Identity { version: "1.2.3".into(), started_at: 1_700_000_000 };
    tokio::spawn(serve(listener, fake.clone(), identity, stop.clone()));
    Service { fake, address, stop }
}

impl Service {
    /// Sends `request` and returns everything that comes, until the end.
    async fn ask(&self, request: &str) -> String {
        let talk = async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        tokio::time::timeout(PATIENCE, talk).await.expect("an answer")
    }

    async fn get(&self, path: &str) -> (u16, String, String) {
        let answer = self.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_ascii_lowercase(), body.to_owned())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test]
async fn readiness_tells_why_not() {
    let service = start().await;
    let ready = |(status, head, body): (u16, String, String)| {
        assert!(head.contains("cache-control: no-store"), "{head}");
        (status, body)
    };
    assert_eq!(ready(service.get("/healthz").await), (200, "ok".into()));
    assert_eq!(ready(service.get("/readyz").await), (200, "ready".into()));
    assert!(service.fake.enter("192.0.2.1"));
    assert_eq!(ready(service.get("/readyz").await), (503, "full".into()));
    service.fake.plan(Duration::ZERO);
    assert_eq!(ready(service.get("/readyz").await), (503, "draining".into()));
    assert_eq!(ready(service.get("/healthz").await), (200, "ok".into()), "it is alive all the same");
}

#[tokio::test]
async fn metrics_have_their_type_and_their_end() {
    let service = start().await;
    let (status, head, body) = service.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{head}"
    );
    assert!(body.contains("tidegate_build_info{version=\"1.2.3\"} 1\n") && body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let service = start().await;
    let (status, _, body) = service.get("/").await;
    assert!(status == 200 && ["/healthz", "/readyz", "/metrics"].iter().all(|page| body.contains(page)));
    assert_eq!(service.get("/admin").await.0, 404);
    assert_eq!(service.get("/metrics/").await.0, 404);
    let posted = service.ask("POST /readyz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
    assert!(
        posted.starts_with("HTTP/1.1 405 ") && posted.to_ascii_lowercase().contains("allow: get"),
        "{posted}"
    );
    let head = service.ask("HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn old_clients_and_strangers_are_answered() {
    let service = start().await;
    assert!(service.ask("GET /healthz HTTP/1.0\r\n\r\n").await.ends_with("ok"));
    assert!(service.ask("USER anonymous\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    let large = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
    // Refused, or closed while it was still sending.
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let _ = stream.write_all(large.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it ends");
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn the_slow_do_not_keep_others_out() {
    let service = start().await;
    let mut slow = Vec::new();
    for _ in 0..GUESTS_MAX + 8 {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        stream.write_all(b"GET /healthz HT").await.unwrap();
        slow.push(stream);
    }
    assert_eq!(service.get("/readyz").await.0, 200);
    // The oldest had to go.
    let gone = tokio::time::timeout(PATIENCE, slow[0].read(&mut [0])).await.expect("it was closed");
    assert!(matches!(gone, Ok(0) | Err(_)), "{gone:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_must_arrive_in_time() {
    let service = start().await;
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    stream.write_all(b"GET /healthz HT").await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(HEADER_TIME * 4, stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection is still open");
}
