//! What the tests need from outside, in one table, and how it comes onto the machine.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::process::{self, Echo};
use crate::workspace::Workspace;

const PROBE_LIMIT: Duration = Duration::from_secs(30);
const INSTALL_LIMIT: Duration = Duration::from_mins(10);

/// Who needs a tool. `cargo xtask test` installs nothing for the bench alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Test,
    Bench,
    /// The servers that the conformance suite is run against.
    Peers,
}

/// Where a tool comes from.
#[derive(Clone, Copy)]
enum Source {
    /// A Debian package, for the whole machine; needs root.
    Apt(&'static str),
    /// A component of the Rust toolchain.
    Rustup(&'static str),
    /// A pinned row of `xtask/tools/package.json`, installed into `.tools/node`.
    Npm,
    /// A pinned row of `xtask/tools/requirements.txt`, installed into the venv `.tools/python`.
    Pip,
    /// Debian packages, unpacked below `.tools/peers` into a folder of the tool's name.
    Unpacked(&'static [&'static str]),
    /// A pinned row of `xtask/tools/peers-requirements.txt`, installed into the venv `.tools/peers/pyftpdlib`.
    PeerPip,
}

/// One tool. It is there when `probe`, run in `.tools` by `sh`, prints `says`.
struct Tool {
    name: &'static str,
    probe: &'static str,
    says: &'static str,
    source: Source,
    need: Need,
    used_for: &'static str,
}

/// Order matters: npm and pip come after what they need themselves.
const TOOLS: [Tool; 22] = [
    tool("rustfmt", "cargo fmt --version", "rustfmt", Source::Rustup("rustfmt"), "the format step"),
    tool("clippy", "cargo clippy --version", "clippy", Source::Rustup("clippy"), "the clippy step"),
    tool("curl", "curl --version", " ftp", Source::Apt("curl"), "interop: curl"),
    tool("lftp", "lftp --version", "LFTP", Source::Apt("lftp"), "interop: lftp mirror"),
    tool("wget", "wget --version", "GNU Wget", Source::Apt("wget"), "interop: wget"),
    tool("tnftp", "command -v tnftp", "tnftp", Source::Apt("tnftp"), "interop: the classic client"),
    tool(
        "rclone",
        "rclone --config= version",
        "rclone v",
        Source::Apt("rclone"),
        "interop: the strictest about codes",
    ),
    tool("strace", "strace -V", "strace", Source::Apt("strace"), "order of write, fsync, rename"),
    tool(
        "unshare",
        "unshare --version",
        "unshare",
        Source::Apt("util-linux"),
        "a full disk, a read-only disk",
    ),
    tool(
        "python3",
        "python3 -c 'import ftplib; print(\"ftplib\")'",
        "ftplib",
        Source::Apt("python3"),
        "interop: ftplib",
    ),
    tool(
        "venv",
        "python3 -c 'import ensurepip; print(\"venv\")'",
        "venv",
        Source::Apt("python3-venv"),
        "the venv",
    ),
    tool("node", "node --version", "v", Source::Apt("nodejs"), "interop: basic-ftp"),
    tool("npm", "npm --version", ".", Source::Apt("npm"), "installing basic-ftp"),
    tool(
        "basic-ftp",
        "cmp ../xtask/tools/package-lock.json node/package-lock.json && cd node && node -e 'require(\"basic-ftp\"); console.log(\"basic-ftp\")'",
        "basic-ftp",
        Source::Npm,
        "interop: basic-ftp",
    ),
    tool(
        "ftputil",
        "cmp ../xtask/tools/requirements.txt python/requirements.txt && python/bin/python -c 'import ftputil; print(\"ftputil\")'",
        "ftputil",
        Source::Pip,
        "interop: a Python LIST parser",
    ),
    // Unpacked, not installed: their packages would start a service.
    tool(
        "haproxy",
        "cat peers/haproxy/VERSION && test -x peers/haproxy/usr/sbin/haproxy",
        ".",
        Source::Unpacked(&["haproxy"]),
        "interop: a balancer in front",
    ),
    tool(
        "prometheus",
        "cat peers/prometheus/VERSION && test -x peers/prometheus/usr/bin/promtool",
        ".",
        Source::Unpacked(&["prometheus"]),
        "interop: promtool checks metrics and alert rules",
    ),
    Tool {
        name: "vsftpd",
        probe: "PATH=$PATH:/usr/sbin; command -v vsftpd",
        says: "vsftpd",
        source: Source::Apt("vsftpd"),
        need: Need::Bench,
        used_for: "the bench's neighbour",
    },
    peer("vsftpd", "cat peers/vsftpd/VERSION", ".", Source::Unpacked(&["vsftpd", "libpam-pwdfile"])),
    peer("proftpd", "cat peers/proftpd/VERSION", ".", Source::Unpacked(&["proftpd-core"])),
    peer("pure-ftpd", "cat peers/pure-ftpd/VERSION", ".", Source::Unpacked(&["pure-ftpd"])),
    peer(
        "pyftpdlib",
        "cmp ../xtask/tools/peers-requirements.txt peers/pyftpdlib/peers-requirements.txt && peers/pyftpdlib/bin/python -c 'import pyftpdlib; print(\"pyftpdlib\")'",
        "pyftpdlib",
        Source::PeerPip,
    ),
];

const fn peer(name: &'static str, probe: &'static str, says: &'static str, source: Source) -> Tool {
    Tool { name, probe, says, source, need: Need::Peers, used_for: "the conformance table" }
}

const fn tool(
    name: &'static str,
    probe: &'static str,
    says: &'static str,
    source: Source,
    used_for: &'static str,
) -> Tool {
    Tool { name, probe, says, source, need: Need::Test, used_for }
}

/// Installs what is missing of the tools for `needs`; returns one line that says what was there and what came.
/// Errors: something is still missing, with the names of the packages.
pub(crate) fn install(workspace: &Workspace, needs: &[Need]) -> Result<String> {
    let home = workspace.tools();
    fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display()))?;
    let wanted: Vec<&Tool> = TOOLS.iter().filter(|tool| needs.contains(&tool.need)).collect();
    let missing: Vec<&Tool> = wanted.iter().copied().filter(|tool| !is_there(&home, tool)).collect();
    if missing.is_empty() {
        return Ok(format!("{} tools, all there", wanted.len()));
    }
    let names = |tools: &[&Tool]| tools.iter().map(|tool| tool.name).collect::<Vec<_>>().join(", ");
    println!("missing: {}", names(&missing));

    let from = |pick: fn(&Source) -> Option<&'static str>| -> Vec<&'static str> {
        missing.iter().filter_map(|tool| pick(&tool.source)).collect()
    };
    install_packages(&from(|source| if let Source::Apt(package) = source { Some(package) } else { None }))?;
    install_components(&from(|source| if let Source::Rustup(name) = source { Some(name) } else { None }))?;
    if missing.iter().any(|tool| matches!(tool.source, Source::Npm)) {
        install_node_clients(workspace)?;
    }
    if missing.iter().any(|tool| matches!(tool.source, Source::Pip)) {
        install_python(workspace, "python", "requirements.txt")?;
    }
    install_peers(workspace, &missing)?;

    let still: Vec<&Tool> = missing.iter().copied().filter(|tool| !is_there(&home, tool)).collect();
    if !still.is_empty() {
        for tool in &still {
            println!(
                "still missing after the install: {} ({}); probed with: {}",
                tool.name, tool.used_for, tool.probe
            );
        }
        bail!("missing tools: {}", names(&still));
    }
    Ok(format!("{} tools, installed now: {}", wanted.len(), names(&missing)))
}

