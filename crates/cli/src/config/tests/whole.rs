//! Whole files: those that operators are shown, and those that nobody should write.

use super::*;

/// The worked examples of docs/limits.md are good without a warning on a machine with descriptors enough.
#[test]
fn the_examples_for_operators_are_good() {
    let text = include_str!("../../../../../docs/limits.md");
    let blocks = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut checked = 0;
    for block in blocks {
        let text = block.replace("\"/srv/ftp\"", "\"/srv\"");
        let source = Source::from_text("limits.md", Path::new("/etc"), &text);
        let facts = Facts {
            descriptor_limit: 1 << 20,
            is_strict: true,
            root: None,
            kind_of: &kind_of,
            umask: 0o022,
            users: &FakeUsers,
        };
        let loaded = Config::load(&source, &facts)
            .unwrap_or_else(|problems| panic!("{}", problems.render(Drawing::Plain)));
        assert!(loaded.warnings.is_none(), "{}", loaded.warnings.unwrap().render(Drawing::Plain));
        checked += 1;
    }
    assert_eq!(checked, 3, "the hospital, the cameras, the mirror");
}

/// The sum in docs/limits.md is what check-config prints.
#[test]
fn the_sum_for_operators_is_true() {
    let text = with_line("limits.transfers", "200").replace("[limits]\n", "[limits]\nconnections = 1000\n");
    let source = Source::from_text("t.toml", Path::new("/etc"), &text);
    let facts = Facts {
        descriptor_limit: 1 << 20,
        is_strict: true,
        root: None,
        kind_of: &kind_of,
        umask: 0o022,
        users: &FakeUsers,
    };
    let lines = Config::load(&source, &facts).unwrap().needs.lines();
    assert!(include_str!("../../../../../docs/limits.md").contains(&lines), "{lines}");
}

/// What is strange about a value, one of each kind.
const STRANGE: &[&str] = &[
    "0",
    "1",
    "-1",
    "4294967295",
    "0x7fffffffffffffff",
    "1e308",
    "nan",
    "inf",
    "false",
    "''",
    "'off'",
    "'auto'",
    "'absent'",
    "'\u{202e}'",
    "'1/1ms'",
    "'4294967295/3650d'",
    "'1/99999999d'",
    "'100%'",
    "'3650d'",
    "'0s'",
    "'::/0'",
    "'/'",
    "'..'",
    "[]",
    "['::/0', '0.0.0.0/0']",
    "['127.0.0.1', '127.0.0.1']",
    "[[]]",
    "{ first = 1 }",
    "1979-05-27",
    "'127.0.0.1:65535'",
    "'1024-65535'",
];

/// Whatever stands behind a key is answered with a value or an error that points into the file; an accepted file fits.
#[test]
fn any_value_of_any_key_is_answered() {
    let mut accepted = 0;
    for key in KEYS.iter().filter(|key| key.since != Since::Later) {
        for literal in STRANGE {
            let text = with_line(key.path, literal);
            match load(&text) {
                Ok(loaded) => {
                    accepted += 1;
                    let shown = loaded.config.effective.iter().find(|row| row.row.path == key.path);
                    assert!(shown.is_some_and(|row| !row.value.is_empty()), "{} = {literal}", key.path);
                    assert!(loaded.needs.total() <= 1024, "{} = {literal}", key.path);
                }
                Err(problems) => {
                    for problem in &problems.list {
                        let at = problem.at.clone().unwrap_or_default();
                        assert!(text.get(at).is_some() && !problem.what.is_empty(), "{problem:?}");
                    }
                }
            }
        }
    }
    assert!(accepted > 150, "{accepted}");
}
