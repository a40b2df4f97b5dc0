//! What a server does for itself: it watches its machine, forgets what is over, and looks for the dead.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tidegate_admission::{Level, Reclaim, Signal};
use tidegate_net::{LingerHandle, Machine};
use tidegate_types::SignalKind;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::{info, warn};

use super::Inside;
use crate::observer::{self, ObserverHandle, Sources};
use crate::registry::Order;
use crate::weather::Weather;

/// How often the refusals are told that no log line stands for yet.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How often clients that say nothing are looked at, when the places of the dead may be taken.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a client must have said nothing to be looked at.
const SILENT_FOR: Duration = Duration::from_secs(5);
/// So many looks apart, what is over is forgotten.
const TIDY_EVERY_LOOKS: u32 = 12;

/// Starts the thread that reads the machine and tells the gate and the sessions.
///
/// Errors: the kernel's, when it gives no thread.
pub(super) fn observe(
    inside: &Arc<Inside>,
    door: LingerHandle,
    runtime: &Handle,
) -> io::Result<ObserverHandle> {
    let house = Arc::clone(&inside.house);
    let weather = inside.weather.clone();
    let sources = Sources {
        machine: Machine::new(),
        runtime: runtime.clone(),
        storage: house.storage_clock.clone(),
        clock: house.clock,
    };
    let overload = house.gate.overload();
    let mut told = (Level::Calm, None);
    observer::start(sources, overload, move |signal: Signal| {
        let now = house.gate.observe(without_lingering(signal, door.lingering()));
        tell(told, now);
        told = now;
        press(&weather, now.0);
    })
}

/// Returns the reading without what the door holds of those it has refused and gives up when it is needed: a flood of refusals
/// must not make the house look full.
fn without_lingering(signal: Signal, lingering: u64) -> Signal {
    match signal {
        Signal::Descriptors { free, limit } => {
            Signal::Descriptors { free: free.saturating_add(lingering).min(limit), limit }
        }
        other => other,
    }
}

/// Tells every session how pressed the house is, when that changed.
pub(super) fn press(weather: &watch::Sender<Weather>, level: Level) {
    let percent = percent(level);
    weather.send_if_modified(|weather| std::mem::replace(&mut weather.percent, percent) != percent);
}

/// Logs a change of the level.
fn tell(before: (Level, Option<SignalKind>), now: (Level, Option<SignalKind>)) {
    if before.0 == now.0 {
        return;
    }
    let (level, was) = (now.0.as_str(), before.0.as_str());
    let signal = now.1.or(before.1).map(SignalKind::as_str);
    if now.0 > before.0 {
        warn!(level, was, signal, "the machine is under pressure");
    } else {
        info!(level, was, signal, "pressure falls");
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a factor from 0 to 1")]
fn percent(level: Level) -> u32 {
    (level.timeout_factor() * 100.0) as u32
}

/// Forgets what is over and looks for the dead, until the server ends.
pub(super) async fn tend(inside: Arc<Inside>) {
    let mut ended = inside.summary.subscribe();
    let house = &inside.house;
    let (mut looks, mut looked) = (0_u32, house.clock.now());
    loop {
        tokio::select! {
            _ = ended.wait_for(Option::is_some) => return house.tell_refusals(),
            () = tokio::time::sleep(TELL_EVERY) => house.tell_refusals(),
        }
        if house.clock.now().since(looked) < LOOK_EVERY {
            continue;
        }
        looked = house.clock.now();
        if house.gate.reclaims() != Reclaim::Off {
            let now = house.clock.now();
            house.registry.each(|card| {
                if card.idle(now) >= SILENT_FOR {
                    card.order(Order::LookAtPeer);
                }
            });
        }
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(TIDY_EVERY_LOOKS) {
            house.gate.tidy();
        }
    }
}
