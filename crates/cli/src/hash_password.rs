//! `tidegate hash-password`.

use std::io::{self, BufRead, IsTerminal};

use tidegate_accounts::PASSWORD_BYTES_MAX;

use crate::{Exit, console};

/// Reads a password and prints its hash.
pub fn run() -> Exit {
    let hashed = read()
        .and_then(|password| tidegate_accounts::hash_password(&password).map_err(|error| error.to_string()));
    match hashed {
        Ok(hash) => {
            console::say(&format!("{hash}\n"));
            Exit::Done
        }
        Err(what) => {
            console::complain(&format!("error: {what}\n"));
            Exit::Failed
        }
    }
}

fn read() -> Result<Vec<u8>, String> {
    let stdin = io::stdin();
    if stdin.is_terminal() { from_terminal() } else { from_line(stdin.lock()) }
}

fn from_terminal() -> Result<Vec<u8>, String> {
    let ask = |prompt| {
        rpassword::prompt_password(prompt).map_err(|error| format!("cannot read the password: {error}"))
    };
    let (first, second) = (ask("Password: ")?, ask("Again: ")?);
    if first == second {
        Ok(first.into_bytes())
    } else {
        Err("the two passwords differ; nothing was hashed".into())
    }
}

/// Reads the first line, without its end; more than the longest password is not read.
fn from_line(input: impl BufRead) -> Result<Vec<u8>, String> {
    let mut line = Vec::new();
    // One byte more than the longest, and CR LF.
    let most = PASSWORD_BYTES_MAX as u64 + 3;
    input
        .take(most)
        .read_until(b'\n', &mut line)
        .map_err(|error| format!("cannot read the password: {error}"))?;
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_read_without_its_end() {
        for (input, expected) in
            [("tide\n", "tide"), ("tide\r\n", "tide"), ("tide", "tide"), ("a b \nmore\n", "a b "), ("\n", "")]
        {
            assert_eq!(from_line(input.as_bytes()).unwrap(), expected.as_bytes());
        }
    }

    #[test]
    fn a_line_without_end_is_not_read_for_ever() {
        let read = from_line(io::BufReader::new(io::repeat(b'a'))).unwrap();
        assert_eq!(read.len(), PASSWORD_BYTES_MAX + 3);
        assert_eq!(tidegate_accounts::hash_password(&read), Err(tidegate_accounts::HashError::TooLong));
    }
}
