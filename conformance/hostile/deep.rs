//! Directories in directories in directories: as deep as a path may be, and deeper.

use std::fs::{self, File};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::Subject;

use crate::lab::{GROWTH_KIB_MAX, survives};
use crate::peer::flood;

/// Levels of one-letter names that a path of 4,096 bytes names.
const LEVELS_MAX: usize = 2048;

#[test]
fn as_many_levels_as_a_path_may_name() {
    let subject = Subject::start();
    let peak = survives(&subject, "2,048 nested directories, made and removed", || {
        let mut client = Client::logged_in(subject.address());
        let down = flood(&client, &b"MKD d\r\nCWD d\r\n".repeat(LEVELS_MAX), 2 * LEVELS_MAX);
        assert!(down == [257, 250].repeat(LEVELS_MAX), "{down:?}");
        let pwd = client.command("PWD", 257);
        assert_eq!(pwd.text().split('"').nth(1).unwrap(), "/d".repeat(LEVELS_MAX));
        client.command("MKD d", 553);
        client.command("CWD d", 550);
        for command in ["LIST", "NLST", "MLSD", "LIST -R", "LIST -a"] {
            let text = client.download(command);
            assert!(!String::from_utf8(text).unwrap().contains("drwx") || command != "LIST", "{command}");
        }
        client.command("STOR f", 553);
        client.command("CDUP", 250);
        assert!(String::from_utf8(client.download("LIST")).unwrap().ends_with(" d\r\n"));
        client.command("CDUP", 250);
        client.command("CWD /", 250);
        whole_tree(&mut client);
        client.command(format!("CWD {}", "/d".repeat(LEVELS_MAX - 1)), 250);
        let up = flood(&client, &b"RMD d\r\nCDUP\r\n".repeat(LEVELS_MAX), 2 * LEVELS_MAX);
        assert!(up == [250, 250].repeat(LEVELS_MAX), "{up:?}");
        let listing = String::from_utf8(client.download("NLST")).unwrap();
        assert!(!listing.lines().any(|name| name == "d"), "{listing}");
    });
    assert!(peak <= GROWTH_KIB_MAX, "{peak} KiB");
}

/// `LIST -R` from the top: it ends, in bounds, and the session goes on.
fn whole_tree(client: &mut Client) {
    let text = client.download("LIST -R");
    let folders = text.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"d")).count();
    println!("LIST -R: {} bytes, {folders} directories", text.len());
    assert!(folders >= 1);
    assert!(text.len() < 64 << 20, "{} bytes", text.len());
    client.command("NOOP", 200);
}

/// Makes `levels` directories below `top`, each in the one before, however long the way gets.
fn nest(top: &Path, levels: usize) {
    let mut at = File::open(top).unwrap();
    for _ in 0..levels {
        rustix::fs::mkdirat(&at, "d", Mode::from_raw_mode(0o755)).unwrap();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        at = File::from(rustix::fs::openat(&at, "d", flags, Mode::empty()).unwrap());
    }
    rustix::fs::openat(&at, "bottom", OFlags::CREATE | OFlags::RDWR, Mode::from_raw_mode(0o644)).unwrap();
}

/// Removes what [`nest`] made below `top`, without a way longer than two names and without a descriptor a level.
fn unnest(top: &Path) {
    let (first, next) = (top.join("d"), top.join("next"));
    while first.exists() {
        let _ = fs::remove_file(first.join("bottom"));
        if fs::rename(first.join("d"), &next).is_err() {
            return fs::remove_dir(&first).unwrap();
        }
        fs::remove_dir(&first).unwrap();
        fs::rename(&next, &first).unwrap();
    }
}

#[test]
fn deeper_than_a_path_may_name() {
    let subject = Subject::start();
    nest(&subject.home, 5000);
    let peak = survives(&subject, "5,000 nested directories, made out of band", || {
        let mut client = Client::logged_in(subject.address());
        assert!(String::from_utf8(client.download("LIST")).unwrap().contains(" d\r\n"));
        whole_tree(&mut client);
        let down = flood(&client, &b"CWD d\r\n".repeat(LEVELS_MAX + 100), LEVELS_MAX + 100);
        assert_eq!(down[..LEVELS_MAX], [250; LEVELS_MAX]);
        assert_eq!(down[LEVELS_MAX..], [550; 100]);
        // The one below is seen; what cannot be named is refused, not followed.
        assert!(String::from_utf8(client.download("LIST")).unwrap().ends_with(" d\r\n"));
        assert!(String::from_utf8(client.download("MLSD")).unwrap().ends_with("; d\r\n"));
        client.download("NLST");
        client.download("LIST -R");
        for command in ["MLST d", "SIZE d", "STAT d", "RMD d", "DELE d", "RNFR d", "RETR d/bottom", "MDTM d"]
        {
            let reply = client.say(command);
            assert!((500..600).contains(&reply.code), "{command}: {reply:?}");
        }
        client.command("STOR x", 553);
        client.command("PWD", 257);
        client.command("CDUP", 250);
        client.download("LIST");
    });
    assert!(peak <= GROWTH_KIB_MAX, "{peak} KiB");
    unnest(&subject.home);
}
