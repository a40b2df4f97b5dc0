use std::sync::LazyLock;

use tidegate_types::Rights;

use super::*;
use crate::hash_password;

/// Argon2id of `open sesame` at the default cost, computed once.
static HASH: LazyLock<String> = LazyLock::new(|| hash_password(b"open sesame").unwrap());
/// Published by the reference implementation of argon2 (its test of `password` and `somesalt`, m = 64 MiB, t = 2).
const REFERENCE: &str =
    "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

/// What `account` makes looks like this.
const CREATION: Creation =
    Creation { uid: Some(1000), gid: Some(33), file_mode: Some(0o640), directory_mode: None };

fn account(name: &str, password_hash: &str) -> Account {
    Account {
        name: name.to_owned(),
        password_hash: password_hash.to_owned(),
        home: format!("/srv/{name}"),
        rights: Rights::ALL,
        max_connections: Some(3),
        upload: UploadStyle::InPlace,
        creation: CREATION,
    }
}

fn anonymous() -> Anonymous {
    Anonymous { home: "/srv/pub".to_owned(), rights: Rights::READ_ONLY, max_connections: Some(9) }
}

fn alice() -> Accounts {
    Accounts::new(vec![account("alice", &HASH)], Some(anonymous())).unwrap()
}

#[test]
fn the_right_password_opens_the_account() {
    let accounts = alice();
    let login = accounts.check(b"alice", b"open sesame").unwrap();
    let profile = Profile {
        account: Some(AccountName("alice".to_owned())),
        rights: Rights::ALL,
        upload: UploadStyle::InPlace,
        connections_max: Some(3),
    };
    assert_eq!(login, Login { profile, home: "/srv/alice".to_owned(), creation: CREATION });
    assert_eq!(accounts.verifications(), 1);
}

#[test]
fn anonymous_names_open_without_a_hash() {
    let accounts = alice();
    for user in ["anonymous", "ftp", "Anonymous", "FTP"] {
        for password in ["", "me@example.org"] {
            let login = accounts.check(user.as_bytes(), password.as_bytes()).unwrap();
            assert_eq!((login.profile.account, login.home.as_str()), (None, "/srv/pub"));
            assert_eq!((login.profile.rights, login.profile.connections_max), (Rights::READ_ONLY, Some(9)));
            assert_eq!((login.profile.upload, login.creation), (UploadStyle::Atomic, Creation::default()));
        }
        assert!(accounts.is_cheap(user.as_bytes()));
    }
    assert!(!accounts.is_cheap(b"alice") && !accounts.is_cheap(b"nobody") && !accounts.is_cheap(b"ftp "));
    assert_eq!(accounts.check(b"ftp", b"a\0"), Err(Denied::ForbiddenByte));
    assert_eq!(accounts.verifications(), 0);
}

#[test]
fn every_other_name_costs_one_hash() {
    let accounts = alice();
    let table: [(&[u8], &[u8], Denied); 5] = [
        (b"alice", b"open sesam", Denied::WrongPassword),
        (b"Alice", b"open sesame", Denied::UnknownAccount),
        (b"nobody", b"open sesame", Denied::UnknownAccount),
        (b"", b"open sesame", Denied::UnknownAccount),
        (b"\xff\xfe", b"open sesame", Denied::UnknownAccount),
    ];
    for (tried, (user, password, denied)) in (1..).zip(table) {
        assert_eq!(accounts.check(user, password), Err(denied), "{}", user.escape_ascii());
        assert_eq!(accounts.verifications(), tried, "{}", user.escape_ascii());
    }
    assert_eq!(accounts.dummy.cost(), accounts.by_name["alice"].password.cost());
}

#[test]
fn what_nobody_can_have_is_denied_before_hashing() {
    let accounts = alice();
    let long_name = [b'a'; NAME_BYTES_MAX + 1];
    let long_password = [b'a'; PASSWORD_BYTES_MAX + 1];
    let table: [(&[u8], &[u8], Denied); 6] = [
        (&long_name, b"x", Denied::NameTooLong),
        (b"alice", &long_password, Denied::PasswordTooLong),
        (b"alice", b"open sesame\0", Denied::ForbiddenByte),
        (b"alice\0", b"open sesame", Denied::ForbiddenByte),
        (b"alice", b"", Denied::EmptyPassword),
        (b"nobody", b"", Denied::EmptyPassword),
    ];
    for (user, password, denied) in table {
        assert_eq!(accounts.check(user, password), Err(denied));
    }
    assert_eq!(accounts.verifications(), 0);
    assert_eq!(accounts.check(&long_name[1..], &long_password[1..]), Err(Denied::UnknownAccount));
}

#[test]
fn without_anonymous_its_names_are_names_like_others() {
    let accounts = Accounts::new(vec![account("ftp", &HASH)], None).unwrap();
    assert!(accounts.check(b"ftp", b"open sesame").is_ok());
    assert_eq!(accounts.check(b"anonymous", b"x"), Err(Denied::UnknownAccount));
    assert!(!accounts.is_cheap(b"anonymous"));
    assert_eq!(accounts.verifications(), 2);
}

