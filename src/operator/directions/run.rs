//! [`NetRun`]: a network at work on one grid, forward and backward.

use super::graph::{Graph, Node, Op};
use super::net::DirectionNet;
use super::pointwise::{Defect, activate, add, deactivate, weigh};
use crate::error::{Error, Result};
use crate::linalg::grid::Mask;
use crate::nn::conv::{Conv, ConvTranspose, Resample, Scratch};
use crate::num::Real;
use std::ops::Range;

/// A [`DirectionNet`] on a grid of given extents: its operations and their results, for batches of any
/// size. Fields are as those of [`linalg::grid`](crate::linalg::grid), samples one after the other.
#[derive(Clone, Debug)]
pub struct NetRun<T> {
    graph: Graph,
    dim: usize,
    params: usize,
    /// Extents of each level.
    extents: Vec<[usize; 3]>,
    /// The convolution of each node that is one, and where its parameters are.
    convs: Vec<Option<(Conv, Range<usize>)>>,
    transposes: Vec<Option<(ConvTranspose, Range<usize>)>>,
    resample: Vec<Resample>,
    /// What K misses at the sides of each level.
    walls: Vec<Vec<T>>,
    /// The fluid part of each level's points; empty without a mask.
    masks: Vec<Vec<T>>,
    geometry: Vec<T>,
    values: Vec<Vec<T>>,
    bars: Vec<Vec<T>>,
    carry: Vec<T>,
    scratch: Scratch<T>,
}

impl<T: Real> NetRun<T> {
    /// On a grid of these extents (1 beyond the dimension).
    ///
    /// # Errors
    /// Extents that do not fit the dimension; for the published networks an odd one.
    pub fn new(net: &DirectionNet, extents: [usize; 3]) -> Result<Self> {
        let levels = net.levels(extents);
        let odd = extents[..net.dim()].iter().any(|n| n % 2 == 1);
        if !net.is_homogeneous() && odd {
            let needed = "the published networks halve every axis: even extents are needed";
            return Err(Error::invalid("the extents of the grid", format!("{extents:?}"), needed));
        }
        let graph = net.graph(levels);
        let (mut all, mut resample) = (vec![extents], Vec::new());
        for level in 1..levels {
            let step = Resample::new(net.dim(), all[level - 1])?;
            all.push(step.coarse());
            resample.push(step);
        }
        let conv = |node: &Node| match node.op {
            Op::Conv { weights, .. } | Op::Defect { weights, .. } => {
                let weights = &net.weights()[weights];
                Ok(Some((Conv::new(weights.spec.clone(), all[node.level])?, weights.range.clone())))
            }
            _ => Ok(None),
        };
        let convs = graph.nodes.iter().map(conv).collect::<Result<_>>()?;
        let transpose = |node: &Node| match node.op {
            Op::Transpose { weights, .. } => {
                let weights = &net.weights()[weights];
                let transpose = ConvTranspose::new(weights.spec.clone(), all[node.level])?;
                Ok(Some((transpose, weights.range.clone())))
            }
            _ => Ok(None),
        };
        let transposes = graph.nodes.iter().map(transpose).collect::<Result<_>>()?;
        let points: usize = extents.iter().product();
        let none = || vec![Vec::new(); graph.nodes.len()];
        Ok(Self {
            dim: net.dim(),
            params: net.layout().len(),
            walls: all.iter().enumerate().map(|(level, extents)| wall(net.dim(), *extents, level)).collect(),
            extents: all,
            convs,
            transposes,
            resample,
            masks: Vec::new(),
            geometry: vec![T::zero(); net.geometry() * points],
            values: none(),
            bars: none(),
            carry: Vec::new(),
            scratch: Scratch::new(),
            graph,
        })
    }

    /// Points of the grid.
    pub fn points(&self) -> usize {
        self.extents[0].iter().product()
    }

