use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::client::Client;
use crate::fake::{Fake, FakeHost};
use crate::message::{Request, Status};
use crate::place::find_socket;

const PATIENCE: Duration = Duration::from_secs(20);

fn environment(folder: &Path) -> Environment {
    Environment {
        runtime_dir: Some(folder.to_owned()),
        uid: rustix::process::geteuid().as_raw(),
        pid: std::process::id(),
    }
}

fn config() -> AdminConfig {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    AdminConfig { socket: SocketChoice::Auto { config: None }, http: Some(any), agent: Some(any) }
}

fn start(config: AdminConfig, environment: &Environment) -> Result<AdminHandle, AdminError> {
    Admin::start_with(config, Arc::new(Fake::new(4)), Arc::new(FakeHost::default()), environment)
}

async fn ask(address: SocketAddr, request: &str) -> String {
    let talk = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    tokio::time::timeout(PATIENCE, talk).await.expect("an answer")
}

fn pid_at(path: &Path) -> u32 {
    Client::connect(path).unwrap().call::<Status>(&Request::Status {}).unwrap().pid
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_answers_and_nothing_stays() {
    let folder = tempfile::tempdir().unwrap();
    let environment = environment(folder.path());
    let admin = start(config(), &environment).unwrap();
    let path = admin.socket_path().unwrap().to_owned();
    assert_eq!(
        (path.as_path(), admin.complaint()),
        (folder.path().join("tidegate/tidegate.sock").as_path(), None)
    );
    let found = tokio::task::spawn_blocking(move || pid_at(&path));
    assert_eq!(found.await.unwrap(), 4711);
    let (http, agent) = (admin.http_address().unwrap(), admin.agent_address().unwrap());
    assert!(ask(http, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").await.ends_with("ready"));
    assert_eq!(ask(agent, "").await, "up ready 100%\n");
    assert_eq!(ask(agent, "what HAProxy may send first\n").await, "up ready 100%\n");
    let path = admin.socket_path().unwrap().to_owned();
    tokio::time::timeout(PATIENCE, admin.stop()).await.expect("it stops");
    assert!(!path.exists());
    assert!(TcpStream::connect(http).await.is_err() && TcpStream::connect(agent).await.is_err());
}

#[tokio::test]
async fn dropping_it_removes_the_socket_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let admin = start(config(), &environment(folder.path())).unwrap();
    let path = admin.socket_path().unwrap().to_owned();
    drop(admin);
    assert!(!path.exists());
}

#[tokio::test]
async fn two_servers_share_a_folder_and_a_command_must_choose() {
    let folder = tempfile::tempdir().unwrap();
    let environment = environment(folder.path());
    let first = start(config(), &environment).unwrap();
    let second = start(config(), &environment).unwrap();
    let name = format!("tidegate-{}.sock", std::process::id());
    assert!(second.socket_path().unwrap().ends_with(name));
    assert_ne!(first.socket_path(), second.socket_path());
    let auto = SocketChoice::Auto { config: None };
    // Other servers of this machine may be found as well; these two are.
    let error = find_socket(&auto, &environment).unwrap_err().to_string();
    assert!(
        [&first, &second].iter().all(|one| error.contains(one.socket_path().unwrap().to_str().unwrap())),
        "{error}"
    );
}

#[tokio::test]
async fn a_named_socket_is_an_error_and_an_automatic_one_a_complaint() {
    let folder = tempfile::tempdir().unwrap();
    let environment = environment(folder.path());
    let path = folder.path().join("mine.sock");
    let named = AdminConfig { socket: SocketChoice::Path(path.clone()), http: None, agent: None };
    let first = start(named.clone(), &environment).unwrap();
    let error = start(named, &environment).unwrap_err();
    assert!(matches!(error, AdminError::Socket(SocketError::Taken(_))), "{error}");
    assert!(error.hint().is_some() && path.exists());
    drop(first);
    // As if the process belonged to somebody who owns none of the folders.
    let stranger = Environment { uid: environment.uid + 7_777_777, ..environment };
    let complaint = start(config(), &stranger).unwrap();
    assert!(complaint.socket_path().is_none());
    assert!(complaint.complaint().unwrap().contains("belongs to user"), "{:?}", complaint.complaint());
    let _ = std::fs::remove_dir(format!("/tmp/tidegate-{}", stranger.uid));
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = AdminConfig { agent: Some(address), ..config() };
    let error = start(config, &environment(folder.path())).unwrap_err();
    assert!(
        error.to_string().contains("admin.agent") && error.to_string().contains(&address.to_string()),
        "{error}"
    );
    assert_eq!(error.hint(), Some("another program listens there: choose another port"));
    assert!(!folder.path().join("tidegate/tidegate.sock").exists());
}

#[tokio::test]
async fn off_is_off() {
    let folder = tempfile::tempdir().unwrap();
    let config = AdminConfig { socket: SocketChoice::Off, http: None, agent: None };
    let admin = start(config, &environment(folder.path())).unwrap();
    assert_eq!((admin.socket_path(), admin.http_address(), admin.agent_address()), (None, None, None));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    admin.stop().await;
}
