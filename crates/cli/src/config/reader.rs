//! Walks what TOML found along the table of keys, collects every error, and remembers where each value came from.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::problem::Problem;
use super::source::{Source, is_secret_name};
use super::value::{Value, describe, suggest};
use crate::keys::{self, Fallback, Key, Kind, Since};

/// A value and the bytes of the file it stands in; no bytes when it is a default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub at: Option<Range<usize>>,
}

/// Where an effective value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The table of keys.
    Default,
    /// A line of the file.
    Line(usize),
    /// Another setting or the system; the text says how.
    Derived(String),
}

/// One value in force, as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The row it belongs to.
    pub row: &'static Key,
    /// The key with the instance in it, such as `account[alice].home`.
    pub key: String,
    /// The value; secrets are not shown.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// One table of the file, or the absence of it.
#[derive(Clone, Debug)]
pub(super) struct Section<'t> {
    table: Option<&'t DeTable<'t>>,
    /// Its path in the table of keys, such as `account[]`.
    rows: &'static str,
    /// Its name for people, such as `account[alice]`.
    pub(super) label: String,
    /// Its header.
    pub(super) at: Option<Range<usize>>,
}

impl<'t> Section<'t> {
    /// Returns the group of keys in it called `rows`, such as `limits.ban`.
    pub(super) fn group(&self, rows: &'static str) -> Self {
        let name = rows.rsplit('.').next().unwrap_or(rows);
        let found = self.table.and_then(|table| table.get_key_value(name));
        let table: Option<&'t DeTable<'t>> = found.and_then(|(_, value)| value.get_ref().as_table());
        Self { table, rows, label: join(&self.label, name), at: found.map(|(key, _)| key.span()) }
    }

    /// Returns whether the file has the section.
    pub(super) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// Returns each section in it called `rows` (such as `account[]`), labelled by the text of `label_key` if it has a good
    /// one.
    pub(super) fn sections(&self, rows: &'static str, label_key: &str) -> Vec<Self> {
        let name = rows.rsplit('.').next().unwrap_or(rows).trim_end_matches("[]");
        let label = join(&self.label, name);
        let elements =
            self.table.and_then(|table| table.get(name)).and_then(|value| value.get_ref().as_array());
        let tables = elements
            .into_iter()
            .flatten()
            .filter_map(|element| Some((element.get_ref().as_table()?, element.span())));
        let labelled = tables.zip(1..).map(|((table, span), number)| {
            let text = table.get(label_key).and_then(|value| value.get_ref().as_str());
            let label = match text {
                Some(text) if is_label(text) => format!("{label}[{text}]"),
                _ => format!("{label}[{number}]"),
            };
            Section { table: Some(table), rows, label, at: Some(span) }
        });
        labelled.collect()
    }
}

/// Reads one document.
pub(super) struct Reader<'t> {
    source: &'t Source,
    top: &'t DeTable<'t>,
    pub(super) problems: Vec<Problem>,
    pub(super) effective: Vec<Effective>,
    pub(super) secrets: Vec<Range<usize>>,
}

impl<'t> Reader<'t> {
    /// Starts with `top`, the parsed text of `source`, and reports every key that has no working row.
    pub(super) fn new(source: &'t Source, top: &'t DeTable<'t>) -> Self {
        let mut reader =
            Self { source, top, problems: Vec::new(), effective: Vec::new(), secrets: Vec::new() };
        reader.check_names(top, "", "");
        reader
    }

