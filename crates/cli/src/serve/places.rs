//! Where the server's own things are: the control socket, and what outlives a restart.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use tidegate_admin::{SocketChoice, instance_name};

use crate::config::Place;

/// Returns which control socket `admin.socket` means for the server of this configuration file: the same for `serve` and for the
/// commands that look for it.
pub fn socket_choice(place: &Place, config: Option<&Path>) -> SocketChoice {
    match place {
        Place::Off => SocketChoice::Off,
        Place::At(path) => SocketChoice::Path(path.clone()),
        Place::Auto => SocketChoice::Auto { config: config.map(canonical) },
    }
}

/// Returns the one name of a file that may be named in many ways.
fn canonical(file: &Path) -> PathBuf {
    // A file that is gone still has a name.
    std::fs::canonicalize(file).or_else(|_| std::path::absolute(file)).unwrap_or_else(|_| file.to_path_buf())
}

/// What the usual folder for state depends on.
#[derive(Clone, Debug, Default)]
pub(super) struct StateEnvironment {
    /// `$STATE_DIRECTORY`: what systemd made for the service; several are divided by colons.
    pub(super) service: Option<OsString>,
    /// `$XDG_STATE_HOME`.
    pub(super) user: Option<OsString>,
    /// `$HOME`.
    pub(super) home: Option<OsString>,
    /// Whether it is root who runs the server.
    pub(super) is_root: bool,
}

impl StateEnvironment {
    /// Returns what holds for this process.
    pub(super) fn of_process() -> Self {
        Self {
            service: std::env::var_os("STATE_DIRECTORY"),
            user: std::env::var_os("XDG_STATE_HOME"),
            home: std::env::var_os("HOME"),
            is_root: rustix::process::geteuid().is_root(),
        }
    }

    /// Returns the folder that all servers of this user share; `None`: nobody says where.
    fn folder(&self) -> Option<PathBuf> {
        let absolute = |path: PathBuf| path.is_absolute().then_some(path);
        let service = self.service.as_ref().and_then(|list| {
            let first = list.as_bytes().split(|byte| *byte == b':').next()?;
            absolute(PathBuf::from(OsString::from_vec(first.to_vec())))
        });
        if service.is_some() {
            return service;
        }
        if self.is_root {
            return Some(PathBuf::from("/var/lib/tidegate"));
        }
        let user = self.user.as_ref().and_then(|path| absolute(PathBuf::from(path)));
        let home = || Some(absolute(PathBuf::from(self.home.as_ref()?))?.join(".local/state"));
        Some(user.or_else(home)?.join("tidegate"))
    }
}

/// Where what outlives a restart is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StateFolder {
    /// Nowhere, and that is as it was wanted.
    Nowhere,
    /// Here; the configuration says so, and without it there is no start.
    Demanded(PathBuf),
    /// Here; if it cannot be used the server says so and runs.
    Usual(PathBuf),
    /// Nobody says where the usual folder is.
    Unknown,
}

/// Returns where the server of this configuration file keeps what outlives a restart. Without a file it keeps nothing unless told.
pub(super) fn state_folder(
    place: &Place,
    config: Option<&Path>,
    environment: &StateEnvironment,
) -> StateFolder {
    match (place, config) {
        (Place::Off, _) | (Place::Auto, None) => StateFolder::Nowhere,
        (Place::At(path), _) => StateFolder::Demanded(path.clone()),
        (Place::Auto, Some(config)) => match environment.folder() {
            Some(folder) => StateFolder::Usual(folder.join(instance_name(&canonical(config)))),
            None => StateFolder::Unknown,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(service: &str, user: &str, home: &str, is_root: bool) -> StateEnvironment {
        let set = |text: &str| (!text.is_empty()).then(|| OsString::from(text));
        StateEnvironment { service: set(service), user: set(user), home: set(home), is_root }
    }

    #[test]
    fn the_usual_folder_follows_the_environment() {
        for (environment, expected) in [
            (environment("/var/lib/a:/var/lib/b", "/x", "/h", false), Some("/var/lib/a")),
            (environment("relative", "/x", "/h", false), Some("/x/tidegate")),
            (environment("", "/x", "/h", true), Some("/var/lib/tidegate")),
            (environment("", "x", "/h", false), Some("/h/.local/state/tidegate")),
            (environment("", "", "", false), None),
        ] {
            assert_eq!(environment.folder(), expected.map(PathBuf::from), "{environment:?}");
        }
    }

    #[test]
    fn each_file_has_a_folder_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        std::fs::write(&file, "").unwrap();
        let environment = environment("/state", "", "", false);
        let of = |place: &Place, file: Option<&Path>| state_folder(place, file, &environment);
        let StateFolder::Usual(usual) = of(&Place::Auto, Some(&file)) else { panic!("no usual folder") };
        let name = usual.file_name().unwrap().to_str().unwrap();
        assert!(usual.starts_with("/state") && name.starts_with("a-") && name.len() == 10, "{usual:?}");
        let indirect = folder.path().join("..").join(folder.path().file_name().unwrap()).join("a.toml");
        assert_eq!(of(&Place::Auto, Some(&indirect)), StateFolder::Usual(usual), "one file, one folder");
        assert_eq!(of(&Place::Auto, None), StateFolder::Nowhere);
        assert_eq!(of(&Place::Off, Some(&file)), StateFolder::Nowhere);
        let at = Place::At("/srv/state".into());
        assert_eq!(of(&at, Some(&file)), StateFolder::Demanded("/srv/state".into()));
        assert_eq!(
            state_folder(&Place::Auto, Some(&file), &StateEnvironment::default()),
            StateFolder::Unknown
        );
    }

    #[test]
    fn commands_and_server_mean_the_same_socket() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.toml");
        std::fs::write(&file, "").unwrap();
        let real = std::fs::canonicalize(&file).unwrap();
        assert_eq!(socket_choice(&Place::Auto, Some(&file)), SocketChoice::Auto { config: Some(real) });
        assert_eq!(socket_choice(&Place::Off, Some(&file)), SocketChoice::Off);
        assert_eq!(socket_choice(&Place::At("/s".into()), None), SocketChoice::Path("/s".into()));
    }
}
