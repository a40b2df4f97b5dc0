//! What a real client cannot do, whatever the server: the only table of exceptions from the battery.

use crate::battery::{self, ERRANDS, Errand, NAMES};
use crate::clients;

struct Limit {
    client: &'static str,
    errand: Errand,
    /// The names that are excepted; all of them when empty.
    names: &'static [&'static str],
    reason: &'static str,
}

const fn all(client: &'static str, errand: Errand, reason: &'static str) -> Limit {
    Limit { client, errand, names: &[], reason }
}

const LIMITS: &[Limit] = &[
    all(
        "curl",
        Errand::FetchByPattern,
        "its patterns are expanded from the command line, never by a listing",
    ),
    Limit {
        client: "wget",
        errand: Errand::List,
        names: &[" leading"],
        reason: "it takes the spaces before a name for those between columns, and asks for another name",
    },
    all("wget", Errand::Upload, "it only downloads"),
    all("wget", Errand::ResumeUpload, "it only downloads"),
    all("wget", Errand::Rename, "it only downloads"),
    all("wget", Errand::Delete, "it only downloads"),
    all("wget", Errand::MakeFolder, "it only downloads"),
    all("basic-ftp", Errand::FetchByPattern, "its API has no patterns"),
    all("rclone", Errand::ResumeUpload, "its FTP backend always writes a file from the start"),
];

/// Returns why `client` cannot do `errand` with `name`; `None` when it must.
pub(crate) fn reason(client: &str, errand: Errand, name: &str) -> Option<&'static str> {
    LIMITS
        .iter()
        .find(|limit| {
            limit.client == client
                && limit.errand == errand
                && (limit.names.is_empty() || limit.names.contains(&name))
        })
        .map(|limit| limit.reason)
}

#[test]
fn the_rest_is_covered() {
    let clients = clients::names();
    assert_eq!(clients.len(), 8, "{clients:?}");
    for limit in LIMITS {
        assert!(clients.contains(&limit.client), "{} is no client here", limit.client);
        assert!(limit.names.iter().all(|name| NAMES.contains(name)), "{:?} are not played", limit.names);
        assert!(limit.reason.len() > 10, "{} {:?} has no reason", limit.client, limit.errand);
    }
    let (mut wanted, mut done) = (0, 0);
    for errand in ERRANDS {
        for name in NAMES.into_iter().filter(|name| battery::makes_sense(errand, name)) {
            let able = clients.iter().filter(|client| reason(client, errand, name).is_none()).count();
            assert!(able >= 5, "only {able} clients do {errand:?} with {name:?}");
            wanted += clients.len();
            done += able;
        }
    }
    assert!(done * 5 >= wanted * 4, "{done} of {wanted} are done: the table eats the battery");
}
