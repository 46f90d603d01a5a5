//! For whom noise is drawn: paths × components, cut into streams of normal pairs.

use super::Levy;
use crate::error::{Error, Result};
use crate::num::Real;
use crate::num::random::stream;

/// What a counter is used for: the highest byte of its id, so that no two uses ever share a number,
/// whatever the seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Domain {
    /// Nodes of the dyadic tree.
    Tree,
    /// Cells of a fixed grid.
    Grid,
}

/// Numbers that arrays of streams are padded to a multiple of, so that loops over them are whole
/// registers.
const REGISTER: usize = 8;

/// Below this number of streams it is ids, not streams, that fill the registers.
pub(super) const MANY: usize = 8;

/// The streams of a source. A stream carries a pair of numbers for every id: W and H of one component,
/// or, where there is no area and the source asks for it, W of two neighbouring components.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    components: usize,
    paths: usize,
    first_path: usize,
    levy: Levy,
    domain: Domain,
    /// Path and component of every stream, padded by streams that nobody reads.
    counters: Vec<u64>,
}

impl Streams {
    pub(super) fn new(components: usize, paths: usize, domain: Domain) -> Result<Self> {
        for (what, count) in [("the number of components", components), ("the number of paths", paths)] {
            if count == 0 {
                return Err(Error::invalid(
                    format!("{what} of a Brownian motion"),
                    0,
                    "it must be at least 1",
                ));
            }
        }
        Self { components, paths, first_path: 0, levy: Levy::None, domain, counters: vec![] }.counted()
    }

    pub(super) fn with_levy(mut self, levy: Levy) -> Self {
        self.levy = levy;
        self.counters = self.list();
        self
    }

    pub(super) fn with_first_path(mut self, first: usize) -> Result<Self> {
        self.first_path = first;
        self.counted()
    }

    /// Lists the counters, if the numbers of paths and components fit into theirs.
    fn counted(mut self) -> Result<Self> {
        const WORDS: u128 = 1 << 32;
        /// Streams whose counters take a terabyte.
        const MOST: u128 = 1 << 37;
        if self.components as u128 > WORDS {
            let needed = "a component's number is a word of the counter: there are at most 2³²";
            return Err(Error::invalid(
                "the number of components of a Brownian motion",
                self.components,
                needed,
            ));
        }
        if self.first_path as u128 + self.paths as u128 > WORDS {
            let given = format!("{} and {} more", self.first_path, self.paths);
            let needed = "a path's number is a word of the counter: give the ensembles other seeds";
            return Err(Error::invalid("the first path of a Brownian motion", given, needed));
        }
        if self.components as u128 * self.paths as u128 > MOST {
            let given = format!("{} × {}", self.components, self.paths);
            let needed = "their numbers would not fit into memory: solve the ensemble in parts (paths_from)";
            return Err(Error::invalid("components × paths of a Brownian motion", given, needed));
        }
        self.counters = self.list();
        Ok(self)
    }

    fn list(&self) -> Vec<u64> {
        let per_path = self.per_path();
        let count = per_path * self.paths;
        let padded = if count < MANY { count } else { count.next_multiple_of(REGISTER) };
        let counter = |i: usize| stream((self.first_path + i / per_path) as u32, (i % per_path) as u32);
        (0..padded).map(|i| counter(i.min(count - 1))).collect()
    }

    /// Components that share a stream.
    fn joint(&self) -> usize {
        match (self.domain, self.levy) {
            (Domain::Tree, Levy::None) => 2,
            _ => 1,
        }
    }

    fn per_path(&self) -> usize {
        self.components.div_ceil(self.joint())
    }

    pub(super) fn components(&self) -> usize {
        self.components
    }

    pub(super) fn paths(&self) -> usize {
        self.paths
    }

    pub(super) fn levy(&self) -> Levy {
        self.levy
    }

    /// The address of an id below 2⁵⁶.
    pub(super) fn id(&self, id: u64) -> u64 {
        let domain = match (self.domain, self.levy) {
            (Domain::Tree, Levy::None) => 1,
            (Domain::Tree, Levy::SpaceTime) => 2,
            (Domain::Grid, Levy::None) => 3,
            (Domain::Grid, Levy::SpaceTime) => 4,
        };
        id | domain << 56
    }

    /// The streams' counters, padded.
    pub(super) fn counters(&self) -> &[u64] {
        &self.counters
    }

    /// Checks what a query is to write.
    #[inline(always)]
    pub(super) fn check<T>(&self, w: &[T], area: &[T]) -> Result<()> {
        // The common case without a call.
        if w.len() == self.components * self.paths && area.is_empty() {
            return Ok(());
        }
        self.check_both(w, area)
    }

    #[inline(never)]
    fn check_both<T>(&self, w: &[T], area: &[T]) -> Result<()> {
        let numbers = self.components * self.paths;
        Error::check_len("w", w.len(), numbers, "components × paths")?;
        if area.is_empty() {
            return Ok(());
        }
        if self.levy == Levy::None {
            let needed =
                "this source was made without: ask for .levy(Levy::SpaceTime), or give an empty slice";
            return Err(Error::invalid("the space–time Lévy area", "wanted", needed));
        }
        Error::check_len("area", area.len(), numbers, "components × paths")
    }

    /// `w` ← sign · W and `area` ← H of the streams `from..from + values[0].len()` (fewer where these
    /// are padding).
    #[inline(always)]
    pub(super) fn write<T: Real>(
        &self,
        from: usize,
        sign: f64,
        values: [&[f64]; 2],
        w: &mut [T],
        area: &mut [T],
    ) {
        let [first, second] = values;
        if self.joint() == 1 {
            for (w, x) in w[from..].iter_mut().zip(first) {
                *w = T::of(sign * x);
            }
            if !area.is_empty() {
                for (area, x) in area[from..].iter_mut().zip(second) {
                    *area = T::of(*x);
                }
            }
        } else if self.components == 1 {
            for (w, x) in w[from..].iter_mut().zip(first) {
                *w = T::of(sign * x);
            }
        } else if self.components.is_multiple_of(2) {
            for (w, (x, y)) in w[2 * from..].chunks_exact_mut(2).zip(first.iter().zip(second)) {
                w[0] = T::of(sign * x);
                w[1] = T::of(sign * y);
            }
        } else {
            let per_path = self.per_path();
            for (i, (x, y)) in
                first.iter().zip(second).enumerate().take((per_path * self.paths).saturating_sub(from))
            {
                let (path, pair) = ((from + i) / per_path, (from + i) % per_path);
                let w = &mut w[path * self.components + 2 * pair..(path + 1) * self.components];
                w[0] = T::of(sign * x);
                if let Some(w) = w.get_mut(1) {
                    *w = T::of(sign * y);
                }
            }
        }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.counters[..])
    }
}

/// Checks the interval that a source is made for.
pub(super) fn check_span<T: Real>(span: [T; 2]) -> Result<()> {
    Error::check_finite("the span of a Brownian motion", &span)?;
    if span[0] < span[1] {
        return Ok(());
    }
    let given = format!("[{}, {}]", span[0], span[1]);
    let needed = "it must go from an earlier to a later time (queries may go back)";
    Err(Error::invalid("the span of a Brownian motion", given, needed))
}
