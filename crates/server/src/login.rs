//! Checks a name and a password and opens the home.

use std::sync::Arc;

use tidegate_accounts::{Denied, Login};
use tidegate_protocol::session::{LoginAnswer, Secret};
use tidegate_storage::{Storage, Tenant};
use tidegate_types::Shown;
use tracing::{info, warn};

use crate::house::House;
use crate::tally::add;

/// Longest part of a name that is logged, in bytes before escaping.
const LOGGED_NAME_BYTES_MAX: usize = 256;

/// Returns what to tell the session, with the home when it may come in. Whatever is wrong with a name or a password, the answer
/// is the same.
pub(crate) async fn check(
    house: Arc<House>,
    session: u64,
    user: Vec<u8>,
    password: Secret,
) -> (LoginAnswer, Option<Arc<dyn Storage>>) {
    let name = Shown(user.get(..LOGGED_NAME_BYTES_MAX).unwrap_or(&user)).to_string();
    let Login { profile, home, creation } = match verify(&house, user, password).await {
        Ok(login) => login,
        Err(Denied::HashFailed) => {
            warn!(session, user = %name, "the password check failed");
            return (LoginAnswer::Unavailable, None);
        }
        Err(reason) => {
            add(&house.tally.logins_denied, 1);
            info!(session, user = %name, ?reason, "login denied");
            return (LoginAnswer::Denied, None);
        }
    };
    let tenant = Tenant { account: profile.account.clone(), home, creation };
    match house.backend.open(&tenant).await {
        Ok(storage) => (LoginAnswer::Accepted(profile), Some(storage)),
        Err(error) => {
            warn!(session, user = %name, home = %Shown(tenant.home.as_bytes()), %error, "the home cannot be opened");
            (LoginAnswer::Unavailable, None)
        }
    }
}

/// At most `PASSWORD_CHECKS_MAX` hashes are computed at once, on threads of their own.
async fn verify(house: &House, user: Vec<u8>, password: Secret) -> Result<Login, Denied> {
    if house.accounts.is_cheap(&user) {
        return house.accounts.check(&user, password.expose());
    }
    let turn = Arc::clone(&house.password_checks).acquire_owned().await.map_err(|_| Denied::HashFailed)?;
    let accounts = Arc::clone(&house.accounts);
    let check = tokio::task::spawn_blocking(move || {
        // Held by the thread, so that clients that hang up do not let more of them run.
        let _turn = turn;
        accounts.check(&user, password.expose())
    });
    check.await.unwrap_or(Err(Denied::HashFailed))
}
