//! [`Conv`] and [`ConvTranspose`]: a convolution on grids of given extents.

use super::correlate::{Correlate, block, sum};
use super::geometry::{Geometry, STRIP};
use super::pack::{Fold, PackLarge, PackSmall};
use super::product::{ShiftedSums, tile_shape};
use super::spec::ConvSpec;
use crate::error::{Error, Result};
use crate::num::{Real, parallel};

/// Fields of up to so many points have their weights' gradient as a product of matrices with the shifted
/// fields as columns: there a sum is too short for sixteen chains of its own.
const GATHERED: usize = 256;

/// Memory of convolutions; it grows to what the largest one needs and can serve any number of them,
/// one after the other. A call with warm memory allocates nothing on one thread.
#[derive(Clone, Debug, Default)]
pub struct Scratch<T> {
    weights: Vec<T>,
    partial: Vec<T>,
    rooms: Vec<Room<T>>,
}

/// Memory of one thread.
#[derive(Clone, Debug, Default)]
struct Room<T> {
    large: Vec<T>,
    small: Vec<T>,
    phases: Vec<T>,
    lanes: Vec<[T; STRIP]>,
}

impl<T: Real> Scratch<T> {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes that it has grown to.
    pub fn bytes(&self) -> usize {
        let room = |room: &Room<T>| {
            let numbers = room.large.capacity() + room.small.capacity() + room.phases.capacity();
            numbers + room.lanes.capacity() * STRIP
        };
        let rooms: usize = self.rooms.iter().map(room).sum();
        (self.weights.capacity() + self.partial.capacity() + rooms) * size_of::<T>()
    }

    /// One room for each group of samples that is worked on at once, and the samples of a group.
    fn split(&mut self, batch: usize) -> usize {
        let groups = batch.min(parallel::threads()).max(1);
        if self.rooms.len() < groups {
            self.rooms.resize_with(groups, Room::default);
        }
        batch.div_ceil(groups).max(1)
    }
}

/// At least `length` numbers.
fn grow<N: Clone>(room: &mut Vec<N>, length: usize, zero: N) -> &mut [N] {
    if room.len() < length {
        room.resize(length, zero);
    }
    &mut room[..length]
}

/// Runs `work(sample, room, out)` for every sample's part of `out`, groups of samples in parallel.
fn samples<T: Real>(
    rooms: &mut [Room<T>],
    group: usize,
    (out, length): (&mut [T], usize),
    work: impl Fn(usize, &mut Room<T>, &mut [T]) + Sync,
) {
    let batch = out.len() / length;
    let run = |first: usize, room: &mut Room<T>, out: &mut [T]| {
        for (i, out) in out.chunks_exact_mut(length).enumerate() {
            work(first + i, room, out);
        }
    };
    match rooms {
        [room, ..] if group >= batch => run(0, room, out),
        rooms => {
            let parts: Vec<_> = out.chunks_mut(group * length).zip(rooms).enumerate().collect();
            parallel::each(parts, |(g, (out, room))| run(g * group, room, out));
        }
    }
}

/// A [`ConvSpec`] on grids of given extents, for batches of any size; see the [module](super).
///
/// ```
/// use odeon::nn::conv::{Conv, ConvSpec, Scratch};
///
/// // Second differences on five points, 0 beyond.
/// let spec = ConvSpec::same(1, 1, 1, 3)?.without_bias();
/// let conv = Conv::new(spec, [5, 1, 1])?;
/// let mut y = [0.0; 5];
/// conv.forward(&[1.0, -2.0, 1.0], &[1.0, 2.0, 4.0, 8.0, 16.0], &mut y, &mut Scratch::new())?;
/// assert_eq!(y, [0.0, 1.0, 2.0, 4.0, -24.0]);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conv {
    spec: ConvSpec,
    geometry: Geometry,
}

impl Conv {
    /// For inputs of these extents (1 beyond the dimension).
    ///
    /// # Errors
    /// As [`ConvSpec::output`].
    pub fn new(spec: ConvSpec, extents: [usize; 3]) -> Result<Self> {
        let geometry = Geometry::new(&spec, extents)?;
        Ok(Self { spec, geometry })
    }

    /// What it is.
    pub fn spec(&self) -> &ConvSpec {
        &self.spec
    }
    /// Extents of the output.
    pub fn output(&self) -> [usize; 3] {
        self.geometry.small
    }
    /// Numbers of one sample's input.
    pub fn input_len(&self) -> usize {
        self.geometry.large_len()
    }
    /// Numbers of one sample's output.
    pub fn output_len(&self) -> usize {
        self.geometry.small_len()
    }