    /// Returns the top level as a section.
    pub(super) fn top(&self) -> Section<'t> {
        Section { table: Some(self.top), rows: "", label: String::new(), at: None }
    }

    /// Returns the one section called `name`.
    pub(super) fn section(&self, name: &'static str) -> Section<'t> {
        self.top().group(name)
    }

    /// Returns a section that the file does not have, so that every key takes its default.
    pub(super) fn absent(rows: &'static str, label: &str) -> Section<'t> {
        Section { table: None, rows, label: label.into(), at: None }
    }

    /// Returns the value of a key that has a default; the default after an error, which is reported.
    pub(super) fn must<T: Value>(&mut self, section: &Section<'_>, name: &str) -> Setting<T> {
        self.may(section, name).unwrap_or_default()
    }

    /// Returns the value of a key, or its default; `None` when it has none, or after an error, which is reported.
    pub(super) fn may<T: Value>(&mut self, section: &Section<'_>, name: &str) -> Option<Setting<T>> {
        let row = keys::find(&join(section.rows, name))?;
        debug_assert!(T::fits(row.kind), "{} is read into the wrong type", row.path);
        let label = join(&section.label, name);
        let found = section.table.and_then(|table| table.get_key_value(name));
        let Some((key, value)) = found else { return self.fallback(row, label, section.at.clone()) };
        match T::read(value.get_ref(), row.kind, &self.source.folder) {
            Ok(read) => {
                let line = self.source.line_and_column(key.span().start).0;
                self.note(row, label, read.show(), Origin::Line(line));
                Some(Setting { value: read, at: Some(value.span()) })
            }
            Err(mismatch) => {
                let found = if row.kind == Kind::PasswordHash {
                    "the value".into()
                } else {
                    describe(value.get_ref())
                };
                let mut problem = Problem::new(label, format!("{found} {}", mismatch.what))
                    .at(Some(value.span()), format!("expected {}", row.kind.expected()));
                problem.hint = mismatch.hint;
                self.problems.push(problem);
                None
            }
        }
    }

    /// Returns the value of a key, or that of `other` where the file has none.
    pub(super) fn may_or<T: Value>(
        &mut self,
        section: &Section<'_>,
        name: &str,
        other: Option<(&Setting<T>, &str)>,
    ) -> Option<Setting<T>> {
        let present = section.table.is_some_and(|table| table.contains_key(name));
        match (other, keys::find(&join(section.rows, name))) {
            (Some((setting, from)), Some(row)) if !present => {
                let origin = Origin::Derived(format!("the same as {from}"));
                self.note(row, join(&section.label, name), setting.value.show(), origin);
                Some(Setting { value: setting.value.clone(), at: None })
            }
            _ => self.may(section, name),
        }
    }

    fn fallback<T: Value>(
        &mut self,
        row: &'static Key,
        label: String,
        at: Option<Range<usize>>,
    ) -> Option<Setting<T>> {
        match row.fallback {
            Fallback::Is(literal) => {
                // A literal that does not read is caught by the test over the table.
                let value = DeValue::parse(literal).ok()?;
                let value = T::read(value.get_ref(), row.kind, &self.source.folder).ok()?;
                self.note(row, label, value.show(), Origin::Default);
                Some(Setting { value, at: None })
            }
            Fallback::Absent(meaning) => {
                self.note(row, label, meaning.into(), Origin::Default);
                None
            }
            Fallback::Required => {
                let name = row.path.rsplit('.').next().unwrap_or(row.path);
                self.problems.push(
                    Problem::new(label, "is missing")
                        .at(at, format!("expected the key `{name}`"))
                        .hint(format!("add `{name} = ...`: {}", row.kind.expected())),
                );
                None
            }
        }
    }

    fn note(&mut self, row: &'static Key, key: String, value: String, origin: Origin) {
        self.effective.push(Effective { row, key, value, origin });
    }

    /// Reports every key of `table` that has no working row, and goes into its sections.
    fn check_names(&mut self, table: &DeTable<'_>, rows: &str, label: &str) {
        for (key, value) in table {
            let (path, label) =
                (join(rows, key.get_ref()), join(label, &crate::escape::for_people(key.get_ref())));
            let at = Some(key.span());
            match keys::find(&path) {
                Some(Key { since: Since::Version(_), kind, .. }) => {
                    if *kind == Kind::PasswordHash || is_secret_name(key.get_ref()) {
                        self.secrets.push(value.span());
                    }
                }
                Some(row) => self.problems.push(not_built(&label, "key").at(at, row.doc)),
                None => match section_called(&path) {
                    Some(section) if !keys::works(section) => {
                        self.problems.push(not_built(&label, "section").at(at, "no key in here works yet"));
                    }
                    Some(section) => self.check_section(value.get_ref(), section, &label, at),
                    None => {
                        // Whatever else stands in an account may be a password under a name of its own.
                        if rows == "account[]" {
                            self.secrets.push(value.span());
                        }
                        self.problems
                            .push(unknown(key.get_ref(), rows, &label).at(at, "there is no such key"));
                    }
                },
            }
        }
    }

    fn check_section(
        &mut self,
        found: &DeValue<'_>,
        rows: &'static str,
        label: &str,
        at: Option<Range<usize>>,
    ) {
        match (found, rows.ends_with("[]")) {
            (DeValue::Table(table), false) => self.check_names(table, rows, label),
            (DeValue::Array(elements), true)
                if elements.iter().all(|element| element.get_ref().is_table()) =>
            {
                for (number, element) in (1..).zip(elements.iter()) {
                    if let DeValue::Table(table) = element.get_ref() {
                        self.check_names(table, rows, &format!("{label}[{number}]"));
                    }
                }
            }
            (_, true) => self.problems.push(
                Problem::new(label, "may stand several times, so its header has double brackets")
                    .at(at, format!("expected {}", header(rows))),
            ),
            (_, false) if rows.contains('.') => {
                let names: Vec<String> = keys::names_in(rows).map(|name| format!("{name} = ...")).collect();
                let name = rows.rsplit('.').next().unwrap_or(rows);
                self.problems.push(
                    Problem::new(label, "is a group of keys")
                        .at(at, format!("expected {name} = {{ {} }}", names.join(", "))),
                );
            }
            (_, false) => self.problems.push(
                Problem::new(label, "is a section of its own and stands once")
                    .at(at, format!("expected {}", header(rows))),
            ),
        }
    }
}

fn join(section: &str, name: &str) -> String {
    if section.is_empty() { name.into() } else { format!("{section}.{name}") }
}

/// Returns whether `text` may stand in the name of a section, for people.
fn is_label(text: &str) -> bool {
    (1..=40).contains(&text.chars().count()) && !text.chars().any(crate::escape::is_hostile)
}

/// Returns the section of the table of keys that `path` names, whether it may be repeated or not.
fn section_called(path: &str) -> Option<&'static str> {
    keys::sections().into_iter().find(|section| section.strip_suffix("[]").unwrap_or(section) == path)
}

