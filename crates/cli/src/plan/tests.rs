use super::*;
use crate::config::{Facts, Source};

/// A machine with `/srv` and `/home/here/demo2`, 1024 descriptors and a known password.
struct FakeWorld;

/// The same machine, from a folder where the demo was made before.
struct WithDemo;

impl Users for WithDemo {
    fn user(&self, name: &str) -> Result<Option<u32>, String> {
        Ok((name == "alice").then_some(1000))
    }

    fn group(&self, _: &str) -> Result<Option<u32>, String> {
        Ok(None)
    }

    fn may_give(&self, _: Option<u32>, _: Option<u32>) -> bool {
        true
    }
}

impl World for WithDemo {
    fn umask(&self) -> u32 {
        FakeWorld.umask()
    }

    fn descriptor_limit(&self) -> u64 {
        FakeWorld.descriptor_limit()
    }

    fn kind_of(&self, path: &Path) -> PathKind {
        FakeWorld.kind_of(path)
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        Path::new("/there").join(path)
    }

    fn fresh_password(&self) -> Result<FreshPassword, String> {
        Err("no entropy".into())
    }
}

impl Users for FakeWorld {
    fn user(&self, name: &str) -> Result<Option<u32>, String> {
        Ok((name == "alice").then_some(1000))
    }

    fn group(&self, _: &str) -> Result<Option<u32>, String> {
        Ok(None)
    }

    fn may_give(&self, _: Option<u32>, _: Option<u32>) -> bool {
        true
    }
}

impl World for FakeWorld {
    fn umask(&self) -> u32 {
        0o027
    }

    fn descriptor_limit(&self) -> u64 {
        1024
    }

    fn kind_of(&self, path: &Path) -> PathKind {
        match path.to_str() {
            Some("/srv" | "/other" | "/there/demo" | "/there/demo/incoming") => PathKind::Folder,
            Some("/file" | "/there/demo/README.txt") => PathKind::Other,
            _ => PathKind::Missing,
        }
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        Path::new("/here").join(path)
    }

    fn fresh_password(&self) -> Result<FreshPassword, String> {
        Ok(FreshPassword { password: Secret::new("ebb-and-flow"), hash: Secret::new("$hash") })
    }
}

const HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$qLml5cbqFAO6YxVHhrSBHP0UWdxrIxkNcM8aMX3blzU";

fn args(dir: Option<&str>, listen: &[&str]) -> ServeArgs {
    ServeArgs {
        dir: dir.map(Into::into),
        config: None,
        listen: listen.iter().map(|address| address.parse().unwrap()).collect(),
    }
}

fn config(text: &str, root: Option<&Path>) -> Config {
    let source = Source::from_text("t.toml", Path::new("/etc"), text);
    let facts = Facts {
        descriptor_limit: 1024,
        is_strict: false,
        root,
        kind_of: &|path| FakeWorld.kind_of(path),
        umask: FakeWorld.umask(),
        users: &FakeWorld,
    };
    Config::load(&source, &facts)
        .unwrap_or_else(|problems| panic!("{}", problems.render(crate::config::Drawing::Plain)))
        .config
}

#[test]
fn a_folder_alone_is_served_on_loopback() {
    let plan = plan(&args(Some("/srv"), &[]), None, &FakeWorld).unwrap();
    assert_eq!(plan.listeners, [PlannedListener::plain("127.0.0.1:2121".parse().unwrap())]);
    let anonymous = plan.anonymous.as_ref().unwrap();
    assert_eq!((anonymous.home.as_path(), anonymous.rights), (Path::new("/srv"), Rights::READ_ONLY));
    let [tide] = plan.accounts.as_slice() else { panic!("one account") };
    assert_eq!(
        (tide.name.as_str(), tide.rights, tide.home.as_path()),
        ("tide", Rights::ALL, Path::new("/srv"))
    );
    assert_eq!(tide.password_hash.reveal(), "$hash");
    assert_eq!(plan.fresh_password.as_ref().unwrap().reveal(), "ebb-and-flow");
    assert_eq!((plan.connections, plan.needs.total()), (240, 1024));
    assert_eq!(
        (plan.greeting.as_str(), plan.files.keep_partial, plan.durability),
        ("tidegate ready", true, Durability::Full)
    );
    assert!(plan.demo.is_none() && plan.notices.is_empty());
    assert!(!format!("{plan:?}").contains("ebb"), "a debug print never shows a password");
}

