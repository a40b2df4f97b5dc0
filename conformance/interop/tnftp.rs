//! tnftp: the classic command-line client, as NetBSD and Debian have it.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use tidegate_conformance::subject::{PASSWORD, Subject, USER};

use crate::battery::{FOLDER, Job, Worker};
use crate::run::{assert_well, run_fed};

pub(crate) struct Tnftp;

impl Worker for Tnftp {
    fn name(&self) -> &'static str {
        "tnftp"
    }

    fn work(&self, subject: &Subject, jobs: &[Job]) {
        let mut script = format!("user {USER} {PASSWORD}\nbinary\ncd {}\n", word(FOLDER));
        for job in jobs {
            let _ = writeln!(script, "{}", line(job));
        }
        script.push_str("quit\n");
        let port = subject.address().port().to_string();
        // -n: no .netrc, -i: no questions.
        let arguments = ["-n", "-i", "127.0.0.1", port.as_str()];
        let output = run_fed(Duration::from_mins(1), "tnftp", &arguments, &script);
        assert_well(&output, "tnftp", &arguments);
        // It ends with 0 whatever happened; its complaints are what counts.
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        if let [Job::List { into }] = jobs {
            fs::write(into, output.stdout).unwrap();
        }
    }
}

fn line(job: &Job) -> String {
    let local = |path: &std::path::Path| word(path.to_str().unwrap());
    match job {
        Job::List { .. } => "nlist".into(),
        Job::Upload { local: file, name } => format!("put {} {}", local(file), word(name)),
        Job::Download { name, local: file } => format!("get {} {}", word(name), local(file)),
        Job::ResumeUpload { local: file, name, offset } => {
            format!("restart {offset}\nput {} {}", local(file), word(name))
        }
        Job::ResumeDownload { name, local: file, .. } => format!("reget {} {}", word(name), local(file)),
        Job::Rename { from, to } => format!("rename {} {}", word(from), word(to)),
        Job::Delete { name } => format!("delete {}", word(name)),
        Job::MakeFolder { name } => format!("mkdir {}", word(name)),
        Job::FetchByPattern { pattern, into } => format!("lcd {}\nmget {pattern}", local(into)),
    }
}

/// Returns `text` as one word of its language, where a backslash takes the meaning from what follows.
fn word(text: &str) -> String {
    let mut word = String::new();
    for letter in text.chars() {
        if letter.is_ascii() && !letter.is_ascii_alphanumeric() {
            word.push('\\');
        }
        word.push(letter);
    }
    word
}
