//! The conformance suite as tests, one for each check: of tidegate, or of what `TIDEGATE_SUBJECT` names.

use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Failed, Trial};
use tidegate_conformance::suite::{Check, Group, Hosted, Place, Verdict, find, host, run_one};

/// What tidegate is known not to offer as it comes: anything else that is not offered, or not applicable, fails its test.
const NOT_OFFERED: [&str; 1] = ["drafts/mfxx/mfct_is_answered"];

/// One server for all tests of this process, started by the first.
type Server = Arc<Mutex<Option<Hosted>>>;

fn main() {
    let arguments = Arguments::from_args();
    let server: Server = Arc::default();
    let tests = find("").into_iter().map(|(group, check)| {
        let server = Arc::clone(&server);
        Trial::test(format!("{}/{}", group.path, check.name), move || test(&server, group, check))
    });
    let conclusion = libtest_mimic::run(&arguments, tests.collect());
    drop(server.lock().map(|mut server| server.take()));
    conclusion.exit();
}

fn place(server: &Server, subject: &str) -> Result<Place, Failed> {
    let mut server = server.lock().map_err(|_| Failed::from("the server did not start"))?;
    if server.is_none() {
        *server = Some(host(subject)?);
    }
    server.as_ref().map(|hosted| hosted.place.clone()).ok_or_else(|| Failed::from("no server"))
}

fn test(server: &Server, group: &'static Group, check: &'static Check) -> Result<(), Failed> {
    let subject = std::env::var("TIDEGATE_SUBJECT").unwrap_or_else(|_| "tidegate".into());
    let done = run_one(&place(server, &subject)?, group, check);
    let id = done.id();
    match done.verdict {
        Verdict::Pass => Ok(()),
        Verdict::NotOffered(_) if subject != "tidegate" || NOT_OFFERED.contains(&id.as_str()) => Ok(()),
        Verdict::NotApplicable(_) if subject != "tidegate" => Ok(()),
        Verdict::NotOffered(why) => Err(format!("tidegate does not offer it: {why}").into()),
        Verdict::NotApplicable(why) => Err(format!("it was not checked: {why}").into()),
        Verdict::Fail(failure) => {
            let dialogue = failure.dialogue.join("\n");
            Err(format!("demanded: {}\nfound: {}\n{dialogue}", check.demands, failure.what).into())
        }
    }
}
