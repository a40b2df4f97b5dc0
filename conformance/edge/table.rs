//! `expected.toml`: what is expected of each case, and how an answer is held against it.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::Value;

const TEXT: &str = include_str!("expected.toml");

/// How many inputs there are.
pub(crate) const CASES: usize = 193;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    case: Vec<Case>,
}

/// What one case must answer, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    replies: Vec<Wanted>,
    #[serde(default)]
    holds: Vec<String>,
    #[serde(default)]
    never: Vec<String>,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Wanted {
    One(String),
    AnyOf(Vec<String>),
}

/// Returns the cases in the order of the file.
pub(crate) fn cases() -> Vec<Case> {
    toml::from_str::<Table>(TEXT).expect("expected.toml").case
}

/// Returns the parts of an answer of the probe: what it joins with ` // ` and ` | `, and the members of its lists.
pub(crate) fn parts(answer: &Value) -> Vec<String> {
    match answer {
        Value::String(text) => {
            text.split(" // ").flat_map(|reply| reply.split(" | ")).map(Into::into).collect()
        }
        Value::Array(members) => members.iter().flat_map(parts).collect(),
        other => vec![other.to_string()],
    }
}

impl Case {
    /// Returns what is wrong with `answer`, for a person to read; `None` when it is as expected.
    pub(crate) fn problem(&self, answer: &Value) -> Option<String> {
        let got = parts(answer);
        let whole = got.join("\n");
        let mut problem = String::new();
        let fits = got.len() == self.replies.len()
            && self.replies.iter().zip(&got).all(|(wanted, part)| wanted.fits(part));
        if !fits {
            let wanted: Vec<String> = self.replies.iter().map(Wanted::shown).collect();
            for (mark, lines) in [('-', &wanted), ('+', &got)] {
                for line in lines {
                    let _ = writeln!(problem, "  {mark} {line}");
                }
            }
        }
        for text in self.holds.iter().filter(|text| !whole.contains(*text)) {
            let _ = writeln!(problem, "  lacks {text:?}: {whole:?}");
        }
        for text in self.never.iter().filter(|text| whole.contains(*text)) {
            let _ = writeln!(problem, "  has {text:?}, which must not be: {whole:?}");
        }
        (!problem.is_empty()).then(|| format!("{:?}, because {}\n{problem}", self.name, self.reason))
    }
}

impl Wanted {
    fn fits(&self, part: &str) -> bool {
        match self {
            Self::One(pattern) => fits(pattern.as_bytes(), part.as_bytes()),
            Self::AnyOf(patterns) => patterns.iter().any(|pattern| fits(pattern.as_bytes(), part.as_bytes())),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::One(pattern) => pattern.clone(),
            Self::AnyOf(patterns) => patterns.join("  or  "),
        }
    }
}

/// Returns whether `text` has the form of `pattern`: `*` is any text, `#` one digit or more.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|skip| fits(rest, &text[skip..])),
        [b'#', rest @ ..] => {
            let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
            digits > 0 && fits(rest, &text[digits..])
        }
        [byte, rest @ ..] => text.first() == Some(byte) && fits(rest, &text[1..]),
    }
}

#[test]
fn each_of_193_cases_has_its_reason() {
    let cases = cases();
    assert_eq!(cases.len(), CASES);
    let sources = ["PROTOCOL §", "DESIGN §", "commands.toml ", "issue 3: "];
    for case in &cases {
        let told = sources.iter().any(|source| case.reason.contains(source));
        assert!(told && case.reason.len() >= 20, "{:?} has no reason: {:?}", case.name, case.reason);
        assert!(!case.replies.is_empty(), "{:?} expects nothing", case.name);
        let anything = case.replies.iter().any(|wanted| wanted.fits(""));
        assert!(!anything, "{:?} is content with anything", case.name);
    }
    let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), CASES, "a name stands twice");
}

#[test]
fn patterns() {
    for (pattern, text, wanted) in [
        ("200 *", "200 OK.", true),
        ("200 *", "2000 OK.", false),
        ("213 #", "213 12", true),
        ("213 #", "213 12 bytes", false),
        ("213 #", "213 ", false),
        ("* (12 bytes)*", "150 Opening (12 bytes).", true),
        ("<timeout>", "<timeout>", true),
        ("211-* 211 *", "211-Status: ...(5 lines)... 211 End", true),
        ("211-* 211 *", "211 Fine", false),
    ] {
        assert_eq!(fits(pattern.as_bytes(), text.as_bytes()), wanted, "{pattern} and {text}");
    }
}

#[test]
fn a_wrong_answer_is_told() {
    let case = Case {
        name: "NLST *.txt".into(),
        replies: vec![Wanted::One("150 *".into()), Wanted::AnyOf(vec!["226 *".into(), "250 *".into()])],
        holds: vec!["a.txt".into()],
        never: vec!["secret".into()],
        reason: "DESIGN §0: a test".into(),
    };
    assert_eq!(case.problem(&"150 a.txt | 226 done".into()), None);
    assert_eq!(case.problem(&serde_json::json!(["150 a.txt", "250 done"])), None);
    for (answer, told) in [
        ("150 a.txt | 426 cut", "  - 226 *  or  250 *"),
        ("150 a.txt", "  + 150 a.txt"),
        ("150 a.txt | 226 done // 226 done", "  + 226 done"),
        ("150 b.txt | 226 done", "lacks \"a.txt\""),
        ("150 a.txt secret | 226 done", "has \"secret\""),
    ] {
        let problem = case.problem(&answer.into()).unwrap();
        assert!(problem.contains(told) && problem.contains("DESIGN §0"), "{problem}");
    }
}
