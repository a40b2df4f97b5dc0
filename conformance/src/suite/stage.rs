//! What a check gets: a server, an account, and a folder of its own.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::check::{Failure, Stop};
use super::session::Session;

/// A server under test.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its control port.
    pub address: SocketAddr,
    /// The account that may do everything.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The folder the account sees as its root, where the suite may look into it.
    pub home: Option<PathBuf>,
    /// The server was started for the suite, and its home goes with it.
    pub disposable: bool,
}

/// One check's view of the server.
#[derive(Debug)]
pub struct Stage<'a> {
    /// The server.
    pub place: &'a Place,
    /// The name of the check's own folder, below where a login begins.
    pub folder: String,
    made: AtomicBool,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl<'a> Stage<'a> {
    /// Returns a stage whose folder is made when it is needed first.
    pub fn new(place: &'a Place) -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = format!("conformance-{}-{number}", std::process::id());
        Self { place, folder, made: AtomicBool::new(false) }
    }

    /// Tells whether the check's folder was made.
    pub fn used(&self) -> bool {
        self.made.load(Ordering::Relaxed)
    }

    /// Connects; the greeting is not read.
    pub fn connect(&self) -> Result<Session, Stop> {
        Session::connect(self.place.address)
    }

    /// Connects and reads the greeting.
    pub fn greeted(&self) -> Result<Session, Stop> {
        let mut session = self.connect()?;
        let mut greeting = session.reply()?;
        while greeting.code == 120 {
            greeting = session.reply()?;
        }
        session.check(greeting.code == 220, format!("the greeting is {}, not 220", greeting.code))?;
        Ok(session)
    }

    /// Connects and logs in.
    pub fn logged_in(&self) -> Result<Session, Stop> {
        let mut session = self.greeted()?;
        self.login(&mut session)?;
        Ok(session)
    }

    /// Logs `session` in.
    pub fn login(&self, session: &mut Session) -> Result<(), Stop> {
        let reply = session.want(format!("USER {}", self.place.user), &[230, 232, 331])?;
        if reply.code == 331 {
            session.want(format!("PASS {}", self.place.password), &[202, 230])?;
        }
        Ok(())
    }

    /// Connects, logs in, sets TYPE I and goes to the check's own folder.
    pub fn work(&self) -> Result<Session, Stop> {
        let mut session = self.logged_in()?;
        session.done("TYPE I")?;
        if !self.made.swap(true, Ordering::Relaxed) {
            session.done(format!("MKD {}", self.folder))?;
        }
        session.done(format!("CWD {}", self.folder))?;
        Ok(session)
    }

    /// Returns the check's folder on this machine's disk. Errors: not applicable, where the suite cannot look into the home.
    pub fn disk(&self) -> Result<PathBuf, Stop> {
        let unknown = || Stop::NotApplicable("needs the account's home: set TIDEGATE_SUBJECT_HOME".into());
        self.place.home.as_ref().map(|home| home.join(&self.folder)).ok_or_else(unknown)
    }

    /// Puts a file that everybody may write into the check's folder, past the server.
    pub fn plant(&self, name: &str, content: &[u8]) -> Result<PathBuf, Stop> {
        let path = self.disk()?.join(name);
        let written = fs::write(&path, content)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o666)));
        let failed =
            |error| Failure { what: format!("cannot write {}: {error}", path.display()), dialogue: vec![] };
        written.map_err(|error| Stop::Fail(failed(error)))?;
        Ok(path)
    }

    /// Errors: not applicable, unless the server is reached over IPv4 loopback, where other addresses can be borrowed.
    pub fn on_loopback(&self) -> Result<(), Stop> {
        let good = self.place.address.is_ipv4() && self.place.address.ip().is_loopback();
        if good { Ok(()) } else { Err(Stop::NotApplicable("needs a server on 127.0.0.1".into())) }
    }
}
