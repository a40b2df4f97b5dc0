use std::path::PathBuf;

use tokio::io::AsyncReadExt;

use super::*;
use crate::client::{Client, ClientError};
use crate::fake::{Fake, FakeHost};
use crate::message::{SessionRow, SessionsAnswer, Status};

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

struct Service {
    path: PathBuf,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

fn start() -> Service {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let stop = CancellationToken::new();
    let orders = Orders { running: Arc::new(Fake::new(100)), host: Arc::new(FakeHost::default()) };
    let task = tokio::spawn(serve(listener, orders, stop.clone()));
    Service { path, stop, task, _folder: folder }
}

impl Service {
    async fn connect(&self) -> BufReader<UnixStream> {
        BufReader::new(UnixStream::connect(&self.path).await.unwrap())
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it ends").unwrap();
    }
}

async fn read(stream: &mut BufReader<UnixStream>) -> Value {
    let mut line = String::new();
    tokio::time::timeout(PATIENCE, stream.read_line(&mut line)).await.expect("an answer").unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

async fn ask(stream: &mut BufReader<UnixStream>, line: &str) -> Value {
    stream.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    read(stream).await
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let service = start();
    let mut stream = service.connect().await;
    let status = ask(&mut stream, r#"{"command":"status"}"#).await;
    assert_eq!(status["ok"], true);
    assert_eq!(status["result"]["version"], "1.2.3");
    let mistake = ask(&mut stream, r#"{"command":"explode"}"#).await;
    assert_eq!((&mistake["ok"], &mistake["error"]["kind"]), (&false.into(), &"bad-request".into()));
    assert!(mistake.get("result").is_none() && status.get("error").is_none());
    // Two in one write: two answers in their order.
    let both = "{\"command\":\"session\",\"id\":2}\n{\"command\":\"session\",\"id\":3}";
    assert_eq!(ask(&mut stream, both).await["result"]["id"], 2);
    assert_eq!(read(&mut stream).await["result"]["id"], 3);
    service.end().await;
}

#[tokio::test]
async fn junk_is_answered_and_survived() {
    let service = start();
    let mut stream = service.connect().await;
    for junk in ["", "   ", "hello", "{", "[]", "{}", "null", "\u{fffd}\u{1}"] {
        assert_eq!(ask(&mut stream, junk).await["error"]["kind"], "bad-request", "{junk:?}");
    }
    stream.write_all(b"\xff\xfe\xfd\n").await.unwrap();
    assert_eq!(read(&mut stream).await["error"]["kind"], "bad-request");
    assert_eq!(ask(&mut stream, r#"{"command":"limits"}"#).await["ok"], true);
    service.end().await;
}

#[tokio::test]
async fn a_last_line_without_its_end_is_answered() {
    let service = start();
    let mut stream = service.connect().await;
    stream.write_all(br#"{"command":"status"}"#).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(read(&mut stream).await["ok"], true);
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    service.end().await;
}

#[tokio::test]
async fn a_request_is_bounded() {
    let service = start();
    let mut stream = service.connect().await;
    let fits = format!("{}{}", r#"{"command":"status"}"#, " ".repeat(REQUEST_BYTES_MAX - 21));
    assert_eq!(ask(&mut stream, &fits).await["ok"], true, "with its line feed that is the most");
    let long = format!("{fits} ");
    assert_eq!(ask(&mut stream, &long).await["error"]["kind"], "bad-request");
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it closes").ok();
    assert!(rest.is_empty());
    service.end().await;
}

/// What was logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn orders_are_logged_with_who_gave_them() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    // Everything of this test runs on this thread.
    let _guard = tracing::subscriber::set_default(subscriber);
    let service = start();
    let mut stream = service.connect().await;
    ask(&mut stream, r#"{"command":"status"}"#).await;
    ask(&mut stream, r#"{"command":"why","address":"203.0.113.9"}"#).await;
    assert_eq!(
        ask(&mut stream, r#"{"command":"ban","address":"203.0.113.9","seconds":9}"#).await["ok"],
        true
    );
    assert_eq!(ask(&mut stream, r#"{"command":"drain","message":"\u00e4\nforged line"}"#).await["ok"], false);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("an operator's order")).collect();
    let [ban, drain] = lines[..] else { panic!("{text}") };
    let (uid, pid) = (rustix::process::geteuid().as_raw(), std::process::id());
    for line in [ban, drain] {
        assert!(line.contains(&format!("uid={uid} ")) && line.contains(&format!("pid={pid}")), "{line}");
    }
    assert!(ban.contains("INFO") && ban.contains("203.0.113.9"), "{ban}");
    assert!(drain.contains("WARN") && drain.contains("bad-request"), "{drain}");
    service.end().await;
}

#[tokio::test]
async fn the_seventeenth_is_told() {
    let service = start();
    let mut inside = Vec::new();
    for _ in 0..GUESTS_MAX {
        let mut stream = service.connect().await;
        assert_eq!(ask(&mut stream, r#"{"command":"limits"}"#).await["ok"], true);
        inside.push(stream);
    }
    let mut stream = service.connect().await;
    assert_eq!(read(&mut stream).await["error"]["kind"], "refused");
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    inside.pop();
    // The place is free as soon as the server has seen the end.
    let again = async {
        loop {
            let mut stream = service.connect().await;
            stream.write_all(b"{\"command\":\"limits\"}\n").await.ok();
            if read(&mut stream).await["ok"] == true {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("a place becomes free");
    service.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_silent_are_sent_away() {
    let service = start();
    let mut stream = service.connect().await;
    assert_eq!(ask(&mut stream, r#"{"command":"limits"}"#).await["ok"], true);
    stream.write_all(b"{\"command\"").await.unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(SILENCE * 3, stream.read_to_end(&mut rest)).await;
    assert_eq!(closed.expect("it closes").unwrap(), 0);
    service.end().await;
}

#[tokio::test]
async fn the_end_closes_who_is_inside() {
    let service = start();
    let mut stream = service.connect().await;
    assert_eq!(ask(&mut stream, r#"{"command":"limits"}"#).await["ok"], true);
    service.end().await;
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn the_client_speaks_the_same_language() {
    let service = start();
    let path = service.path.clone();
    let talk = move || {
        let mut client = Client::connect(&path).unwrap();
        let status: Status = client.call(&Request::Status {}).unwrap();
        let page: SessionsAnswer = client.call(&Request::Sessions { after: 2, count: 2 }).unwrap();
        let missing = client.call::<SessionRow>(&Request::Session { id: 99 }).unwrap_err();
        let other = client.call::<Status>(&Request::Limits {}).unwrap_err();
        (status, page, missing, other)
    };
    let (status, page, missing, other) = tokio::task::spawn_blocking(talk).await.unwrap();
    assert_eq!(status.pid, 4711);
    assert_eq!((page.sessions.len(), page.next), (2, Some(4)));
    match &missing {
        ClientError::Refused(failure) => assert_eq!(failure.kind, FailureKind::NotFound),
        other => panic!("{other:?}"),
    }
    assert!(missing.hint().is_some());
    assert!(matches!(other, ClientError::Protocol { .. }), "{other:?}");
    service.end().await;
}

#[tokio::test]
async fn the_client_reads_why_there_is_no_place() {
    let service = start();
    let mut inside = Vec::new();
    for _ in 0..GUESTS_MAX {
        let mut stream = service.connect().await;
        ask(&mut stream, r#"{"command":"limits"}"#).await;
        inside.push(stream);
    }
    let path = service.path.clone();
    let talk = move || Client::connect(&path).unwrap().call::<Status>(&Request::Status {}).unwrap_err();
    let error = tokio::task::spawn_blocking(talk).await.unwrap();
    assert!(matches!(error, ClientError::Refused(_)), "{error:?}");
    service.end().await;
}

#[test]
fn a_client_without_a_server_is_told_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    for _ in 0..2 {
        let error = Client::connect(&path).unwrap_err();
        assert!(matches!(error, ClientError::NoServer(_)), "{error:?}");
        assert!(error.hint().unwrap().contains("tidegate serve"));
        // Once missing, once stale.
        drop(std::os::unix::net::UnixListener::bind(&path).ok());
    }
}

#[test]
fn a_client_that_meets_a_stranger_says_so() {
    use std::io::{BufRead, Write};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let stranger = std::thread::spawn(move || {
        for answer in ["220 ready\r\n", "{\"ok\":true}\n", ""] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            io::BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    for _ in 0..2 {
        let error = Client::connect(&path).unwrap().call::<Status>(&Request::Status {}).unwrap_err();
        assert!(matches!(error, ClientError::Protocol { .. }), "{error:?}");
    }
    let error = Client::connect(&path).unwrap().call::<Status>(&Request::Status {}).unwrap_err();
    assert!(matches!(error, ClientError::Lost { .. }), "{error:?}");
    stranger.join().unwrap();
}
