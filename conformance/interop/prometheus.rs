//! What is measured, read by those who will read it: promtool, and a Prometheus that scrapes a running server and loads the alert
//! rules that come with it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tempfile::TempDir;
use tidegate_conformance::PATIENCE;
use tidegate_conformance::client::Client;
use tidegate_conformance::subject::{Subject, USER};

use crate::lab::{free_port, get, unhurried, unpacked};

const LIFE_SECS: &str = "300";
const POLL: Duration = Duration::from_millis(100);

/// A server that has seen logins, transfers and refusals, and the port of its pages.
fn busy() -> (Subject, u16) {
    let http = free_port();
    let tables = format!(
        "[admin]\nsocket = \"off\"\nhttp = \"127.0.0.1:{http}\"\n[limits]\nconnections_per_address = 2\n"
    );
    let subject = unhurried(&tables).start();
    fs::write(subject.home.join("file"), b"content").unwrap();
    let mut client = Client::logged_in(subject.address());
    assert_eq!(client.download("RETR file"), b"content");
    client.upload("STOR sent", b"bytes");
    client.command("NONSENSE", 500);
    let mut other = Client::greeted(subject.address());
    other.command(format!("USER {USER}"), 331);
    other.command("PASS wrong", 530);
    for _ in 0..3 {
        assert_eq!(Client::connect(subject.address()).reply().code, 421);
    }
    client.command("QUIT", 221);
    client.expect_eof();
    (subject, http)
}

fn metrics(http: u16) -> String {
    let (status, body) = get(http, "/metrics");
    assert_eq!(status, 200, "{body}");
    assert!(body.ends_with("# EOF\n"), "OpenMetrics ends with EOF:\n{body}");
    body
}

/// Returns OpenMetrics in Prometheus's own text format, which is what `promtool check metrics` reads: there a counter is called
/// what its sample is called, an info is a gauge, and units and the end are not told.
fn in_text_format(open: &str) -> String {
    let of = |kind: &str| -> BTreeSet<&str> {
        let types = open.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        types.filter_map(|line| line.strip_suffix(kind)).map(str::trim).collect()
    };
    let (counters, infos) = (of(" counter"), of(" info"));
    let mut text = String::new();
    for line in open.lines().filter(|line| !line.starts_with("# UNIT ") && *line != "# EOF") {
        let mut words: Vec<String> = line.splitn(4, ' ').map(str::to_owned).collect();
        if line.starts_with("# ") && words.len() == 4 {
            if counters.contains(words[2].as_str()) {
                words[2].push_str("_total");
            } else if infos.contains(words[2].as_str()) {
                words[2].push_str("_info");
                if words[1] == "TYPE" {
                    words[3] = "gauge".into();
                }
            }
        }
        text.push_str(&words.join(" "));
        text.push('\n');
    }
    text
}

fn promtool(arguments: &[&str], input: Option<&Path>) -> Output {
    let mut command = unpacked("prometheus", "usr/bin/promtool");
    let stdin = input.map_or_else(Stdio::null, |path| fs::File::open(path).unwrap().into());
    command.args(arguments).stdin(stdin).output().expect("promtool")
}

fn assert_well(output: &Output, what: &str) {
    let said = [&output.stdout[..], &output.stderr].concat();
    assert!(output.status.success(), "{what}: {}\n{}", output.status, String::from_utf8_lossy(&said));
}

/// Returns a folder below `packaging`.
fn packaging(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("packaging").join(folder)
}

/// Returns the files in `folder` that end with `ending`, with their text.
fn files(folder: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let entries =
        fs::read_dir(packaging(folder)).unwrap_or_else(|error| panic!("packaging/{folder}: {error}"));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    let (_subject, http) = busy();
    let open = metrics(http);
    let work = TempDir::new().unwrap();
    let page = work.path().join("metrics");
    fs::write(&page, in_text_format(&open)).unwrap();
    let output = promtool(&["check", "metrics"], Some(&page));
    assert_well(&output, "promtool check metrics");
    // It is silent about an empty page too.
    assert!(open.lines().filter(|line| line.starts_with("# TYPE ")).count() >= 20, "{open}");
    for line in open.lines().filter(|line| !line.starts_with('#')) {
        assert!(
            !line.contains("127.0.0.1") && !line.contains(&format!("\"{USER}\"")),
            "an address or a name in a label: {line}"
        );
    }
}

