use super::*;
use crate::config::Secret;
use crate::plan::PlannedAnonymous;
use tidegate_types::{Creation, UploadStyle};

fn account(name: &str, rights: Rights) -> PlannedAccount {
    PlannedAccount {
        name: name.into(),
        password_hash: Secret::new("$hash"),
        home: "/srv/ftp".into(),
        rights,
        max_connections: None,
        upload: UploadStyle::Atomic,
        creation: Creation::default(),
    }
}

fn plan(accounts: Vec<PlannedAccount>, anonymous: Option<Rights>) -> ServePlan {
    ServePlan {
        accounts,
        anonymous: anonymous.map(|rights| PlannedAnonymous {
            home: "/srv/ftp".into(),
            rights,
            max_connections: None,
        }),
        connections: 240,
        connections_from_descriptors: Some(1024),
        notices: Vec::new(),
        ..ServePlan::blank(1024)
    }
}

fn at(listeners: &[SocketAddr]) -> Doors<'_> {
    Doors { listeners, ..Doors::default() }
}

#[test]
fn the_first_screen_of_a_new_user() {
    let mut plan = plan(vec![account("tide", Rights::ALL)], Some(Rights::READ_ONLY));
    plan.fresh_password = Some(Secret::new("ebb-and-flow"));
    plan.has_samples = true;
    let screen = start_screen(
        &plan,
        &Doors {
            socket: Some(Path::new("/run/user/1000/tidegate/tidegate.sock")),
            ..at(&["127.0.0.1:2121".parse().unwrap()])
        },
        false,
    );
    let expected = "\
tidegate is ready.

  address    ftp://127.0.0.1:2121         this machine only
  account    tide may do everything       /srv/ftp
  password   ebb-and-flow                 fresh for this start
  anonymous  may list and download        /srv/ftp
  limits     240 connections at a time, from 1024 descriptors
  control    tidegate status              /run/user/1000/tidegate/tidegate.sock

Try it from another terminal:
  list       curl ftp://127.0.0.1:2121/
  download   curl -O ftp://127.0.0.1:2121/README.txt
  upload     curl --user tide:ebb-and-flow -T README.txt ftp://127.0.0.1:2121/incoming/

Stop it with Ctrl-C: transfers under way get 1m to finish.
";
    assert_eq!(screen, expected);
}

#[test]
fn accounts_of_a_file_are_told_without_passwords() {
    let mut accounts = vec![account("alice b", Rights::LIST.union(Rights::READ))];
    accounts.extend((0..9).map(|number| account(&format!("user{number}"), Rights::UPLOAD_ONLY)));
    let mut plan = plan(accounts, None);
    plan.notices.push("There is no TLS.".into());
    let screen =
        start_screen(&plan, &at(&["[::]:21".parse().unwrap(), "192.0.2.1:22".parse().unwrap()]), false);
    for line in [
        "  address    ftp://[::]:21                every address of this machine\n",
        "  address    ftp://192.0.2.1:22\n",
        "  account    user0 may upload new files   /srv/ftp\n",
        "  accounts   and 2 more\n",
        "  anonymous  off\n",
        "  Note: There is no TLS.\n",
        "  list       curl --user 'alice b' ftp://127.0.0.1:21/\n",
        "  upload     curl --user user0 -T FILE ftp://127.0.0.1:21/\n",
    ] {
        assert!(screen.contains(line), "{line}{screen}");
    }
    assert!(!screen.contains("hash") && !screen.contains('\u{1b}'));
}

#[test]
fn colour_and_brackets() {
    let plan = plan(Vec::new(), Some(Rights::READ_ONLY));
    let screen = start_screen(&plan, &at(&["[::1]:2121".parse().unwrap()]), true);
    assert!(screen.starts_with("\u{1b}[1mtidegate is ready.\u{1b}[0m\n"), "{screen}");
    assert!(screen.contains("curl -O -g 'ftp://[::1]:2121/FILE'"), "{screen}");
    assert!(!screen.contains("upload"), "nobody may upload");
}

#[test]
fn a_server_with_a_file_names_it_to_its_commands() {
    let mut plan = plan(Vec::new(), Some(Rights::READ_ONLY));
    plan.file = Some("/etc/my tide.toml".into());
    let bound = ["127.0.0.1:2121".parse().unwrap()];
    let doors = Doors {
        socket: Some(Path::new("/run/tidegate/my_tide-00000000.sock")),
        http: Some("127.0.0.1:2180".parse().unwrap()),
        agent: Some("127.0.0.1:2181".parse().unwrap()),
        ..at(&bound)
    };
    let screen = start_screen(&plan, &doors, false);
    for line in [
        "  control    tidegate status --config '/etc/my tide.toml' /run/tidegate/my_tide-00000000.sock\n",
        "  http       http://127.0.0.1:2180        /metrics /healthz /readyz\n",
        "  agent      127.0.0.1:2181               HAProxy agent check\n",
    ] {
        assert!(screen.contains(line), "{line}{screen}");
    }
    assert!(!start_screen(&plan, &at(&bound), false).contains("control"), "there is none");
    plan.file = None;
    let doors = Doors { socket: Some(Path::new("/run/tidegate/tidegate-4711.sock")), ..at(&bound) };
    let screen = start_screen(&plan, &doors, false);
    let line = "  control    tidegate status --socket /run/tidegate/tidegate-4711.sock\n";
    assert!(screen.contains(line), "{screen}");
}
