//! Names: kept byte for byte, never out of the root, never a control character.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use tidegate_conformance::client::Client;
use tidegate_conformance::subject::Subject;

#[test]
fn nothing_leads_out_of_the_root() {
    let subject = Subject::start();
    let outside = subject.home.parent().unwrap().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), b"secret").unwrap();
    symlink(&outside, subject.home.join("absolute")).unwrap();
    symlink("../outside", subject.home.join("relative")).unwrap();
    symlink("../outside/secret", subject.home.join("file")).unwrap();
    fs::create_dir(subject.home.join("in")).unwrap();
    fs::write(subject.home.join("in/a"), b"inside").unwrap();
    symlink("in", subject.home.join("link")).unwrap();
    symlink("../in/a", subject.home.join("in/again")).unwrap();
    let mut client = Client::logged_in(subject.address());
    for line in [
        "CWD absolute",
        "CWD relative",
        "CWD ../outside",
        "SIZE file",
        "SIZE absolute/secret",
        "SIZE relative/secret",
        "SIZE ../../../../../../../../etc/passwd",
        "MDTM file",
        "MLST absolute/secret",
        "MKD relative/d",
        "DELE relative/secret",
        "RNFR relative/secret",
        "SITE CHMOD 777 relative/secret",
        "MFMT 20200101000000 file",
        "STAT relative/secret",
    ] {
        client.command(line, 550);
    }
    for line in [
        "RETR file",
        "RETR relative/secret",
        "LIST relative",
        "STOR relative/new",
        "STOR file",
        "MLSD absolute",
    ] {
        client.passive_address();
        assert!((500..=553).contains(&client.say(line).code), "{line}");
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(fs::read(outside.join("secret")).unwrap(), b"secret");
    // Inside they are followed, and `..` stays inside.
    assert_eq!(client.download("RETR link/a"), b"inside");
    assert_eq!(client.download("RETR in/again"), b"inside");
    client.command("CWD ../../..", 250);
    assert!(client.command("PWD", 257).text().contains("\"/\""));
    // DELE takes the link, not what it points to.
    client.command("DELE file", 250);
    assert!(outside.join("secret").exists());
}

#[test]
fn names_are_bytes() {
    let subject = Subject::start();
    let mut client = Client::logged_in(subject.address());
    let names: [&[u8]; 9] =
        [b" a", b"a ", b"a\"b", "日本".as_bytes(), b"\xe9\xe8", b"-a", b"a;b=c", b"%2e%2e", b"\\..\\x"];
    for name in names {
        let directory = client.command([b"MKD ", name].concat(), 257);
        let shown: String = name.iter().map(|byte| char::from(*byte)).collect();
        assert!(directory.text().contains(&shown.replace('"', "\"\"")), "{directory:?}");
        assert!(subject.home.join(std::ffi::OsStr::from_bytes(name)).is_dir());
        client.command([b"CWD ", name].concat(), 250);
        client.command("CDUP", 250);
    }
    let listed = client.download("NLST");
    let mut listed: Vec<&[u8]> =
        listed.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    for line in &mut listed {
        *line = line.strip_suffix(b"\r").unwrap();
    }
    listed.sort_unstable();
    let mut expected = names.to_vec();
    expected.sort_unstable();
    assert_eq!(listed, expected);
}

#[test]
fn control_characters_are_refused_both_ways() {
    let subject = Subject::start();
    for name in ["x\r\n226 fake", "esc\u{1b}[2J", "tab\t", "del\u{7f}"] {
        fs::write(subject.home.join(name), b"x").unwrap();
    }
    fs::write(subject.home.join("good"), b"x").unwrap();
    let mut client = Client::logged_in(subject.address());
    for list in ["NLST", "LIST", "MLSD"] {
        let listing = String::from_utf8(client.download(list)).unwrap();
        assert!(listing.ends_with("good\r\n") && listing.lines().count() == 1, "{list}: {listing:?}");
    }
    for line in [
        &b"MKD a\rb"[..],
        b"MKD a\0b",
        b"CWD d\0x",
        b"STOR a\x1b",
        b"RNFR good\x7f",
        b"MKD u\r\0v",
        b"MKD t\tt",
    ] {
        client.command(line, 501);
    }
    client.command("NOOP", 200);
}
