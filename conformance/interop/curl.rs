//! curl: list, upload, download, resume both ways, rename, delete, mkdir.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::Subject;
use tidegate_conformance::tree::Noise;

use crate::battery::{FOLDER, Job, Worker, encoded};
use crate::run::{run, run_well};

const LIMIT: Duration = Duration::from_mins(1);

fn curl(arguments: &[&str]) -> String {
    run_well(LIMIT, "curl", &[&["-sS", "--disable"], arguments].concat())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_day_of_work() {
    let subject = Subject::start();
    let url = subject.url();
    let work = TempDir::new().unwrap();
    let file = work.path().join("täglich 1.txt");
    fs::write(&file, b"hello\n").unwrap();
    curl(&["-T", text(&file), "--ftp-create-dirs", &format!("{url}/in/box/")]);
    assert_eq!(fs::read(subject.home.join("in/box/täglich 1.txt")).unwrap(), b"hello\n");
    assert_eq!(curl(&[&format!("{url}/in/box/t%C3%A4glich%201.txt")]), "hello\n");
    assert_eq!(curl(&["-l", &format!("{url}/in/box/")]).trim_end(), "täglich 1.txt");
    let long = curl(&[&format!("{url}/in/box/")]);
    assert!(long.starts_with("-rw") && long.trim_end().ends_with("täglich 1.txt"), "{long}");
    curl(&["-Q", "-RNFR /in/box/täglich 1.txt", "-Q", "-RNTO /in/b.txt", &format!("{url}/in/")]);
    assert!(subject.home.join("in/b.txt").exists());
    curl(&["-Q", "-DELE /in/b.txt", "-Q", "-RMD /in/box", &format!("{url}/in/")]);
    assert_eq!(fs::read_dir(subject.home.join("in")).unwrap().count(), 0);
    // Anonymous reads, and may not write.
    fs::write(subject.home.join("public"), b"p").unwrap();
    let open = format!("ftp://{}/", subject.address());
    assert_eq!(curl(&[&format!("{open}public")]), "p");
    let refused = run(LIMIT, "curl", &["-sS", "--disable", "-T", text(&file), &open]);
    assert_eq!(refused.status.code(), Some(25), "{refused:?}"); // CURLE_UPLOAD_FAILED
    // Active mode too.
    assert_eq!(curl(&["--ftp-port", "-", &format!("{open}public")]), "p");
    assert_eq!(curl(&["--disable-epsv", &format!("{open}public")]), "p");
}

#[test]
fn an_upload_that_was_cut_goes_on() {
    let subject = Subject::start();
    let work = TempDir::new().unwrap();
    let file = work.path().join("big");
    let content = Noise(3).bytes(8 << 20);
    fs::write(&file, &content).unwrap();
    let url = format!("{}/big", subject.url());
    let cut = run(
        LIMIT,
        "curl",
        &["-sS", "--disable", "--limit-rate", "2M", "--max-time", "1", "-T", text(&file), &url],
    );
    assert_eq!(cut.status.code(), Some(28), "{cut:?}");
    assert!(!subject.home.join("big").exists(), "half a file must not be visible");
    let size = kept_size(&subject, "big");
    assert!(size > 0 && size < content.len() as u64, "{size} bytes kept");
    curl(&["-C", "-", "-T", text(&file), &url]);
    assert!(fs::read(subject.home.join("big")).unwrap() == content);
}

/// Returns the size of the partial upload as soon as the server has noticed the cut.
fn kept_size(subject: &Subject, name: &str) -> u64 {
    let mut client = Client::logged_in(subject.address());
    let until = Instant::now() + PATIENCE;
    loop {
        let reply = client.say(format!("SIZE {name}"));
        if reply.code == 213 {
            return reply.text()[4..].parse().unwrap();
        }
        assert!(Instant::now() < until, "the partial upload is not kept: {reply:?}");
    }
}

#[test]
fn a_download_that_was_cut_goes_on() {
    let subject = Subject::start();
    let work = TempDir::new().unwrap();
    // Large enough that curl's limit on the rate has time to bite.
    let content = Noise(4).bytes(64 << 20);
    fs::write(subject.home.join("big"), &content).unwrap();
    let url = format!("{}/big", subject.url());
    let file = work.path().join("big");
    let rate = ["--limit-rate", "2M", "--max-time", "1", "-o", text(&file), &url];
    let cut = run(LIMIT, "curl", &[&["-sS", "--disable"], &rate[..]].concat());
    assert_eq!(cut.status.code(), Some(28), "{cut:?}");
    let size = fs::metadata(&file).unwrap().len();
    assert!(size > 0 && size < content.len() as u64, "{size} bytes came");
    curl(&["-C", "-", "-o", text(&file), &url]);
    assert!(fs::read(&file).unwrap() == content);
}

pub(crate) struct Curl;

impl Worker for Curl {
    fn name(&self) -> &'static str {
        "curl"
    }

    fn work(&self, subject: &Subject, jobs: &[Job]) {
        let folder = format!("{}/{}/", subject.url(), encoded(FOLDER));
        let at = |name: &str| format!("{folder}{}", encoded(name));
        // Sent after the directory was listed, so in that directory.
        let quoted = |commands: &[String]| {
            let mut arguments = vec!["-l", "-o", "/dev/null", folder.as_str()];
            for command in commands {
                arguments.extend(["-Q", command]);
            }
            curl(&arguments);
        };
        for job in jobs {
            match job {
                Job::List { into } => drop(curl(&["-l", "-o", text(into), &folder])),
                Job::Upload { local, name } => drop(curl(&["-T", text(local), &at(name)])),
                Job::Download { name, local } => drop(curl(&["-o", text(local), &at(name)])),
                Job::ResumeUpload { local, name, .. } => {
                    drop(curl(&["-C", "-", "-T", text(local), &at(name)]));
                }
                Job::ResumeDownload { name, local, .. } => {
                    drop(curl(&["-C", "-", "-o", text(local), &at(name)]));
                }
                Job::Rename { from, to } => quoted(&[format!("-RNFR {from}"), format!("-RNTO {to}")]),
                Job::Delete { name } => quoted(&[format!("-DELE {name}")]),
                Job::MakeFolder { name } => quoted(&[format!("-MKD {name}")]),
                Job::FetchByPattern { .. } => panic!("excepted in limits.rs"),
            }
        }
    }
}