#[test]
fn beyond_loopback_anonymous_is_off_and_told() {
    for (listen, is_on) in [
        (vec!["0.0.0.0:2121"], false),
        (vec!["127.0.0.1:21", "192.0.2.1:21"], false),
        (vec!["[::]:2121"], false),
        (vec!["127.0.0.7:0", "[::1]:0", "[::ffff:127.0.0.1]:1"], true),
    ] {
        let plan = plan(&args(Some("/srv"), &listen), None, &FakeWorld).unwrap();
        assert_eq!(plan.anonymous.is_some(), is_on, "{listen:?}");
        assert_eq!(
            plan.notices.iter().any(|notice| notice.contains("Anonymous is off")),
            !is_on,
            "{listen:?}"
        );
        assert_eq!(plan.notices.iter().any(|notice| notice.contains("unencrypted")), !is_on, "{listen:?}");
        assert_eq!(plan.listeners.len(), listen.len());
    }
}

#[test]
fn only_the_demo_may_be_missing() {
    let demo = plan(&args(Some("demo"), &[]), None, &FakeWorld).unwrap();
    assert_eq!(demo.demo.as_deref(), Some(Path::new("/here/demo")));
    assert!(demo.has_samples);
    let again = plan(
        &args(Some("demo"), &[]),
        Some(&config("[anonymous]\nenabled=true", Some(Path::new("/srv")))),
        &WithDemo,
    )
    .unwrap();
    assert!(again.demo.is_none(), "it is made once");
    assert_eq!(again.anonymous.unwrap().home, Path::new("/there/demo"));
    let Err(PlanError::World { what, .. }) = plan(&args(Some("demo"), &[]), None, &WithDemo) else {
        panic!("no password")
    };
    assert_eq!(what, "no password could be made: no entropy");
    for (dir, fragment) in
        [("/nowhere", "does not exist"), ("/file", "is not a folder"), ("sub/demo", "does not exist")]
    {
        let Err(PlanError::World { what, hint }) = plan(&args(Some(dir), &[]), None, &FakeWorld) else {
            panic!("{dir}")
        };
        assert!(what.contains(fragment) && !hint.is_empty(), "{dir}: {what}");
    }
    assert!(matches!(plan(&args(None, &[]), None, &FakeWorld), Err(PlanError::Usage { .. })));
}

#[test]
fn a_file_decides_and_the_command_line_overrides() {
    let text = format!(
        "root = '/srv'\n[[listener]]\naddress = '192.0.2.1:21'\npassive_ports = '50000-50009'\npassive_address = '203.0.113.9'\n\
         [[listener.passive_address_for]]\nfrom = '10.0.0.0/8'\naddress = 'auto'\n\
         [[account]]\nowner = 'alice:7'\nfile_mode = '0600'\nname = 'a'\npassword_hash = '{HASH}'\nmax_connections = 3\nupload = 'in-place'\nrights = 'all'\n\
         [[account]]\nname = 'b'\npassword_hash = '{HASH}'\nhome = '/other'\n\
         [anonymous]\nenabled = true\nmax_connections = 7\n[files]\nmax_file_size = '1MiB'\n[limits]\nconnections = 100\nconnections_per_address = 9\n"
    );
    let config = config(&text, None);
    let planned = plan(&args(None, &[]), Some(&config), &FakeWorld).unwrap();
    let [listener] = planned.listeners.as_slice() else { panic!("one listener") };
    assert_eq!(listener.passive_ports, Some(PortRange { low: 50000, high: 50009 }));
    assert_eq!(listener.passive_address, PassiveAddress::Fixed("203.0.113.9".parse().unwrap()));
    let [(network, told)] = listener.passive_address_for.as_slice() else { panic!("one exception") };
    assert_eq!((network.0.to_string().as_str(), told), ("10.0.0.0/8", &PassiveAddress::Auto));
    assert_eq!((planned.files.bytes_max, planned.umask), (Some(1 << 20), 0o027));
    let [a, b] = planned.accounts.as_slice() else { panic!("two accounts") };
    assert_eq!((a.home.to_str(), b.home.to_str()), (Some("/srv"), Some("/other")));
    assert_eq!((a.max_connections, a.upload, b.rights), (Some(3), UploadStyle::InPlace, Rights::READ_ONLY));
    let expected = Creation { uid: Some(1000), gid: Some(7), file_mode: Some(0o600), directory_mode: None };
    assert_eq!((a.creation, b.creation), (expected, Creation::default()));
    assert_eq!(planned.anonymous.unwrap().max_connections, Some(7));
    assert_eq!((planned.connections, planned.needs.total()), (100, 64 + 100 + 10 + 200));
    assert!(planned.fresh_password.is_none());

    let planned = plan(&args(Some("/other"), &["127.0.0.1:0"]), Some(&config), &FakeWorld).unwrap();
    let homes: Vec<_> = planned.accounts.iter().map(|account| account.home.to_str().unwrap()).collect();
    assert_eq!(homes, ["/other", "/other"]);
    assert_eq!(planned.anonymous.unwrap().home, Path::new("/other"));
    assert_eq!(planned.listeners, [PlannedListener::plain("127.0.0.1:0".parse().unwrap())]);
    assert!(planned.notices.iter().any(|notice| notice.starts_with("--listen replaces")));
}

