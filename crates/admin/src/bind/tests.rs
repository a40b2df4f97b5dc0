use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};

use super::*;

fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn names() -> [String; 2] {
    socket_names(None, 4711)
}

#[test]
fn only_the_owner_may_connect_and_nothing_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let bound = BoundSocket::at(&path).unwrap();
    assert_eq!(fs::symlink_metadata(&path).unwrap().mode() & 0o7777, MODE);
    UnixStream::connect(&path).unwrap();
    drop(bound);
    assert!(!path.exists());
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists() && !is_live(&path));
    let first = BoundSocket::at(&path).unwrap();
    assert!(is_live(&path));
    assert!(matches!(BoundSocket::at(&path), Err(SocketError::Taken(_))));
    UnixStream::connect(first.path()).expect("the first still answers");
}

#[test]
fn a_listener_that_is_too_busy_to_accept_is_alive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let _bound = BoundSocket::at(&path).unwrap();
    let mut waiting = Vec::new();
    // Nobody accepts: the queue is full after a few.
    while try_connect(&path).is_ok() {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        let _ = rustix::net::connect(&socket, &SocketAddrUnix::new(&path).unwrap());
        waiting.push(socket);
        assert!(waiting.len() < 1_000);
    }
    assert!(is_live(&path));
    assert!(matches!(BoundSocket::at(&path), Err(SocketError::Taken(_))));
}

#[test]
fn what_is_no_socket_stays() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("target");
    fs::write(&target, "dear").unwrap();
    let link = folder.path().join("link");
    symlink(&target, &link).unwrap();
    let dangling = folder.path().join("dangling");
    symlink(folder.path().join("missing"), &dangling).unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    for (path, is) in [
        (&target, "a file"),
        (&link, "a symbolic link"),
        (&dangling, "a symbolic link"),
        (&inner, "a folder"),
    ] {
        match BoundSocket::at(path) {
            Err(SocketError::NotASocket { what, .. }) => assert_eq!(what, is),
            other => panic!("{}: {other:?}", path.display()),
        }
    }
    assert_eq!(fs::read(&target).unwrap(), b"dear");
}

#[test]
fn a_long_path_is_named_with_its_length() {
    let folder = tempfile::tempdir().unwrap();
    let room = SOCKET_PATH_BYTES_MAX - folder.path().as_os_str().len() - 1;
    let fits = folder.path().join("x".repeat(room));
    drop(BoundSocket::at(&fits).expect("107 bytes fit"));
    let longer = folder.path().join("x".repeat(room + 1));
    let error = BoundSocket::at(&longer).unwrap_err();
    assert!(error.to_string().contains("108 bytes"), "{error}");
}

#[test]
fn the_file_of_a_successor_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.sock");
    let first = BoundSocket::at(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let second = BoundSocket::at(&path).unwrap();
    drop(first);
    UnixStream::connect(second.path()).expect("the successor's socket is still there");
}

#[test]
fn a_second_server_in_the_folder_gets_its_own_name() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("tidegate");
    let first = BoundSocket::in_folder(&folder, &names(), uid()).unwrap();
    assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    assert_eq!(first.path(), folder.join("tidegate.sock"));
    let second = BoundSocket::in_folder(&folder, &names(), uid()).unwrap();
    assert_eq!(second.path(), folder.join("tidegate-4711.sock"));
    assert!(matches!(BoundSocket::in_folder(&folder, &names(), uid()), Err(SocketError::Taken(_))));
}

#[test]
fn servers_that_start_at_once_do_not_meet() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("tidegate");
    let bound: Vec<BoundSocket> = std::thread::scope(|scope| {
        let starts: Vec<_> = (1..=8_u32)
            .map(|pid| {
                let folder = &folder;
                scope.spawn(move || BoundSocket::in_folder(folder, &socket_names(None, pid), uid()).unwrap())
            })
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    for socket in &bound {
        UnixStream::connect(socket.path()).expect("everybody still has a socket");
    }
    let plain = bound.iter().filter(|socket| socket.path().ends_with("tidegate.sock")).count();
    assert_eq!(plain, 1);
}

#[test]
fn a_folder_must_be_ours() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("tidegate");
    fs::create_dir(&folder).unwrap();
    let stranger = uid() + 1;
    match BoundSocket::in_folder(&folder, &names(), stranger) {
        Err(SocketError::Owner { owner, uid: asked, .. }) => assert_eq!((owner, asked), (uid(), stranger)),
        other => panic!("{other:?}"),
    }
    let link = parent.path().join("link");
    symlink(&folder, &link).unwrap();
    assert!(matches!(BoundSocket::in_folder(&link, &names(), uid()), Err(SocketError::NotAFolder(_))));
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(BoundSocket::in_folder(&file, &names(), uid()), Err(SocketError::NotAFolder(_))));
    let missing = parent.path().join("missing/tidegate");
    assert!(matches!(BoundSocket::in_folder(&missing, &names(), uid()), Err(SocketError::Io { .. })));
}

#[test]
fn a_folder_that_others_may_write_to_is_closed() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("tidegate");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).unwrap();
    let _bound = BoundSocket::in_folder(&folder, &names(), uid()).unwrap();
    assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn off_is_nowhere() {
    let environment = Environment { runtime_dir: None, uid: uid(), pid: 1 };
    assert!(BoundSocket::bind(&SocketChoice::Off, &environment).unwrap().is_none());
}

#[test]
fn the_next_folder_serves_when_the_first_cannot() {
    let parent = tempfile::tempdir().unwrap();
    let folders = [parent.path().join("missing/tidegate"), parent.path().join("tidegate")];
    let bound = BoundSocket::in_first_of(&folders, &names(), uid()).unwrap().unwrap();
    assert_eq!(bound.path(), folders[1].join("tidegate.sock"));
    match BoundSocket::in_first_of(&folders[..1], &names(), uid()) {
        Err(SocketError::Io { path, .. }) => assert_eq!(path, folders[0]),
        other => panic!("{other:?}"),
    }
}
