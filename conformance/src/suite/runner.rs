//! Finds checks, runs them, tidies up behind them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::check::{Check, Failure, Group, Stop};
use super::session::Session;
use super::stage::{Place, Stage};

/// How deep a check's folder is cleared on a server whose disk is not at hand.
const DEPTH_MAX: usize = 120;

/// What a check came to.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// As demanded.
    Pass,
    /// Not as demanded.
    Fail(Failure),
    /// An optional extension that the server does not have and does not announce.
    NotOffered(String),
    /// It could not be checked from here.
    NotApplicable(String),
}

impl Verdict {
    /// Returns its name in reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail(_) => "fail",
            Self::NotOffered(_) => "not offered",
            Self::NotApplicable(_) => "not applicable",
        }
    }
}

/// One check with its verdict.
#[derive(Debug)]
pub struct Done {
    /// Where the check belongs.
    pub group: &'static Group,
    /// The check.
    pub check: &'static Check,
    /// What it came to.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}

impl Done {
    /// Returns the check's id.
    pub fn id(&self) -> String {
        format!("{}/{}", self.group.path, self.check.name)
    }
}

/// Returns every group of checks.
pub fn groups() -> Vec<&'static Group> {
    crate::GROUPS.iter().copied().flatten().copied().collect()
}

/// Returns the checks whose id contains `filter`.
pub fn find(filter: &str) -> Vec<(&'static Group, &'static Check)> {
    let all = groups().into_iter().flat_map(|group| group.checks.iter().map(move |check| (group, check)));
    all.filter(|(group, check)| format!("{}/{}", group.path, check.name).contains(filter)).collect()
}

/// Runs one check and clears its folder.
pub fn run_one(place: &Place, group: &'static Group, check: &'static Check) -> Done {
    let stage = Stage::new(place);
    let done = on_stage(&stage, group, check);
    tidy(&stage);
    done
}

fn on_stage(stage: &Stage<'_>, group: &'static Group, check: &'static Check) -> Done {
    let started = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (check.run)(stage))).unwrap_or_else(|_| {
        Err(Stop::Fail(Failure { what: "the check itself panicked".into(), dialogue: vec![] }))
    });
    let verdict = match outcome {
        Ok(()) => Verdict::Pass,
        Err(Stop::Fail(failure)) => Verdict::Fail(failure),
        Err(Stop::NotOffered(why)) => Verdict::NotOffered(why),
        Err(Stop::NotApplicable(why)) => Verdict::NotApplicable(why),
    };
    Done { group, check, verdict, took: started.elapsed() }
}

/// Runs the checks whose id contains `filter`, `at_once` at a time; `each` hears of every one as it ends. Returns them in the
/// registry's order.
pub fn run_all(place: &Place, filter: &str, at_once: usize, each: &(dyn Fn(&Done) + Sync)) -> Vec<Done> {
    let checks = find(filter);
    // Folders are cleared last: some servers stand in the folder of one session while they serve another.
    let stages: Vec<Stage<'_>> = checks.iter().map(|_| Stage::new(place)).collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..at_once.max(1) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(&(group, check)), Some(stage)) = (checks.get(index), stages.get(index)) else {
                        return;
                    };
                    let one = on_stage(stage, group, check);
                    each(&one);
                    done.lock().unwrap().push(one);
                }
            });
        }
    });
    stages.iter().for_each(tidy);
    let mut done = done.into_inner().unwrap();
    let order = |one: &Done| checks.iter().position(|(_, check)| std::ptr::eq(*check, one.check));
    done.sort_by_key(order);
    done
}

/// Removes what a check left behind, as well as it can be done.
fn tidy(stage: &Stage<'_>) {
    if !stage.used() || stage.place.disposable {
        return;
    }
    if let Ok(folder) = stage.disk() {
        let _ = std::fs::remove_dir_all(folder);
        return;
    }
    // A failure here is not the check's: what cannot be removed stays, under a name that says whose it is.
    let _ = stage.logged_in().map(|mut session| remove(&mut session, &stage.folder, DEPTH_MAX));
}

fn remove(session: &mut Session, name: &str, depth: usize) -> Option<()> {
    if depth == 0 || session.say(format!("CWD {name}")).ok()?.code != 250 {
        return None;
    }
    let listing = session.attempt("NLST -a", None).ok()?.data;
    for name in listing.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end) {
        if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
            continue;
        }
        if session.say([b"DELE ", name].concat()).ok()?.code != 250 {
            remove(session, &String::from_utf8_lossy(name), depth - 1);
        }
    }
    session.say("CDUP").ok()?;
    session.say(format!("RMD {name}")).ok()?;
    Some(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_check_has_an_id_of_its_own_a_sentence_and_a_file() {
        let mut seen = BTreeSet::new();
        for (group, check) in find("") {
            let id = format!("{}/{}", group.path, check.name);
            assert!(seen.insert(id.clone()), "{id} is there twice");
            let sentence = check.demands;
            assert!(
                sentence.len() > 15 && !sentence.ends_with('.') && !sentence.contains('\n'),
                "{id}: {sentence}"
            );
            let file = format!("{}/{}.rs", env!("CARGO_MANIFEST_DIR"), group.path);
            assert!(std::path::Path::new(&file).is_file(), "{file}");
        }
        assert!(seen.len() >= 150, "{} checks", seen.len());
    }
}
