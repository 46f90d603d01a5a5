//! What the forward pass keeps for the reverse, under a budget of bytes.
//!
//! Three stages, entered as the number of accepted steps grows past what the budget holds:
//! every step's state and stages (the reverse evaluates nothing again); every step's state (each
//! step's stages are evaluated again); a thinned set of states, at multiples of a stride that
//! doubles whenever the store is full. In the last case the reverse replays the frozen steps between
//! two checkpoints and places new ones by the binomial rule of Griewank & Walther ("Algorithm 799:
//! revolve", ACM TOMS 26, 2000) in the slots that are free. With a [`Spill`] the third is another: every step's
//! state, in blocks as large as the memory, on disk.

use super::spill::{Disk, Spill};
use crate::error::{Error, Result};
use crate::num::Real;
use std::fs::File;

/// How many bytes a gradient may use: solver and reverse work space, and checkpoints; parameters,
/// the gradient itself and the solution (saved states, t, h and E of each accepted step) are not
/// counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// As much as it takes to store every stage.
    Unlimited,
    /// At most this many bytes.
    Bytes(usize),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Stages,
    States,
    Thinned,
    Spilled,
}

/// The store of states and stages.
#[derive(Debug, Default)]
pub(crate) struct Store<T> {
    mode: Mode,
    /// Length of a state.
    n: usize,
    /// Length of a step's main stages.
    stages: usize,
    /// Length of their tape.
    tape: usize,
    /// Numbers that fit.
    capacity: usize,
    data: Vec<T>,
    /// Step index of each kept state ([`Mode::Thinned`]; a stack during the reverse).
    kept: Vec<usize>,
    stride: usize,
    steps: usize,
    peak: usize,
    /// Where to spill, and the file once there is one.
    spill: Option<Spill>,
    disk: Option<Disk<File>>,
    /// Bytes in transit to it.
    transit: usize,
    /// States of a block ([`Mode::Spilled`]: one is in `data`), those on disk, and the index of the first in `data`.
    block: usize,
    on_disk: usize,
    first: usize,
    failure: Option<Error>,
}

impl<T: Real> Store<T> {
    /// Starts a solve of states of `n` numbers with `stages` numbers of stages and `tape` of their
    /// tape a step, in `capacity` numbers.
    ///
    /// # Errors
    /// A capacity below one state (and what is in transit to disk), or no folder to spill to.
    pub fn start(&mut self, n: usize, [stages, tape]: [usize; 2], mut capacity: usize) -> Result<()> {
        self.transit = 0;
        if let Some(spill) = self.spill.as_ref().filter(|_| capacity < usize::MAX / size_of::<T>()) {
            spill.check()?;
            self.transit = Spill::transit(capacity * size_of::<T>());
            capacity = capacity.saturating_sub(self.transit / size_of::<T>());
        }
        if capacity < n {
            let needed = match self.transit {
                0 => format!("at least {} bytes for one checkpoint", n * size_of::<T>()),
                _ => format!(
                    "at least {} bytes for one checkpoint and its way to disk",
                    n * size_of::<T>() * 8 / 7 + 512
                ),
            };
            return Err(Error::invalid(
                "the memory left for checkpoints",
                format!("{} bytes", capacity * size_of::<T>()),
                needed,
            ));
        }
        (self.n, self.stages, self.tape, self.capacity) = (n, stages, tape, capacity);
        (self.mode, self.stride, self.steps, self.peak) = (Mode::Stages, 1, 0, 0);
        self.data.clear();
        // A solve with more work space leaves less for checkpoints than the one before.
        self.data.shrink_to(capacity);
        self.kept.clear();
        (self.on_disk, self.first, self.failure) = (0, 0, None);
        if self.disk.as_ref().is_some_and(|d| d.transit() != self.transit) {
            self.disk = None;
        }
        if let Some(disk) = &mut self.disk {
            disk.clear();
        }
        Ok(())
    }

    /// From the next solve on, states that do not fit go to disk.
    pub fn spill_to(&mut self, spill: Spill) {
        self.spill = Some(spill);
        self.disk = None;
    }

