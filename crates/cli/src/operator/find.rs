//! Which server is meant.

use std::path::{Path, PathBuf};

use tidegate_admin::{Environment, SocketChoice, find_socket};

use super::Trouble;
use crate::args::ServerArgs;
use crate::config::{Drawing, Place, Source, admin_socket};
use crate::{Exit, serve};

/// Returns the control socket of the server that is meant. Errors: none runs here, several do, the configuration cannot be read.
pub(super) fn socket(server: &ServerArgs) -> Result<PathBuf, Trouble> {
    let choice = match (&server.socket, &server.config) {
        (Some(path), _) => SocketChoice::Path(path.clone()),
        (None, Some(file)) => serve::socket_choice(&place_in(file)?, Some(file)),
        (None, None) => SocketChoice::Auto { config: None },
    };
    find_socket(&choice, &Environment::of_process()).map_err(|error| {
        let hint = error.hint();
        Trouble::new(Exit::Failed, error.to_string(), hint)
    })
}

/// Reads `admin.socket`; what else is wrong with the file does not matter here.
fn place_in(file: &Path) -> Result<Place, Trouble> {
    let source = Source::read(file).map_err(|error| {
        Trouble::new(Exit::BadConfig, error.to_string(), "name the file that the server was started with")
    })?;
    admin_socket(&source).map_err(|problems| Trouble::Other {
        what: problems.render(Drawing::Plain),
        hint: Some("name its socket with --socket PATH instead".to_owned()),
        exit: Exit::BadConfig,
    })
}
