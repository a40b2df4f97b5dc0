//! What an operator may order, drains aside.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tidegate_protocol::session::{Farewell, Settings};
use tidegate_types::{Cause, Refusal};
use tokio::sync::watch;
use tracing::info;

use super::{ServerHandle, command_rate, upkeep};
use crate::house::Changeable;
use crate::registry::Order;
use crate::view::{Ban, BanPage, BanRecord, Reconfiguration};

impl ServerHandle {
    /// Ends a session with `kicked`, its transfer included; its client is told to come back after so many seconds, at least 1.
    /// `false`: there is no such session.
    pub fn kick(&self, id: u64, retry_after_secs: u32) -> bool {
        let Some(card) = self.inside.house.registry.get(id) else { return false };
        let refusal = Refusal::uncounted(Cause::Kicked, retry_after_secs);
        card.order(Order::LeaveNow(Farewell::new(refusal)));
        true
    }

    /// Bans an address (IPv6: its /64). `None`: it is trusted or reserved, and never banned.
    pub fn ban(&self, address: IpAddr, length: Duration) -> Option<Ban> {
        let ban = self.inside.house.gate.ban(address, length);
        if ban.is_some() {
            self.inside.house.note_ban(ban.as_ref());
        }
        ban
    }

    /// Ends the bans of an address and of all names from it; returns how many that were.
    pub fn unban(&self, address: IpAddr) -> usize {
        let ended = self.inside.house.gate.unban(address);
        if ended > 0 {
            info!(%address, ended, "unbanned");
            self.inside.house.note_ban(None);
        }
        ended
    }

    /// Returns up to `count` bans that last, from `cursor` on (0 at first, then [`BanPage::next`]).
    pub fn bans(&self, cursor: usize, count: usize) -> BanPage {
        self.inside.house.gate.bans(cursor, count)
    }

    /// As [`bans`](Self::bans), with those that have ended and still count: what is worth keeping over a restart.
    pub fn export_bans(&self, cursor: usize, count: usize) -> BanPage {
        self.inside.house.gate.export_bans(cursor, count)
    }

    /// Takes over bans that were kept and came too late for the start; the caller has subtracted the time since.
    pub fn import_bans(&self, records: &[BanRecord]) {
        for record in records {
            self.inside.house.gate.import_ban(record);
        }
    }

    /// Tells when bans begin, or are ended by an operator: the number changes.
    pub fn bans_changed(&self) -> watch::Receiver<u64> {
        self.inside.house.bans_changed.subscribe()
    }

    /// Takes over a changed configuration; nobody inside is sent away.
    pub fn reconfigure(&self, new: Reconfiguration) {
        let house = &self.inside.house;
        let umask = house.settings().umask;
        let settings = Settings {
            greeting: new.greeting,
            timeouts: new.timeouts,
            extras: new.extras,
            mode_z: new.mode_z,
            file_bytes_max: new.file_bytes_max,
            umask,
            command_rate: command_rate(new.command_rate),
        };
        let changed = Changeable { accounts: Arc::new(new.accounts), settings: Arc::new(settings) };
        *house.changeable.write().unwrap_or_else(PoisonError::into_inner) = changed;
        if let Some(observer) = &*self.inside.observer.lock().unwrap_or_else(PoisonError::into_inner) {
            observer.relimit(new.limits.overload);
        }
        house.gate.relimit(new.limits);
        // A signal that was switched off is not read any more, so nobody else would tell that its pressure is gone.
        upkeep::press(&self.inside.weather, house.gate.level());
        // What sessions do now was not told while nobody looked at it.
        if house.gate.looks_at_idleness() {
            self.inside.weather.send_modify(|weather| weather.roll_call = weather.roll_call.wrapping_add(1));
        }
    }
}
