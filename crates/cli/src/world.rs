//! The machine the program runs on.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::{PathKind, Secret};
use crate::plan::{FreshPassword, World};

/// The machine as it is.
#[derive(Debug)]
pub struct Machine {
    descriptor_limit: u64,
}

impl Machine {
    /// Raises the descriptor limit to its hard maximum and looks around. Errors: the kernel's.
    pub fn prepare() -> io::Result<Self> {
        Ok(Self { descriptor_limit: tidegate_net::raise_descriptor_limit()? })
    }
}

impl World for Machine {
    fn descriptor_limit(&self) -> u64 {
        self.descriptor_limit
    }

    fn kind_of(&self, path: &Path) -> PathKind {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => PathKind::Folder,
            Ok(_) => PathKind::Other,
            Err(_) => PathKind::Missing,
        }
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
    }

    fn fresh_password(&self) -> Result<FreshPassword, String> {
        let password = tidegate_accounts::random_password().map_err(|error| error.to_string())?;
        let hash =
            tidegate_accounts::hash_password(password.as_bytes()).map_err(|error| error.to_string())?;
        Ok(FreshPassword { password: Secret::new(password), hash: Secret::new(hash) })
    }
}
