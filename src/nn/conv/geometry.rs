//! [`Geometry`]: where everything stands in memory once fields are padded into runs.
//!
//! The *large* side is what a convolution reads (its input), the *small* side what it writes. With
//! stride s the padded large field is cut into its sᵈ phases, x̃_φ[q] = x̃[s q + φ]; tap t, which stands
//! at d t for dilation d, reads phase d t mod s shifted by ⌊d t/s⌋. Large and small fields share their
//! strides, so that one packing of the small side serves both gradients.

use super::spec::{ConvSpec, Padding};
use crate::error::Result;

/// Numbers of a strip: what a run's length is rounded up to.
pub(super) const STRIP: usize = 16;
/// What a padded coordinate without a point maps to.
pub(super) const NONE: u32 = u32::MAX;

/// Rows of a field inside a run with strides: row r starts at `flat[r]` of the run and at r·length of
/// the dense field.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub flat: Vec<usize>,
    pub length: usize,
    /// The first row that ends beyond the start of each strip.
    pub first: Vec<usize>,
}

impl Rows {
    fn new([nx, ny, nz]: [usize; 3], [sx, sxy]: [usize; 2]) -> Self {
        let flat: Vec<usize> = (0..nz * ny).map(|r| r / ny * sxy + r % ny * sx).collect();
        let end = flat.last().map_or(0, |last| last + nx);
        let first = |p: usize| flat.partition_point(|start| start + nx <= p);
        let first = (0..end.div_ceil(STRIP)).map(|s| first(s * STRIP)).collect();
        Self { flat, length: nx, first }
    }

    /// Points of the dense field.
    pub fn points(&self) -> usize {
        self.flat.len() * self.length
    }

    /// Copies the rows of a run that begins at the first one's place into the dense field.
    pub fn gather<T: Copy>(&self, run: &[T], dense: &mut [T]) {
        for (row, start) in dense.chunks_exact_mut(self.length).zip(&self.flat) {
            row.copy_from_slice(&run[*start..][..self.length]);
        }
    }

    /// Copies what `V` strips of the run from `p` on hold of rows into the dense field; `values` begins with
    /// them. Whole strips are copied where there is room: what is written too much is written again by the
    /// strips that follow, which are to come in order.
    #[inline(always)]
    pub fn scatter<T: Copy, const V: usize>(&self, p: usize, values: &[T], dense: &mut [T]) {
        let end = p + V * STRIP;
        let mut row = self.first[p / STRIP];
        while row < self.flat.len() && self.flat[row] < end {
            let start = self.flat[row];
            let (from, to) = (start.max(p), (start + self.length).min(end));
            let at = row * self.length + from - start;
            let source = &values[from - p..];
            if source.len() >= V * STRIP && dense.len() >= at + V * STRIP {
                let strips = source.as_chunks::<STRIP>().0.iter().zip(dense[at..].as_chunks_mut::<STRIP>().0);
                strips.take(V).for_each(|(from, to)| *to = *from);
            } else {
                dense[at..at + to - from].copy_from_slice(&source[..to - from]);
            }
            row += 1;
        }
    }
}

/// The terms of one sum of shifted runs: where each begins, and which weight it has.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub starts: Vec<usize>,
    /// Of the adjoint: for input 0; input i's is i·taps further.
    pub weights: Vec<usize>,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Geometry {
    pub inputs: usize,
    pub outputs: usize,
    pub taps: usize,
    pub stride: [usize; 3],
    pub large: [usize; 3],
    pub small: [usize; 3],
    /// Padded coordinate → coordinate of the large field.
    pub maps: [Vec<u32>; 3],
    /// Padding of the large field below.
    pub low: [usize; 3],
    /// Extents of the part of a phase whose gradient is wanted.
    pub domain: [usize; 3],
    /// Zeros before the small field in its run.
    pub lead: [usize; 3],
    /// Rows and planes of a run.
    pub strides: [usize; 2],
    /// Length of a run, slack included.
    pub run: usize,
    /// Whether the gradient for the input needs no folding of padding or phases.
    pub direct: bool,
    pub forward: Terms,
    /// For each phase.
    pub adjoint: Vec<Terms>,
    pub small_rows: Rows,
    pub domain_rows: Rows,
}