#[test]
fn promtool_accepts_the_rules_and_their_tests() {
    let (mut rules, mut tests) = (0, 0);
    for (path, text) in files("prometheus", ".yml") {
        let path = path.to_str().unwrap();
        if text.lines().any(|line| line.starts_with("groups:")) {
            assert_well(&promtool(&["check", "rules", path], None), path);
            rules += 1;
        }
        if text.lines().any(|line| line.starts_with("rule_files:")) {
            assert_well(&promtool(&["test", "rules", path], None), path);
            tests += 1;
        }
    }
    assert!(rules >= 1 && tests >= 1, "{rules} files of rules, {tests} of tests");
}

/// A running Prometheus; killed when dropped.
struct Prometheus {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes `target` every second and evaluates the rules that come with tidegate.
    fn watching(target: u16) -> Self {
        let folder = TempDir::new().unwrap();
        let rules: Vec<String> = files("prometheus", ".yml")
            .into_iter()
            .filter(|(_, text)| text.lines().any(|line| line.starts_with("groups:")))
            .map(|(path, _)| format!("  - {}\n", path.display()))
            .collect();
        let config = format!(
            "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files:\n{}scrape_configs:\n  - job_name: tidegate\n    \
             static_configs:\n      - targets: ['127.0.0.1:{target}']\n",
            rules.concat()
        );
        let path = folder.path().join("prometheus.yml");
        fs::write(&path, config).unwrap();
        let port = free_port();
        let program = unpacked("prometheus", "usr/bin/prometheus");
        let printed = fs::File::create(folder.path().join("printed")).unwrap();
        let child = Command::new("timeout")
            .args(["--signal=KILL", LIFE_SECS])
            .arg(program.get_program())
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .current_dir(folder.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(printed.try_clone().unwrap())
            .stderr(printed)
            .spawn()
            .expect("the `timeout` of coreutils");
        Self { child, port, folder }
    }

    /// Asks its API; `None` while it is not up.
    fn ask(&self, path: &str) -> Option<Value> {
        std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let (status, body) = get(self.port, path);
        (status == 200)
            .then(|| serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}")))
    }

    /// Asks until `wanted` finds what it wants, at most `PATIENCE`.
    fn until<T>(&self, path: &str, wanted: impl Fn(&Value) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask(path);
            if let Some(found) = answer.as_ref().and_then(&wanted) {
                return found;
            }
            let printed = fs::read_to_string(self.folder.path().join("printed")).unwrap_or_default();
            assert!(Instant::now() < until, "{path}: {answer:?}\nPrometheus printed:\n{printed}");
            std::thread::sleep(POLL);
        }
    }

    /// Returns the value of a query that has one.
    fn value(&self, query: &str) -> f64 {
        self.until(&format!("/api/v1/query?query={query}"), |answer| {
            answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
        })
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if let Some(group) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

#[test]
fn prometheus_scrapes_and_evaluates() {
    let (_subject, http) = busy();
    let prometheus = Prometheus::watching(http);
    let target = prometheus.until("/api/v1/targets", |answer| {
        let target = &answer["data"]["activeTargets"][0];
        (target["health"] != "unknown").then(|| target.clone()).filter(Value::is_object)
    });
    assert!(target["health"] == "up" && target["lastError"] == "", "{target}");
    assert!(prometheus.value("scrape_samples_scraped") >= 50.0);
    // Three connections were refused, whatever else happened.
    let refused = prometheus.value("sum(tidegate_refusals_total)");
    assert!(refused >= 3.0, "{refused} refusals are counted");
    let rules = prometheus.until("/api/v1/rules", |answer| {
        let groups = answer["data"]["groups"].as_array()?;
        let rules: Vec<Value> =
            groups.iter().filter_map(|group| group["rules"].as_array()).flatten().cloned().collect();
        (!rules.is_empty() && rules.iter().all(|rule| rule["health"] != "unknown")).then_some(rules)
    });
    for rule in rules {
        assert!(rule["health"] == "ok", "{rule}");
    }
}

/// Every metric that the dashboard and the rules name exists in a running server.
#[test]
fn dashboard_and_rules_name_what_exists() {
    let (_subject, http) = busy();
    let text = in_text_format(&metrics(http));
    let known: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let dashboards = files("grafana", ".json");
    assert!(!dashboards.is_empty(), "no dashboard");
    for (path, text) in &dashboards {
        let dashboard: Value =
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(
            dashboard["panels"].as_array().is_some_and(|panels| !panels.is_empty()),
            "{}",
            path.display()
        );
    }
    for (path, text) in dashboards.iter().chain(&files("prometheus", ".yml")) {
        for name in mentioned(text) {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|ending| name.strip_suffix(ending));
            let exists = known.contains(name) || base.is_some_and(|base| known.contains(base));
            assert!(exists, "{} names {name}, which is not measured; known: {known:?}", path.display());
        }
    }
}

/// Returns the words that look like a metric of ours.
fn mentioned(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("tidegate_")).collect()
}