#[test]
fn without_accounts_an_unknown_name_still_costs_a_hash() {
    let accounts = Accounts::new(Vec::new(), None).unwrap();
    assert_eq!(accounts.check(b"alice", b"x"), Err(Denied::UnknownAccount));
    assert_eq!((accounts.verifications(), accounts.memory_kib_max()), (1, 19_456));
}

#[test]
fn hashes_of_other_tools_and_costs_are_read() {
    let accounts =
        Accounts::new(vec![account("a", REFERENCE), account("b", &HASH), account("c", &HASH)], None).unwrap();
    assert!(accounts.check(b"a", b"password").is_ok());
    assert_eq!(accounts.memory_kib_max(), 65_536);
    assert_eq!(accounts.dummy.cost(), Cost::default(), "what most accounts have");
    let tied = Accounts::new(vec![account("a", REFERENCE), account("b", &HASH)], None).unwrap();
    assert_eq!(tied.dummy.cost().memory_kib, 65_536, "of two, the costlier");
}

#[test]
fn lists_with_mistakes_are_refused_by_name() {
    let bad = |accounts: Vec<Account>| Accounts::new(accounts, Some(anonymous())).unwrap_err();
    let twice = bad(vec![account("alice", &HASH), account("bob", &HASH), account("alice", &HASH)]);
    assert_eq!(twice, AccountsError::DuplicateName { name: "alice".to_owned() });
    assert_eq!(twice.to_string(), "two accounts are named `alice`");
    for name in ["FTP", "anonymous"] {
        assert_eq!(bad(vec![account(name, &HASH)]), AccountsError::AnonymousName { name: name.to_owned() });
    }
    for name in [String::new(), "a\0b".to_owned(), "a\nb".to_owned(), "x".repeat(NAME_BYTES_MAX + 1)] {
        assert_eq!(bad(vec![account(&name, &HASH)]), AccountsError::BadName { name });
    }
    assert!(Accounts::new(vec![account(&"x".repeat(NAME_BYTES_MAX), &HASH)], None).is_ok());
}

#[test]
fn unusable_hashes_say_what_is_wrong() {
    let rest = "c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let table = [
        ("secret".to_owned(), MistakeInHash::NotPhc),
        (String::new(), MistakeInHash::NotPhc),
        (format!("{REFERENCE}$more"), MistakeInHash::NotPhc),
        (format!("$argon2i$v=19$m=64,t=2,p=1${rest}"), MistakeInHash::OtherAlgorithm),
        (format!("$argon2d$v=19$m=64,t=2,p=1${rest}"), MistakeInHash::OtherAlgorithm),
        ("$6$rounds=5000$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJH".to_owned(), MistakeInHash::OtherAlgorithm),
        (format!("$argon2id$m=64,t=2,p=1${rest}"), MistakeInHash::Version),
        (format!("$argon2id$v=18$m=64,t=2,p=1${rest}"), MistakeInHash::Version),
        ("$argon2id$v=19$m=64,t=2,p=1".to_owned(), MistakeInHash::Incomplete),
        ("$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ".to_owned(), MistakeInHash::Incomplete),
        (format!("$argon2id$v=19$m=0,t=2,p=1${rest}"), MistakeInHash::Parameters),
        (format!("$argon2id$v=19$m=64,t=2,p=1,x=1${rest}"), MistakeInHash::Parameters),
        (format!("$argon2id$v=19$m=262145,t=2,p=1${rest}"), MistakeInHash::Memory { kib: 262_145 }),
        (format!("$argon2id$v=19$m=64,t=33,p=1${rest}"), MistakeInHash::Passes { passes: 33, lanes: 1 }),
        (format!("$argon2id$v=19$m=1024,t=2,p=17${rest}"), MistakeInHash::Passes { passes: 2, lanes: 17 }),
    ];
    for (hash, mistake) in table {
        let error = Accounts::new(vec![account("alice", &hash)], None).unwrap_err();
        assert_eq!(error, AccountsError::BadHash { name: "alice".to_owned(), mistake }, "{hash}");
        let text = error.to_string();
        assert!(text.contains("`alice`") && text.contains("$argon2id$v=19$"), "{text}");
        assert!(hash.is_empty() || !text.contains(&hash), "the hash is not repeated: {text}");
    }
    for affordable in ["v=16$m=262144,t=32,p=16", "v=19$m=262144,t=32,p=16"] {
        let hash = format!("$argon2id${affordable}${rest}");
        assert!(Accounts::new(vec![account("alice", &hash)], None).is_ok(), "{hash}");
    }
}

#[test]
fn debug_shows_neither_passwords_nor_hashes() {
    let accounts = alice();
    let shown = format!("{accounts:?} {:?} {:?}", account("alice", &HASH), anonymous());
    assert!(!shown.contains("argon2") && shown.contains("/srv/alice"), "{shown}");
}

#[test]
fn reasons_have_one_word_each() {
    let words: std::collections::HashSet<String> = Denied::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(words.len(), Denied::ALL.len());
}
