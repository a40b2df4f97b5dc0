//! Who is inside: one card a session, for those who look in from outside and those who have orders.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_admission::PermitId;
use tidegate_protocol::session::Farewell;
use tidegate_types::Moment;
use tokio::sync::Notify;

use crate::gate::PermitGuard;
use crate::transfer::Link;
use crate::view::{Doing, Moving, SessionView, TransferVerb};

/// How long the rate of a transfer looks back at least.
const RATE_OVER: Duration = Duration::from_secs(1);

/// Every session inside, by number.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    cards: Mutex<BTreeMap<u64, Arc<Card>>>,
}

/// What a session shows of itself, and where its orders are left. A few hundred bytes.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) id: u64,
    pub(crate) peer: SocketAddr,
    pub(crate) listener: usize,
    pub(crate) since: Moment,
    /// Which permit its connection has, also when it was taken away.
    pub(crate) connection: PermitId,
    shown: Mutex<Shown>,
    /// Nanoseconds of the moment of its last command.
    spoke_at: AtomicU64,
    /// Bytes of finished transfers.
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    order: Mutex<Option<Order>>,
    /// Rings when an order was left.
    pub(crate) bell: Notify,
}

#[derive(Debug)]
struct Shown {
    permit: Option<PermitGuard>,
    login: Option<Login>,
    doing: DoingNow,
}

/// Who is logged in.
#[derive(Debug)]
struct Login {
    name: Arc<str>,
    id: PermitId,
    permit: Option<PermitGuard>,
}

/// What a session is doing, as it tells.
#[derive(Debug)]
pub(crate) enum DoingNow {
    LoggingIn,
    Idle,
    Working(&'static str),
    Moving(Box<MovingNow>),
    Leaving,
}

/// A transfer under way.
#[derive(Debug)]
pub(crate) struct MovingNow {
    pub(crate) verb: TransferVerb,
    pub(crate) path: String,
    pub(crate) link: Arc<Link>,
    pub(crate) since: Moment,
    /// Two earlier looks at its bytes, the older first: what its rate is measured from.
    pub(crate) looks: [(Moment, u64); 2],
}

/// What a session has to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// Leave at the next safe point.
    LeaveSoon(Farewell),
    /// Leave now; what runs is cut.
    LeaveNow(Farewell),
    /// Look whether the client is still there.
    LookAtPeer,
}

impl Card {
    pub(crate) fn new(
        id: u64,
        (peer, listener): (SocketAddr, usize),
        permit: PermitGuard,
        since: Moment,
    ) -> Self {
        Self {
            id,
            peer,
            listener,
            since,
            connection: permit.id(),
            shown: Mutex::new(Shown { permit: Some(permit), login: None, doing: DoingNow::LoggingIn }),
            spoke_at: AtomicU64::new(nanos(since)),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            order: Mutex::new(None),
            bell: Notify::new(),
        }
    }

    /// Leaves an order; one to leave now is not replaced.
    pub(crate) fn order(&self, order: Order) {
        let mut left = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let stands = matches!(
            (&*left, &order),
            (Some(Order::LeaveNow(_)), _) | (Some(Order::LeaveSoon(_)), Order::LookAtPeer)
        );
        if !stands {
            *left = Some(order);
        }
        drop(left);
        self.bell.notify_one();
    }

    /// Takes the order that was left.
    pub(crate) fn take_order(&self) -> Option<Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Notes that something was said or has ended: from now on the session is idle.
    pub(crate) fn spoke(&self, now: Moment) {
        self.spoke_at.store(nanos(now), Ordering::Relaxed);
    }

    /// Notes what the session does now.
    pub(crate) fn does(&self, doing: DoingNow) {
        self.shown().doing = doing;
    }

    /// Notes who has logged in.
    pub(crate) fn logged_in(&self, name: Arc<str>, permit: PermitGuard) {
        let mut shown = self.shown();
        let before = shown.login.replace(Login { name, id: permit.id(), permit: Some(permit) });
        shown.doing = DoingNow::Idle;
        // Its permit is given back outside the lock.
        drop(shown);
        drop(before);
    }

    /// Notes that nobody is logged in any more; gives the place back.
    pub(crate) fn logged_out(&self) {
        let mut shown = self.shown();
        let before = shown.login.take();
        shown.doing = DoingNow::LoggingIn;
        drop(shown);
        drop(before);
    }

    /// Gives every place back.
    pub(crate) fn release(&self) {
        let mut shown = self.shown();
        let held = (shown.permit.take(), shown.login.take());
        shown.doing = DoingNow::Leaving;
        drop(shown);
        drop(held);
    }

    /// Takes the place that `permit` names away from the session; returns whether it had it.
    pub(crate) fn seize(&self, permit: PermitId) -> bool {
        let mut shown = self.shown();
        let seized = if self.connection == permit {
            shown.permit.take()
        } else {
            shown.login.as_mut().filter(|login| login.id == permit).and_then(|login| login.permit.take())
        };
        drop(shown);
        seized.is_some()
    }

    /// Returns which permits the session has, for the gate to look at its idleness.
    pub(crate) fn permits(&self) -> impl Iterator<Item = PermitId> + use<> {
        let login = self.shown().login.as_ref().map(|login| login.id);
        [Some(self.connection), login].into_iter().flatten()
    }

