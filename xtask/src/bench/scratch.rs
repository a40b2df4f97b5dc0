//! The folder on tmpfs, and the guardian that removes it and kills the servers however the bench ends.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::servers::Kind;

/// Where Linux has a tmpfs for everybody.
const TMPFS: &str = "/dev/shm";
/// The file to download, and what is uploaded.
pub(super) const SOURCE: &str = "source.bin";
const BLOCK_BYTES: usize = 1024 * 1024;

/// Reads process groups, one a line; at the end of its input, which comes when the bench ends in whatever way (also by
/// Ctrl-C, a panic or kill -9), kills them and removes the folder. `done` says that the groups have ended by themselves.
const GUARDIAN: &str = r#"
trap '' HUP INT TERM
groups=
while read -r word; do
    if [ "$word" = done ]; then groups=; else groups="$groups -$word"; fi
done
[ -z "$groups" ] || kill -s KILL -- $groups 2>/dev/null
rm -rf -- "$1"
"#;

/// A folder on tmpfs: `home` is what the servers serve. Dropping it waits until it is removed.
pub(crate) struct Scratch {
    /// How long the file is.
    pub(super) bytes: u64,
    guardian: Guardian,
    // After the guardian: by then it is empty, and this only covers a guardian that failed.
    folder: TempDir,
}

impl Scratch {
    /// Makes the folder, the file of `bytes` and a folder for the uploads of each server.
    /// Errors: tmpfs or memory is too small for the file, a copy for each of `servers` and one under way.
    pub(crate) fn make(bytes: u64, servers: usize) -> Result<Self> {
        has_room(bytes.saturating_mul(servers as u64 + 2))?;
        let folder = tempfile::Builder::new()
            .prefix("tidegate-bench-")
            .tempdir_in(TMPFS)
            .with_context(|| format!("cannot make a folder in {TMPFS}"))?;
        let guardian = Guardian::start(folder.path())?;
        let scratch = Self { bytes, guardian, folder };
        // vsftpd serves as another user.
        open_to_all(scratch.folder.path(), 0o755)?;
        make_folder(&scratch.home(), 0o755)?;
        make_folder(&scratch.empty(), 0o755)?;
        for kind in Kind::ALL {
            make_folder(&scratch.home().join(kind.folder()), 0o777)?;
        }
        fill(&scratch.source(), bytes)?;
        Ok(scratch)
    }

    /// What the servers serve.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// A folder with nothing in it, for a server that locks itself up.
    pub(crate) fn empty(&self) -> PathBuf {
        self.folder.path().join("empty")
    }

    /// The file to download and upload.
    pub(super) fn source(&self) -> PathBuf {
        self.home().join(SOURCE)
    }

    /// A file of the bench's own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Has the process group `group` killed when the bench ends.
    pub(crate) fn guard(&self, group: u32) -> Result<()> {
        self.guardian.tell(&group.to_string())
    }
}

struct Guardian {
    shell: Child,
    orders: Option<ChildStdin>,
}

impl Guardian {
    fn start(folder: &Path) -> Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", GUARDIAN, "guardian"])
            .arg(folder)
            // Ctrl-C goes to the group of the terminal: this one must outlive it.
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the guardian")?;
        let orders = shell.stdin.take();
        Ok(Self { shell, orders })
    }

    fn tell(&self, word: &str) -> Result<()> {
        let mut orders = self.orders.as_ref().context("the guardian was sent home")?;
        orders.write_all(format!("{word}\n").as_bytes()).context("the guardian is gone")
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        // The servers were dropped before: their numbers may belong to others soon.
        let _ = self.tell("done");
        drop(self.orders.take());
        let _ = self.shell.wait();
    }
}

fn has_room(wanted: u64) -> Result<()> {
    let stat = rustix::fs::statvfs(TMPFS).with_context(|| format!("cannot ask for the room in {TMPFS}"))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let memory = memory_available().context("cannot read MemAvailable in /proc/meminfo")?;
    ensure!(
        wanted <= free.min(memory),
        "the bench needs {} MiB on {TMPFS}; {} MiB are free there and {} MiB of memory are available: take a smaller --mib",
        wanted >> 20,
        free >> 20,
        memory >> 20
    );
    Ok(())
}

fn memory_available() -> Option<u64> {
    let table = fs::read_to_string("/proc/meminfo").ok()?;
    let line = table.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

fn make_folder(path: &Path, mode: u32) -> Result<()> {
    fs::create_dir(path).with_context(|| format!("cannot make {}", path.display()))?;
    open_to_all(path, mode)
}

/// Sets the mode, whatever the umask is.
fn open_to_all(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .with_context(|| format!("cannot set the mode of {}", path.display()))
}

/// Writes a file without holes, readable by all.
fn fill(path: &Path, bytes: u64) -> Result<()> {
    let block: Vec<u8> = (0..=250).cycle().take(BLOCK_BYTES).collect();
    let mut file = File::create(path).context("cannot make the file")?;
    let mut left = bytes;
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
        file.write_all(block.get(..count).unwrap_or(&block)).context("cannot fill the file")?;
        left -= count as u64;
    }
    open_to_all(path, 0o644)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn nothing_stays_behind() {
        let scratch = Scratch::make(3_000_000, 2).unwrap();
        let folder = scratch.folder.path().to_path_buf();
        assert_eq!(fs::metadata(scratch.source()).unwrap().len(), 3_000_000);
        drop(scratch);
        assert!(!folder.exists());
    }

    /// What happens when the bench is killed: its end of the pipe closes without a word.
    #[test]
    fn when_the_bench_dies_the_guardian_kills_and_removes() {
        let folder = tempfile::tempdir_in(TMPFS).unwrap();
        let mut guardian = Guardian::start(folder.path()).unwrap();
        let mut server = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        guardian.tell(&server.id().to_string()).unwrap();
        drop(guardian.orders.take());
        let deadline = Instant::now() + Duration::from_secs(20);
        while server.try_wait().unwrap().is_none() || folder.path().exists() {
            assert!(Instant::now() < deadline, "the guardian did nothing");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn too_large_a_file_is_refused_before_it_is_written() {
        let error = Scratch::make(1 << 60, 2).err().unwrap();
        assert!(error.to_string().contains("--mib"), "{error}");
    }
}