fn not_built(label: &str, noun: &str) -> Problem {
    Problem::new(label, format!("this {noun} is designed but not built yet in this version"))
        .hint(format!("remove it; tidegate {} would not obey it", env!("CARGO_PKG_VERSION")))
}

/// Returns the error for a key without a row: with the key that was meant, the place where it belongs, or all there are.
fn unknown(name: &str, rows: &str, label: &str) -> Problem {
    let all = keys::sections();
    let sections = all.iter().filter_map(|section| {
        let (parent, name) = section.rsplit_once('.').unwrap_or(("", section));
        (parent == rows).then_some(name.trim_end_matches("[]"))
    });
    let here = keys::names_in(rows).chain(sections);
    let elsewhere = all.iter().filter(|section| keys::names_in(section).any(|other| other == name));
    let elsewhere: Vec<String> = elsewhere.map(|section| header(section)).collect();
    let hint = match (suggest(name, here), elsewhere.split_last()) {
        (Some(close), _) => format!("did you mean `{close}`?"),
        (None, Some((only, []))) => format!("`{name}` belongs under {only}"),
        (None, Some((last, others))) => format!("`{name}` belongs under {} or {last}", others.join(", ")),
        (None, None) => {
            let place = if rows.is_empty() { "at the top".into() } else { format!("of {}", header(rows)) };
            format!("the keys {place} are: {}", keys::names_in(rows).collect::<Vec<_>>().join(", "))
        }
    };
    Problem::new(label, "unknown key").hint(hint)
}

/// Returns `[timeouts]`, `[[account]]` or `[[listener.passive_address_for]]`.
fn header(section: &str) -> String {
    let name = section.replace("[]", "");
    if section.ends_with("[]") { format!("[[{name}]]") } else { format!("[{name}]") }
}

/// Counts how often each key occurs; the key of a duplicate comes with the later value.
pub(super) fn duplicates<K: Ord, T>(items: impl Iterator<Item = (K, T)>) -> Vec<(T, T)>
where
    T: Clone,
{
    let mut seen = BTreeMap::new();
    let mut pairs = Vec::new();
    for (key, item) in items {
        match seen.get(&key) {
            Some(first) => pairs.push((T::clone(first), item)),
            None => {
                seen.insert(key, item);
            }
        }
    }
    pairs
}