    /// Why not all could be kept, once.
    pub fn failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    /// Keeps what fits of the next accepted step.
    pub fn push(&mut self, y0: &[T], stages: &[T], tape: &[T]) {
        let index = self.steps;
        self.steps += 1;
        let record = self.n + self.stages + self.tape;
        if self.mode == Mode::Stages && (index + 1).saturating_mul(record) > self.capacity {
            for j in 1..index {
                self.data.copy_within(j * record..j * record + self.n, j * self.n);
            }
            self.data.truncate(index * self.n);
            self.mode = Mode::States;
        }
        if self.mode == Mode::States && (index + 1) * self.n > self.capacity {
            if self.spill.is_some() {
                self.block = index;
                self.mode = Mode::Spilled;
            } else {
                self.kept.extend(0..index);
                self.mode = Mode::Thinned;
            }
        }
        match self.mode {
            Mode::Stages => {
                self.reserve(record);
                self.data.extend_from_slice(y0);
                for (kept, length) in [(stages, self.stages), (tape, self.tape)] {
                    // A step of the other of two methods may have fewer.
                    let end = self.data.len() + length;
                    self.data.extend_from_slice(&kept[..length.min(kept.len())]);
                    self.data.resize(end, T::zero());
                }
            }
            Mode::States => {
                self.reserve(self.n);
                self.data.extend_from_slice(y0);
            }
            Mode::Thinned => {
                while index.is_multiple_of(self.stride) && (self.kept.len() + 1) * self.n > self.capacity {
                    self.thin();
                }
                if index.is_multiple_of(self.stride) {
                    self.keep(index, y0);
                }
            }
            Mode::Spilled => {
                if self.data.len() == self.block * self.n
                    && let Err(error) = self.flush()
                {
                    self.failure.get_or_insert(error);
                    self.data.clear();
                }
                self.data.extend_from_slice(y0);
            }
        }
        self.peak = self.peak.max(self.data.len());
    }

    /// Writes the block in memory to disk, behind those that are there, and makes room for the next.
    fn flush(&mut self) -> Result<()> {
        if self.disk.is_none() {
            self.disk = self.spill.as_ref().map(|s| s.open(self.transit)).transpose()?;
        }
        if let Some(disk) = &mut self.disk {
            disk.append(&self.data)?;
        }
        self.on_disk += self.data.len() / self.n;
        self.first = self.on_disk;
        self.data.clear();
        Ok(())
    }

    /// Has the block of state `j` in memory, instead of the one that is there.
    fn load(&mut self, j: usize) -> Result<()> {
        if j >= self.first && (j - self.first) * self.n < self.data.len() {
            return Ok(());
        }
        let block = j / self.block;
        self.first = block * self.block;
        let states = self.block.min(self.on_disk.saturating_sub(self.first));
        self.data.resize(states * self.n, T::zero());
        match &mut self.disk {
            Some(disk) => disk.read(self.first * self.n, &mut self.data),
            None => Ok(()),
        }
    }

    /// Doubles the stride, dropping states between. With room for one state only the first stays.
    fn thin(&mut self) {
        self.stride = if self.capacity < 2 * self.n { usize::MAX } else { 2 * self.stride };
        let mut to = 0;
        for from in 0..self.kept.len() {
            if self.kept[from].is_multiple_of(self.stride) {
                self.kept[to] = self.kept[from];
                self.data.copy_within(from * self.n..(from + 1) * self.n, to * self.n);
                to += 1;
            }
        }
        self.kept.truncate(to);
        self.data.truncate(to * self.n);
    }

    /// Makes room for `more` numbers: doubling, as a vector grows, but never beyond the capacity.
    fn reserve(&mut self, more: usize) {
        let needed = self.data.len() + more;
        if needed > self.data.capacity() {
            let target = needed.saturating_mul(2).min(self.capacity.max(needed));
            self.data.reserve_exact(target - self.data.len());
        }
    }

    fn keep(&mut self, index: usize, y: &[T]) {
        self.reserve(self.n);
        self.kept.push(index);
        self.data.extend_from_slice(y);
    }

