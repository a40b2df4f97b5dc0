use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use super::find::find_in;
use super::*;

fn environment(runtime_dir: Option<&str>, uid: u32) -> Environment {
    Environment { runtime_dir: runtime_dir.map(PathBuf::from), uid, pid: 4711 }
}

#[test]
fn the_folder_follows_the_environment() {
    let folders = |runtime_dir, uid| environment(runtime_dir, uid).candidates();
    let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
    assert_eq!(folders(Some("/run/user/7"), 7), paths(&["/run/user/7/tidegate", "/tmp/tidegate-7"]));
    assert_eq!(folders(Some("/run/user/0"), 0), paths(&["/run/user/0/tidegate", "/run/tidegate"]));
    assert_eq!(folders(None, 0), paths(&["/run/tidegate"]));
    assert_eq!(folders(None, 1000), paths(&["/tmp/tidegate-1000"]));
    assert_eq!(folders(Some("relative"), 1000), paths(&["/tmp/tidegate-1000"]));
    assert_eq!(folders(Some(""), 0), paths(&["/run/tidegate"]));
}

#[test]
fn a_command_also_looks_where_a_service_would_listen() {
    assert_eq!(
        environment(Some("/run/user/7"), 7).folders(),
        ["/run/user/7/tidegate", "/tmp/tidegate-7", "/run/tidegate"].map(PathBuf::from)
    );
    assert_eq!(environment(None, 0).folders(), ["/run/tidegate", "/tmp/tidegate-0"].map(PathBuf::from));
}

#[test]
fn names_tell_files_apart_and_stay() {
    assert_eq!(socket_names(None, 4711), ["tidegate.sock", "tidegate-4711.sock"]);
    let one = instance_name(Path::new("/etc/tidegate.toml"));
    // Pinned: another version must find the server of this one.
    assert_eq!(one, format!("tidegate-{:08x}", digest(b"/etc/tidegate.toml")));
    assert_eq!(digest(b""), 0xcbf2_9ce4 ^ 0x8422_2325);
    let other = instance_name(Path::new("/srv/tidegate.toml"));
    assert!(other.starts_with("tidegate-") && other != one, "{other}");
    assert_eq!(one.len(), "tidegate-".len() + 8);
    let odd = instance_name(Path::new("/etc/mein ftp/ü \n x.toml"));
    assert!(odd.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)), "{odd}");
    let long = instance_name(&PathBuf::from(format!("/{}.toml", "x".repeat(255))));
    assert_eq!(long.len(), STEM_BYTES_MAX + 9);
}

/// A folder that only its owner may write to, as the rules want it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    folder
}

fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[test]
fn one_live_socket_is_found_among_stale_ones() {
    let folder = folder();
    let here = vec![folder.path().to_owned(), folder.path().join("missing")];
    assert_eq!(find_in(here.clone(), None, uid()), Err(FindError::None { folders: here.clone() }));
    let live = folder.path().join("tidegate.sock");
    let _listener = UnixListener::bind(&live).unwrap();
    drop(UnixListener::bind(folder.path().join("tidegate-1.sock")).unwrap());
    std::fs::write(folder.path().join("notes.sock"), "no socket").unwrap();
    let _unrelated = UnixListener::bind(folder.path().join("other")).unwrap();
    assert_eq!(find_in(here, None, uid()), Ok(live));
}

#[test]
fn several_are_listed() {
    let folder = folder();
    let paths = ["a.sock", "b.sock"].map(|name| folder.path().join(name));
    let _listeners = paths.clone().map(|path| UnixListener::bind(path).unwrap());
    let error = find_in(vec![folder.path().to_owned()], None, uid()).unwrap_err();
    assert_eq!(error, FindError::Several(paths.to_vec()));
    assert!(paths.iter().all(|path| error.to_string().contains(path.to_str().unwrap())), "{error}");
}

#[test]
fn a_configuration_file_picks_its_own() {
    let folder = folder();
    let here = || vec![folder.path().to_owned()];
    let (mine, other) = (Path::new("/etc/a.toml"), Path::new("/etc/b.toml"));
    let bind = |name: &str| {
        let path = folder.path().join(name);
        (UnixListener::bind(&path).unwrap(), path)
    };
    let [name, second] = socket_names(Some(mine), 4711);
    let (_first, path) = bind(&name);
    let _theirs = bind(&socket_names(Some(other), 1)[0]);
    let _none = bind("tidegate.sock");
    assert_eq!(find_in(here(), Some(mine), uid()), Ok(path.clone()));
    let (_second, successor) = bind(&second);
    let both = find_in(here(), Some(mine), uid()).unwrap_err();
    let mut expected = vec![path, successor];
    expected.sort();
    assert_eq!(both, FindError::Several(expected));
}

#[test]
fn a_folder_of_somebody_else_is_not_trusted() {
    let folder = folder();
    let _listener = UnixListener::bind(folder.path().join("tidegate.sock")).unwrap();
    let here = || vec![folder.path().to_owned()];
    assert!(find_in(here(), None, uid()).is_ok());
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    assert!(find_in(here(), None, uid()).is_err(), "others could have put it there");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    if uid() != 0 {
        assert!(find_in(here(), None, uid() + 1).is_err(), "it is neither theirs nor root's");
    }
}

#[test]
fn a_path_is_taken_as_it_is() {
    let path = PathBuf::from("/nowhere/x.sock");
    let environment = environment(None, 7);
    assert_eq!(find_socket(&SocketChoice::Path(path.clone()), &environment), Ok(path));
    assert_eq!(find_socket(&SocketChoice::Off, &environment), Err(FindError::Off));
}
