//! Turns what was typed, what the file says and what the world is like into one plan, without doing anything.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use tidegate_admission::Overload;
use tidegate_types::{Creation, Rights, UploadStyle};

use crate::args::ServeArgs;
use crate::config::{
    Bounds, Config, Durability, Effective, Files, Limits, LogFormat, Needs, Network, PassiveAddress,
    PathKind, Place, PortRange, RateLimit, Secret, Timeouts, Users, derive_rows,
};

mod rows;
#[cfg(test)]
pub mod testing;

/// The account that `serve DIR` makes.
pub const FRESH_ACCOUNT: &str = "tide";
/// The folder that `serve` makes itself.
pub const DEMO: &str = "demo";

/// Everything the server needs to know, decided.
#[derive(Clone, Debug)]
pub struct ServePlan {
    /// Where to listen; at least one.
    pub listeners: Vec<PlannedListener>,
    /// Who may log in with a password.
    pub accounts: Vec<PlannedAccount>,
    /// What anonymous may do; `None`: it may not log in.
    pub anonymous: Option<PlannedAnonymous>,
    /// Most connections in all; at least 1.
    pub connections: u32,
    /// The descriptor limit that `connections` follows from; `None` when the configuration says it.
    pub connections_from_descriptors: Option<u64>,
    /// How many may enter, how fast, and who is treated otherwise; `connections` above decides the total.
    pub limits: Limits,
    /// When the machine is overloaded.
    pub overload: Overload,
    /// The descriptors that are needed.
    pub needs: Needs,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// What is synced before 226.
    pub durability: Durability,
    /// How files are kept and what is offered.
    pub files: Files,
    /// Permission bits the process withholds from what it creates.
    pub umask: u32,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// Where the running server can be looked into.
    pub admin: PlannedAdmin,
    /// Where what outlives a restart is kept.
    pub state: Place,
    /// Every value in force with where it came from, in the order of the manual.
    pub effective: Vec<Effective>,
    /// The configuration file, as it was named; `None`: there is none.
    pub file: Option<PathBuf>,
    /// The text of the 220.
    pub greeting: String,
    /// The folder to make and fill first, if it is still missing.
    pub demo: Option<PathBuf>,
    /// Whether the folder has the demo's README.txt and incoming/, for the lines to try.
    pub has_samples: bool,
    /// The password of [`FRESH_ACCOUNT`], to be shown once on the start screen and nowhere else.
    pub fresh_password: Option<Secret>,
    /// What the operator should know, one sentence each.
    pub notices: Vec<String>,
}

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedListener {
    /// Where clients connect.
    pub address: SocketAddr,
    /// Ports for data connections; `None`: any free ones.
    pub passive_ports: Option<PortRange>,
    /// The address a PASV reply tells.
    pub passive_address: PassiveAddress,
    /// What it tells clients from some networks instead.
    pub passive_address_for: Vec<(Network, PassiveAddress)>,
    /// Who must speak the PROXY protocol; empty: nobody.
    pub trusted_proxies: Vec<IpNet>,
    /// Its own limits.
    pub limits: PlannedEntrance,
    /// Those that are counted and not enforced.
    pub shadow: PlannedEntrance,
}

/// The limits of one listener; `None`: no such limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlannedEntrance {
    /// Most connections.
    pub connections: Option<u32>,
    /// New connections in a time.
    pub connection_rate: Option<RateLimit>,
}

/// Where the running server can be looked into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlannedAdmin {
    /// Where the control commands connect.
    pub socket: Place,
    /// Where health and metrics are told; `None`: nowhere.
    pub http: Option<SocketAddr>,
    /// Where load balancers ask; `None`: nowhere.
    pub agent: Option<SocketAddr>,
}

/// One account.
#[derive(Clone, Debug)]
pub struct PlannedAccount {
    /// What the client sends with USER.
    pub name: String,
    /// The argon2id hash of its password.
    pub password_hash: Secret,
    /// What it sees as `/`; absolute.
    pub home: PathBuf,
    /// What it may do.
    pub rights: Rights,
    /// Most connections at a time; `None`: no such limit.
    pub max_connections: Option<u32>,
    /// How its files are replaced.
    pub upload: UploadStyle,
    /// What it creates looks like.
    pub creation: Creation,
}

/// The anonymous login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedAnonymous {
    /// What it sees as `/`; absolute.
    pub home: PathBuf,
    /// What it may do.
    pub rights: Rights,
    /// Most connections at a time; `None`: no such limit.
    pub max_connections: Option<u32>,
}

/// A password that was just made.
#[derive(Clone, Debug)]
pub struct FreshPassword {
    /// The password itself.
    pub password: Secret,
    /// Its argon2id hash.
    pub hash: Secret,
}

