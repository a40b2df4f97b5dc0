//! `[admin]`: where a running server can be looked into.

use toml::de::DeTable;

use super::problem::{Problem, Problems};
use super::reader::{Reader, Setting};
use super::source::Source;
use super::value::{ListenAddress, Place};

/// `[admin]`.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Where the control commands connect.
    pub socket: Setting<Place>,
    /// Where health and metrics are told; `None`: nowhere.
    pub http: Option<Setting<ListenAddress>>,
    /// Where load balancers ask; `None`: nowhere.
    pub agent: Option<Setting<ListenAddress>>,
}

/// Reads `[admin]`, in the order of the table of keys.
pub(super) fn read(reader: &mut Reader<'_>) -> Admin {
    let section = reader.section("admin");
    Admin {
        socket: reader.must(&section, "socket"),
        http: reader.may(&section, "http"),
        agent: reader.may(&section, "agent"),
    }
}

/// Returns `admin.socket` of a file whose other keys may be wrong: who looks for a running server needs no more. Errors: the file
/// is not TOML, or this key has a bad value.
pub fn admin_socket(source: &Source) -> Result<Place, Problems> {
    let failed = |list: Vec<Problem>| Problems { source: source.clone(), list, secrets: Vec::new() };
    let (parsed, errors) = DeTable::parse_recoverable(&source.text);
    if !errors.is_empty() {
        return Err(failed(errors.iter().map(super::syntax_problem).collect()));
    }
    let mut reader = Reader::new(source, parsed.get_ref());
    reader.problems.clear();
    let section = reader.section("admin");
    let socket: Setting<Place> = reader.must(&section, "socket");
    match std::mem::take(&mut reader.problems) {
        problems if problems.is_empty() => Ok(socket.value),
        problems => Err(Problems { secrets: reader.secrets, ..failed(problems) }),
    }
}