#[test]
fn a_folder_gives_the_root_the_file_lacks() {
    let text = format!("[[account]]\nname = 'a'\npassword_hash = '{HASH}'\n");
    let config = config(&text, Some(Path::new("/srv")));
    let planned = plan(&args(Some("/srv"), &[]), Some(&config), &FakeWorld).unwrap();
    assert_eq!(planned.accounts[0].home, Path::new("/srv"));
    assert!(planned.anonymous.is_none(), "a file without [anonymous] keeps it off, even on loopback");
}

#[test]
fn addresses_for_all_are_reached_by_loopback() {
    for (bound, typed) in [
        ("0.0.0.0:1", "127.0.0.1:1"),
        ("[::]:2", "127.0.0.1:2"),
        ("[::1]:3", "[::1]:3"),
        ("192.0.2.1:4", "192.0.2.1:4"),
    ] {
        assert_eq!(reachable(bound.parse().unwrap()), typed.parse().unwrap());
    }
}

#[test]
fn without_a_file_the_rows_tell_what_was_decided() {
    let planned = plan(&args(Some("/srv"), &["127.0.0.1:0"]), None, &FakeWorld).unwrap();
    let rows = crate::config::reload::limit_rows(&planned);
    let of = |key: &str| {
        let row = rows.iter().find(|row| row.key == key).unwrap_or_else(|| panic!("{key}: {rows:#?}"));
        (row.value.as_str(), row.origin.as_str())
    };
    for (key, expected) in [
        ("root", ("/srv", "the folder of the command line")),
        ("state", ("off", "serve without a file")),
        ("listener[1].address", ("127.0.0.1:0", "--listen")),
        ("account[tide].name", ("tide", "serve without a file")),
        ("account[tide].home", ("/srv", "the same as root")),
        ("account[tide].rights", ("all", "serve without a file")),
        ("account[tide].file_mode", ("0640", "0666 without the umask 0027")),
        ("anonymous.enabled", ("true", "serve without a file")),
        ("anonymous.home", ("/srv", "the same as root")),
        ("limits.connections", ("240", "(1024 descriptors - 64) / 4")),
        ("limits.trusted", ("127.0.0.0/8, ::1/128", "default")),
        ("overload.descriptors", ("90%", "default")),
        ("admin.socket", ("auto", "default")),
        ("admin.http", ("off", "default")),
    ] {
        assert_eq!(of(key), expected, "{key}");
    }
    assert!(rows.iter().all(|row| !row.value.contains("$hash") && !row.value.contains("ebb")), "{rows:#?}");
    assert_eq!((&planned.state, planned.admin.http), (&Place::Off, None));
    assert_eq!(planned.admin.socket, Place::Auto, "tidegate status works at once");
    let place = |path: &str| crate::keys::KEYS.iter().position(|key| key.path == path);
    assert!(planned.effective.is_sorted_by_key(|row| place(row.row.path)));

    let planned = plan(&args(Some("/srv"), &["0.0.0.0:0"]), None, &FakeWorld).unwrap();
    assert!(planned.effective.iter().all(|row| row.row.path != "anonymous.home"));
}
