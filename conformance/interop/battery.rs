//! The same errands for every real client: list, upload, download, resume both ways, rename, delete, make a folder,
//! with odd names and an empty file. What came out is compared on disk, byte for byte.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tidegate_conformance::subject::{PASSWORD, Subject, USER};
use tidegate_conformance::tree::Noise;

use crate::limits;
use crate::run::run_well;

/// Names that clients, parsers and option readers trip over; the first is plain.
pub(crate) const NAMES: [&str; 10] = [
    "plain.bin",
    "two words.txt",
    " leading",
    "trailing ",
    "it's \"quoted\".txt",
    "ünï 日本.txt",
    "a#b%c;d",
    "-a",
    "[1].txt",
    EMPTY,
];
/// The name of the file without a byte.
const EMPTY: &str = "empty";
/// The folder that every errand works in: a path with a space, in each client's own spelling.
pub(crate) const FOLDER: &str = "the work";
/// What is fetched by a pattern; names that it must not match stand beside them.
const PATTERN: &str = "*.txt";

/// What a client is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Errand {
    List,
    Upload,
    Download,
    ResumeUpload,
    ResumeDownload,
    Rename,
    Delete,
    MakeFolder,
    FetchByPattern,
}

pub(crate) const ERRANDS: [Errand; 9] = [
    Errand::List,
    Errand::Upload,
    Errand::Download,
    Errand::ResumeUpload,
    Errand::ResumeDownload,
    Errand::Rename,
    Errand::Delete,
    Errand::MakeFolder,
    Errand::FetchByPattern,
];

/// One thing to do. Names on the server are in [`FOLDER`]; local files are absolute.
#[derive(Clone, Debug)]
pub(crate) enum Job {
    /// Write the names in the folder to a file, one a line.
    List {
        into: PathBuf,
    },
    Upload {
        local: PathBuf,
        name: String,
    },
    Download {
        name: String,
        local: PathBuf,
    },
    /// The first `offset` bytes are on the server.
    ResumeUpload {
        local: PathBuf,
        name: String,
        offset: usize,
    },
    /// The first `offset` bytes are in the local file.
    ResumeDownload {
        name: String,
        local: PathBuf,
        offset: usize,
    },
    Rename {
        from: String,
        to: String,
    },
    Delete {
        name: String,
    },
    MakeFolder {
        name: String,
    },
    FetchByPattern {
        pattern: String,
        into: PathBuf,
    },
}

/// Does `jobs` with a script that takes host, port, user, password, folder and the jobs, and ends with `all well`.
pub(crate) fn run_script(subject: &Subject, command: &[&str], jobs: &[Job]) {
    let jobs = serde_json::Value::from(jobs.iter().map(Job::for_script).collect::<Vec<_>>()).to_string();
    let port = subject.address().port().to_string();
    let own = ["127.0.0.1", port.as_str(), USER, PASSWORD, FOLDER, jobs.as_str()];
    let said = run_well(Duration::from_mins(1), command[0], &[&command[1..], &own].concat());
    assert!(said.ends_with("all well\n"), "{said}");
}

/// Returns `name` for a URL.
pub(crate) fn encoded(name: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    name.bytes().map(byte).collect()
}

/// A real client, which does each job in its own way; in one session where it has sessions.
pub(crate) trait Worker {
    fn name(&self) -> &'static str;
    /// Does `jobs` in their order; panics when the client says that one went wrong.
    fn work(&self, subject: &Subject, jobs: &[Job]);
}

/// Returns whether `errand` makes sense with a file of that name.
pub(crate) fn makes_sense(errand: Errand, name: &str) -> bool {
    !(matches!(errand, Errand::ResumeUpload | Errand::ResumeDownload) && name == EMPTY)
}

/// Does every errand that [`limits`] does not except, and checks what is on disk then.
pub(crate) fn run(worker: &dyn Worker) {
    for errand in ERRANDS {
        let able = |name: &&str| limits::reason(worker.name(), errand, name).is_none();
        let names: Vec<&'static str> =
            NAMES.into_iter().filter(|name| makes_sense(errand, name)).filter(able).collect();
        if names.is_empty() {
            continue;
        }
        eprintln!("{} {errand:?}", worker.name());
        Bench::new(worker, names).run(errand);
    }
}

