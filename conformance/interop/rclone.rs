//! rclone: a backup tool whose FTP side is the Go library jlaffaye/ftp, the strictest about reply codes.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use tidegate_conformance::subject::{PASSWORD, Subject, USER};

use crate::battery::{FOLDER, Job, Worker};
use crate::run::{assert_well, run, run_well};

const LIMIT: Duration = Duration::from_mins(1);
/// No configuration file is read or written; nothing is tried twice.
const OWN: [&str; 3] = ["--config=", "--retries=1", "--low-level-retries=1"];

pub(crate) struct Rclone;

fn rclone(arguments: &[&str]) -> Vec<u8> {
    let arguments = [&OWN, arguments].concat();
    let output = run(LIMIT, "rclone", &arguments);
    assert_well(&output, "rclone", &arguments);
    output.stdout
}

impl Worker for Rclone {
    fn name(&self) -> &'static str {
        "rclone"
    }

    fn work(&self, subject: &Subject, jobs: &[Job]) {
        let password = run_well(LIMIT, "rclone", &["--config=", "obscure", PASSWORD]);
        // Its default spells a trailing space otherwise, for servers that lose it.
        let folder = format!(
            ":ftp,host=127.0.0.1,port={},user={USER},pass={},encoding='Slash,Ctl':{FOLDER}",
            subject.address().port(),
            password.trim_end()
        );
        let at = |name: &str| format!("{folder}/{name}");
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        for job in jobs {
            match job {
                Job::List { into } => {
                    let names = rclone(&["lsf", "--dir-slash=false", &folder]);
                    fs::write(into, names).unwrap();
                }
                Job::Upload { local, name } => drop(rclone(&["copyto", &text(local), &at(name)])),
                Job::Download { name, local } => drop(rclone(&["copyto", &at(name), &text(local)])),
                Job::ResumeDownload { name, local, offset } => {
                    let rest = rclone(&["cat", "--offset", &offset.to_string(), &at(name)]);
                    fs::File::options().append(true).open(local).unwrap().write_all(&rest).unwrap();
                }
                Job::Rename { from, to } => drop(rclone(&["moveto", &at(from), &at(to)])),
                Job::Delete { name } => drop(rclone(&["deletefile", &at(name)])),
                Job::MakeFolder { name } => drop(rclone(&["mkdir", &at(name)])),
                Job::FetchByPattern { pattern, into } => {
                    // It lists, and picks by itself.
                    let include = ["--include", pattern];
                    drop(rclone(&[&["copy"][..], &include, &[&folder, &text(into)]].concat()));
                }
                Job::ResumeUpload { .. } => panic!("excepted in limits.rs"),
            }
        }
    }
}