    /// From now on the solid points of `mask` are 0 after every convolution, on coarser levels each point
    /// weighted by the part of it that is fluid.
    ///
    /// # Errors
    /// A mask of another grid; a symmetric network, which masks would make unsymmetric.
    pub fn set_mask(&mut self, mask: &Mask) -> Result<()> {
        if self.transposes.iter().any(Option::is_some) {
            let needed = "symmetric networks take obstacles by the diagonal of the operator alone";
            return Err(Error::invalid("the mask", "given to a symmetric network", needed));
        }
        Error::check_len("the mask", mask.solid().len(), self.points(), "the points of the network's grid")?;
        let fluid = |s: &bool| if *s { T::zero() } else { T::one() };
        self.masks = vec![mask.solid().iter().map(fluid).collect()];
        for (level, step) in self.resample.iter().enumerate() {
            let mut coarse = vec![T::zero(); self.extents[level + 1].iter().product()];
            step.sums(T::of(step.ratio().recip()), &self.masks[level], &mut coarse);
            self.masks.push(coarse);
        }
        Ok(())
    }

    /// The channels of the geometry, for a network that has such inputs.
    ///
    /// # Errors
    /// Another number of channels or points, values that are not finite.
    pub fn set_geometry(&mut self, channels: &[T]) -> Result<()> {
        Error::check_len("the geometry", channels.len(), self.geometry.len(), "channels times points")?;
        Error::check_finite("the geometry", channels)?;
        self.geometry.copy_from_slice(channels);
        Ok(())
    }

    /// `z` ← f(r) for every sample of `r`.
    ///
    /// # Errors
    /// Lengths that do not fit.
    pub fn forward(&mut self, theta: &[T], r: &[T], z: &mut [T]) -> Result<()> {
        let n = self.points();
        Error::check_len("theta", theta.len(), self.params, "the parameters of the network")?;
        if r.is_empty() || !r.len().is_multiple_of(n) {
            return Err(Error::invalid("the residual's length", r.len(), format!("a multiple of {n}")));
        }
        Error::check_len("z", z.len(), r.len(), "the length of r")?;
        let batch = r.len() / n;
        for at in 0..self.graph.nodes.len() {
            let Node { op, level, channels } = self.graph.nodes[at];
            let points: usize = self.extents[level].iter().product();
            let (before, rest) = self.values.split_at_mut(at);
            let value = &mut rest[0];
            value.resize(batch * channels * points, T::zero());
            match op {
                Op::Input => {
                    for (to, r) in value.chunks_exact_mut(channels * n).zip(r.chunks_exact(n)) {
                        to[..n].copy_from_slice(r);
                        to[n..].copy_from_slice(&self.geometry);
                    }
                }
                Op::Conv { from, slope, .. } => {
                    let Some((conv, range)) = &self.convs[at] else { continue };
                    conv.forward(&theta[range.clone()], &before[from], value, &mut self.scratch)?;
                    activate(slope, value);
                    weigh(self.masks.get(level), value);
                }
                Op::Transpose { from, .. } => {
                    let Some((transpose, range)) = &self.transposes[at] else { continue };
                    transpose.forward(&theta[range.clone()], &before[from], value, &mut self.scratch)?;
                }
                Op::Defect { r, u, .. } => {
                    let Some((conv, range)) = &self.convs[at] else { continue };
                    conv.forward(&theta[range.clone()], &before[u], value, &mut self.scratch)?;
                    let (wall, r, u) = (&self.walls[level], &before[r], &before[u]);
                    Defect { wall, r, u, y: value }.subtract();
                    weigh(self.masks.get(level), value);
                }
                Op::Add { a, b } => {
                    value.copy_from_slice(&before[a]);
                    add(&before[b], value);
                }
                Op::Pool { from, factor } => {
                    self.resample[level - 1].sums(T::of(factor), &before[from], value);
                }
                Op::Up { from } => {
                    value.fill(T::zero());
                    self.resample[level].spread_add(T::one(), &before[from], value);
                    weigh(self.masks.get(level), value);
                }
            }
        }
        if let Some(value) = self.values.last() {
            z.copy_from_slice(value);
        }
        Ok(())
    }

