//! The data connection: both ends of it, moving in steps of virtual time.

use core::time::Duration;

use tidegate_protocol::ascii::{Decoder, Encoder};
use tidegate_protocol::listing::ListWriter;
use tidegate_protocol::session::{Job, Progress, TransferEnd, TransferPlan};
use tidegate_storage::Committed;
use tidegate_types::{Cut, Entry, Metadata, Moment, StorageErrorKind, VirtualPath};

use super::store::list_below;
use super::{ConnectionId, Due, World};
use crate::{FakeHome, FakeReader, FakeUpload};

/// How the client behaves on one data connection.
#[derive(Clone, Debug)]
pub struct DataScript {
    /// When the connection stands after 150; `None`: never.
    pub opens_after: Option<Duration>,
    /// Whether it is refused instead of opened.
    pub refused: bool,
    /// What the client sends, then closes.
    pub send: Vec<u8>,
    /// Bytes a step.
    pub chunk: usize,
    /// Time between two steps.
    pub pause: Duration,
    /// After so many bytes nothing moves any more.
    pub stalls_at: Option<usize>,
    /// After so many bytes the connection breaks.
    pub breaks_at: Option<usize>,
}

impl Default for DataScript {
    fn default() -> Self {
        Self {
            opens_after: Some(Duration::ZERO),
            refused: false,
            send: Vec::new(),
            chunk: 64 * 1024,
            pause: Duration::ZERO,
            stalls_at: None,
            breaks_at: None,
        }
    }
}

/// What storage opened.
#[derive(Debug)]
pub(super) enum Opened {
    Download(FakeReader),
    Upload(FakeUpload),
    Listing(ListSource),
}

#[derive(Debug)]
pub(super) struct ListSource {
    /// The directory; `None` for a single file.
    pub(super) about: Option<Metadata>,
    pub(super) entries: Vec<Entry>,
    /// Whose directory it is, and where: for those below it.
    pub(super) way: Option<(FakeHome, VirtualPath)>,
}

/// A transfer under way.
#[derive(Debug)]
pub(super) struct Running {
    /// Tells its steps from those of an earlier one.
    pub(super) number: u64,
    /// What the client said to have it.
    line: Vec<u8>,
    plan: TransferPlan,
    work: Work,
    script: DataScript,
    /// Bytes over the data connection. MODE Z passes them as they are.
    moved: usize,
    /// Where the next byte of an upload goes.
    at: u64,
    last_at: Moment,
    received: Vec<u8>,
    decoder: Decoder,
    encoder: Encoder,
}

#[derive(Debug)]
enum Work {
    Send { reader: FakeReader, at: u64, end: u64 },
    List { lines: Vec<u8>, source: Option<ListSource> },
    Receive(FakeUpload),
    Commit(Option<FakeUpload>),
}

impl Running {
    pub(super) fn new(
        (number, line): (u64, Vec<u8>),
        plan: TransferPlan,
        opened: Opened,
        (script, now): (DataScript, Moment),
    ) -> Self {
        let at = if let Opened::Upload(upload) = &opened { upload.starts_at() } else { 0 };
        let work = match (opened, &plan.job) {
            (Opened::Download(reader), Job::Download { offset, size }) => {
                Work::Send { reader, at: *offset, end: *size }
            }
            (Opened::Upload(upload), _) => Work::Receive(upload),
            (Opened::Listing(source), _) => Work::List { lines: Vec::new(), source: Some(source) },
            (opened, job) => panic!("{opened:?} for {job:?}"),
        };
        Self {
            number,
            line,
            plan,
            work,
            script,
            moved: 0,
            at,
            last_at: now,
            received: Vec::new(),
            decoder: Decoder::new(),
            encoder: Encoder::new(),
        }
    }

    /// Returns how many bytes may move in this step, or why none may.
    fn step_bytes(&self) -> Result<usize, Halt> {
        let until = |at: Option<usize>| at.map_or(usize::MAX, |at| at.saturating_sub(self.moved));
        let step =
            self.script.chunk.max(1).min(until(self.script.stalls_at)).min(until(self.script.breaks_at));
        match step {
            0 if until(self.script.breaks_at) == 0 => Err(Halt::Broken),
            0 => Err(Halt::Stalled),
            step => Ok(step),
        }
    }
}

enum Halt {
    Stalled,
    Broken,
}

/// What one step of moving came to.
enum Step {
    Moved(usize),
    Done,
    Failed(StorageErrorKind),
}

impl World {
    pub(super) fn data_open(&mut self, id: ConnectionId) {
        let wall = self.clock.wall();
        let now = self.clock.now();
        let Some(running) = &mut self.connections[id].running else { return };
        if running.script.refused {
            let _rest = self.keep_received(id);
            return self.end_transfer(id, TransferEnd::NoConnection);
        }
        running.last_at = now;
        if let (Work::List { lines, source }, Job::List(plan)) = (&mut running.work, &running.plan.job)
            && let Some(source) = source.take()
        {
            let mut writer = ListWriter::new(plan, source.about.as_ref(), wall);
            writer.begin(lines);
            source.entries.iter().for_each(|entry| writer.entry(entry, lines));
            if let (true, Some(about), Some((home, path))) = (plan.recursive, &source.about, &source.way) {
                list_below((home, path), plan.hidden, &mut writer, (about, &source.entries), lines);
            }
        }
        let number = running.number;
        self.tell_opened(id);
        self.schedule(id, Duration::ZERO, Due::DataStep(number));
    }

