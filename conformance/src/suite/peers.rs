//! The other servers: how each is configured and started. Loopback only, one account `tide`, everything allowed, logs off.
//! `cargo xtask conformance` installs them below `.tools/peers`.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use super::session::Session;
use crate::subject::{PASSWORD, USER};

/// How long a server may take until it greets.
const START: Duration = Duration::from_secs(10);
/// How long a server may live at most, in seconds, should nobody end it.
const LIFE_SECS: &str = "1200";
/// How often a start is tried: another program may take the free port first.
const TRIES: usize = 3;
/// `secret`, for crypt(3): cheap enough to log in by the hundred.
const CRYPT: &str =
    "$6$conformance$7DtnBCCKT2DSWDHHqE/iw6utRPp/w5BseNU3NVTvnip/jXXC8aWMmEuG5EmH1Ax4X3DUzlUo5ydHMrJKL5MRO1";
/// `nobody` on Debian: whom the files of ProFTPD and Pure-FTPd belong to.
const NOBODY: u32 = 65534;

/// A running server; killed with all its children when dropped.
#[derive(Debug)]
pub(super) struct Peer {
    child: Child,
    /// Its control port.
    pub(super) address: SocketAddr,
    /// What the account sees as its root.
    pub(super) home: PathBuf,
    _folder: TempDir,
}

