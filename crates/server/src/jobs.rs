//! Long jobs: digests and copies of whole files. They work in chunks, and a chunk needs a place of which the server has few, so
//! that they share processor and disk fairly and leave most of both to everybody else.

use std::collections::HashMap;
use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::available_parallelism;
use std::time::Duration;

use tidegate_protocol::session::RequestId;
use tidegate_storage::{Reader, StorageError};
use tidegate_types::{Moment, StorageErrorKind};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How much is done on one place: also the most memory that a job holds, and only while it has a place.
pub(crate) const CHUNK_BYTES: usize = 1024 * 1024;
/// How long a job waits for a place before it is told to come back.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a session hears that its long job goes on.
const EVERY: Duration = Duration::from_secs(5);
/// How long one call of storage that shows no progress (the removal of a tree, a sync) counts as going on.
const TRUST: Duration = Duration::from_mins(10);

/// The places for chunks; clones share them. At most half of the processors work on them, though never fewer than two. One account
/// has half of them, though never fewer than one: neither its many sessions nor its disk that hangs stop the jobs of the others.
/// Who waits is served in order: many jobs are slow, none starves.
#[derive(Clone, Debug)]
pub(crate) struct Jobs {
    places: Arc<Semaphore>,
    places_each: usize,
    /// By account, while a job of it lives.
    shares: Arc<Mutex<HashMap<String, Weak<Semaphore>>>>,
    /// The jobs that end by themselves when they are given up.
    tasks: TaskTracker,
    patience: Duration,
}

/// What one account has of the places.
#[derive(Clone, Debug)]
pub(crate) struct Share {
    own: Arc<Semaphore>,
    all: Arc<Semaphore>,
    tasks: TaskTracker,
    patience: Duration,
}

/// A place for one chunk. Held by who works until the work is done, so that jobs that were given up do not let more of them run.
#[derive(Debug)]
pub(crate) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_own: OwnedSemaphorePermit,
}

impl Jobs {
    pub(crate) fn new() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self::with((processors / 2).max(2), PATIENCE)
    }

    pub(crate) fn with(places: usize, patience: Duration) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            places_each: (places / 2).max(1),
            shares: Arc::default(),
            tasks: TaskTracker::new(),
            patience,
        }
    }

    /// Returns the share of `account`; all its sessions have the same.
    pub(crate) fn of(&self, account: &str) -> Share {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let own = shares.get(account).and_then(Weak::upgrade).unwrap_or_else(|| {
            shares.retain(|_, share| share.strong_count() > 0);
            let own = Arc::new(Semaphore::new(self.places_each));
            shares.insert(account.to_owned(), Arc::downgrade(&own));
            own
        });
        Share { own, all: Arc::clone(&self.places), tasks: self.tasks.clone(), patience: self.patience }
    }

    /// Waits until the jobs that were given up have undone what they did, `at_most` so long: a disk may hang.
    pub(crate) async fn settled(&self, at_most: Duration) {
        self.tasks.close();
        let _ = timeout(at_most, self.tasks.wait()).await;
    }
}

impl Share {
    /// Waits for a place.
    ///
    /// Errors: `Busy` after 10 s.
    pub(crate) async fn place(&self, pulse: &Pulse) -> Result<Place, StorageError> {
        let busy = || StorageError::new(StorageErrorKind::Busy, "all places for long jobs are taken");
        pulse.waits.store(true, Ordering::Relaxed);
        let place = timeout(self.patience, async {
            let own = Arc::clone(&self.own).acquire_owned().await?;
            let all = Arc::clone(&self.all).acquire_owned().await?;
            Ok::<_, AcquireError>(Place { _of_all: all, _of_own: own })
        });
        let place = place.await;
        pulse.waits.store(false, Ordering::Relaxed);
        pulse.beat();
        place.map_err(|_| busy())?.map_err(|_| busy())
    }

    /// Runs `job` in a task of its own. When this future is dropped, the job learns it from its token: it ends when the call of
    /// storage under way is done, and undoes what it did; until then it keeps its place.
    ///
    /// Errors: those of the job; `Failed` when it panics.
    pub(crate) async fn run<T, F>(&self, job: impl FnOnce(CancellationToken) -> F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        let given_up = CancellationToken::new();
        let task = self.tasks.spawn(job(given_up.clone()));
        let _gives_up = given_up.drop_guard();
        task.await
            .map_err(|error| StorageError::new(StorageErrorKind::Failed, format!("a long job: {error}")))?
    }
}

/// How a long job tells that it goes on.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    beats: AtomicU64,
    /// It waits for a place, which is no fault of anybody's disk.
    waits: AtomicBool,
}

impl Pulse {
    /// Notes progress.
    pub(crate) fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits for one call that cannot show progress, and counts it as going on for 10 minutes.
    pub(crate) async fn trusting<T>(&self, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        let mut trusted = Duration::ZERO;
        while trusted < TRUST {
            self.beat();
            if let Ok(done) = timeout(EVERY / 2, &mut call).await {
                return done;
            }
            trusted += EVERY / 2;
        }
        call.await
    }
}

/// Watches one long job on behalf of its session.
#[derive(Debug)]
pub(crate) struct Watch {
    request: RequestId,
    pulse: Arc<Pulse>,
    seen: u64,
    next_at: Moment,
}

impl Watch {
    /// Returns a watch that looks at `pulse` every 5 s from `now` on.
    pub(crate) fn new(request: RequestId, pulse: Arc<Pulse>, now: Moment) -> Self {
        Self { request, pulse, seen: 0, next_at: now + EVERY }
    }