    /// ACCUMULATES: `theta_bar` += the cotangent of θ for the cotangent `z_bar` of the last forward
    /// pass's result.
    ///
    /// # Errors
    /// Lengths that do not fit, no forward pass of this batch before.
    pub fn backward(&mut self, theta: &[T], z_bar: &[T], theta_bar: &mut [T]) -> Result<()> {
        Error::check_len("theta", theta.len(), self.params, "the parameters of the network")?;
        Error::check_len("theta_bar", theta_bar.len(), self.params, "the parameters of the network")?;
        let last = self.graph.nodes.len() - 1;
        let why = "the result of the forward pass before";
        Error::check_len("z_bar", z_bar.len(), self.values[last].len(), why)?;
        for (bar, value) in self.bars.iter_mut().zip(&self.values) {
            bar.clear();
            bar.resize(value.len(), T::zero());
        }
        self.bars[last].copy_from_slice(z_bar);
        for at in (1..=last).rev() {
            let Node { op, level, .. } = self.graph.nodes[at];
            let (before, rest) = self.bars.split_at_mut(at);
            let bar = &mut rest[0];
            match op {
                Op::Input => {}
                Op::Conv { from, slope, .. } => {
                    let Some((conv, range)) = &self.convs[at] else { continue };
                    weigh(self.masks.get(level), bar);
                    deactivate(slope, &self.values[at], bar);
                    let inner = !matches!(self.graph.nodes[from].op, Op::Input);
                    self.carry.resize(before[from].len(), T::zero());
                    conv.backward(
                        &theta[range.clone()],
                        [&self.values[from], bar],
                        inner.then_some(&mut self.carry[..]),
                        Some(&mut theta_bar[range.clone()]),
                        &mut self.scratch,
                    )?;
                    if inner {
                        add(&self.carry, &mut before[from]);
                    }
                }
                Op::Transpose { from, .. } => {
                    let Some((transpose, range)) = &self.transposes[at] else { continue };
                    self.carry.resize(before[from].len(), T::zero());
                    let bars = (&mut self.carry[..], &mut theta_bar[range.clone()]);
                    let given = [&self.values[from][..], bar];
                    let theta = &theta[range.clone()];
                    transpose.backward(theta, given, Some(bars.0), Some(bars.1), &mut self.scratch)?;
                    add(&self.carry, &mut before[from]);
                }
                Op::Defect { r, u, .. } => {
                    let Some((conv, range)) = &self.convs[at] else { continue };
                    weigh(self.masks.get(level), bar);
                    add(bar, &mut before[r]);
                    bar.iter_mut().for_each(|v| *v = -*v);
                    self.carry.resize(bar.len(), T::zero());
                    let bars = (&mut self.carry[..], &mut theta_bar[range.clone()]);
                    let given = [&self.values[u][..], bar];
                    let theta = &theta[range.clone()];
                    conv.backward(theta, given, Some(bars.0), Some(bars.1), &mut self.scratch)?;
                    add(&self.carry, &mut before[u]);
                    let wall = self.walls[level].iter().cycle();
                    for ((to, v), w) in before[u].iter_mut().zip(bar.iter()).zip(wall) {
                        *to += *w * *v;
                    }
                }
                Op::Add { a, b } => {
                    add(bar, &mut before[a]);
                    add(bar, &mut before[b]);
                }
                Op::Pool { from, factor } => {
                    self.resample[level - 1].spread_add(T::of(factor), bar, &mut before[from]);
                }
                Op::Up { from } => {
                    weigh(self.masks.get(level), bar);
                    self.carry.resize(before[from].len(), T::zero());
                    self.resample[level].sums(T::one(), bar, &mut self.carry);
                    add(&self.carry, &mut before[from]);
                }
            }
        }
        Ok(())
    }

    /// Axes of the grid.
    pub fn dim(&self) -> usize {
        self.dim
    }
}

/// (1 − δ)/δ for every side of the grid that a point of the level is next to, δ = (1 + 2⁻ˡ)/2.
fn wall<T: Real>(dim: usize, extents: [usize; 3], level: usize) -> Vec<T> {
    let delta = 0.5 * (1.0 + 0.5f64.powi(level as i32));
    let [nx, ny, nz] = extents;
    let sides = |i: usize| {
        let at = [i % nx, i / nx % ny, i / (nx * ny)];
        let beside = |a: usize| usize::from(at[a] == 0) + usize::from(at[a] + 1 == extents[a]);
        (0..dim).map(beside).sum::<usize>()
    };
    (0..nx * ny * nz).map(|i| T::of(sides(i) as f64 * (1.0 - delta) / delta)).collect()
}
