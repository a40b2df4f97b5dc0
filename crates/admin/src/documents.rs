//! What is written about this room, in `docs` and `packaging`, agrees with what it does.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::fake::Fake;
use crate::message::{
    BanAnswer, BansAnswer, COMMANDS, DrainAnswer, FailureKind, KickAnswer, LimitsAnswer, ReloadAnswer, Reply,
    Request, ResumeAnswer, SessionRow, SessionsAnswer, Status, UnbanAnswer, WhyReport,
};
use crate::metrics::tests::scrape;
use crate::running::Running;

const CONTROL: &str = include_str!("../../../docs/control.md");
const METRICS: &str = include_str!("../../../docs/metrics.md");
const DASHBOARD: &str = include_str!("../../../packaging/grafana/tidegate.json");
const ALERTS: &str = include_str!("../../../packaging/prometheus/alerts.yml");
const ALERTS_TEST: &str = include_str!("../../../packaging/prometheus/alerts_test.yml");

/// One metric as a query names it: type, labels.
type Catalogue = BTreeMap<String, (String, BTreeSet<String>)>;

/// Returns the rows of the table: `| name | type | labels | meaning | what to do |`.
fn documented() -> Catalogue {
    let rows = METRICS.lines().filter(|line| line.starts_with("| `tidegate_"));
    rows.map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", name, kind, labels, meaning, action, ""] = cells[..] else {
            panic!("not five cells: {line}")
        };
        assert!(!meaning.is_empty() && !action.is_empty(), "{line}");
        let labels = labels.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        (name.trim_matches('`').to_owned(), (kind.to_owned(), labels))
    })
    .collect()
}

fn measured() -> Catalogue {
    let fake = Fake::new(10);
    let families = scrape(fake.snapshot());
    families
        .into_values()
        .map(|family| {
            let suffix = match family.kind.as_str() {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            let labels = family.labels().into_iter().map(str::to_owned).collect();
            (format!("{}{suffix}", family.name), (family.kind, labels))
        })
        .collect()
}

#[test]
fn every_metric_is_documented_and_every_documented_one_is_there() {
    assert_eq!(documented(), measured());
    assert_eq!(METRICS.matches("\n| `tidegate_").count(), documented().len(), "a row twice");
}

/// Returns every word in `text` that looks like a metric, histograms without their suffixes.
fn mentioned(text: &str) -> BTreeSet<String> {
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let words = text.split(|char| !is_part(char)).filter(|word| word.starts_with("tidegate_"));
    words
        .map(|word| {
            let bare = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| word.strip_suffix(suffix));
            bare.unwrap_or(word).to_owned()
        })
        .collect()
}

#[test]
fn dashboard_and_alerts_ask_for_metrics_that_exist() {
    let known: BTreeSet<String> = documented().into_keys().collect();
    for (file, text) in
        [("tidegate.json", DASHBOARD), ("alerts.yml", ALERTS), ("alerts_test.yml", ALERTS_TEST)]
    {
        let unknown: Vec<String> = mentioned(text).difference(&known).cloned().collect();
        assert!(unknown.is_empty(), "{file} mentions {unknown:?}");
    }
    assert!(mentioned(ALERTS).len() >= 8 && mentioned(DASHBOARD).len() >= 20);
}

#[test]
fn every_alert_is_tested_and_documented() {
    let alerts: Vec<&str> = ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 7);
    for alert in alerts {
        assert!(ALERTS_TEST.contains(&format!("alertname: {alert}\n")), "{alert} has no test");
        assert!(METRICS.contains(alert), "{alert} is not in docs/metrics.md");
    }
}

#[test]
fn the_dashboard_is_whole() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    let mut places: Vec<[u64; 4]> = Vec::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is taken");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().unwrap());
        assert!(x + w <= 24, "{title} is wider than the page");
        for [left, top, width, height] in &places {
            let apart = x + w <= *left || left + width <= x || y + h <= *top || top + height <= y;
            assert!(apart, "{title} lies on another panel");
        }
        places.push([x, y, w, h]);
        if panel["type"] == "row" {
            continue;
        }
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title} asks for nothing");
        for target in targets {
            assert!(target["expr"].as_str().unwrap().contains("tidegate_"), "{title}");
        }
        assert!(!panel["description"].as_str().unwrap().is_empty(), "{title} explains nothing");
    }
}

/// Returns the JSON blocks of the manual, in order.
fn examples() -> Vec<Value> {
    let blocks = CONTROL.split("```json\n").skip(1);
    blocks
        .map(|block| {
            let (text, _) = block.split_once("\n```").expect("a block that does not end");
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
        })
        .collect()
}

/// An example of an answer has every field of its type and no other.
fn is_whole<T: serde::de::DeserializeOwned + serde::Serialize>(answer: &Value) {
    let reply: Reply<T> =
        serde_json::from_value(answer.clone()).unwrap_or_else(|error| panic!("{error}: {answer}"));
    assert!(reply.ok, "{answer}");
    assert_eq!(&serde_json::to_value(&reply).unwrap(), answer);
}

#[test]
fn every_command_has_an_example_that_is_understood() {
    let examples = examples();
    let mut documented = Vec::new();
    for pair in examples.windows(2).filter(|pair| pair[0].get("command").is_some()) {
        let request: Request =
            serde_json::from_value(pair[0].clone()).unwrap_or_else(|error| panic!("{error}: {}", pair[0]));
        let answer = &pair[1];
        match &request {
            Request::Status {} => is_whole::<Status>(answer),
            Request::Sessions { .. } => is_whole::<SessionsAnswer>(answer),
            Request::Session { .. } => is_whole::<SessionRow>(answer),
            Request::Why { .. } => is_whole::<WhyReport>(answer),
            Request::Limits {} => is_whole::<LimitsAnswer>(answer),
            Request::Bans { .. } => is_whole::<BansAnswer>(answer),
            Request::Ban { .. } => is_whole::<BanAnswer>(answer),
            Request::Unban { .. } => is_whole::<UnbanAnswer>(answer),
            Request::Kick { .. } => is_whole::<KickAnswer>(answer),
            Request::Reload {} => is_whole::<ReloadAnswer>(answer),
            Request::Drain { .. } => is_whole::<DrainAnswer>(answer),
            Request::Resume {} => is_whole::<ResumeAnswer>(answer),
        }
        let heading = format!("\n### {}\n", request.command());
        assert!(CONTROL.contains(&heading), "no section {}", request.command());
        documented.push(request.command());
    }
    assert_eq!(documented, COMMANDS, "each command has one example, in the order of the manual");
}

#[test]
fn errors_have_an_example_and_all_their_kinds() {
    let errors: Vec<Value> =
        examples().into_iter().filter(|example| example.get("ok") == Some(&false.into())).collect();
    assert!(!errors.is_empty());
    for error in errors {
        let reply: Reply<Value> = serde_json::from_value(error.clone()).unwrap();
        assert_eq!(serde_json::to_value(&reply).unwrap(), error);
    }
    for kind in FailureKind::ALL {
        assert!(CONTROL.contains(&format!("`{}`", kind.as_str())), "{}", kind.as_str());
    }
}