/// A server with an empty work folder, and an empty folder of the client's.
struct Bench<'a> {
    worker: &'a dyn Worker,
    names: Vec<&'static str>,
    subject: Subject,
    work: TempDir,
}

impl Job {
    /// Returns the job for a script: its kind and its arguments, as a JSON list.
    pub(crate) fn for_script(&self) -> serde_json::Value {
        match self {
            Self::List { into } => json!(["list", into]),
            Self::Upload { local, name } => json!(["upload", local, name]),
            Self::Download { name, local } => json!(["download", name, local]),
            Self::ResumeUpload { local, name, offset } => json!(["resume-upload", local, name, offset]),
            Self::ResumeDownload { name, local, offset } => json!(["resume-download", name, local, offset]),
            Self::Rename { from, to } => json!(["rename", from, to]),
            Self::Delete { name } => json!(["delete", name]),
            Self::MakeFolder { name } => json!(["make-folder", name]),
            Self::FetchByPattern { pattern, into } => json!(["fetch-by-pattern", pattern, into]),
        }
    }
}

impl<'a> Bench<'a> {
    fn new(worker: &'a dyn Worker, names: Vec<&'static str>) -> Self {
        let subject = Subject::start();
        fs::create_dir(subject.home.join(FOLDER)).unwrap();
        Self { worker, names, subject, work: TempDir::new().unwrap() }
    }

    fn run(&self, errand: Errand) {
        match errand {
            Errand::List => self.list(),
            Errand::Upload => self.upload(),
            Errand::Download => self.download(),
            Errand::ResumeUpload => self.resume_upload(),
            Errand::ResumeDownload => self.resume_download(),
            Errand::Rename => self.rename(),
            Errand::Delete => self.delete(),
            Errand::MakeFolder => self.make_folder(),
            Errand::FetchByPattern => self.fetch_by_pattern(),
        }
    }

    fn work(&self, jobs: &[Job]) {
        self.worker.work(&self.subject, jobs);
    }

    /// Does one job for each name.
    fn each(&self, job: impl Fn(&str, PathBuf) -> Job) {
        let jobs: Vec<Job> = self.names.iter().map(|name| job(name, self.local(name))).collect();
        self.work(&jobs);
    }

    fn remote(&self, name: &str) -> PathBuf {
        self.subject.home.join(FOLDER).join(name)
    }

    /// Returns a local file whose name is no trouble to anyone.
    fn local(&self, name: &str) -> PathBuf {
        let number = NAMES.iter().position(|known| *known == name).expect("a name of the battery");
        self.work.path().join(format!("local{number}"))
    }

    fn put_on_server(&self) {
        for name in &self.names {
            fs::write(self.remote(name), content(name)).unwrap();
        }
    }

    /// Fails unless the server's folder has exactly `wanted`.
    fn assert_remote(&self, wanted: &BTreeMap<String, Vec<u8>>) {
        assert_files(&self.subject.home.join(FOLDER), wanted);
    }

    fn all(&self) -> BTreeMap<String, Vec<u8>> {
        self.names.iter().map(|name| ((*name).to_owned(), content(name))).collect()
    }

    fn list(&self) {
        self.put_on_server();
        fs::create_dir(self.remote("folder")).unwrap();
        fs::write(self.remote("folder").join("inside"), "in").unwrap();
        let into = self.work.path().join("names");
        self.work(&[Job::List { into: into.clone() }]);
        let text = fs::read_to_string(into).unwrap();
        let got: BTreeSet<&str> = text.lines().map(|line| line.trim_end_matches('\r')).collect();
        let wanted: BTreeSet<&str> = self.names.iter().copied().chain(["folder"]).collect();
        assert_eq!(got, wanted);
        assert_eq!(text.lines().count(), wanted.len(), "{text}");
    }

