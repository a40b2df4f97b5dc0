//! RFC 3659 §7: MLST and MLSD say the same about the same thing, and `perm` tells what this account may do (§7.5.5).

use std::collections::BTreeMap;
use std::fs;

use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{PASSWORD, Subject, USER};

/// Splits an entry into its facts and its name (§7.2).
fn entry(line: &str) -> (String, String) {
    let (facts, name) = line.split_once(' ').unwrap();
    (facts.to_owned(), name.to_owned())
}

fn mlsd(client: &mut Client, command: &str) -> BTreeMap<String, String> {
    let listing = String::from_utf8(client.download(command)).unwrap();
    listing.lines().map(entry).map(|(facts, name)| (name, facts)).collect()
}

fn mlst(client: &mut Client, path: &str) -> String {
    let lines = client.command(format!("MLST {path}"), 250).lines;
    // One blank, then the entry, between the first line of the reply and its last (§7.2).
    let [_, line, _] = &lines[..] else { return format!("not one entry: {lines:?}") };
    entry(line.strip_prefix(' ').unwrap()).0
}

fn fact<'a>(facts: &'a str, name: &str) -> &'a str {
    let wanted = format!("{name}=");
    facts.split(';').find_map(|fact| fact.strip_prefix(&wanted)).unwrap_or("no such fact")
}

#[test]
fn mlst_and_mlsd_show_the_same_facts() {
    let subject = Subject::start();
    fs::create_dir_all(subject.home.join("sub/folder")).unwrap();
    fs::write(subject.home.join("sub/file"), b"content").unwrap();
    fs::write(subject.home.join("top"), b"content").unwrap();
    // What `perm` says of the file and of the folder.
    for (user, password, file, folder) in
        [(USER, PASSWORD, "adfrw", "cdeflmp"), ("anonymous", "me@", "r", "el")]
    {
        let mut client = Client::greeted(subject.address());
        client.login(user, password);
        let listed = mlsd(&mut client, "MLSD sub");
        for (name, kind, perm) in [("file", "file", file), ("folder", "dir", folder)] {
            let facts = &listed[name];
            assert_eq!(*facts, mlst(&mut client, &format!("sub/{name}")), "{user}: {name}");
            assert_eq!(*facts, mlst(&mut client, &format!("/sub/./folder/../{name}")), "{user}: {name}");
            assert_eq!((fact(facts, "type"), fact(facts, "perm")), (kind, perm), "{user}: {name}: {facts}");
        }
        assert_eq!(fact(&listed["file"], "size"), "7");
        let top = mlsd(&mut client, "MLSD");
        assert_eq!(top["top"], mlst(&mut client, "top"), "{user}");
        assert_eq!(top["sub"], mlst(&mut client, "sub"), "{user}");
        // From inside, too.
        client.command("CWD sub", 250);
        assert_eq!(mlsd(&mut client, "MLSD"), listed, "{user}");
        for (name, facts) in &listed {
            assert_eq!(*facts, mlst(&mut client, name), "{user}: {name}");
        }
    }
}
