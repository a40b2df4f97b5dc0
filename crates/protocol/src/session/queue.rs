use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// The most command lines that wait behind a running command.
pub(super) const LINES_MAX: usize = 16;
/// The most bytes in them.
const BYTES_MAX: usize = 32 * 1024;
/// The most items of any kind; NOOPs, ABORs and over-long lines in a row are one item.
const ITEMS_MAX: usize = 2 * LINES_MAX;
/// The most NOOPs, ABORs and over-long lines that are counted before reading pauses: their replies are at most 48 bytes each.
const COUNTED_MAX: u32 = 4096;

/// Something that waits for its reply behind a running command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Queued {
    /// A command line.
    Line(Vec<u8>),
    /// So many NOOPs in a row.
    Noops(u32),
    /// So many lines in a row that were too long.
    TooLong(u32),
    /// So many ABORs in a row; `hit` when they cut a transfer or came too late for it.
    Abors {
        /// How many.
        count: u32,
        /// Whether a transfer was running when the first came, or began while it waited.
        hit: bool,
    },
}

/// Commands that wait, in order; bounded in lines, bytes and items (about 33 KiB in all).
#[derive(Debug, Default)]
pub(super) struct Queue {
    items: VecDeque<Queued>,
    lines: usize,
    bytes: usize,
    /// NOOPs, ABORs and over-long lines that wait.
    counted: u32,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns whether one more line of any kind may be taken.
    pub(super) fn has_room(&self) -> bool {
        self.lines < LINES_MAX && self.bytes < BYTES_MAX && self.items.len() < ITEMS_MAX && self.may_count()
    }

    /// Returns whether one more NOOP, ABOR or over-long line may be counted.
    pub(super) fn may_count(&self) -> bool {
        self.counted < COUNTED_MAX
    }

    pub(super) fn push_line(&mut self, line: &[u8]) {
        self.lines += 1;
        self.bytes += line.len();
        self.items.push_back(Queued::Line(line.to_vec()));
    }

    pub(super) fn push_noop(&mut self) {
        self.counted = self.counted.saturating_add(1);
        match self.items.back_mut() {
            Some(Queued::Noops(count)) => *count += 1,
            _ => self.items.push_back(Queued::Noops(1)),
        }
    }

    pub(super) fn push_too_long(&mut self) {
        self.counted = self.counted.saturating_add(1);
        match self.items.back_mut() {
            Some(Queued::TooLong(count)) => *count += 1,
            _ => self.items.push_back(Queued::TooLong(1)),
        }
    }

    /// Counts one ABOR. It is taken even when the queue is full: then it joins the last ABOR that waits already.
    pub(super) fn push_abor(&mut self, hits: bool) {
        self.counted = self.counted.saturating_add(1);
        let full = self.items.len() >= ITEMS_MAX;
        let last = self.items.iter_mut().rev().enumerate().find_map(|(behind, item)| match item {
            Queued::Abors { count, hit } if behind == 0 || full => Some((count, hit)),
            _ => None,
        });
        match last {
            Some((count, hit)) => {
                *count = count.saturating_add(1);
                *hit |= hits;
            }
            None => self.items.push_back(Queued::Abors { count: 1, hit: hits }),
        }
    }

    /// Returns whether an ABOR waits; if so it counts as one that hits a transfer from now on.
    pub(super) fn mark_abors_hit(&mut self) -> bool {
        let mut any = false;
        for item in &mut self.items {
            if let Queued::Abors { hit, .. } = item {
                *hit = true;
                any = true;
            }
        }
        any
    }

    /// Returns whether the client has said QUIT behind the running command.
    pub(super) fn has_quit(&self) -> bool {
        self.items.iter().any(|item| matches!(item, Queued::Line(line) if super::is_verb(line, b"QUIT")))
    }

    pub(super) fn pop(&mut self) -> Option<Queued> {
        let item = self.items.pop_front()?;
        match &item {
            Queued::Line(line) => {
                self.lines -= 1;
                self.bytes -= line.len();
            }
            Queued::Noops(count) | Queued::TooLong(count) | Queued::Abors { count, .. } => {
                self.counted = self.counted.saturating_sub(*count);
            }
        }
        if self.items.is_empty() {
            // A burst must not hold its memory for the rest of an idle session.
            self.items = VecDeque::new();
        }
        Some(item)
    }

    #[cfg(debug_assertions)]
    pub(super) fn check(&self) {
        let lines = self.items.iter().filter(|item| matches!(item, Queued::Line(_))).count();
        debug_assert_eq!(lines, self.lines);
        debug_assert!(self.lines <= LINES_MAX && self.items.len() <= ITEMS_MAX + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::prelude::v1::*;

    #[test]
    fn bytes_are_bounded_and_short_lines_are_not_held_to_it() {
        let mut queue = Queue::default();
        for _ in 0..10 {
            assert!(queue.has_room());
            queue.push_line(&[b'x'; 2000]);
        }
        assert!(queue.has_room());
        queue.push_line(&[b'x'; 8192]);
        assert!(queue.has_room(), "28 KiB");
        queue.push_line(&[b'x'; 8192]);
        assert!(!queue.has_room(), "36 KiB");
        queue.pop();
        queue.pop();
        assert!(queue.has_room());
    }

    #[test]
    fn an_abor_joins_the_last_one_when_the_queue_is_full() {
        let mut queue = Queue::default();
        queue.push_abor(false);
        for _ in 0..ITEMS_MAX {
            queue.push_noop();
            queue.push_too_long();
        }
        queue.push_abor(true);
        assert_eq!(queue.pop(), Some(Queued::Abors { count: 2, hit: true }));
        // Not hit before, hit now: it stays hit whatever follows.
        let mut queue = Queue::default();
        queue.push_abor(true);
        queue.push_abor(false);
        assert_eq!(queue.pop(), Some(Queued::Abors { count: 2, hit: true }));
        assert!(queue.is_empty() && queue.may_count());
    }
}
