//! A strict reader of OpenMetrics text 1.0, for tests: what it accepts, a scraper accepts.

use std::collections::{BTreeMap, BTreeSet};

/// One metric family with its samples.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) help: String,
    pub(crate) samples: Vec<Sample>,
}

/// One line of a family.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Family {
    /// Returns the names of its labels, `le` aside.
    pub(crate) fn labels(&self) -> BTreeSet<&str> {
        let labels = self.samples.iter().flat_map(|sample| sample.labels.keys());
        labels.map(String::as_str).filter(|label| *label != "le").collect()
    }

    /// Returns the value of the sample with this label value (or of the only one).
    pub(crate) fn value(&self, label: Option<&str>) -> Option<f64> {
        let fits =
            |sample: &&Sample| label.is_none_or(|label| sample.labels.values().any(|value| value == label));
        self.samples.iter().find(fits).map(|sample| sample.value)
    }
}

/// Reads a whole exposition. Errors: the first line that is wrong, and why.
pub(crate) fn read(text: &str) -> Result<Vec<Family>, String> {
    let body = text.strip_suffix("# EOF\n").ok_or("it does not end with `# EOF`")?;
    if !body.is_empty() && !body.ends_with('\n') {
        return Err("a line does not end".into());
    }
    let mut families: Vec<Family> = Vec::new();
    for line in body.lines() {
        let read = match line.strip_prefix("# ") {
            Some(descriptor) => describe(descriptor, &mut families),
            None => sample(line).and_then(|sample| add(sample, &mut families)),
        };
        read.map_err(|why| format!("{line:?}: {why}"))?;
    }
    let mut names = BTreeSet::new();
    for family in &families {
        if !names.insert(&family.name) {
            return Err(format!("two families are named {}", family.name));
        }
        check(family).map_err(|why| format!("{}: {why}", family.name))?;
    }
    Ok(families)
}

fn describe(descriptor: &str, families: &mut Vec<Family>) -> Result<(), String> {
    let mut words = descriptor.splitn(3, ' ');
    let (Some(what), Some(name), Some(rest)) = (words.next(), words.next(), words.next()) else {
        return Err("a descriptor has three words".into());
    };
    if !is_name(name) {
        return Err("a bad name".into());
    }
    let known = families.last_mut().filter(|family| family.name == name && family.samples.is_empty());
    match (what, known) {
        ("HELP", None) => families.push(Family {
            name: name.into(),
            kind: String::new(),
            help: rest.into(),
            samples: Vec::new(),
        }),
        ("TYPE", Some(family)) if family.kind.is_empty() => family.kind = rest.into(),
        ("TYPE", None) => families.push(Family {
            name: name.into(),
            kind: rest.into(),
            help: String::new(),
            samples: Vec::new(),
        }),
        _ => return Err("a descriptor that is repeated, out of place or unknown".into()),
    }
    Ok(())
}

fn add(sample: Sample, families: &mut [Family]) -> Result<(), String> {
    let family = families.last_mut().ok_or("no family before it")?;
    let suffixes: &[&str] = match family.kind.as_str() {
        "gauge" => &[""],
        "counter" => &["_total"],
        "info" => &["_info"],
        "histogram" => &["_bucket", "_sum", "_count"],
        other => return Err(format!("type {other:?}")),
    };
    let suffix = sample.name.strip_prefix(family.name.as_str());
    if !suffix.is_some_and(|suffix| suffixes.contains(&suffix)) {
        return Err(format!("it does not belong to the {} {}", family.kind, family.name));
    }
    if family.samples.iter().any(|other| other.name == sample.name && other.labels == sample.labels) {
        return Err("the same series twice".into());
    }
    family.samples.push(sample);
    Ok(())
}

fn sample(line: &str) -> Result<Sample, String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, rest) = line.split_at(end);
    if !is_name(name) {
        return Err("a bad name".into());
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => read_labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    let value: f64 = if value == "+Inf" { f64::INFINITY } else { value.parse().map_err(|_| "no number")? };
    Ok(Sample { name: name.into(), labels, value })
}

/// Reads labels up to the closing brace; returns what is behind it.
fn read_labels(mut rest: &str) -> Result<(BTreeMap<String, String>, &str), String> {
    let mut labels = BTreeMap::new();
    loop {
        let (name, after) = rest.split_once("=\"").ok_or("a label without a value")?;
        if !is_name(name) || name.contains(':') {
            return Err(format!("a bad label {name:?}"));
        }
        let (value, after) = read_value(after)?;
        if labels.insert(name.to_owned(), value).is_some() {
            return Err(format!("label {name} twice"));
        }
        rest = match after.strip_prefix(',') {
            Some(more) => more,
            None => return Ok((labels, after.strip_prefix('}').ok_or("no closing brace")?)),
        };
    }
}