    fn upload(&self) {
        for name in &self.names {
            fs::write(self.local(name), content(name)).unwrap();
        }
        self.each(|name, local| Job::Upload { local, name: name.into() });
        self.assert_remote(&self.all());
    }

    fn download(&self) {
        self.put_on_server();
        self.each(|name, local| Job::Download { name: name.into(), local });
        self.assert_local();
    }

    fn resume_upload(&self) {
        for name in &self.names {
            fs::write(self.local(name), content(name)).unwrap();
            fs::write(self.remote(name), half(name)).unwrap();
        }
        self.each(|name, local| Job::ResumeUpload { local, name: name.into(), offset: half(name).len() });
        self.assert_remote(&self.all());
    }

    fn resume_download(&self) {
        self.put_on_server();
        for name in &self.names {
            fs::write(self.local(name), half(name)).unwrap();
        }
        self.each(|name, local| Job::ResumeDownload { name: name.into(), local, offset: half(name).len() });
        self.assert_local();
    }

    /// From each name to a plain one, and from a plain one to each name.
    fn rename(&self) {
        self.put_on_server();
        let (mut jobs, mut wanted) = (Vec::new(), BTreeMap::new());
        for (number, name) in self.names.iter().enumerate() {
            let (from, to) = (format!("from{number}"), format!("to{number}"));
            fs::write(self.remote(&from), &from).unwrap();
            jobs.push(Job::Rename { from: (*name).into(), to: to.clone() });
            jobs.push(Job::Rename { from: from.clone(), to: (*name).into() });
            wanted.insert(to, content(name));
            wanted.insert((*name).into(), from.into_bytes());
        }
        self.work(&jobs);
        self.assert_remote(&wanted);
    }

    fn delete(&self) {
        self.put_on_server();
        fs::write(self.remote("stays"), "here").unwrap();
        self.each(|name, _| Job::Delete { name: name.into() });
        self.assert_remote(&BTreeMap::from([("stays".into(), b"here".into())]));
    }

    fn make_folder(&self) {
        self.each(|name, _| Job::MakeFolder { name: name.into() });
        for name in &self.names {
            assert!(self.remote(name).is_dir(), "{name:?}");
        }
        assert_eq!(fs::read_dir(self.subject.home.join(FOLDER)).unwrap().count(), self.names.len());
    }

    fn fetch_by_pattern(&self) {
        self.put_on_server();
        fs::write(self.remote("other.text"), "no match").unwrap();
        let into = self.work.path().join("got");
        fs::create_dir(&into).unwrap();
        self.work(&[Job::FetchByPattern { pattern: PATTERN.into(), into: into.clone() }]);
        let mut wanted = self.all();
        wanted.retain(|name, _| Path::new(name).extension().is_some_and(|end| end == "txt"));
        assert!(!wanted.is_empty());
        assert_files(&into, &wanted);
    }

    fn assert_local(&self) {
        for name in &self.names {
            let got = fs::read(self.local(name)).unwrap_or_else(|error| panic!("{name:?}: {error}"));
            assert!(got == content(name), "{name:?}: {} bytes of {}", got.len(), content(name).len());
        }
    }
}

/// Returns what stands in a file of that name: other bytes for each, none for the empty one.
fn content(name: &str) -> Vec<u8> {
    if name == EMPTY {
        return Vec::new();
    }
    let seed = name.bytes().fold(1, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    Noise(seed).bytes(50_000 + usize::from(seed.to_le_bytes()[0]))
}

/// Returns the part that is there already when a transfer is to be resumed.
fn half(name: &str) -> Vec<u8> {
    let mut content = content(name);
    content.truncate(content.len() / 2 + 1);
    content
}

fn assert_files(folder: &Path, wanted: &BTreeMap<String, Vec<u8>>) {
    let got: BTreeMap<String, Vec<u8>> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
        })
        .collect();
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&got), names(wanted));
    for (name, bytes) in wanted {
        assert!(got[name] == *bytes, "{name:?}: {} bytes of {}", got[name].len(), bytes.len());
    }
}
