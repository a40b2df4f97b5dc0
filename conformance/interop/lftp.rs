//! lftp: a real tree down and back up, nothing lost, times kept.

use std::fs;
use std::time::Duration;

use tempfile::TempDir;
use tidegate_conformance::subject::{PASSWORD, Setup, Subject, USER};
use tidegate_conformance::tree;

use crate::battery::{FOLDER, Job, Worker};
use crate::run::run_well;

const FILES: usize = 10_000;
const LIMIT: Duration = Duration::from_secs(400);

#[test]
fn mirrors_ten_thousand_files_down_and_up() {
    // fsync for every file is tested elsewhere; here it would only measure the disk.
    let subject = Setup { top: "durability = \"none\"\n".into(), ..Setup::default() }.start();
    let source = subject.home.join("source");
    fs::create_dir(&source).unwrap();
    tree::fill(&source, FILES, 1);
    let work = TempDir::new().unwrap();
    let local = work.path().join("local");
    let script = format!(
        "set cmd:fail-exit yes; set net:max-retries 2; set net:timeout 20; set mirror:parallel-directories yes; \
         open -u {USER},secret ftp://{}; \
         mirror --parallel=4 source {local}; \
         mkdir -f back; mirror -R --parallel=4 {local} back; \
         bye",
        subject.address(),
        local = local.display(),
    );
    run_well(LIMIT, "lftp", &["--norc", "-c", &script]);
    assert!(tree::read(&source).len() >= FILES);
    tree::assert_same(&source, &local);
    tree::assert_same(&source, &subject.home.join("back"));
}

#[test]
fn a_session_by_hand() {
    let subject = Setup::default().start();
    let work = TempDir::new().unwrap();
    fs::write(work.path().join("a b"), b"one two").unwrap();
    let script = format!(
        "set cmd:fail-exit yes; set net:max-retries 1; open -u {USER},secret ftp://{}; lcd '{}'; \
         mkdir 'new folder'; cd 'new folder'; put 'a b'; mv 'a b' c; chmod 600 c; cat c; cls -l; pwd; rm c; cd ..; \
         rmdir 'new folder'; cls; bye",
        subject.address(),
        work.path().display(),
    );
    let said = run_well(Duration::from_mins(1), "lftp", &["--norc", "-c", &script]);
    assert!(said.contains("one two") && said.contains("-rw-------"), "{said}");
    assert_eq!(fs::read_dir(&subject.home).unwrap().filter(|entry| !hidden(entry)).count(), 0, "{said}");
}

fn hidden(entry: &std::io::Result<fs::DirEntry>) -> bool {
    entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.')
}

pub(crate) struct Lftp;

impl Worker for Lftp {
    fn name(&self) -> &'static str {
        "lftp"
    }

    fn work(&self, subject: &Subject, jobs: &[Job]) {
        let mut script = format!(
            "set cmd:fail-exit yes; set net:max-retries 1; set net:timeout 20; open -u {USER},{PASSWORD} ftp://{}; cd {}\n",
            subject.address(),
            quoted(FOLDER)
        );
        for job in jobs {
            script.push_str(&line(job));
            script.push('\n');
        }
        run_well(Duration::from_mins(1), "lftp", &["--norc", "-c", &script]);
        if let [Job::List { into }] = jobs {
            // It marks folders with a slash.
            fs::write(into, fs::read_to_string(into).unwrap().replace("/\n", "\n")).unwrap();
        }
    }
}

/// Returns the command for `job`; `./` keeps `-a` from being an option.
fn line(job: &Job) -> String {
    let local = |path: &std::path::Path| quoted(path.to_str().unwrap());
    let remote =
        |name: &str| quoted(&if name.starts_with('-') { format!("./{name}") } else { name.to_owned() });
    match job {
        Job::List { into } => format!("cls -1 --sort=name > {}", local(into)),
        Job::Upload { local: file, name } => format!("put {} -o {}", local(file), remote(name)),
        Job::Download { name, local: file } => format!("get {} -o {}", remote(name), local(file)),
        Job::ResumeUpload { local: file, name, .. } => format!("put -c {} -o {}", local(file), remote(name)),
        Job::ResumeDownload { name, local: file, .. } => {
            format!("get -c {} -o {}", remote(name), local(file))
        }
        Job::Rename { from, to } => format!("mv {} {}", remote(from), remote(to)),
        Job::Delete { name } => format!("rm {}", remote(name)),
        Job::MakeFolder { name } => format!("mkdir {}", remote(name)),
        Job::FetchByPattern { pattern, into } => format!("lcd {}; mget {pattern}", local(into)),
    }
}

/// Returns `text` as one word of lftp's language.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
