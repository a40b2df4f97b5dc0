//! The system calls of one upload, in order: write, fsync, rename, fsync of the directory, and only then 226; and of one
//! download: the kernel copies.

use std::fs;

use tempfile::TempDir;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{Setup, Subject};
use tidegate_conformance::tree::Noise;

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

/// Returns the calls of `names` (strace's list) that the server makes from its start through `work` to its end.
fn traced(names: &str, top: &str, work: impl FnOnce(&Subject)) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    let trace = folder.path().join("trace");
    let only = format!("trace={names}");
    let strace = ["strace", "-f", "-y", "-s", "40", "-e", &only, "-o", trace.to_str().unwrap()];
    // Bans are synced, too, and are not what is traced here.
    let top = format!("state = \"off\"\n{top}");
    let setup = Setup { top, wrapper: strace.map(String::from).to_vec(), ..Setup::default() };
    let mut subject = setup.start();
    work(&subject);
    subject.terminate();
    subject.wait();
    calls(&fs::read_to_string(trace).unwrap())
}

fn trace_of_an_upload(durability: &str, existing: bool) -> Vec<String> {
    let names =
        "write,writev,pwrite64,splice,sendto,sendmsg,fsync,fdatasync,rename,renameat,renameat2,linkat";
    traced(names, &format!("durability = \"{durability}\"\n"), |subject| {
        fs::create_dir(subject.home.join("d")).unwrap();
        if existing {
            fs::write(subject.home.join("d/target"), b"old").unwrap();
        }
        let mut client = Client::logged_in(subject.address());
        client.upload("STOR d/target", b"content of the upload");
        assert_eq!(fs::read(subject.home.join("d/target")).unwrap(), b"content of the upload");
        client.command("QUIT", 221);
    })
}

fn position(calls: &[String], what: &str, fits: impl Fn(&str) -> bool) -> usize {
    let found = calls.iter().position(|call| fits(call));
    found.unwrap_or_else(|| panic!("no {what} in the trace:\n{}", calls.join("\n")))
}

fn is_sync(call: &str) -> bool {
    call.starts_with("fsync(") || call.starts_with("fdatasync(")
}

fn is_rename(call: &str) -> bool {
    (call.starts_with("rename") || call.starts_with("linkat")) && call.contains("\"target\"")
}

/// Where the four steps that every durability with fsync has stand in the trace.
struct Steps {
    written: usize,
    synced: usize,
    renamed: usize,
    said: usize,
}

fn steps(calls: &[String]) -> Steps {
    Steps {
        written: position(calls, "write of the content", |call| {
            call.contains("content of the upload") && call.contains("/d/")
        }),
        synced: position(calls, "fsync of the file", |call| is_sync(call) && call.contains("/d/")),
        renamed: position(calls, "rename", is_rename),
        said: position(calls, "226", |call| call.contains("\"226 ")),
    }
}

#[test]
fn full_durability_syncs_file_and_directory_before_226() {
    for existing in [false, true] {
        let calls = trace_of_an_upload("full", existing);
        let Steps { written, synced, renamed, said } = steps(&calls);
        let directory =
            position(&calls, "fsync of the directory", |call| is_sync(call) && call.contains("/d>)"));
        assert!(
            written < synced && synced < renamed && renamed < directory && directory < said,
            "write {written}, fsync {synced}, rename {renamed}, fsync of the directory {directory}, 226 {said}:\n{}",
            calls.join("\n")
        );
    }
}

#[test]
fn durability_of_the_file_syncs_the_file_and_no_directory() {
    for existing in [false, true] {
        let calls = trace_of_an_upload("file", existing);
        let Steps { written, synced, renamed, said } = steps(&calls);
        assert!(
            written < synced && synced < renamed && renamed < said,
            "write {written}, fsync {synced}, rename {renamed}, 226 {said}:\n{}",
            calls.join("\n")
        );
        let others: Vec<_> = calls.iter().filter(|call| is_sync(call) && !call.contains("/d/")).collect();
        assert!(others.is_empty(), "synced beside the file: {others:?}");
    }
}

#[test]
fn without_durability_nothing_is_synced() {
    let calls = trace_of_an_upload("none", true);
    assert!(!calls.iter().any(|call| is_sync(call)), "{}", calls.join("\n"));
    let renamed = position(&calls, "rename", is_rename);
    assert!(renamed < position(&calls, "226", |call| call.contains("\"226 ")));
}

#[test]
fn a_binary_download_is_copied_by_the_kernel_and_text_is_not() {
    for (kind, by_kernel) in [("TYPE I", true), ("TYPE A", false)] {
        // Without LF, so that both types send the same bytes.
        let mut content = Noise(11).bytes(3 << 20);
        content.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = b'x');
        let calls = traced("sendfile,sendto,sendmsg,write,writev", "", |subject| {
            fs::write(subject.home.join("big"), &content).unwrap();
            let mut client = Client::logged_in(subject.address());
            client.command(kind, 200);
            assert!(client.download("RETR big") == content, "{kind}: the download differs");
        });
        position(&calls, "226", |call| call.contains("\"226 "));
        let copies = calls.iter().filter(|call| call.starts_with("sendfile(")).collect::<Vec<_>>();
        let moved: usize =
            copies.iter().filter_map(|call| call.rsplit_once(" = ")?.1.trim().parse::<usize>().ok()).sum();
        assert_eq!(moved, if by_kernel { content.len() } else { 0 }, "{kind}: {copies:?}");
        assert_eq!(copies.is_empty(), !by_kernel, "{kind}: {copies:?}");
    }
}
