use super::*;

#[test]
fn a_hash_verifies_its_password_and_no_other() {
    let text = hash_password("pässwörd ".as_bytes()).unwrap();
    assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
    let stored = StoredPassword::parse(&text).unwrap();
    assert_eq!(stored.cost(), COST);
    assert_eq!(stored.verify("pässwörd ".as_bytes()), Ok(true));
    assert_eq!(stored.verify("pässwörd".as_bytes()), Ok(false));
    assert_ne!(hash_password("pässwörd ".as_bytes()).unwrap(), text, "the salt is random");
}

#[test]
fn passwords_that_cannot_be_sent_are_not_hashed() {
    assert_eq!(hash_password(b""), Err(HashError::Empty));
    assert_eq!(hash_password(&[b'x'; PASSWORD_BYTES_MAX + 1]), Err(HashError::TooLong));
    assert!(hash_password(&[b'x'; PASSWORD_BYTES_MAX]).is_ok());
    for byte in [0, b'\r', b'\n'] {
        assert_eq!(hash_password(&[b'x', byte]), Err(HashError::ForbiddenByte));
    }
}

#[test]
fn random_passwords_are_typed_easily_and_differ() {
    let mut seen = std::collections::HashSet::new();
    let mut used = std::collections::HashSet::new();
    for _ in 0..200 {
        let password = random_password().unwrap();
        let groups: Vec<&str> = password.split('-').collect();
        assert!(groups.len() == 3 && groups.iter().all(|group| group.len() == 6), "{password}");
        assert!(password.bytes().all(|byte| byte == b'-' || ALPHABET.contains(&byte)), "{password}");
        used.extend(password.bytes());
        assert!(seen.insert(password));
    }
    assert_eq!(used.len(), ALPHABET.len() + 1, "every character occurs");
    assert!((ALPHABET.len() as u128).pow(18) >= 1 << 80, "80 bits at least");
}

#[test]
fn a_dummy_is_a_real_hash_that_nothing_matches() {
    let cost = Cost { memory_kib: 64, passes: 3, lanes: 2 };
    let dummy = StoredPassword::dummy(cost).unwrap();
    assert_eq!(dummy.cost(), cost);
    assert_eq!(dummy.verify(b"secret"), Ok(false), "computed, and not equal");
    let read = StoredPassword::parse(&dummy.hash.to_string()).unwrap();
    assert_eq!(read.cost(), cost, "its own parameters are those that are computed with");
    assert_ne!(StoredPassword::dummy(cost).unwrap().hash.salt, dummy.hash.salt);
    let broken = StoredPassword::dummy(Cost { memory_kib: 0, ..cost });
    assert_eq!(broken.err(), Some(HashError::Failed));
}

#[test]
fn a_hash_that_cannot_be_computed_is_not_a_wrong_password() {
    let mut stored = StoredPassword::dummy(Cost { memory_kib: 64, passes: 1, lanes: 1 }).unwrap();
    stored.hash.params = "m=1,t=1,p=1".parse().unwrap();
    assert_eq!(stored.verify(b"secret"), Err(HashError::Failed));
}

#[test]
fn debug_shows_no_hash() {
    let stored = StoredPassword::dummy(Cost { memory_kib: 64, passes: 1, lanes: 1 }).unwrap();
    let secret = stored.hash.hash.unwrap().to_string();
    assert!(!format!("{stored:?}").contains(&secret));
}

#[test]
fn errors_are_words() {
    let words = [
        (
            HashError::from(getrandom::Error::UNSUPPORTED).to_string(),
            "the operating system gives no random numbers",
        ),
        (
            RandomError::from(getrandom::Error::UNSUPPORTED).to_string(),
            "the operating system gives no random numbers",
        ),
        (HashError::TooLong.to_string(), "the password is longer than 1024 bytes"),
    ];
    for (shown, expected) in words {
        assert_eq!(shown, expected);
    }
}