impl Geometry {
    pub fn new(spec: &ConvSpec, large: [usize; 3]) -> Result<Self> {
        let small = spec.output(large)?;
        let (k, d, s) = (spec.kernel, spec.dilation, spec.stride);
        let reach: [usize; 3] = std::array::from_fn(|a| spec.reach(a) / s[a]);
        let direct = s == [1; 3]
            && (0..3).all(|a| {
                let plain = |side: usize| {
                    let points = spec.padding[a][side];
                    points == 0 || (spec.modes[a][side] == Padding::Zero && points <= spec.reach(a))
                };
                plain(0) && plain(1)
            });
        let cut = |a: usize, side: usize| if direct { spec.padding[a][side] } else { 0 };
        let phase: [usize; 3] = std::array::from_fn(|a| small[a] + reach[a]);
        let domain: [usize; 3] = std::array::from_fn(|a| phase[a] - cut(a, 0) - cut(a, 1));
        let lead: [usize; 3] = std::array::from_fn(|a| reach[a] - cut(a, 0));
        let widest: [usize; 3] = std::array::from_fn(|a| phase[a].max(domain[a] + reach[a]));
        let strides = [widest[0], widest[0] * widest[1]];
        let run = (strides[1] * widest[2] + 2 * STRIP).next_multiple_of(STRIP);
        let maps = std::array::from_fn(|a| map(large[a], spec.padding[a], spec.modes[a]));
        let flat = |[x, y, z]: [usize; 3]| x + strides[0] * y + strides[1] * z;
        let place = |t: usize| [t % k[0] * d[0], t / k[0] % k[1] * d[1], t / (k[0] * k[1]) * d[2]];
        let taps: Vec<[usize; 3]> = (0..spec.taps()).map(place).collect();
        let phases: usize = s.iter().product();
        let phase_of = |t: &[usize; 3]| t[0] % s[0] + s[0] * (t[1] % s[1] + s[1] * (t[2] % s[2]));
        let shift = |t: &[usize; 3]| -> [usize; 3] { std::array::from_fn(|a| t[a] / s[a]) };
        let mut forward = Terms { starts: Vec::new(), weights: Vec::new() };
        for i in 0..spec.inputs {
            for (t, tap) in taps.iter().enumerate() {
                forward.starts.push((i * phases + phase_of(tap)) * run + flat(shift(tap)));
                forward.weights.push(i * taps.len() + t);
            }
        }
        let adjoint = (0..phases).map(|phase| {
            let mut terms = Terms { starts: Vec::new(), weights: Vec::new() };
            for j in 0..spec.outputs {
                for (t, tap) in taps.iter().enumerate().filter(|(_, tap)| phase_of(tap) == phase) {
                    let back = shift(tap);
                    let at = flat(std::array::from_fn(|a| reach[a] - back[a]));
                    terms.starts.push(j * run + at);
                    terms.weights.push(j * spec.inputs * taps.len() + t);
                }
            }
            terms
        });
        Ok(Self {
            inputs: spec.inputs,
            outputs: spec.outputs,
            taps: taps.len(),
            stride: s,
            large,
            small,
            maps,
            low: std::array::from_fn(|a| spec.padding[a][0]),
            domain,
            lead,
            strides,
            run,
            direct,
            adjoint: adjoint.collect(),
            forward,
            small_rows: Rows::new(small, strides),
            domain_rows: Rows::new(domain, strides),
        })
    }

    /// Phases of the large side.
    pub fn phases(&self) -> usize {
        self.stride.iter().product()
    }

    /// Numbers of one sample on the large side.
    pub fn large_len(&self) -> usize {
        self.inputs * self.large.iter().product::<usize>()
    }

    /// Numbers of one sample on the small side.
    pub fn small_len(&self) -> usize {
        self.outputs * self.small.iter().product::<usize>()
    }

    /// Where the small field begins in its run.
    pub fn lead_in(&self) -> usize {
        self.lead[0] + self.strides[0] * self.lead[1] + self.strides[1] * self.lead[2]
    }
}

/// Padded coordinate → coordinate.
fn map(n: usize, [low, high]: [usize; 2], modes: [Padding; 2]) -> Vec<u32> {
    let place = |at: usize| {
        if (low..low + n).contains(&at) {
            return (at - low) as u32;
        }
        let (beyond, mode) = match at < low {
            true => (low - at, modes[0]),
            false => (at + 1 - low - n, modes[1]),
        };
        let (below, above) = match mode {
            Padding::Zero => return NONE,
            Padding::Reflect => (beyond, n.wrapping_sub(1 + beyond)),
            Padding::Circular => (n - beyond, beyond - 1),
        };
        if at < low { below as u32 } else { above as u32 }
    };
    (0..low + n + high).map(place).collect()
}