    /// State, stages and tape of step `j`, when all are stored.
    pub fn stages(&self, j: usize) -> Option<[&[T]; 3]> {
        (self.mode == Mode::Stages).then(|| {
            let record = self.n + self.stages + self.tape;
            let (y, rest) = self.data[j * record..(j + 1) * record].split_at(self.n);
            let (stages, tape) = rest.split_at(self.stages);
            [y, stages, tape]
        })
    }

    /// State at the start of step `j`, when every state is stored. Later ones may be gone afterwards.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn state(&mut self, j: usize) -> Result<Option<&[T]>> {
        match self.mode {
            Mode::Spilled => self.load(j)?,
            Mode::States => {}
            Mode::Stages | Mode::Thinned => return Ok(None),
        }
        let at = (j - self.first) * self.n;
        Ok(Some(&self.data[at..at + self.n]))
    }

    /// The latest kept state at or before step `j`, nothing dropped.
    ///
    /// # Errors
    /// A file that cannot be written or read.
    pub fn nearest(&mut self, j: usize) -> Result<Option<(usize, &[T])>> {
        match self.mode {
            Mode::Stages => return Ok(self.stages(j).map(|[y, ..]| (j, y))),
            Mode::States => return Ok(self.state(j)?.map(|y| (j, y))),
            Mode::Spilled => {
                // The last block is in memory alone.
                if self.first == self.on_disk {
                    self.flush()?;
                }
                return Ok(self.state(j)?.map(|y| (j, y)));
            }
            Mode::Thinned => {}
        }
        let slot = self.kept.partition_point(|&k| k <= j).checked_sub(1);
        Ok(slot.map(|slot| (self.kept[slot], &self.data[slot * self.n..(slot + 1) * self.n])))
    }

    /// The latest kept state at or before step `j`, dropping later ones.
    pub fn latest(&mut self, j: usize) -> Option<(usize, &[T])> {
        while self.kept.last().is_some_and(|&k| k > j) {
            self.kept.pop();
        }
        self.data.truncate(self.kept.len() * self.n);
        let k = *self.kept.last()?;
        Some((k, &self.data[self.data.len() - self.n..]))
    }

    /// Where to place the next checkpoint when step `j` is to be reached from the kept state at
    /// `from` < `j`; `None` when there is no free slot.
    pub fn next_checkpoint(&self, from: usize, j: usize) -> Option<usize> {
        let free = self.capacity / self.n - self.kept.len();
        (free > 0).then(|| from + binomial_split(j + 1 - from, free + 1))
    }

    /// Keeps a state during the reverse.
    pub fn checkpoint(&mut self, index: usize, y: &[T]) {
        self.keep(index, y);
        self.peak = self.peak.max(self.data.len());
    }

    /// Largest numbers of bytes held in memory and on disk.
    pub fn peak_bytes(&self) -> (usize, u64) {
        let disk = self.disk.as_ref().map_or(0, Disk::peak);
        let transit = if disk > 0 { self.transit } else { 0 };
        (self.peak * size_of::<T>() + transit, disk)
    }
}