    fn check(&self, theta: usize, large: usize, small: usize) -> Result<()> {
        Error::check_len("the convolution's parameters", theta, self.spec.len(), "weights and biases")?;
        check_sides(&self.geometry, large, small)
    }

    /// `y` ← the convolution of `x`; `theta` are the weights, then the biases.
    ///
    /// # Errors
    /// Lengths that do not fit.
    pub fn forward<T: Real>(
        &self,
        theta: &[T],
        x: &[T],
        y: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> Result<()> {
        self.check(theta.len(), x.len(), y.len())?;
        let (weights, bias) = theta.split_at(self.spec.weight_len());
        down(&self.geometry, weights, self.spec.bias.then_some(bias), x, y, scratch);
        Ok(())
    }

    /// `x_bar` ← the cotangent of x, where it is wanted. ACCUMULATES: `theta_bar` += that of the
    /// parameters, where it is wanted. `y_bar` is the cotangent of y.
    ///
    /// # Errors
    /// Lengths that do not fit.
    pub fn backward<T: Real>(
        &self,
        theta: &[T],
        [x, y_bar]: [&[T]; 2],
        x_bar: Option<&mut [T]>,
        theta_bar: Option<&mut [T]>,
        scratch: &mut Scratch<T>,
    ) -> Result<()> {
        self.check(theta.len(), x.len(), y_bar.len())?;
        let weights = self.spec.weight_len();
        if let Some(x_bar) = x_bar {
            Error::check_len("x_bar", x_bar.len(), x.len(), "the length of x")?;
            up(&self.geometry, &theta[..weights], y_bar, x_bar, scratch);
        }
        if let Some(theta_bar) = theta_bar {
            Error::check_len("theta_bar", theta_bar.len(), theta.len(), "the length of theta")?;
            let (weight_bar, bias_bar) = theta_bar.split_at_mut(weights);
            weight_gradient(&self.geometry, [x, y_bar], weight_bar, scratch);
            bias_gradient(y_bar, self.geometry.small_rows.points(), bias_bar);
        }
        Ok(())
    }
}

/// The transposed convolution of a [`ConvSpec`]: from its outputs to its inputs, the adjoint of
/// [`Conv`] without biases, plus a bias for each of the spec's inputs. With the spec's roles swapped it
/// is PyTorch's `ConvTranspose`: weights `[spec.outputs, spec.inputs, k…]`, and the extents of the
/// result are given, which says what PyTorch calls the output padding.
#[derive(Clone, Debug)]
pub struct ConvTranspose {
    spec: ConvSpec,
    geometry: Geometry,
}

impl ConvTranspose {
    /// For results of these extents; what it takes has the extents that [`ConvSpec::output`] gives.
    ///
    /// # Errors
    /// As [`ConvSpec::output`].
    pub fn new(spec: ConvSpec, extents: [usize; 3]) -> Result<Self> {
        let geometry = Geometry::new(&spec, extents)?;
        Ok(Self { spec, geometry })
    }

    /// What it is the transpose of.
    pub fn spec(&self) -> &ConvSpec {
        &self.spec
    }
    /// Extents of the input.
    pub fn input(&self) -> [usize; 3] {
        self.geometry.small
    }
    /// Numbers of one sample's input.
    pub fn input_len(&self) -> usize {
        self.geometry.small_len()
    }
    /// Numbers of one sample's output.
    pub fn output_len(&self) -> usize {
        self.geometry.large_len()
    }
    /// Weights, and one bias for each of the spec's inputs if there are any.
    pub fn params_len(&self) -> usize {
        self.spec.weight_len() + if self.spec.bias { self.spec.inputs } else { 0 }
    }

    fn check(&self, theta: usize, large: usize, small: usize) -> Result<()> {
        let needed = self.params_len();
        Error::check_len("the transposed convolution's parameters", theta, needed, "weights and biases")?;
        check_sides(&self.geometry, large, small)
    }

