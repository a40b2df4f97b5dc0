//! Which control groups this process is in.

use std::path::{Component, Path, PathBuf};

use super::memory::{self, MemoryReading};

/// Where the groups of this process have their files; `None`: it is in none of that kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Membership {
    unified: Option<Place>,
    memory_v1: Option<Place>,
}

/// A group below the folder where its hierarchy is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    mount: PathBuf,
    /// Relative to the mount.
    group: PathBuf,
}

impl Membership {
    /// Reads `text`, the contents of `/proc/self/cgroup`, of the machine whose `sys` is below `root`.
    pub(super) fn parse(root: &Path, text: &str) -> Self {
        let mounts = root.join("sys/fs/cgroup");
        // Beside version 1, version 2 is mounted one folder deeper.
        let deeper = mounts.join("unified");
        let v2_mount = if deeper.join("cgroup.controllers").exists() { deeper } else { mounts.clone() };
        let mut membership = Self::default();
        for line in text.lines() {
            let mut fields = line.splitn(3, ':');
            let (Some(number), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            if number == "0" && controllers.is_empty() {
                membership.unified = Some(Place::new(&v2_mount, path));
            } else if controllers.split(',').any(|controller| controller == "memory") {
                membership.memory_v1 = Some(Place::new(&mounts.join("memory"), path));
            }
        }
        membership
    }

    /// Returns the folders of the group of version 2 and of those above it, the closest first. Some may not exist.
    pub(super) fn unified_levels(&self) -> impl Iterator<Item = PathBuf> {
        self.unified.iter().flat_map(Place::levels)
    }

    /// Returns the reading of the fullest group with a limit below `total_bytes`, the memory of the machine.
    pub(super) fn tightest_memory(&self, total_bytes: u64) -> Option<MemoryReading> {
        let v2 = self.unified_levels().filter_map(|level| memory::of_group(&level, &memory::V2, total_bytes));
        let v1 = self.memory_v1.iter().flat_map(Place::levels);
        let v1 = v1.filter_map(|level| memory::of_group(&level, &memory::V1, total_bytes));
        v2.chain(v1).max_by_key(MemoryReading::fullness_ppm)
    }
}

impl Place {
    fn new(mount: &Path, path: &str) -> Self {
        let group = Path::new(path.trim_start_matches('/'));
        // `/../other` stands for a group outside of what this process can see: only the mount itself is known.
        let is_below = group.components().all(|part| matches!(part, Component::Normal(_)));
        Self { mount: mount.to_owned(), group: if is_below { group.to_owned() } else { PathBuf::new() } }
    }

    /// In a container the path may be the host's while only its own group is mounted: then the upper levels alone exist, and the
    /// mount is the group.
    fn levels(&self) -> impl Iterator<Item = PathBuf> {
        self.group.ancestors().map(|group| self.mount.join(group))
    }
}
