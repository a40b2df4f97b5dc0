//! Replays the corpus, and runs each target for a second with inputs made from it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests"
)]

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use tidegate_fuzz::{INPUT_BYTES_MAX, TARGETS, Target};
use tidegate_protocol::command::{SITE, TABLE};
use tidegate_testkit::Random;

const SMOKE: Duration = Duration::from_secs(1);
/// What is kept in the repository, over all targets.
const CORPUS_BYTES_MAX: u64 = 1024 * 1024;
const FILES_MAX: usize = 300;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn target(name: &str) -> Target {
    *TARGETS.iter().find(|target| target.name == name).expect("a target of that name")
}

/// Returns the names and contents of a target's corpus, in order.
fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = root().join("corpus").join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn replay(name: &str) {
    let target = target(name);
    let mut failed = Vec::new();
    for (path, input) in corpus(name) {
        if catch_unwind(AssertUnwindSafe(|| (target.run)(&input))).is_err() {
            eprintln!("the finding above is {}", path.display());
            failed.push(path);
        }
    }
    assert!(failed.is_empty(), "{name} fails with {failed:?}");
}

/// Makes an input of pieces of two from the corpus, with some bytes changed.
fn mutated(corpus: &[(PathBuf, Vec<u8>)], random: &mut Random) -> Vec<u8> {
    let (_, first) = random.pick(corpus);
    let (_, second) = random.pick(corpus);
    let mut input = first.get(..random.below(first.len() + 1)).unwrap_or_default().to_vec();
    input.extend_from_slice(second.get(random.below(second.len() + 1)..).unwrap_or_default());
    for _ in 0..random.below(6) {
        let at = random.below(input.len() + 1);
        let count = 1 + random.below(4);
        let some = random.bytes(count);
        let until = (at + random.below(count + 1)).min(input.len());
        input.splice(at..until, some);
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

fn smoke(name: &str) {
    let target = target(name);
    let corpus = corpus(name);
    let only = std::env::var("TIDEGATE_SEED")
        .ok()
        .map(|text| text.parse::<u64>().expect("TIDEGATE_SEED is a number"));
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let from = u64::from(clock.subsec_nanos()) << 20;
    let started = Instant::now();
    for seed in only.map_or(from..u64::MAX, |seed| seed..seed + 1) {
        let input = mutated(&corpus, &mut Random::new(seed));
        let result = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
        assert!(result.is_ok(), "{name} fails with TIDEGATE_SEED={seed}: {}", input.escape_ascii());
        if started.elapsed() > SMOKE {
            break;
        }
    }
}

macro_rules! targets {
    ($($name:ident),*) => {
        $(mod $name {
            #[test]
            fn replays() {
                super::replay(stringify!($name));
            }

            #[test]
            fn smokes() {
                super::smoke(stringify!($name));
            }
        })*

        #[test]
        fn every_target_is_tested_and_driven() {
            let named: BTreeSet<&str> = BTreeSet::from([$(stringify!($name)),*]);
            assert_eq!(TARGETS.iter().map(|target| target.name).collect::<BTreeSet<_>>(), named);
            let stems = |folder: &str| -> BTreeSet<String> {
                let entries = fs::read_dir(root().join(folder)).unwrap();
                let stem = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
                entries.map(|entry| stem(&entry.unwrap().path())).collect()
            };
            let named: BTreeSet<String> = named.into_iter().map(str::to_owned).collect();
            assert_eq!(stems("libfuzzer/fuzz_targets"), named);
            assert_eq!(stems("corpus"), named);
        }
    };
}

targets!(line, command, address, listing_options, pattern, proxy_header, session_events, session_world);

#[test]
fn the_corpus_is_small() {
    let mut bytes = 0;
    for target in TARGETS {
        let files = corpus(target.name);
        assert!(files.len() <= FILES_MAX, "{} files of {}", files.len(), target.name);
        assert!(files.iter().all(|(_, input)| input.len() <= INPUT_BYTES_MAX), "{}", target.name);
        bytes += files.iter().map(|(_, input)| input.len() as u64).sum::<u64>();
    }
    assert!(bytes <= CORPUS_BYTES_MAX, "{bytes} bytes");
}

/// The dictionary helps libFuzzer to whole words: every verb must be in it.
#[test]
fn the_dictionary_knows_every_verb() {
    let text = fs::read_to_string(root().join("dictionary.txt")).unwrap();
    let known: BTreeSet<&str> = text.lines().collect();
    let verbs = TABLE.iter().map(|row| format!("\"{} \"", row.verb));
    let words = SITE.iter().map(|row| format!("\"SITE {} \"", row.word));
    let missing: Vec<String> = verbs.chain(words).filter(|line| !known.contains(line.as_str())).collect();
    assert!(missing.is_empty(), "add to fuzz/dictionary.txt:\n{}", missing.join("\n"));
}
