use tidegate_types::Creation;

/// The umask and the ids of the service that the fake pretends to be.
const UMASK: u32 = 0o022;
const SERVICE: u32 = 1000;

/// Owner, group and permission bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
}

impl Look {
    pub(super) const FILE: Self = Self { uid: SERVICE, gid: SERVICE, mode: 0o666 & !UMASK };
    pub(super) const DIRECTORY: Self = Self { uid: SERVICE, gid: SERVICE, mode: 0o777 & !UMASK };

    /// Returns what a file looks like that is created without the bits of `umask`.
    pub(super) fn of_file(creation: &Creation, umask: u32) -> Self {
        Self::FILE.changed(creation, creation.file_mode, umask)
    }

    /// Returns what a directory looks like that is created without the bits of `umask`.
    pub(super) fn of_directory(creation: &Creation, umask: u32) -> Self {
        Self::DIRECTORY.changed(creation, creation.directory_mode, umask)
    }

    fn changed(self, creation: &Creation, mode: Option<u32>, umask: u32) -> Self {
        Self {
            uid: creation.uid.unwrap_or(self.uid),
            gid: creation.gid.unwrap_or(self.gid),
            mode: mode.unwrap_or(self.mode) & 0o7777 & !umask,
        }
    }
}