    /// `y` ← the transposed convolution of `x`; `theta` are the weights, then the biases.
    ///
    /// # Errors
    /// Lengths that do not fit.
    pub fn forward<T: Real>(
        &self,
        theta: &[T],
        x: &[T],
        y: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> Result<()> {
        self.check(theta.len(), y.len(), x.len())?;
        let (weights, bias) = theta.split_at(self.spec.weight_len());
        up(&self.geometry, weights, x, y, scratch);
        let points = self.geometry.large.iter().product();
        for (field, b) in y.chunks_exact_mut(points).zip(bias.iter().cycle()) {
            field.iter_mut().for_each(|y| *y += *b);
        }
        Ok(())
    }

    /// As [`Conv::backward`].
    ///
    /// # Errors
    /// Lengths that do not fit.
    pub fn backward<T: Real>(
        &self,
        theta: &[T],
        [x, y_bar]: [&[T]; 2],
        x_bar: Option<&mut [T]>,
        theta_bar: Option<&mut [T]>,
        scratch: &mut Scratch<T>,
    ) -> Result<()> {
        self.check(theta.len(), y_bar.len(), x.len())?;
        let weights = self.spec.weight_len();
        if let Some(x_bar) = x_bar {
            Error::check_len("x_bar", x_bar.len(), x.len(), "the length of x")?;
            down(&self.geometry, &theta[..weights], None, y_bar, x_bar, scratch);
        }
        if let Some(theta_bar) = theta_bar {
            Error::check_len("theta_bar", theta_bar.len(), theta.len(), "the length of theta")?;
            let (weight_bar, bias_bar) = theta_bar.split_at_mut(weights);
            weight_gradient(&self.geometry, [y_bar, x], weight_bar, scratch);
            bias_gradient(y_bar, self.geometry.large.iter().product(), bias_bar);
        }
        Ok(())
    }
}

fn check_sides(g: &Geometry, large: usize, small: usize) -> Result<()> {
    let batch = large / g.large_len();
    if batch == 0 || large != batch * g.large_len() || small != batch * g.small_len() {
        let given = format!("{large} and {small} numbers");
        let needed = format!(
            "a sample has {} numbers on the finer side ({} × {:?}) and {} on the other ({} × {:?})",
            g.large_len(),
            g.inputs,
            g.large,
            g.small_len(),
            g.outputs,
            g.small
        );
        return Err(Error::invalid("the batch of the convolution", given, needed));
    }
    Ok(())
}

/// How many numbers of a sample's result are made at once: all, or a block of channels when there are
/// more threads than samples.
fn portion(batch: usize, channels: usize, points: usize, block: usize) -> usize {
    if batch < parallel::threads() { block * points } else { channels * points }
}

/// `small` ← the convolution of `large`.
fn down<T: Real>(
    g: &Geometry,
    weights: &[T],
    bias: Option<&[T]>,
    large: &[T],
    small: &mut [T],
    scratch: &mut Scratch<T>,
) {
    let batch = large.len() / g.large_len();
    let group = scratch.split(batch);
    let terms = g.forward.starts.len();
    let points = g.small_rows.points();
    let chunk = portion(batch, g.outputs, points, tile_shape::<T>()[1]);
    samples(&mut scratch.rooms, group, (small, g.small_len()), |i, room, small| {
        let runs = grow(&mut room.large, g.inputs * g.phases() * g.run, T::zero());
        PackLarge { geometry: g, x: &large[i * g.large_len()..][..g.large_len()], runs }.pack();
        let source = &*runs;
        parallel::parts(small, chunk, |start, target| {
            let j = start / points;
            ShiftedSums {
                source,
                starts: &g.forward.starts,
                weights: &weights[j * terms..],
                bias: bias.map(|b| &b[j..]),
                rows: &g.small_rows,
                target,
            }
            .compute();
        });
    });
}

/// `large` ← the adjoint of the convolution, of `small`.
fn up<T: Real>(g: &Geometry, weights: &[T], small: &[T], large: &mut [T], scratch: &mut Scratch<T>) {
    let batch = large.len() / g.large_len();
    let group = scratch.split(batch);
    // The weights of each input, phase by phase, in the order of the phase's terms.
    let packed = grow(&mut scratch.weights, weights.len(), T::zero());
    let mut rest = &mut *packed;
    for terms in g.adjoint.iter().filter(|terms| !terms.weights.is_empty()) {
        let (phase, after) = rest.split_at_mut(g.inputs * terms.weights.len());
        for (i, row) in phase.chunks_exact_mut(terms.weights.len()).enumerate() {
            let weights = &weights[i * g.taps..];
            row.iter_mut().zip(&terms.weights).for_each(|(to, at)| *to = weights[*at]);
        }
        rest = after;
    }
    let (packed, points) = (&*packed, g.domain_rows.points());
    samples(&mut scratch.rooms, group, (large, g.large_len()), |i, room, large| {
        let runs = grow(&mut room.small, g.outputs * g.run, T::zero());
        PackSmall { geometry: g, y: &small[i * g.small_len()..][..g.small_len()], runs }.pack();
        let source = &*runs;
        let mut at = 0;
        if !g.direct {
            large.fill(T::zero());
        }
        for (phase, terms) in g.adjoint.iter().enumerate() {
            let count = terms.starts.len();
            let sums = |weights: &[T], target: &mut [T]| {
                let (starts, rows) = (&terms.starts[..], &g.domain_rows);
                ShiftedSums { source, starts, weights, bias: None, rows, target }.compute();
            };
            if g.direct {
                let chunk = portion(batch, g.inputs, points, tile_shape::<T>()[1]);
                parallel::parts(large, chunk, |start, target| {
                    sums(&packed[start / points * count..], target);
                });
            } else {
                let fields = grow(&mut room.phases, g.inputs * points, T::zero());
                sums(&packed[at..], fields);
                Fold { geometry: g, phase, fields, x: &mut *large }.fold();
            }
            at += g.inputs * count;
        }
    });
}

/// ACCUMULATES: `weight_bar` += the gradient for the weights.
fn weight_gradient<T: Real>(
    g: &Geometry,
    [large, small]: [&[T]; 2],
    weight_bar: &mut [T],
    scratch: &mut Scratch<T>,
) {
    let batch = large.len() / g.large_len();
    let group = scratch.split(batch);
    let (terms, length) = (g.forward.starts.len(), weight_bar.len());
    let partial = grow(&mut scratch.partial, batch * length, T::zero());
    if g.small_rows.points() <= GATHERED {
        samples(&mut scratch.rooms, group, (&mut *partial, length), |i, room, partial| {
            let runs = grow(&mut room.large, g.inputs * g.phases() * g.run, T::zero());
            PackLarge { geometry: g, x: &large[i * g.large_len()..][..g.large_len()], runs }.pack();
            let runs = &*runs;
            let points = g.small_rows.points();
            let columns = grow(&mut room.phases, terms * points, T::zero());
            for (column, start) in columns.chunks_exact_mut(points).zip(&g.forward.starts) {
                g.small_rows.gather(&runs[*start..], column);
            }
            let y_bar = &small[i * g.small_len()..][..g.small_len()];
            let shape = [terms, g.outputs, points];
            T::gemm(shape, T::one(), (columns, true), (y_bar, false), T::zero(), partial);
        });
        return add_samples(partial, weight_bar);
    }
    // Lanes of one block of outputs, or, when there are more threads than samples, of all.
    let alone = batch >= parallel::threads();
    let block = block::<T>() * terms;
    samples(&mut scratch.rooms, group, (&mut *partial, length), |i, room, partial| {
        let runs = grow(&mut room.large, g.inputs * g.phases() * g.run, T::zero());
        PackLarge { geometry: g, x: &large[i * g.large_len()..][..g.large_len()], runs }.pack();
        let larges = &*runs;
        let runs = grow(&mut room.small, g.outputs * g.run, T::zero());
        PackSmall { geometry: g, y: &small[i * g.small_len()..][..g.small_len()], runs }.pack();
        let smalls = &*runs;
        let lanes = grow(&mut room.lanes, if alone { block } else { length }, [T::zero(); STRIP]);
        let sums = |first: usize, lanes: &mut [[T; STRIP]], sums: &mut [T]| {
            Correlate {
                large: larges,
                starts: &g.forward.starts,
                small: &smalls[first * g.run + g.lead_in()..],
                run: g.run,
                strips: g.small_rows.first.len(),
                lanes,
                sums,
            }
            .compute();
        };
        match alone {
            true => sums(0, lanes, partial),
            false => {
                let blocks = partial.chunks_mut(block).zip(lanes.chunks_mut(block)).enumerate();
                let first = |number: usize| number * (block / terms);
                parallel::each(blocks.collect(), |(number, (partial, lanes))| {
                    sums(first(number), lanes, partial);
                });
            }
        }
    });
    add_samples(partial, weight_bar);
}

/// ACCUMULATES: `bar` += the parts of all samples, one after the other, so that threads change nothing.
fn add_samples<T: Real>(partial: &[T], bar: &mut [T]) {
    for partial in partial.chunks_exact(bar.len()) {
        bar.iter_mut().zip(partial).for_each(|(bar, p)| *bar += *p);
    }
}

/// ACCUMULATES: `bias_bar` += the sums of the channels.
fn bias_gradient<T: Real>(y_bar: &[T], points: usize, bias_bar: &mut [T]) {
    let channels = bias_bar.len().max(1);
    for sample in y_bar.chunks_exact(points * channels) {
        for (bar, field) in bias_bar.iter_mut().zip(sample.chunks_exact(points)) {
            *bar += sum(field);
        }
    }
}
