//! A server on a port of its own, a storage in memory with faults, and a client that waits for nothing longer than it must.

mod client;
mod memory;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidegate_accounts::{Account, Accounts, Anonymous, hash_password};
use tidegate_server::{
    Extras, Limits, ListenerConfig, PassiveAddress, PortChoice, Rate, Server, ServerConfig, ServerHandle,
    Summary, Timeouts,
};
use tidegate_storage::{Answer, Backend, Storage, Tenant};
use tidegate_storage_local::{LocalBackend, Options};
use tidegate_types::{Creation, Rights, UploadStyle};

pub(crate) use client::{Client, Data, soon};
pub(crate) use memory::Memory;

/// The password of every account.
pub(crate) const PASSWORD: &str = "correct horse";

/// A running server and what it serves.
pub(crate) struct House {
    pub(crate) handle: ServerHandle,
    pub(crate) files: Arc<Memory>,
    pub(crate) address: SocketAddr,
}

/// What differs from test to test.
pub(crate) struct Setup {
    pub(crate) listen: SocketAddr,
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    /// Whether storage gives descriptors, for kernel copies.
    pub(crate) kernel: bool,
    pub(crate) account_connections_max: Option<u32>,
    pub(crate) passive_ports: PortChoice,
    pub(crate) file_bytes_max: Option<u64>,
    pub(crate) command_rate: Option<Rate>,
}

impl Default for Setup {
    fn default() -> Self {
        let long = Duration::from_secs(30);
        Self {
            listen: "127.0.0.1:0".parse().unwrap(),
            limits: Limits::new(100),
            timeouts: Timeouts { login: long, idle: long, data_open: long, data_stall: long },
            kernel: false,
            account_connections_max: None,
            passive_ports: PortChoice::Free,
            file_bytes_max: None,
            command_rate: None,
        }
    }
}

impl Setup {
    pub(crate) fn start(self) -> House {
        let files = Arc::new(Memory::new(self.kernel));
        let backend = Arc::clone(&files) as Arc<dyn Backend>;
        self.start_on(backend, files)
    }

    /// Serves a folder of this machine; `House::files` stays empty.
    pub(crate) fn start_in(self, folder: &Path) -> House {
        let backend = Local {
            inner: LocalBackend::new(Options::default()).unwrap(),
            home: folder.to_str().unwrap().to_owned(),
        };
        self.start_on(Arc::new(backend), Arc::new(Memory::new(false)))
    }

    fn start_on(self, backend: Arc<dyn Backend>, files: Arc<Memory>) -> House {
        let accounts = accounts(self.account_connections_max);
        let config = ServerConfig {
            listeners: vec![ListenerConfig {
                address: self.listen,
                passive_ports: self.passive_ports,
                trusted_proxies: Vec::new(),
                passive_address: PassiveAddress::auto(),
            }],
            greeting: "tidegate ready".into(),
            timeouts: self.timeouts,
            limits: self.limits,
            bans: Vec::new(),
            command_rate: self.command_rate,
            accounts,
            extras: Extras::ALL,
            mode_z: true,
            file_bytes_max: self.file_bytes_max,
            umask: 0o022,
        };
        let handle = Server::start(config, backend).unwrap();
        let address = handle.local_addresses()[0];
        House { handle, files, address }
    }
}

/// Returns the account `tide` and anonymous, who may do everything.
pub(crate) fn accounts(connections_max: Option<u32>) -> Accounts {
    let account = Account {
        name: "tide".into(),
        password_hash: hash_password(PASSWORD.as_bytes()).unwrap(),
        home: "/tide".into(),
        rights: Rights::ALL,
        max_connections: connections_max,
        upload: UploadStyle::Atomic,
        creation: Creation::default(),
    };
    let anonymous = Anonymous { home: "/pub".into(), rights: Rights::ALL, max_connections: None };
    Accounts::new(vec![account], Some(anonymous)).unwrap()
}

/// A folder of this machine, whatever home an account has.
struct Local {
    inner: LocalBackend,
    home: String,
}

impl Backend for Local {
    fn open<'a>(&'a self, tenant: &'a Tenant) -> Answer<'a, Arc<dyn Storage>> {
        Box::pin(async move {
            let tenant = Tenant { home: self.home.clone(), ..tenant.clone() };
            self.inner.open(&tenant).await
        })
    }
}

impl House {
    /// Returns a client that has read the greeting.
    pub(crate) async fn visit(&self) -> Client {
        let mut client = Client::connect(self.address).await;
        assert_eq!(client.reply().await, "220 tidegate ready\r\n");
        client
    }

    /// Returns a client that is logged in as anonymous: no password hash is computed.
    pub(crate) async fn enter(&self) -> Client {
        let mut client = self.visit().await;
        client.expect("USER anonymous", "331").await;
        client.expect("PASS me@", "230").await;
        client.expect("TYPE I", "200").await;
        client
    }

    /// Ends the server and returns what it did.
    pub(crate) async fn end(&self) -> Summary {
        self.handle.drain(Duration::from_secs(5));
        soon("the end", self.handle.finished()).await
    }
}
