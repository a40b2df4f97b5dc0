use super::*;
use crate::config::{Config, Secret};
use crate::plan::{PlannedAnonymous, PlannedListener};
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
    let defaults = Config::defaults();
    ServePlan {
        listeners: vec![PlannedListener::plain("127.0.0.1:2121".parse().unwrap())],
        accounts,
        anonymous: anonymous.map(|rights| PlannedAnonymous {
            home: "/srv/ftp".into(),
            rights,
            max_connections: None,
        }),
        connections: 240,
        connections_from_descriptors: Some(1024),
        connections_per_address: None,
        timeouts: defaults.timeouts,
        durability: defaults.durability,
        files: defaults.files,
        umask: 0o022,
        log_format: defaults.log_format,
        greeting: defaults.greeting,
        demo: None,
        has_samples: false,
        fresh_password: None,
        notices: Vec::new(),
    }
}

#[test]
fn the_first_screen_of_a_new_user() {
    let mut plan = plan(vec![account("tide", Rights::ALL)], Some(Rights::READ_ONLY));
    plan.fresh_password = Some(Secret::new("ebb-and-flow"));
    plan.has_samples = true;
    let screen = start_screen(&plan, &["127.0.0.1:2121".parse().unwrap()], false);
    let expected = "\
tidegate is ready.

  address    ftp://127.0.0.1:2121         this machine only
  account    tide may do everything       /srv/ftp
  password   ebb-and-flow                 fresh for this start
  anonymous  may list and download        /srv/ftp
  limits     240 connections at a time, from 1024 descriptors

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
    let screen = start_screen(&plan, &["[::]:21".parse().unwrap(), "192.0.2.1:22".parse().unwrap()], false);
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
    let screen = start_screen(&plan, &["[::1]:2121".parse().unwrap()], true);
    assert!(screen.starts_with("\u{1b}[1mtidegate is ready.\u{1b}[0m\n"), "{screen}");
    assert!(screen.contains("curl -O -g 'ftp://[::1]:2121/FILE'"), "{screen}");
    assert!(!screen.contains("upload"), "nobody may upload");
}
