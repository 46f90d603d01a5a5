//! What the forward pass keeps for the reverse, under a budget of bytes.
//!
//! Three stages, entered as the number of accepted steps grows past what the budget holds:
//! every step's state and stages (the reverse evaluates nothing again); every step's state (each
//! step's stages are evaluated again); a thinned set of states, at multiples of a stride that
//! doubles whenever the store is full. In the last case the reverse replays the frozen steps between
//! two checkpoints and places new ones by the binomial rule of Griewank & Walther ("Algorithm 799:
//! revolve", ACM TOMS 26, 2000) in the slots that are free.

use crate::error::{Error, Result};
use crate::num::Real;

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
}

/// The store of states and stages.
#[derive(Clone, Debug, Default)]
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
}

impl<T: Real> Store<T> {
    /// Starts a solve of states of `n` numbers with `stages` numbers of stages and `tape` of their
    /// tape a step, in `capacity` numbers.
    ///
    /// # Errors
    /// A capacity below one state.
    pub fn start(&mut self, n: usize, [stages, tape]: [usize; 2], capacity: usize) -> Result<()> {
        if capacity < n {
            let needed = format!("at least {} bytes for one checkpoint", n * size_of::<T>());
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
        Ok(())
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
            self.kept.extend(0..index);
            self.mode = Mode::Thinned;
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
        }
        self.peak = self.peak.max(self.data.len());
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

    /// State at the start of step `j`, when every state is stored.
    pub fn state(&self, j: usize) -> Option<&[T]> {
        (self.mode == Mode::States).then(|| &self.data[j * self.n..(j + 1) * self.n])
    }

    /// The latest kept state at or before step `j`, nothing dropped.
    pub fn nearest(&self, j: usize) -> Option<(usize, &[T])> {
        if let Some([y, ..]) = self.stages(j) {
            return Some((j, y));
        }
        if let Some(y) = self.state(j) {
            return Some((j, y));
        }
        let slot = self.kept.partition_point(|&k| k <= j).checked_sub(1)?;
        Some((self.kept[slot], &self.data[slot * self.n..(slot + 1) * self.n]))
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

    /// Largest number of bytes held.
    pub fn peak_bytes(&self) -> usize {
        self.peak * size_of::<T>()
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
                || store.state(j).is_some_and(|y| y == [j as f64])
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
            assert!(store.peak_bytes() <= slots * 8);
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
    }
}
