//! Mini-batches: a seeded order of sample indices that can be stopped and resumed exactly.

use crate::{Error, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Where a [`Batches`] stands; its whole state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchState {
    /// How many samples there are.
    pub samples: usize,
    /// Samples in a batch.
    pub size: usize,
    /// Seed of the order; `None` keeps the file's order.
    pub seed: Option<u64>,
    /// Whether a last batch that is not full is left out.
    pub drop_last: bool,
    /// Current pass over the data, from 0.
    pub epoch: u64,
    /// Samples of this pass already given out.
    pub position: usize,
}

/// Endless mini-batches of sample indices, pass after pass (epoch after epoch).
///
/// With a seed, the order of epoch `e` is a Fisher–Yates shuffle of `0..samples` (Knuth, The Art of
/// Computer Programming 2, algorithm 3.4.2P: for i = n−1 … 1 swap entries i and j, j uniform on
/// 0..=i without bias) driven by ChaCha8 with key `seed_from_u64(seed)` and stream `e`. The order is
/// thus a function of (seed, epoch) alone, and the state is a handful of integers.
///
/// ```
/// # fn main() -> odeon::Result<()> {
/// use odeon::dataset::Batches;
/// let mut batches = Batches::new(5, 2)?.shuffled(7);
/// let first: Vec<usize> = batches.next_batch().to_vec();
/// let state = batches.state();
/// let second = batches.next_batch().to_vec();
/// let mut again = Batches::resume(state)?;
/// assert_eq!(again.next_batch(), second);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Batches {
    state: BatchState,
    order: Vec<usize>,
}

impl Batches {
    /// Batches of `size` out of `samples`, in order, the last one of a pass smaller if need be.
    ///
    /// # Errors
    /// No samples, or a size that is 0 or greater than `samples`.
    pub fn new(samples: usize, size: usize) -> Result<Self> {
        let (seed, drop_last, epoch, position) = (None, false, 0, 0);
        Self::resume(BatchState { samples, size, seed, drop_last, epoch, position })
    }

    /// Continues exactly where [`state`](Self::state) was taken.
    ///
    /// # Errors
    /// A state that no `Batches` can be in.
    pub fn resume(state: BatchState) -> Result<Self> {
        let BatchState { samples, size, position, .. } = state;
        if samples == 0 {
            return Err(Error::invalid("the data set", "empty", "it needs at least one sample"));
        }
        if size == 0 || size > samples {
            let needed = format!("it must be between 1 and the number of samples, {samples}");
            return Err(Error::invalid("batch size", size, needed));
        }
        if position > samples || (position < samples && !position.is_multiple_of(size)) {
            let needed = format!("batches of {size} start at multiples of it, up to {samples}");
            return Err(Error::invalid("batch position", position, needed));
        }
        let mut batches = Self { state, order: Vec::with_capacity(samples) };
        batches.arrange();
        Ok(batches)
    }

    /// The same batches in an order drawn anew for every pass.
    pub fn shuffled(mut self, seed: u64) -> Self {
        self.state.seed = Some(seed);
        self.arrange();
        self
    }

    /// The same batches without the last one of a pass when it is not full.
    pub fn drop_last(mut self) -> Self {
        self.state.drop_last = true;
        self
    }

    /// Where the iteration stands, for [`resume`](Self::resume).
    pub fn state(&self) -> BatchState {
        self.state
    }

    /// Batches in one pass.
    pub fn per_epoch(&self) -> usize {
        let BatchState { samples, size, drop_last, .. } = self.state;
        if drop_last { samples / size } else { samples.div_ceil(size) }
    }

    /// The indices of the next batch; starts the next pass when this one is used up.
    pub fn next_batch(&mut self) -> &[usize] {
        let BatchState { samples, size, drop_last, .. } = self.state;
        let left = samples - self.state.position;
        if left == 0 || (drop_last && left < size) {
            self.state.epoch += 1;
            self.state.position = 0;
            self.arrange();
        }
        let start = self.state.position;
        let end = (start + size).min(samples);
        self.state.position = end;
        &self.order[start..end]
    }

    /// Lays out the order of the current pass.
    fn arrange(&mut self) {
        self.order.clear();
        self.order.extend(0..self.state.samples);
        let Some(seed) = self.state.seed else {
            return;
        };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(self.state.epoch);
        for i in (1..self.order.len()).rev() {
            self.order.swap(i, below(&mut rng, i as u64 + 1));
        }
    }
}