fn read_value(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                _ => return Err("a bad escape".into()),
            },
            other => value.push(other),
        }
    }
    Err("a value without its end".into())
}

fn check(family: &Family) -> Result<(), String> {
    if family.help.is_empty() || family.kind.is_empty() {
        return Err("no HELP or no TYPE".into());
    }
    let reserved = ["_total", "_created", "_count", "_sum", "_bucket", "_info"];
    if reserved.iter().any(|suffix| family.name.ends_with(suffix)) {
        return Err("a suffix that the format keeps for itself".into());
    }
    let is_countable = |sample: &Sample| sample.value.is_finite() && sample.value >= 0.0;
    match family.kind.as_str() {
        "counter" if !family.samples.iter().all(is_countable) => Err("a counter that is no count".into()),
        "info" if family.samples.iter().any(|sample| (sample.value - 1.0).abs() > 0.0) => Err("not 1".into()),
        "histogram" => check_histogram(family),
        _ => Ok(()),
    }
}

fn check_histogram(family: &Family) -> Result<(), String> {
    let mut rows: BTreeMap<BTreeMap<String, String>, Vec<&Sample>> = BTreeMap::new();
    for sample in &family.samples {
        let mut labels = sample.labels.clone();
        labels.remove("le");
        rows.entry(labels).or_default().push(sample);
    }
    for (labels, samples) in rows {
        let of = |suffix: &'static str| samples.iter().filter(move |sample| sample.name.ends_with(suffix));
        let buckets: Vec<(f64, f64)> = of("_bucket")
            .map(|sample| {
                let bound = sample.labels.get("le").ok_or("a bucket without `le`")?;
                let bound =
                    if bound == "+Inf" { f64::INFINITY } else { bound.parse().map_err(|_| "a bad bound")? };
                Ok((bound, sample.value))
            })
            .collect::<Result<_, &str>>()?;
        if !buckets.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1) {
            return Err(format!("{labels:?}: buckets do not rise"));
        }
        let (count, sum) = (of("_count").next(), of("_sum").next());
        let (Some((bound, last)), Some(count), Some(_)) = (buckets.last(), count, sum) else {
            return Err(format!("{labels:?}: incomplete"));
        };
        if bound.is_finite() || (last - count.value).abs() > 0.0 {
            return Err(format!("{labels:?}: the last bucket is not the count"));
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':')
}

#[test]
fn it_is_strict() {
    let good = "# HELP a Words.\n# TYPE a counter\na_total{x=\"1\",y=\"\\\"\\n\"} 1\na_total{x=\"2\"} 2.5\n\
        # HELP b Words.\n# TYPE b gauge\nb -1\n\
        # HELP h Words.\n# TYPE h histogram\nh_sum 1.0\nh_count 3\nh_bucket{le=\"0.1\"} 2\nh_bucket{le=\"+Inf\"} 3\n# EOF\n";
    let families = read(good).unwrap();
    assert_eq!(families.iter().map(|family| family.name.as_str()).collect::<Vec<_>>(), ["a", "b", "h"]);
    assert_eq!(families[0].labels(), BTreeSet::from(["x", "y"]));
    assert_eq!(families[0].value(Some("2")), Some(2.5));
    for (from, to) in [
        ("# EOF\n", ""),
        ("# EOF\n", "# EOF\n\n"),
        ("# EOF\n", "# EOF\n# EOF\n"),
        ("a_total{x=\"2\"}", "a{x=\"2\"}"),
        ("a_total{x=\"2\"} 2.5", "a_total{x=\"2\"} -2.5"),
        ("a_total{x=\"2\"} 2.5", "a_total{x=\"2\"} NaN"),
        ("x=\"2\"", "x=\"1\",y=\"\\\"\\n\""),
        ("x=\"2\"", "x=2"),
        ("x=\"2\"}", "x=\"2\""),
        ("x=\"2\"", "x=\"\\t\""),
        ("# TYPE b gauge\n", ""),
        ("# HELP b Words.\n", ""),
        ("# TYPE b gauge", "# TYPE b mystery"),
        ("# HELP b", "# HELP a"),
        ("# HELP b Words.\n# TYPE b gauge\nb", "# HELP b_total Words.\n# TYPE b_total gauge\nb_total"),
        ("b -1\n", "b -1\n\n"),
        ("b -1\n", "b one\n"),
        ("b -1\n", "b\n"),
        ("h_count 3", "h_count 4"),
        ("h_count 3\n", ""),
        ("h_sum 1.0\n", ""),
        ("le=\"0.1\"} 2", "le=\"0.1\"} 4"),
        ("h_bucket{le=\"+Inf\"} 3\n", ""),
        ("le=\"0.1\"", "ge=\"0.1\""),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from:?}");
        assert!(read(&bad).is_err(), "accepted with {to:?} in place of {from:?}");
    }
}
