//! The promises every backend keeps, as named cases that any async runtime can drive.
//!
//! A backend's own tests call [`run`] with an empty home, partial uploads kept. Each case works in a directory of its
//! own, so cases neither disturb each other nor depend on their order.

mod cases;
mod stage;

use std::future::Future;
use std::pin::Pin;

use crate::Backend;
pub use stage::Stage;

/// What a case came to: a sentence about the first promise that was broken.
pub type Outcome = Result<(), String>;

/// One promise or a few that belong together.
#[derive(Clone, Copy)]
pub struct Case {
    /// What is promised.
    pub name: &'static str,
    /// Checks it on a stage of its own.
    pub run: for<'a> fn(&'a Stage) -> Pin<Box<dyn Future<Output = Outcome> + 'a>>,
}

/// Returns all cases, for backends that want a test each.
pub fn cases() -> &'static [Case] {
    cases::ALL
}

/// Returns the cases about denied names.
pub fn denial_cases() -> &'static [Case] {
    cases::DENIAL
}

/// What the second backend of [`run_denying`] denies.
pub const DENIED: [&str; 3] = [".ht*", ".git", "only.1"];

/// Runs every case on `home`, an empty one; panics with the list of broken promises.
pub async fn run(backend: &dyn Backend, home: String) {
    run_cases(cases::ALL, 0, (backend, backend), home).await;
}

/// Runs every case on `home`, an empty one, where `denying` denies the names of [`DENIED`] in the homes that `backend`
/// shows whole; panics with the list of broken promises.
pub async fn run_denying(backend: &dyn Backend, denying: &dyn Backend, home: String) {
    run_cases(cases::DENIAL, cases::ALL.len(), (backend, denying), home.clone()).await;
    // What does not concern denied names is as it is without them.
    run_cases(cases::ALL, 0, (denying, denying), home).await;
}

async fn run_cases(
    cases: &[Case],
    first_number: usize,
    (backend, denying): (&dyn Backend, &dyn Backend),
    home: String,
) {
    let mut broken = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let outcome = match Stage::open(backend, denying, &home, first_number + number).await {
            Ok(stage) => (case.run)(&stage).await,
            Err(error) => Err(error),
        };
        if let Err(sentence) = outcome {
            broken.push(format!("{}: {sentence}", case.name));
        }
    }
    assert!(!cases.is_empty(), "a battery without cases proves nothing");
    let (count, broken_count) = (cases.len(), broken.len());
    assert!(broken.is_empty(), "{broken_count} of {count} promises are broken:\n{}", broken.join("\n"));
}
