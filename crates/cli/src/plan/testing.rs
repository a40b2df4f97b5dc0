//! For tests: a machine that says yes, and plans made on it.

use std::path::{Path, PathBuf};

use super::{FreshPassword, ServePlan, World, plan, skeleton};
use crate::args::ServeArgs;
use crate::config::{Config, Drawing, Facts, PathKind, Source, Users};

/// How many descriptors the machine of [`ServePlan::of_file`] has.
const DESCRIPTORS: u64 = 1024;

/// A machine with every folder, so many descriptors, the umask 0022 and no users.
pub struct Bare(pub u64);

impl Users for Bare {
    fn user(&self, _: &str) -> Result<Option<u32>, String> {
        Ok(None)
    }

    fn group(&self, _: &str) -> Result<Option<u32>, String> {
        Ok(None)
    }

    fn may_give(&self, _: Option<u32>, _: Option<u32>) -> bool {
        true
    }
}

impl World for Bare {
    fn descriptor_limit(&self) -> u64 {
        self.0
    }

    fn umask(&self) -> u32 {
        0o022
    }

    fn kind_of(&self, _: &Path) -> PathKind {
        PathKind::Folder
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        Path::new("/here").join(path)
    }

    fn fresh_password(&self) -> Result<FreshPassword, String> {
        Err("no entropy".into())
    }
}

impl ServePlan {
    /// Returns the plan of a program without a file and without anybody who may log in, on a machine of so many descriptors.
    pub fn blank(descriptor_limit: u64) -> Self {
        skeleton(&ServeArgs::default(), &Config::defaults(), &Bare(descriptor_limit))
    }

    /// Returns the plan of a file `/etc/t.toml` with this text, which must be good.
    pub fn of_file(text: &str, args: &ServeArgs) -> Self {
        let source = Source::from_text("t.toml", Path::new("/etc"), text);
        let facts = Facts {
            descriptor_limit: DESCRIPTORS,
            is_strict: false,
            root: args.dir.as_deref(),
            // A file may stand where a folder must not.
            kind_of: &|path| if path.extension().is_some() { PathKind::Missing } else { PathKind::Folder },
            umask: 0o022,
            users: &Bare(DESCRIPTORS),
        };
        let loaded = Config::load(&source, &facts)
            .unwrap_or_else(|problems| panic!("{text}\n{}", problems.render(Drawing::Plain)));
        plan(args, Some(&loaded.config), &Bare(DESCRIPTORS)).unwrap()
    }
}