    /// Returns when it wants to look.
    pub(crate) fn next_at(&self) -> Moment {
        self.next_at
    }

    /// Looks, if it is time; returns the request when its job went on since the last look.
    pub(crate) fn look(&mut self, now: Moment) -> Option<RequestId> {
        if now < self.next_at {
            return None;
        }
        self.next_at = now + EVERY;
        let beats = self.pulse.beats.load(Ordering::Relaxed);
        let goes_on = beats != self.seen || self.pulse.waits.load(Ordering::Relaxed);
        self.seen = beats;
        goes_on.then_some(self.request)
    }
}

/// Reads the next bytes of `span`, at most a chunk; at least one when the span is not empty.
///
/// Errors: the storage's; `Failed` when the file ends before the span does.
pub(crate) fn read_chunk(
    reader: &dyn Reader,
    span: Range<u64>,
) -> impl Future<Output = Result<Vec<u8>, StorageError>> + Send {
    let left = usize::try_from(span.end.saturating_sub(span.start)).unwrap_or(usize::MAX);
    // Asked before the future exists: a reader may move between threads, but not be shared by them.
    let reading = reader.read_at(span.start, Vec::with_capacity(left.min(CHUNK_BYTES)));
    async move {
        let mut buffer = reading.await?;
        // The allocator may have given more room than was asked for.
        buffer.truncate(left);
        if buffer.is_empty() && left > 0 {
            return Err(shrank(span.start, span.end));
        }
        Ok(buffer)
    }
}

/// The failure of a file that shrank while it was read (DESIGN §6.2).
pub(crate) fn shrank(at: u64, size: u64) -> StorageError {
    let detail = format!("the file ends at byte {at} now, it had {size} when it was opened");
    StorageError::new(StorageErrorKind::Failed, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Moment {
        Moment::from_start(Duration::from_secs(secs))
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told_to_come_back_and_the_place_is_not_lost() {
        let jobs = Jobs::with(1, Duration::from_millis(20)).of("tide");
        let pulse = Pulse::default();
        let place = jobs.place(&pulse).await.unwrap();
        assert_eq!(jobs.place(&pulse).await.unwrap_err().kind, StorageErrorKind::Busy);
        drop(place);
        drop(jobs.place(&pulse).await.unwrap());
    }

    #[tokio::test]
    async fn one_account_leaves_half_of_the_places_to_the_others() {
        let jobs = Jobs::with(4, Duration::from_millis(20));
        let pulse = Pulse::default();
        let (one, same, other) = (jobs.of("tide"), jobs.of("tide"), jobs.of("ebb"));
        let held = (one.place(&pulse).await.unwrap(), same.place(&pulse).await.unwrap());
        assert_eq!(one.place(&pulse).await.unwrap_err().kind, StorageErrorKind::Busy);
        let others = (other.place(&pulse).await.unwrap(), other.place(&pulse).await.unwrap());
        assert_eq!(jobs.of("flow").place(&pulse).await.unwrap_err().kind, StorageErrorKind::Busy);
        drop((held, others, one, same, other));
        drop(jobs.of("neap"));
        assert_eq!(jobs.shares.lock().unwrap().len(), 1, "who has no job is forgotten");
    }

    #[tokio::test]
    async fn a_job_that_is_given_up_keeps_its_place_until_its_work_is_done() {
        let jobs = Jobs::with(1, Duration::from_millis(20));
        let (share, work) = (jobs.of("tide"), Arc::new(tokio::sync::Notify::new()));
        let (inside, done) = (share.clone(), Arc::clone(&work));
        let mut running = Box::pin(share.run(|given_up| async move {
            let place = inside.place(&Pulse::default()).await?;
            done.notified().await;
            assert!(given_up.is_cancelled());
            drop(place);
            Ok(())
        }));
        assert!(timeout(Duration::from_millis(1), &mut running).await.is_err());
        drop(running);
        assert_eq!(share.place(&Pulse::default()).await.unwrap_err().kind, StorageErrorKind::Busy);
        work.notify_one();
        jobs.settled(PATIENCE).await;
        drop(share.place(&Pulse::default()).await.unwrap());
    }

    #[test]
    fn a_watch_tells_of_progress_and_of_nothing_else() {
        let pulse = Arc::new(Pulse::default());
        let request = RequestId(7);
        let mut watch = Watch::new(request, Arc::clone(&pulse), at(0));
        pulse.beat();
        assert_eq!(watch.look(at(4)), None, "too early");
        assert_eq!((watch.next_at(), watch.look(at(5))), (at(5), Some(request)));
        assert_eq!((watch.next_at(), watch.look(at(10))), (at(10), None), "it hangs");
        pulse.beat();
        assert_eq!(watch.look(at(16)), Some(request));
        pulse.waits.store(true, Ordering::Relaxed);
        assert_eq!((watch.look(at(21)), watch.look(at(26))), (Some(request), Some(request)), "it waits");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_progress_is_trusted_for_ten_minutes() {
        let pulse = Arc::new(Pulse::default());
        let mut watch = Watch::new(RequestId(1), Arc::clone(&pulse), at(0));
        let call = pulse.trusting(tokio::time::sleep(Duration::from_mins(20)));
        let mut call = pin!(call);
        let mut told = 0;
        for round in 1..=200 {
            let _not_yet = timeout(EVERY, &mut call).await;
            told += u32::from(watch.look(at(round * 5)).is_some());
        }
        assert!((119..=121).contains(&told), "{told}");
        call.await;
    }
}