    pub(super) fn data_step(&mut self, id: ConnectionId) {
        let now = self.clock.now();
        let Some(running) = &mut self.connections[id].running else { return };
        let step_bytes = match running.step_bytes() {
            Ok(bytes) => bytes,
            Err(Halt::Stalled) => return,
            Err(Halt::Broken) => {
                let cut = self.keep_received(id);
                return self.end_transfer(id, TransferEnd::ConnectionLost(cut));
            }
        };
        match running.step(step_bytes) {
            Step::Moved(bytes) => {
                running.moved += bytes;
                running.last_at = now;
                let (pause, number) = (running.script.pause, running.number);
                self.schedule(id, pause, Due::DataStep(number));
            }
            Step::Done => {
                if matches!(running.work, Work::Receive(_)) {
                    let work = std::mem::replace(&mut running.work, Work::Commit(None));
                    if let Work::Receive(upload) = work {
                        running.work = Work::Commit(Some(upload));
                    }
                    let number = running.number;
                    let after = self.latency();
                    self.schedule(id, after, Due::Commit(number));
                } else {
                    let bytes = running.moved as u64;
                    let _nothing = self.keep_received(id);
                    self.end_transfer(id, TransferEnd::Completed { bytes });
                }
            }
            Step::Failed(kind) => {
                let cut = self.keep_received(id);
                self.end_transfer(id, TransferEnd::StorageFailed(kind, cut));
            }
        }
    }

    pub(super) fn data_commit(&mut self, id: ConnectionId) {
        let Some(running) = &mut self.connections[id].running else { return };
        let Work::Commit(upload) = &mut running.work else { return };
        let bytes = running.moved as u64;
        let upload = upload.take().expect("committed once");
        let connection = &self.connections[id];
        // As a shell asks the kernel: an end that the session may not have heard of yet.
        let still_wanted = !connection.eof || !connection.inbox.is_empty() || connection.session.has_quit();
        let end = match upload.commit_if(|| still_wanted) {
            Ok(Committed::Stored { .. }) => TransferEnd::Completed { bytes },
            Ok(Committed::Unwanted(cut)) => TransferEnd::ConnectionLost(Some(cut)),
            Err(kind) => TransferEnd::StorageFailed(kind, None),
        };
        self.end_transfer(id, end);
    }

    /// As `Action::AbortTransfer`: a commit under way is finished.
    pub(super) fn data_abort(&mut self, id: ConnectionId) {
        let is_over =
            self.connections[id].running.as_ref().is_none_or(|one| matches!(one.work, Work::Commit(_)));
        if !is_over {
            let cut = self.keep_received(id);
            self.end_transfer(id, TransferEnd::Aborted(cut));
        }
    }

    pub(super) fn data_progress(&self, id: ConnectionId) -> Progress {
        let now = self.clock.now();
        match &self.connections[id].running {
            Some(running) => {
                let committing = matches!(running.work, Work::Commit(_));
                Progress {
                    bytes: running.moved as u64,
                    last_at: if committing { now } else { running.last_at },
                }
            }
            None => Progress { bytes: 0, last_at: now },
        }
    }

    /// Takes the transfer down, keeps what the client received, and says what remains of an upload.
    fn keep_received(&mut self, id: ConnectionId) -> Option<Cut> {
        let mut running = self.connections[id].running.take()?;
        if !matches!(running.work, Work::Receive(_) | Work::Commit(_)) {
            let received = std::mem::take(&mut running.received);
            let line = std::mem::take(&mut running.line);
            self.connections[id].received.push((line, received));
        }
        running_cut(Some(running))
    }
}

fn running_cut(running: Option<Running>) -> Option<Cut> {
    match running?.work {
        Work::Receive(upload) | Work::Commit(Some(upload)) => Some(upload.abort()),
        Work::Send { .. } | Work::List { .. } | Work::Commit(None) => None,
    }
}

impl Running {
    fn step(&mut self, bytes_max: usize) -> Step {
        match &mut self.work {
            Work::Send { reader, at, end } => {
                let wanted = usize::try_from(*end - *at).unwrap_or(usize::MAX).min(bytes_max);
                if wanted == 0 {
                    return Step::Done;
                }
                let bytes = match reader.read_at(*at, wanted) {
                    Ok(bytes) => bytes,
                    Err(kind) => return Step::Failed(kind),
                };
                if bytes.is_empty() {
                    return Step::Failed(StorageErrorKind::Failed); // it shrank (DESIGN §6.2)
                }
                *at += bytes.len() as u64;
                let before = self.received.len();
                if self.plan.ascii {
                    self.encoder.push(&bytes, &mut self.received);
                } else {
                    self.received.extend_from_slice(&bytes);
                }
                Step::Moved(self.received.len() - before)
            }
            Work::List { lines, .. } => {
                let bytes = bytes_max.min(lines.len());
                self.received.extend(lines.drain(..bytes));
                if bytes == 0 { Step::Done } else { Step::Moved(bytes) }
            }
            Work::Receive(upload) => {
                let rest = &self.script.send[self.moved.min(self.script.send.len())..];
                let bytes = &rest[..bytes_max.min(rest.len())];
                let mut decoded = Vec::new();
                if self.plan.ascii {
                    self.decoder.push(bytes, &mut decoded);
                    if bytes.is_empty() {
                        self.decoder.finish(&mut decoded);
                    }
                } else {
                    decoded.extend_from_slice(bytes);
                }
                self.at += decoded.len() as u64;
                if let Job::Upload { end_max: Some(end_max) } = self.plan.job
                    && self.at > end_max
                {
                    upload.note_failed_write();
                    return Step::Failed(StorageErrorKind::TooLarge);
                }
                if !decoded.is_empty()
                    && let Err(kind) = upload.write(&decoded)
                {
                    return Step::Failed(kind);
                }
                if bytes.is_empty() { Step::Done } else { Step::Moved(bytes.len()) }
            }
            Work::Commit(_) => Step::Moved(0),
        }
    }
}
