//! Runs a client with a time limit.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Runs `program` with `arguments`, at most `limit`; returns what it printed. It must be installed.
pub(crate) fn run(limit: Duration, program: &str, arguments: &[&str]) -> Output {
    // coreutils' timeout ends the client should it hang; 124 is its exit code.
    let output = Command::new("timeout")
        .arg(format!("{}", limit.as_secs()))
        .arg(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", "/nonexistent") // no .netrc, .lftprc or .wgetrc of this machine
        .stdin(Stdio::null())
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
    assert!(
        output.status.success(),
        "{program} {arguments:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