impl Peer {
    /// Starts `name` on a fresh home. Errors: it is not installed, or it does not greet, with what it printed.
    pub(super) fn start(name: &str) -> Result<Self, String> {
        let mut last = String::new();
        for _ in 0..TRIES {
            match Self::try_start(name) {
                Ok(peer) => return Ok(peer),
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    fn try_start(name: &str) -> Result<Self, String> {
        let tools = tools()?.join("peers").join(name);
        if !tools.is_dir() {
            return Err(format!("{} is missing: `cargo xtask conformance` installs it", tools.display()));
        }
        let (folder, home) = fresh_home().map_err(|error| format!("no home for {name}: {error}"))?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(|error| format!("no free port: {error}"))?;
        let room = Room { tools: &tools, folder: folder.path(), home: &home, address };
        let words = match name {
            "vsftpd" => room.vsftpd(),
            "proftpd" => room.proftpd(),
            "pure-ftpd" => room.pure_ftpd(),
            _ => Ok(room.pyftpdlib()),
        };
        let words = words.map_err(|error| format!("cannot configure {name}: {error}"))?;
        let printed = folder.path().join("printed");
        let sink = File::create(&printed).map_err(|error| error.to_string())?;
        let child = Command::new("timeout")
            .args(["--signal=KILL", LIFE_SECS])
            .args(&words)
            .env("LD_LIBRARY_PATH", tools.join("usr/lib").join(multiarch()))
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(sink.try_clone().map_err(|error| error.to_string())?)
            .stderr(sink)
            .spawn()
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        let mut peer = Self { child, address, home, _folder: folder };
        peer.wait().map_err(|why| {
            format!("{name} {why}; it printed:\n{}", fs::read_to_string(&printed).unwrap_or_default())
        })?;
        Ok(peer)
    }

    /// Waits until it greets.
    fn wait(&mut self) -> Result<(), String> {
        let until = Instant::now() + START;
        loop {
            let greeting = Session::connect(self.address).and_then(|mut session| session.reply());
            if greeting.is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("ended at once: {status}"));
            }
            if Instant::now() >= until {
                return Err(format!("greets nobody after {} s", START.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended meanwhile, which is what is wanted.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// Returns Debian's name for this machine's libraries.
fn multiarch() -> String {
    format!("{}-linux-gnu", std::env::consts::ARCH)
}

/// Returns the folder that `cargo xtask` installs into.
fn tools() -> Result<PathBuf, String> {
    let told = std::env::var_os("TIDEGATE_TOOLS").map(PathBuf::from);
    let beside = || {
        let here = std::env::current_dir().ok()?;
        here.ancestors().map(|folder| folder.join(".tools")).find(|folder| folder.is_dir())
    };
    let found = told
        .or_else(beside)
        .ok_or("no folder .tools: set TIDEGATE_TOOLS or run `cargo xtask conformance`")?;
    fs::canonicalize(&found).map_err(|error| format!("{}: {error}", found.display()))
}

/// Makes a folder that every account may enter, with a home that every account may change.
fn fresh_home() -> std::io::Result<(TempDir, PathBuf)> {
    let folder = TempDir::new()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    let home = folder.path().join("home");
    fs::create_dir(&home)?;
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777))?;
    std::os::unix::fs::chown(&home, Some(NOBODY), Some(NOBODY))?;
    Ok((folder, home))
}

/// Where one server lives.
struct Room<'a> {
    tools: &'a Path,
    folder: &'a Path,
    home: &'a Path,
    address: SocketAddr,
}

impl Room<'_> {
    fn write(&self, name: &str, text: &str, mode: u32) -> std::io::Result<String> {
        let path = self.folder.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(path.display().to_string())
    }

    /// vsftpd asks PAM, and PAM reads only `/etc/pam.d`: in a mount namespace of its own that is a folder with one service. The
    /// account is a guest, who may do what a local user may.
    fn vsftpd(&self) -> std::io::Result<Vec<String>> {
        let program = self.tools.join("usr/sbin/vsftpd");
        let passwords = self.write("passwd", &format!("{USER}:{CRYPT}\n"), 0o600)?;
        let pam = self.folder.join("pam.d");
        fs::create_dir(&pam)?;
        let module = self.tools.join("lib").join(multiarch()).join("security/pam_pwdfile.so");
        let rules = format!(
            "auth required {} pwdfile={passwords}\naccount required pam_permit.so\n",
            module.display()
        );
        self.write("pam.d/conformance", &rules, 0o644)?;
        let empty = self.folder.join("empty");
        fs::create_dir(&empty)?;
        let config = format!(
            "listen=YES\nlisten_ipv6=NO\nlisten_address={}\nlisten_port={}\nbackground=NO\nanonymous_enable=NO\nlocal_enable=YES\n\
             guest_enable=YES\nguest_username=daemon\nvirtual_use_local_privs=YES\nlocal_root={}\nchroot_local_user=YES\n\
             allow_writeable_chroot=YES\npam_service_name=conformance\nsecure_chroot_dir={}\nwrite_enable=YES\nlocal_umask=022\n\
             ascii_upload_enable=YES\nascii_download_enable=YES\nmdtm_write=YES\nasync_abor_enable=YES\nxferlog_enable=NO\n\
             syslog_enable=NO\nmax_clients=0\nmax_per_ip=0\nseccomp_sandbox=NO\nisolate=NO\nisolate_network=NO\nutf8_filesystem=YES\n",
            self.address.ip(),
            self.address.port(),
            self.home.display(),
            empty.display()
        );
        let config = self.write("vsftpd.conf", &config, 0o600)?;
        let line =
            format!("mount --bind {} /etc/pam.d && exec {} {config}", pam.display(), program.display());
        Ok(["unshare", "--mount", "sh", "-c", &line].map(str::to_owned).to_vec())
    }

    fn proftpd(&self) -> std::io::Result<Vec<String>> {
        let passwords = format!("{USER}:{CRYPT}:{NOBODY}:{NOBODY}::{}:/bin/false\n", self.home.display());
        let passwords = self.write("passwd", &passwords, 0o600)?;
        let (folder, tools) = (self.folder.display(), self.tools.display());
        let config = format!(
            "ModulePath {tools}/usr/lib/proftpd\nServerName conformance\nServerType standalone\nDefaultAddress {}\nPort {}\n\
             UseIPv6 off\n<IfModule mod_lang.c>\nLangPath {tools}/usr/share/locale\n</IfModule>\n\
             UseReverseDNS off\nUser nobody\nGroup nogroup\nAuthOrder mod_auth_file.c\nAuthUserFile {passwords}\nRequireValidShell off\n\
             DefaultRoot ~\nAllowOverwrite on\nAllowStoreRestart on\nAllowRetrieveRestart on\nUmask 022\nMaxInstances 200\n\
             ScoreboardFile {folder}/scoreboard\nPidFile {folder}/pid\nSystemLog none\nTransferLog none\nWtmpLog off\n\
             <IfModule mod_delay.c>\nDelayEngine off\n</IfModule>\n",
            self.address.ip(),
            self.address.port()
        );
        let config = self.write("proftpd.conf", &config, 0o600)?;
        let program = self.tools.join("usr/sbin/proftpd").display().to_string();
        Ok(vec![program, "--nodaemon".into(), "--quiet".into(), "--config".into(), config])
    }

    fn pure_ftpd(&self) -> std::io::Result<Vec<String>> {
        let line = format!("{USER}:{CRYPT}:{NOBODY}:{NOBODY}::{}/./::::::::::::\n", self.home.display());
        let passwords = self.write("passwd", &line, 0o600)?;
        let database = self.folder.join("database").display().to_string();
        let made = Command::new(self.tools.join("usr/bin/pure-pw"))
            .args(["mkdb", &database, "-f", &passwords])
            .stdin(Stdio::null())
            .output()?;
        if !made.status.success() {
            return Err(std::io::Error::other(String::from_utf8_lossy(&made.stderr).into_owned()));
        }
        let program = self.tools.join("usr/sbin/pure-ftpd").display().to_string();
        let listen = format!("{},{}", self.address.ip(), self.address.port());
        let own = [
            "-S",
            &listen,
            "-l",
            &format!("puredb:{database}"),
            "-g",
            &format!("{}/pid", self.folder.display()),
        ];
        let rest = ["-A", "-E", "-H", "-c", "200", "-f", "none", "-Y", "0", "-u", "1"];
        Ok(std::iter::once(program).chain(own.iter().chain(&rest).map(ToString::to_string)).collect())
    }

    fn pyftpdlib(&self) -> Vec<String> {
        let program = self.tools.join("bin/python").display().to_string();
        let port = self.address.port().to_string();
        let home = self.home.display().to_string();
        let rest = [
            "-m",
            "pyftpdlib",
            "-i",
            "127.0.0.1",
            "-p",
            &port,
            "-w",
            "-d",
            &home,
            "-u",
            USER,
            "-P",
            PASSWORD,
        ];
        std::iter::once(program).chain(rest.map(str::to_owned)).collect()
    }
}
