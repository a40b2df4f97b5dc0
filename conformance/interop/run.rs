//! Runs a client with a time limit.

use std::io::{Seek as _, Write as _};
use std::process::{Command, Output};
use std::time::Duration;

/// Runs `program` with `arguments`, at most `limit`; returns what it printed. It must be installed.
pub(crate) fn run(limit: Duration, program: &str, arguments: &[&str]) -> Output {
    run_fed(limit, program, arguments, "")
}

/// As [`run`], with `input` on its standard input.
pub(crate) fn run_fed(limit: Duration, program: &str, arguments: &[&str], input: &str) -> Output {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(input.as_bytes()).and_then(|()| file.rewind()).expect("the input written");
    // coreutils' timeout ends the client should it hang; 124 is its exit code.
    let output = Command::new("timeout")
        .arg(format!("{}", limit.as_secs()))
        .arg(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", "/nonexistent") // no .netrc, .lftprc or .wgetrc of this machine
        .stdin(file)
        .output()
        .expect("the `timeout` of coreutils");
    assert_ne!(output.status.code(), Some(127), "{program} is not installed: run `cargo xtask install`");
    assert_ne!(
        output.status.code(),
        Some(124),
        "{program} {arguments:?} took more than {limit:?}: {output:?}"
    );
    output
}

/// As [`run`], and the client must end well; returns its standard output.
pub(crate) fn run_well(limit: Duration, program: &str, arguments: &[&str]) -> String {
    let output = run(limit, program, arguments);
    assert_well(&output, program, arguments);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Fails unless the client ended well.
pub(crate) fn assert_well(output: &Output, program: &str, arguments: &[&str]) {
    assert!(
        output.status.success(),
        "{program} {arguments:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
