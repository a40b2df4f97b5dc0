//! Checks a name and a password and opens the home.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tidegate_accounts::{Denied, Login};
use tidegate_protocol::session::{LoginAnswer, Secret};
use tidegate_storage::{Storage, Tenant};
use tidegate_types::{Cause, Moment, Refusal, Shown};
use tracing::{debug, info, warn};

use crate::clock::Clock;
use crate::house::House;
use crate::tally::add;
use crate::view::Latency;

/// Longest part of a name that is logged, in bytes before escaping.
const LOGGED_NAME_BYTES_MAX: usize = 256;

/// A failed login is answered so long after PASS, or a whole multiple of it: the time tells nothing about the name.
const FAILURE_AFTER: Duration = Duration::from_secs(1);

/// Who tries to log in.
pub(crate) struct Applicant {
    pub(crate) session: u64,
    pub(crate) address: IpAddr,
    pub(crate) user: Vec<u8>,
    pub(crate) password: Secret,
}

/// Returns what to tell the session, with the home when it may come in. Whatever is wrong with a name or a password, the answer
/// is the same, and comes at the same time. A name that is banned from there is told so before its password is looked at.
pub(crate) async fn check(
    house: Arc<House>,
    applicant: Applicant,
) -> (LoginAnswer, Option<Arc<dyn Storage>>) {
    let Applicant { session, address, user, password } = applicant;
    let since = house.clock.now();
    let name = String::from_utf8_lossy(user.get(..LOGGED_NAME_BYTES_MAX).unwrap_or(&user)).into_owned();
    let shown = Shown(name.as_bytes());
    if let Err(refusal) = house.gate.attempt(address, &name) {
        add(&house.tally.logins_banned, 1);
        // The end of the session is logged; who tries without end does not fill the log with this, too.
        debug!(session, user = %shown, retry_after_secs = refusal.retry_after_secs, "login of a banned name");
        return (LoginAnswer::Banned(refusal), None);
    }
    let verified = verify(&house, user, password).await;
    house.tally.took(Latency::Login, house.clock.now().since(since));
    let Login { profile, home, creation } = match verified {
        Ok(login) => login,
        Err(Denied::HashFailed) => {
            add(&house.tally.logins_unavailable, 1);
            warn!(session, user = %shown, "the password check failed");
            return (LoginAnswer::Unavailable, None);
        }
        Err(reason) => {
            add(&house.tally.logins_denied, 1);
            info!(session, user = %shown, ?reason, "login denied");
            let ban = house.gate.login_failed(address, &name);
            if ban.is_some() {
                house.note_ban(ban.as_ref());
            }
            wait_out(house.clock, since).await;
            // The wait is over by then, the ban is a second shorter: what is left of it is told.
            let over = Refusal::uncounted(Cause::LoginFailures, 1);
            let ban = ban.map(|_| house.gate.attempt(address, &name).err().unwrap_or(over));
            return (LoginAnswer::Denied { ban }, None);
        }
    };
    house.gate.login_succeeded(address, &name);
    let tenant = Tenant { account: profile.account.clone(), home, creation };
    match house.backend.open(&tenant).await {
        Ok(storage) => (LoginAnswer::Accepted(profile), Some(storage)),
        Err(error) => {
            add(&house.tally.logins_unavailable, 1);
            warn!(session, user = %shown, home = %Shown(tenant.home.as_bytes()), %error, "the home cannot be opened");
            (LoginAnswer::Unavailable, None)
        }
    }
}

/// Waits until a whole multiple of [`FAILURE_AFTER`] has passed.
async fn wait_out(clock: Clock, since: Moment) {
    let passed = clock.now().since(since);
    let whole = u32::try_from(passed.as_millis() / FAILURE_AFTER.as_millis()).unwrap_or(u32::MAX);
    let until = since + FAILURE_AFTER.saturating_mul(whole.saturating_add(1));
    tokio::time::sleep_until(clock.instant(until)).await;
}

/// At most `PASSWORD_CHECKS_MAX` hashes are computed at once, on threads of their own.
async fn verify(house: &House, user: Vec<u8>, password: Secret) -> Result<Login, Denied> {
    let accounts = house.accounts();
    if accounts.is_cheap(&user) {
        return accounts.check(&user, password.expose());
    }
    let turn = Arc::clone(&house.password_checks).acquire_owned().await.map_err(|_| Denied::HashFailed)?;
    let check = tokio::task::spawn_blocking(move || {
        // Held by the thread, so that clients that hang up do not let more of them run.
        let _turn = turn;
        accounts.check(&user, password.expose())
    });
    check.await.unwrap_or(Err(Denied::HashFailed))
}
