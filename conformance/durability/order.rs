//! The system calls of one upload, in order: write, fsync, rename, fsync of the directory, and only then 226.

use std::fs;

use tempfile::TempDir;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::Setup;

/// One traced call: its name and arguments, whether it had ended, and where it ended in the trace.
fn calls(trace: &str) -> Vec<String> {
    // strace splits a call that another thread's call interrupts; its end is put where `resumed` stands, which is when
    // it was over.
    let mut unfinished = std::collections::HashMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((pid, call)) = line.split_once(char::is_whitespace) else { continue };
        let call = call.trim_start();
        if let Some(start) = call.strip_suffix(" <unfinished ...>") {
            unfinished.insert(pid, start.to_owned());
        } else if let Some((_, end)) = call.split_once(" resumed>") {
            calls.push(format!("{}{end}", unfinished.remove(pid).unwrap_or_default()));
        } else {
            calls.push(call.to_owned());
        }
    }
    calls
}

fn trace_of_an_upload(durability: &str, existing: bool) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    let trace = folder.path().join("trace");
    let setup = Setup {
        top: format!("durability = \"{durability}\"\n"),
        wrapper: [
            "strace", "-f", "-y", "-s", "40", "-e",
            "trace=write,writev,pwrite64,splice,sendto,sendmsg,fsync,fdatasync,rename,renameat,renameat2,linkat", "-o",
        ]
        .into_iter()
        .map(String::from)
        .chain([trace.to_str().unwrap().to_owned()])
        .collect(),
        ..Setup::default()
    };
    let mut subject = setup.start();
    fs::create_dir(subject.home.join("d")).unwrap();
    if existing {
        fs::write(subject.home.join("d/target"), b"old").unwrap();
    }
    let mut client = Client::logged_in(subject.address());
    client.upload("STOR d/target", b"content of the upload");
    assert_eq!(fs::read(subject.home.join("d/target")).unwrap(), b"content of the upload");
    client.command("QUIT", 221);
    subject.terminate();
    subject.wait();
    calls(&fs::read_to_string(trace).unwrap())
}

fn position(calls: &[String], what: &str, fits: impl Fn(&str) -> bool) -> usize {
    let found = calls.iter().position(|call| fits(call));
    found.unwrap_or_else(|| panic!("no {what} in the trace:\n{}", calls.join("\n")))
}

fn is_sync(call: &str) -> bool {
    call.starts_with("fsync(") || call.starts_with("fdatasync(")
}

#[test]
fn full_durability_syncs_file_and_directory_before_226() {
    for existing in [false, true] {
        let calls = trace_of_an_upload("full", existing);
        let written = position(&calls, "write of the content", |call| {
            call.contains("content of the upload") && call.contains("/d/")
        });
        let synced = position(&calls, "fsync of the file", |call| is_sync(call) && call.contains("/d/"));
        let renamed = position(&calls, "rename", |call| {
            (call.starts_with("rename") || call.starts_with("linkat")) && call.contains("\"target\"")
        });
        let directory =
            position(&calls, "fsync of the directory", |call| is_sync(call) && call.contains("/d>)"));
        let said = position(&calls, "226", |call| call.contains("\"226 "));
        assert!(
            written < synced && synced < renamed && renamed < directory && directory < said,
            "write {written}, fsync {synced}, rename {renamed}, fsync of the directory {directory}, 226 {said}:\n{}",
            calls.join("\n")
        );
    }
}

#[test]
fn without_durability_nothing_is_synced() {
    let calls = trace_of_an_upload("none", true);
    assert!(!calls.iter().any(|call| is_sync(call)), "{}", calls.join("\n"));
    let renamed =
        position(&calls, "rename", |call| call.starts_with("rename") && call.contains("\"target\""));
    assert!(renamed < position(&calls, "226", |call| call.contains("\"226 ")));
}