/// What the plan needs to know about the machine.
pub trait World: Users {
    /// Returns how many descriptors the process may open.
    fn descriptor_limit(&self) -> u64;
    /// Returns the permission bits the process withholds from what it creates.
    fn umask(&self) -> u32;
    /// Tells what stands at a path.
    fn kind_of(&self, path: &Path) -> PathKind;
    /// Returns the path made absolute from the working folder.
    fn absolute(&self, path: &Path) -> PathBuf;
    /// Makes a password. Errors: a sentence about what failed.
    fn fresh_password(&self) -> Result<FreshPassword, String>;
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// What was typed is not enough.
    Usage {
        /// What is missing.
        what: String,
        /// What to type.
        hint: String,
    },
    /// The machine is not as it must be.
    World {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
}

/// Decides what to serve. `config` is the checked file of `--config`, if one was named.
pub fn plan(args: &ServeArgs, config: Option<&Config>, world: &dyn World) -> Result<ServePlan, PlanError> {
    let dir = args.dir.as_deref().map(|dir| served_folder(dir, world)).transpose()?;
    match (config, &dir) {
        (None, None) => Err(PlanError::Usage {
            what: "serve needs a folder or a configuration file".into(),
            hint: "tidegate serve DIR, or tidegate serve --config FILE; to try it: tidegate serve demo"
                .into(),
        }),
        (Some(config), _) => from_config(args, config, dir.as_ref(), world),
        (None, Some(folder)) => from_folder(args, folder, world),
    }
}

/// The folder named on the command line.
struct Folder {
    path: PathBuf,
    is_new_demo: bool,
    has_samples: bool,
}

/// Finds the folder. Errors: it is missing (and not the demo) or no folder.
fn served_folder(dir: &Path, world: &dyn World) -> Result<Folder, PlanError> {
    let shown = crate::escape::for_people(&dir.to_string_lossy());
    let path = world.absolute(dir);
    match world.kind_of(&path) {
        PathKind::Folder => {
            let has_samples = dir == Path::new(DEMO)
                && world.kind_of(&path.join("README.txt")) == PathKind::Other
                && world.kind_of(&path.join("incoming")) == PathKind::Folder;
            Ok(Folder { path, is_new_demo: false, has_samples })
        }
        PathKind::Missing if dir == Path::new(DEMO) => {
            Ok(Folder { path, is_new_demo: true, has_samples: true })
        }
        PathKind::Missing => Err(PlanError::World {
            what: format!("the folder {shown} does not exist"),
            hint: format!("create it (mkdir -p {shown}) and start again, or try tidegate serve demo"),
        }),
        PathKind::Other => Err(PlanError::World {
            what: format!("{shown} is not a folder"),
            hint: "name the folder that holds the files".into(),
        }),
    }
}

/// `serve DIR` without a file: anonymous reads on loopback, `tide` does everything.
fn from_folder(args: &ServeArgs, folder: &Folder, world: &dyn World) -> Result<ServePlan, PlanError> {
    let defaults = Config::defaults();
    let fresh = world.fresh_password().map_err(|what| PlanError::World {
        what: format!("no password could be made: {what}"),
        hint: "start with --config FILE and a password_hash of your own".into(),
    })?;
    let mut plan = skeleton(args, &defaults, world);
    plan.demo = folder.is_new_demo.then(|| folder.path.clone());
    plan.has_samples = folder.has_samples;
    plan.accounts = vec![PlannedAccount {
        name: FRESH_ACCOUNT.into(),
        password_hash: fresh.hash,
        home: folder.path.clone(),
        rights: Rights::ALL,
        max_connections: None,
        upload: UploadStyle::Atomic,
        creation: Creation::default(),
    }];
    plan.fresh_password = Some(fresh.password);
    // Without a file there is no name under which it would be found again.
    plan.state = Place::Off;
    if plan.listeners.iter().all(|listener| is_loopback(listener.address.ip())) {
        plan.anonymous = Some(PlannedAnonymous {
            home: folder.path.clone(),
            rights: Rights::READ_ONLY,
            max_connections: None,
        });
    } else {
        plan.notices.push(
            "Anonymous is off, because other machines can connect; a configuration file can turn it on."
                .into(),
        );
    }
    rows::without_file(&mut plan, folder, world.umask());
    Ok(plan)
}

/// `serve --config FILE`: DIR replaces the root, `--listen` the listeners.
fn from_config(
    args: &ServeArgs,
    config: &Config,
    dir: Option<&Folder>,
    world: &dyn World,
) -> Result<ServePlan, PlanError> {
    let mut plan = skeleton(args, config, world);
    plan.demo = dir.filter(|folder| folder.is_new_demo).map(|folder| folder.path.clone());
    let root = config.root.as_ref().map(|root| root.value.clone());
    // A home that stands in the file is kept; one that came from `root` follows the folder of the command line.
    let home_of = |home: Option<&crate::config::Setting<PathBuf>>, who: &str| {
        let written = home.filter(|home| home.at.is_some()).map(|home| home.value.clone());
        let replaced = dir.map(|folder| folder.path.clone());
        written.or(replaced).or_else(|| root.clone()).ok_or_else(|| PlanError::World {
            what: format!("{who} has no home"),
            hint: "add `root` to the configuration file, or name a folder: tidegate serve DIR --config FILE"
                .into(),
        })
    };
    for account in &config.accounts {
        plan.accounts.push(PlannedAccount {
            name: account.name.value.clone(),
            password_hash: account.password_hash.clone(),
            home: home_of(account.home.as_ref(), &account.label)?,
            rights: account.rights,
            max_connections: account.max_connections.as_ref().map(|count| count.value),
            upload: account.upload,
            creation: account.creation,
        });
    }
    let anonymous = &config.anonymous;
    if anonymous.enabled.value {
        plan.anonymous = Some(PlannedAnonymous {
            home: home_of(anonymous.home.as_ref(), "anonymous")?,
            rights: anonymous.rights,
            max_connections: anonymous.max_connections.as_ref().map(|count| count.value),
        });
    }
    if config.has_listeners && !args.listen.is_empty() {
        plan.notices.push(
            "--listen replaces every [[listener]] of the file, with its passive ports and address.".into(),
        );
    }
    if let Some(folder) = dir {
        rows::with_folder(&mut plan, folder);
    }
    Ok(plan)
}

/// Returns the plan without anybody who may log in.
fn skeleton(args: &ServeArgs, config: &Config, world: &dyn World) -> ServePlan {
    let listeners: Vec<PlannedListener> = if args.listen.is_empty() {
        config.listeners.iter().map(PlannedListener::of).collect()
    } else {
        args.listen.iter().map(|address| PlannedListener::plain(*address)).collect()
    };
    let mut notices = Vec::new();
    if listeners.iter().any(|listener| !is_loopback(listener.address.ip())) {
        notices.push("There is no TLS in this version: passwords and files travel unencrypted.".into());
    }
    let bounds = Bounds::new(&config.limits, listeners.iter().map(|listener| listener.passive_ports));
    let connections = match &config.limits.connections {
        Some(connections) => connections.value,
        None => bounds.connections_for(world.descriptor_limit()),
    };
    let needs = Needs::new(connections, bounds, &config.overload, world.descriptor_limit());
    let mut effective = config.effective.clone();
    rows::with_listeners(&mut effective, &args.listen);
    derive_rows(&mut effective, &needs, world.umask());
    let admin = &config.admin;
    ServePlan {
        listeners,
        accounts: Vec::new(),
        anonymous: None,
        connections,
        connections_from_descriptors: config.limits.connections.is_none().then(|| world.descriptor_limit()),
        limits: config.limits.clone(),
        overload: config.overload,
        needs,
        timeouts: config.timeouts,
        durability: config.durability,
        files: config.files.clone(),
        umask: world.umask(),
        log_format: config.log_format,
        admin: PlannedAdmin {
            socket: admin.socket.value.clone(),
            http: admin.http.as_ref().map(|http| http.value.0),
            agent: admin.agent.as_ref().map(|agent| agent.value.0),
        },
        state: config.state.value.clone(),
        effective,
        file: args.config.clone(),
        greeting: config.greeting.clone(),
        demo: None,
        has_samples: false,
        fresh_password: None,
        notices,
    }
}

impl PlannedListener {
    /// Returns a listener with nothing but its address.
    pub fn plain(address: SocketAddr) -> Self {
        Self {
            address,
            passive_ports: None,
            passive_address: PassiveAddress::Auto,
            passive_address_for: Vec::new(),
            trusted_proxies: Vec::new(),
            limits: PlannedEntrance::default(),
            shadow: PlannedEntrance::default(),
        }
    }