    /// Returns who is logged in.
    pub(crate) fn account(&self) -> Option<Arc<str>> {
        self.shown().login.as_ref().map(|login| Arc::clone(&login.name))
    }

    /// Returns how long its client has said nothing while nothing is under way.
    pub(crate) fn idle(&self, now: Moment) -> Duration {
        match self.shown().doing {
            DoingNow::LoggingIn | DoingNow::Idle => now.since(self.active_at()),
            DoingNow::Working(_) | DoingNow::Moving(_) | DoingNow::Leaving => Duration::ZERO,
        }
    }

    /// Returns how many bytes the running transfer has moved; `None`: there is none.
    pub(crate) fn moving_bytes(&self) -> Option<u64> {
        match &self.shown().doing {
            DoingNow::Moving(moving) => Some(moving.link.progress().bytes),
            _ => None,
        }
    }

    /// Returns what can be seen of it.
    pub(crate) fn view(&self, listening_on: SocketAddr, now: Moment) -> SessionView {
        let idle = self.idle(now);
        let mut shown = self.shown();
        let account = shown.login.as_ref().map(|login| login.name.to_string());
        let doing = match &mut shown.doing {
            DoingNow::LoggingIn => Doing::LoggingIn,
            DoingNow::Idle => Doing::Idle,
            DoingNow::Working(what) => Doing::Working(what),
            DoingNow::Moving(moving) => Doing::Moving(moving.view(now)),
            DoingNow::Leaving => Doing::Leaving,
        };
        drop(shown);
        let (mut bytes_sent, mut bytes_received) =
            (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed));
        if let Doing::Moving(moving) = &doing {
            let total =
                if moving.verb == TransferVerb::Upload { &mut bytes_received } else { &mut bytes_sent };
            *total += moving.bytes;
        }
        SessionView {
            id: self.id,
            peer: self.peer,
            listener: self.listener,
            listening_on,
            account,
            age: now.since(self.since),
            idle,
            doing,
            bytes_sent,
            bytes_received,
        }
    }

    fn active_at(&self) -> Moment {
        Moment::from_start(Duration::from_nanos(self.spoke_at.load(Ordering::Relaxed)))
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MovingNow {
    /// Returns what can be seen now, and remembers this look.
    fn view(&mut self, now: Moment) -> Moving {
        let bytes = self.link.progress().bytes;
        let [older, newer] = self.looks;
        let from = if now.since(newer.0) >= RATE_OVER { newer } else { older };
        let span = now.since(from.0).max(Duration::from_millis(1));
        let rate = u128::from(bytes.saturating_sub(from.1)) * 1_000 / span.as_millis().max(1);
        if now.since(newer.0) >= RATE_OVER {
            self.looks = [newer, (now, bytes)];
        }
        Moving {
            verb: self.verb,
            path: self.path.clone(),
            bytes,
            age: now.since(self.since),
            rate: u64::try_from(rate).unwrap_or(u64::MAX),
        }
    }
}

impl Registry {
    /// Takes a session in until the returned value drops.
    pub(crate) fn enter(self: &Arc<Self>, card: Card) -> Entered {
        let card = Arc::new(card);
        self.cards().insert(card.id, Arc::clone(&card));
        Entered { registry: Arc::clone(self), card }
    }

    /// Returns up to `count` cards with a number above `after`, by number.
    pub(crate) fn page(&self, after: u64, count: usize) -> Vec<Arc<Card>> {
        let cards = self.cards();
        let beyond = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
        cards.range(beyond).take(count).map(|(_, card)| Arc::clone(card)).collect()
    }

    /// Returns one card.
    pub(crate) fn get(&self, id: u64) -> Option<Arc<Card>> {
        self.cards().get(&id).cloned()
    }

    /// Calls `look` for every card, a page at a time, so that nobody waits long for the lock.
    pub(crate) fn each(&self, mut look: impl FnMut(&Arc<Card>)) {
        const PAGE: usize = 256;
        let mut after = 0;
        loop {
            let page = self.page(after, PAGE);
            page.iter().for_each(&mut look);
            match page.last() {
                Some(last) => after = last.id,
                None => return,
            }
        }
    }

    /// Takes the place that `permit` names away from whoever has it, and tells that session to leave. Returns whether there was
    /// one. Linear in the sessions.
    pub(crate) fn reclaim(&self, permit: PermitId, farewell: &Farewell) -> bool {
        let mut after = 0;
        loop {
            let page = self.page(after, 256);
            let Some(last) = page.last() else { return false };
            after = last.id;
            if let Some(card) = page.iter().find(|card| card.seize(permit)) {
                card.order(Order::LeaveSoon(farewell.clone()));
                return true;
            }
        }
    }

    fn cards(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Card>>> {
        self.cards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session's place in the registry.
#[derive(Debug)]
pub(crate) struct Entered {
    registry: Arc<Registry>,
    pub(crate) card: Arc<Card>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        // First its places: while the gate names one of them, whoever holds it can be found.
        self.card.release();
        self.registry.cards().remove(&self.card.id);
    }
}

fn nanos(moment: Moment) -> u64 {
    u64::try_from(moment.since_start().as_nanos()).unwrap_or(u64::MAX)
}