/// A uniform integer in 0..n without bias: draws at or above the largest multiple of n are redrawn.
fn below(rng: &mut ChaCha8Rng, n: u64) -> usize {
    let limit = u64::MAX - u64::MAX % n;
    loop {
        let draw = rng.next_u64();
        if draw < limit {
            return (draw % n) as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(batches: &mut Batches) -> Vec<Vec<usize>> {
        (0..batches.per_epoch()).map(|_| batches.next_batch().to_vec()).collect()
    }

    #[test]
    fn every_pass_covers_every_sample_once() -> Result<()> {
        let mut batches = Batches::new(10, 4)?.shuffled(3);
        let mut orders = Vec::new();
        for pass in 0..5 {
            let e = epoch(&mut batches);
            assert_eq!(e.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
            assert_eq!(batches.state().epoch, pass);
            orders.push(e.concat());
            let mut sorted = e.concat();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        }
        orders.sort();
        orders.dedup();
        assert_eq!(orders.len(), 5, "passes must differ");
        Ok(())
    }

    #[test]
    fn drop_last_leaves_the_rest_out() -> Result<()> {
        let mut batches = Batches::new(10, 4)?.drop_last();
        assert_eq!(epoch(&mut batches), [[0, 1, 2, 3], [4, 5, 6, 7]]);
        assert_eq!(batches.next_batch(), [0, 1, 2, 3]);
        assert_eq!(batches.state().epoch, 1);
        Ok(())
    }

    #[test]
    fn resuming_anywhere_continues_exactly() -> Result<()> {
        for drop_last in [false, true] {
            let mut batches = Batches::new(7, 3)?.shuffled(11);
            if drop_last {
                batches = batches.drop_last();
            }
            for _ in 0..12 {
                let json = serde_json::to_string(&batches.state()).expect("plain integers");
                let state = serde_json::from_str(&json).expect("round trip");
                let mut resumed = Batches::resume(state)?;
                let mut straight = batches.clone();
                for _ in 0..8 {
                    assert_eq!(resumed.next_batch(), straight.next_batch());
                    assert_eq!(resumed.state(), straight.state());
                }
                batches.next_batch();
            }
        }
        Ok(())
    }

    /// The documented order, pinned: a change would silently alter every seeded experiment.
    #[test]
    fn the_order_is_a_function_of_the_seed() -> Result<()> {
        let order = |seed| Ok::<_, Error>(epoch(&mut Batches::new(8, 8)?.shuffled(seed)).concat());
        assert_eq!(order(0)?, order(0)?);
        assert_ne!(order(0)?, order(1)?);
        assert_eq!(order(42)?, PINNED);
        Ok(())
    }
    const PINNED: [usize; 8] = [5, 3, 2, 6, 7, 4, 0, 1];

    /// χ² of where sample 0 lands among 6 places over 6000 passes; 5 degrees of freedom, the 0.1 %
    /// point is 20.5 and the draw is fixed by the seed.
    #[test]
    fn places_are_uniform() -> Result<()> {
        let mut batches = Batches::new(6, 6)?.shuffled(1);
        let mut counts = [0u32; 6];
        for _ in 0..6000 {
            let order = batches.next_batch();
            counts[order.iter().position(|&i| i == 0).expect("covered")] += 1;
        }
        let chi2: f64 = counts.iter().map(|&c| (f64::from(c) - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi2 < 20.5, "χ² = {chi2}, counts {counts:?}");
        Ok(())
    }

    #[test]
    fn bad_sizes_and_states_are_errors() -> Result<()> {
        let reason = |r: Result<Batches>| r.expect_err("must fail").to_string();
        assert!(reason(Batches::new(0, 1)).contains("at least one sample"));
        assert!(reason(Batches::new(5, 0)).contains("between 1 and the number of samples, 5"));
        assert!(reason(Batches::new(5, 6)).contains("batch size is 6"));
        let mut state = Batches::new(5, 2)?.state();
        for position in [1, 3, 6] {
            state.position = position;
            assert!(reason(Batches::resume(state)).contains("batch position"), "{position}");
        }
        state.position = 5;
        assert!(Batches::resume(state).is_ok());
        Ok(())
    }
}