    fn of(listener: &crate::config::Listener) -> Self {
        let exceptions = listener.passive_address_for.iter();
        Self {
            address: listener.address.value.0,
            passive_ports: listener.passive_ports.as_ref().map(|ports| ports.value),
            passive_address: listener.passive_address.clone(),
            passive_address_for: exceptions
                .map(|exception| (exception.from.value, exception.address.clone()))
                .collect(),
            trusted_proxies: listener.trusted_proxies.value.0.clone(),
            limits: PlannedEntrance {
                connections: listener.connections.as_ref().map(|count| count.value),
                connection_rate: listener.connection_rate.as_ref().map(|rate| rate.value),
            },
            shadow: PlannedEntrance {
                connections: listener.shadow.connections.as_ref().map(|count| count.value),
                connection_rate: listener.shadow.connection_rate.as_ref().map(|rate| rate.value),
            },
        }
    }
}

/// Returns whether only this machine can reach `address`.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Returns the address to type on this machine for one that was bound: the loopback of its family when it stands for all.
pub fn reachable(bound: SocketAddr) -> SocketAddr {
    match bound.ip() {
        // A dual-stack listener takes IPv4 too, which every machine has.
        ip if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), bound.port()),
        _ => bound,
    }
}

#[cfg(test)]
mod tests;