/// How far ahead to place the next checkpoint so that `length` steps are reversed with `slots`
/// checkpoints (the one at the start included) in the fewest replays of any step: β(s, r − 1), where
/// β(s, r) = C(s + r, s) and r is the smallest with β(s, r) ≥ length.
fn binomial_split(length: usize, slots: usize) -> usize {
    let (mut previous, mut beta, mut r) = (0usize, 1usize, 0usize);
    while beta < length {
        r += 1;
        previous = beta;
        // β(s, r) = β(s, r−1)·(s + r)/r
        beta = beta.saturating_mul(slots + r) / r;
    }
    previous.clamp(1, (length - 1).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replays the reverse with integers for states: y_j = j. Returns the number of steps advanced.
    fn reverse(steps: usize, slots: usize) -> usize {
        let mut store = Store::<f64>::default();
        store.start(1, [7, 2], slots).unwrap();
        for j in 0..steps {
            store.push(&[j as f64], &[0.0; 7], &[0.0; 2]);
        }
        let mut advanced = 0;
        for j in (0..steps).rev() {
            if store.stages(j).is_some_and(|[y, ..]| y == [j as f64])
                || store.state(j).unwrap().is_some_and(|y| y == [j as f64])
            {
                continue;
            }
            loop {
                let (k, y) = store.latest(j).unwrap();
                assert_eq!(y, [k as f64]);
                if k == j {
                    break;
                }
                match store.next_checkpoint(k, j) {
                    Some(m) => {
                        assert!(m > k && m <= j, "{k} {m} {j}");
                        advanced += m - k;
                        store.checkpoint(m, &[m as f64]);
                    }
                    None => {
                        advanced += j - k;
                        break;
                    }
                }
            }
            assert!(store.peak_bytes().0 <= slots * 8);
        }
        advanced
    }

    #[test]
    fn every_step_is_reached_within_the_budget() {
        for steps in [1, 2, 3, 7, 8, 9, 50, 333] {
            for slots in [1, 2, 3, 4, 9, 40, 100, 399, 400, 10_000] {
                reverse(steps, slots);
            }
        }
    }

    #[test]
    fn replay_cost_is_that_of_the_binomial_rule() {
        assert_eq!(reverse(50, 400), 0);
        assert_eq!(reverse(50, 50), 0);
        // One slot: quadratic. A tenth of the states: little more than one replay a step.
        assert_eq!(reverse(50, 1), 50 * 49 / 2);
        assert!(reverse(1000, 100) <= 1500, "{}", reverse(1000, 100));
        assert!(reverse(1000, 10) <= 4000, "{}", reverse(1000, 10));
    }

    #[test]
    fn too_small_a_budget_is_refused() {
        assert!(Store::<f64>::default().start(10, [70, 0], 9).is_err());
        let mut store = Store::<f64>::default();
        store.spill_to(Spill::default());
        let error = store.start(10, [70, 0], 70).unwrap_err().to_string();
        assert!(error.contains("one checkpoint and its way to disk"), "{error}");
        assert!(store.start(10, [70, 0], 74).is_ok());
    }

    #[test]
    fn spilled_states_come_back_in_any_order() {
        let mut store = Store::<f64>::default();
        store.spill_to(Spill::default());
        // Of 80 numbers 64 are in transit: blocks of 16, 8 and 5 states.
        for n in [1, 2, 3] {
            for steps in [1, 5, 15, 16, 17, 64, 333] {
                store.start(n, [700, 20], 80).unwrap();
                for j in 0..steps {
                    store.push(&vec![j as f64; n], &[0.0; 700], &[0.0; 20]);
                    assert!(store.failure().is_none());
                }
                for j in [0, steps / 2, steps - 1, steps / 3, steps - 1] {
                    let (k, y) = store.nearest(j).unwrap().unwrap();
                    assert!(k == j && y == vec![j as f64; n], "{n} {steps} {j}");
                }
                for j in (0..steps).rev() {
                    let y = store.state(j).unwrap().unwrap();
                    assert!(y == vec![j as f64; n], "{n} {steps} {j}");
                }
                let (memory, disk) = store.peak_bytes();
                assert!(memory <= 80 * 8 && disk <= (8 * n * steps) as u64, "{memory} {disk}");
                assert_eq!(disk > 0, n * steps > 16 / n * n, "{n} {steps}");
            }
        }
    }

    #[test]
    fn what_cannot_be_kept_is_said_once() {
        let mut store = Store::<f64>::default();
        store.spill_to(Spill { max_bytes: 300, ..Spill::default() });
        store.start(1, [7, 2], 80).unwrap();
        let failures = (0..100).filter_map(|j| {
            store.push(&[f64::from(j)], &[0.0; 7], &[0.0; 2]);
            store.failure().map(|_| j)
        });
        // Blocks of 16 states, 128 bytes: two fit.
        assert_eq!(failures.take(1).collect::<Vec<_>>(), [48]);
    }
}