fn is_there(home: &Path, tool: &Tool) -> bool {
    let mut command = Command::new("sh");
    command.current_dir(home).args(["-c", tool.probe]);
    process::run(&mut command, PROBE_LIMIT, Echo::Quiet)
        .is_ok_and(|outcome| outcome.success && outcome.text.contains(tool.says))
}

/// Installs Debian packages. Errors: not root, or apt-get failed; both name the packages.
fn install_packages(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    let by_hand = format!("install by hand: apt-get install -y --no-install-recommends {list}");
    ensure!(
        rustix::process::geteuid().is_root(),
        "not root, so these packages cannot be installed; {by_hand}"
    );
    let mut update = Command::new("apt-get");
    update.args(["-q", "update"]);
    must(&mut update).with_context(|| by_hand.clone())?;
    let mut install = Command::new("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "install", "-y", "--no-install-recommends"]);
    install.args(packages);
    must(&mut install).with_context(|| by_hand)
}

fn install_components(components: &[&str]) -> Result<()> {
    if components.is_empty() {
        return Ok(());
    }
    let mut command = Command::new("rustup");
    command.args(["component", "add"]).args(components);
    must(&mut command).with_context(|| format!("add to the Rust toolchain: {}", components.join(" ")))
}

fn install_node_clients(workspace: &Workspace) -> Result<()> {
    let home = workspace.tools().join("node");
    copy_pins(workspace, &home, &["package.json", "package-lock.json"])?;
    let mut command = Command::new("npm");
    command.current_dir(&home).args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]);
    must(&mut command).context("the packages of xtask/tools/package.json could not be installed")
}

/// Makes the venv `folder` below `.tools` and installs into it what `pins` lists.
fn install_python(workspace: &Workspace, folder: &str, pins: &str) -> Result<()> {
    let home = workspace.tools().join(folder);
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(&home);
    must(&mut venv).with_context(|| format!("the venv .tools/{folder} could not be made"))?;
    let mut pip = Command::new(home.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--require-hashes",
        "-r",
    ]);
    pip.arg(workspace.root.join("xtask/tools").join(pins));
    must(&mut pip).with_context(|| format!("the packages of xtask/tools/{pins} could not be installed"))?;
    copy_pins(workspace, &home, &[pins])
}

/// Installs the servers among `missing` below `.tools/peers`.
fn install_peers(workspace: &Workspace, missing: &[&Tool]) -> Result<()> {
    for tool in missing {
        match tool.source {
            Source::Unpacked(packages) => {
                let mut command = Command::new(workspace.root.join("xtask/tools/unpack-peer.sh"));
                command.arg(workspace.tools().join("peers").join(tool.name)).args(packages);
                must(&mut command).with_context(|| format!("{} could not be unpacked", tool.name))?;
            }
            Source::PeerPip => install_python(workspace, "peers/pyftpdlib", "peers-requirements.txt")?,
            _ => {}
        }
    }
    Ok(())
}

/// Copies files of `xtask/tools` so that a probe sees which pins are installed.
fn copy_pins(workspace: &Workspace, home: &Path, names: &[&str]) -> Result<()> {
    fs::create_dir_all(home).with_context(|| format!("cannot create {}", home.display()))?;
    for name in names {
        fs::copy(workspace.root.join("xtask/tools").join(name), home.join(name))
            .with_context(|| format!("cannot copy xtask/tools/{name}"))?;
    }
    Ok(())
}

/// Runs an installer; on failure the error carries the end of what it said.
fn must(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let outcome = process::run(command, INSTALL_LIMIT, Echo::Quiet)?;
    if outcome.success {
        return Ok(());
    }
    let lines: Vec<&str> = outcome.text.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n");
    bail!("{shown} failed:\n{tail}")
}
