//! [`DirectionNet`]: architectures and their parameters.

use super::graph::{Graph, Op};
use crate::error::{Error, Result};
use crate::nn::conv::ConvSpec;
use crate::nn::{Entry, Initializer, Layout, Role, init, io};
use crate::num::Real;
use std::ops::Range;
use std::path::Path;

/// The published networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// That of the 64³ model: 15 convolutions, 97 457 parameters in three dimensions.
    N64,
    /// That of the 128³ model: 23 convolutions, 152 881 parameters in three dimensions.
    N128,
}

/// A convolution of a network and its parameters' place.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    pub spec: ConvSpec,
    pub range: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Published(Published),
    SelfSimilar { slope: f64 },
    Symmetric,
}

/// A network r ↦ q on grids of any extents; a value without numbers, which are a flat vector θ in the
/// order of [`layout`](Self::layout).
#[derive(Clone, Debug)]
pub struct DirectionNet {
    kind: Kind,
    dim: usize,
    inputs: usize,
    width: usize,
    layout: Layout,
    weights: Vec<Weights>,
}

/// Channels of the published networks.
const WIDTH: usize = 16;

impl DirectionNet {
    /// A network as published (its code, github.com/ayano721/2023_DCDM): 3ᵈ convolutions with bias and 16
    /// channels, ReLU but after the first, each second one added to what the one before the first of the pair
    /// gave; after the fine ones the mean over 2ᵈ points, 6 (or 10) coarse ones, nearest upsampling added
    /// to the fine field, 4 (or 6) fine ones, and one linear combination of the channels.
    ///
    /// `geometry` further input channels beside r hold masks and coefficients; published is 0. It sees r
    /// as it is given; its biases want ‖r‖₂ = 1 ([`Normalised`](crate::linalg::krylov::Normalised), which
    /// [`Proposer`](super::Proposer) does for it).
    ///
    /// # Errors
    /// Not two or three dimensions.
    pub fn published(dim: usize, which: Published, geometry: usize) -> Result<Self> {
        let (before, coarse, after) = match which {
            Published::N64 => (4, 6, 4),
            Published::N128 => (6, 10, 6),
        };
        let mut net = Self::empty(Kind::Published(which), dim, 1 + geometry, WIDTH)?;
        net.push("first", ConvSpec::same(dim, net.inputs, WIDTH, 3)?)?;
        for (part, count) in [("fine", before), ("coarse", coarse), ("last", after)] {
            for i in 0..count {
                net.push(&format!("{part}.{i}"), ConvSpec::same(dim, WIDTH, WIDTH, 3)?)?;
            }
        }
        net.push("out", ConvSpec::same(dim, WIDTH, 1, 1)?)?;
        Ok(net)
    }

    /// A self-similar, positively homogeneous network, f(c r) = c f(r) for c > 0, without biases and
    /// normalisation: a V-cycle whose every part is learned, with the same weights on all levels,
    ///
    /// ```text
    /// level(r):  u = S₁r;  u ← u + P up(level(4 mean(R(r − Ku))));  u ← u + S₂(r − Ku)
    /// S r = W r + W₃φ(W₂φ(W₁r)),  φ(y) = max(y, slope·y)
    /// ```
    ///
    /// K, R, P, W convolutions of one channel, W₁, W₂, W₃ of `width`; down to the last level of at least two
    /// points an axis, where the middle is left out. The factor 4 is (2h/h)²: the coarse problem in the
    /// fine one's units, which is what makes equal weights right for Poisson's equation. Coarse points are the
    /// middles of 2ᵈ finer ones, so that a Dirichlet side, one spacing from the first fine point, is δ =
    /// (1 + 2⁻ˡ)/2 coarse spacings from the first point of level l; K has (1 − δ)/δ added to its diagonal
    /// there, which is the second difference with that wall. Solid points (masks) are 0 after every
    /// convolution; coarse points are weighted by the part of them that is fluid.
    ///
    /// [`init`](Self::init) starts from multigrid: K the 2d + 1 point Laplacian, R = 1, P bilinear
    /// interpolation, W damped Jacobi, and small W₁ … W₃.
    ///
    /// # Errors
    /// Not two or three dimensions, no channels, a slope outside [0, 1].
    pub fn self_similar(dim: usize, width: usize, slope: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&slope) {
            return Err(Error::invalid("the slope of the activation", slope, "it must be in [0, 1]"));
        }
        let mut net = Self::empty(Kind::SelfSimilar { slope }, dim, 1, width)?;
        let one = ConvSpec::same(dim, 1, 1, 3)?.without_bias();
        for name in ["operator", "restrict", "prolong"] {
            net.push(name, one.clone())?;
        }
        for part in ["before", "after"] {
            net.push(&format!("{part}.linear"), one.clone())?;
            for (i, [from, to]) in [[1, width], [width, width], [width, 1]].into_iter().enumerate() {
                net.push(&format!("{part}.{i}"), ConvSpec::same(dim, from, to, 3)?.without_bias())?;
            }
        }
        Ok(net)
    }

    /// A linear network that is symmetric positive definite whatever its weights, the same on all levels:
    ///
    /// ```text
    /// level(r) = r + BᵀB r + P up(level(upᵀ Pᵀ r))
    /// ```
    ///
    /// B: 1 → `width` channels and P: 1 → 1, convolutions of `kernel` points an axis. Without B, and with P
    /// linear interpolation, which is where [`init`](Self::init) starts, that is the additive multigrid
    /// preconditioner of Bramble, Pasciak and Xu (Math. Comp. 55, 1990) in two dimensions. Each level costs
    /// (2 width + 2) kernelᵈ multiply-adds a point.
    ///
    /// # Errors
    /// Not two or three dimensions, no channels, an even kernel or one of 1.
    pub fn symmetric(dim: usize, width: usize, kernel: usize) -> Result<Self> {
        if kernel < 3 || kernel.is_multiple_of(2) {
            return Err(Error::invalid("the kernel", kernel, "it must be odd and at least 3"));
        }
        let mut net = Self::empty(Kind::Symmetric, dim, 1, width)?;
        net.push("prolong", ConvSpec::same(dim, 1, 1, kernel)?.without_bias())?;
        net.push("smooth", ConvSpec::same(dim, 1, width, kernel)?.without_bias())?;
        Ok(net)
    }

    fn empty(kind: Kind, dim: usize, inputs: usize, width: usize) -> Result<Self> {
        if !(2..=3).contains(&dim) {
            return Err(Error::invalid("the dimension of the network", dim, "2 and 3 are supported"));
        }
        Ok(Self { kind, dim, inputs, width, layout: Layout::new(), weights: Vec::new() })
    }

    fn push(&mut self, name: &str, spec: ConvSpec) -> Result<()> {
        let range = spec.push(&mut self.layout, name)?;
        self.weights.push(Weights { spec, range });
        Ok(())
    }

    /// Axes of its grids.
    pub fn dim(&self) -> usize {
        self.dim
    }
    /// Channels of the geometry it wants beside r.
    pub fn geometry(&self) -> usize {
        self.inputs - 1
    }
    /// Whether f(c r) = c f(r) for c > 0, so that r need not be normalised.
    pub fn is_homogeneous(&self) -> bool {
        !matches!(self.kind, Kind::Published(_))
    }
    /// Whether the map is linear and symmetric positive definite.
    pub fn is_symmetric(&self) -> bool {
        self.kind == Kind::Symmetric
    }
    /// Names and places of the parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
    pub(super) fn weights(&self) -> &[Weights] {
        &self.weights
    }

    /// Initial parameters. Published: Glorot's uniform law, Keras's default. Self-similar: a V-cycle, see
    /// [`self_similar`](Self::self_similar), W₁ and W₂ by He's normal law, W₃ a tenth of it. Symmetric: BPX with
    /// small random B.
    ///
    /// # Errors
    /// None for these laws.
    pub fn init<T: Real>(&self, seed: u64) -> Result<Vec<T>> {
        match self.kind {
            Kind::Published(_) => return init::draw(&self.layout, |_| Initializer::GlorotUniform, seed),
            Kind::Symmetric => return self.init_symmetric(seed),
            Kind::SelfSimilar { .. } => {}
        }
        let last = |e: &Entry| e.name.ends_with(".2.weight");
        let choose = |e: &Entry| match e.role {
            Role::Weight { fan_in, .. } if last(e) => {
                Initializer::Normal { sigma: 0.1 * (2.0 / fan_in as f64).sqrt() }
            }
            _ => Initializer::HeNormal,
        };
        let mut theta = init::draw(&self.layout, choose, seed)?;
        let jacobi = 0.8 / (2 * self.dim) as f64;
        for (name, stencil) in [
            ("operator", self.stencil(|d| [(2 * self.dim) as f64, -1.0, 0.0, 0.0][d])),
            ("restrict", self.stencil(|d| [1.0, 0.0, 0.0, 0.0][d])),
            ("prolong", self.stencil(|d| 0.5f64.powi((self.dim + d) as i32))),
            ("before.linear", self.stencil(|d| [jacobi, 0.0, 0.0, 0.0][d])),
            ("after.linear", self.stencil(|d| [jacobi, 0.0, 0.0, 0.0][d])),
        ] {
            let to = self.layout.view_mut(&format!("{name}.weight"), &mut theta)?;
            to.iter_mut().zip(stencil).for_each(|(to, v)| *to = T::of(v));
        }
        Ok(theta)
    }

    fn init_symmetric<T: Real>(&self, seed: u64) -> Result<Vec<T>> {
        let small = |_: &Entry| Initializer::Normal { sigma: 0.02 };
        let mut theta = init::draw(&self.layout, small, seed)?;
        let range = self.weights[0].range.clone();
        let k = (range.len() as f64).powf(1.0 / self.dim as f64).round() as usize;
        let mid = (k / 2) as isize;
        for (t, to) in theta[range].iter_mut().enumerate() {
            let along = |a: usize| (t / k.pow(a as u32) % k) as isize - mid;
            let weight = |a: usize| [0.5, 0.25].get(along(a).unsigned_abs()).copied().unwrap_or(0.0);
            *to = T::of((0..self.dim).map(weight).product());
        }
        Ok(theta)
    }

    /// The 3ᵈ coefficients of a kernel, by the number of axes along which a tap is displaced.
    fn stencil(&self, at: impl Fn(usize) -> f64) -> Vec<f64> {
        let displaced = |t: usize| (0..self.dim).filter(|a| t / 3usize.pow(*a as u32) % 3 != 1).count();
        (0..3usize.pow(self.dim as u32)).map(|t| at(displaced(t))).collect()
    }

    /// Writes parameters as safetensors.
    ///
    /// # Errors
    /// As [`io::save`].
    pub fn save<T: Real>(&self, path: impl AsRef<Path>, theta: &[T]) -> Result<()> {
        io::save(path, &self.layout, theta, &io::Names::exact())
    }

    /// Reads parameters; those of another architecture are refused by name or shape.
    ///
    /// # Errors
    /// As [`io::load`].
    pub fn load<T: Real>(&self, path: impl AsRef<Path>) -> Result<Vec<T>> {
        io::load(path, &self.layout, &io::Names::exact())
    }

    /// Levels on a grid of these extents.
    pub(super) fn levels(&self, extents: [usize; 3]) -> usize {
        let shortest = extents[..self.dim].iter().min().copied().unwrap_or(1);
        match self.kind {
            Kind::Published(_) => 2,
            // Halved while at least two points an axis are left.
            _ => 1 + (1..).take_while(|l| shortest.div_ceil(1 << l) >= 2).count(),
        }
    }

    /// The operations on a grid of so many levels.
    pub(super) fn graph(&self, levels: usize) -> Graph {
        let mut graph = Graph::default();
        let input = graph.push(Op::Input, 0, self.inputs);
        match self.kind {
            Kind::Published(_) => {
                let first = graph.conv(input, self.weight(0), None);
                let end = self.published_graph(&mut graph, first);
                graph.conv(end, self.weight(self.weights.len() - 1), None);
            }
            Kind::SelfSimilar { slope } => {
                self.level(&mut graph, input, levels, slope);
            }
            Kind::Symmetric => {
                self.symmetric_level(&mut graph, input, levels);
            }
        }
        graph
    }

    fn weight(&self, index: usize) -> (usize, &Weights) {
        (index, &self.weights[index])
    }

    fn published_graph(&self, graph: &mut Graph, first: usize) -> usize {
        let [before, coarse, after] = match self.kind {
            Kind::Published(Published::N128) => [6, 10, 6],
            _ => [4, 6, 4],
        };
        let relu = Some(0.0);
        let mut next = 1;
        let mut conv = |graph: &mut Graph, from| {
            next += 1;
            graph.conv(from, self.weight(next - 1), relu)
        };
        // The first is added after the third convolution, then every second one.
        let mut kept = conv(graph, first);
        let mut at = conv(graph, kept);
        for _ in 0..(before - 2) / 2 {
            let third = conv(graph, at);
            kept = graph.add(third, kept);
            at = conv(graph, kept);
        }
        let fine = at;
        let mut here = graph.pool(fine, f64::from(1u32 << self.dim).recip());
        let mut pairs = |graph: &mut Graph, mut here, count| {
            for _ in 0..count {
                let one = conv(graph, here);
                let two = conv(graph, one);
                here = graph.add(two, here);
            }
            here
        };
        here = pairs(graph, here, coarse / 2);
        let up = graph.up(here);
        here = graph.add(up, fine);
        pairs(graph, here, after / 2)
    }

    /// The cycle for `r` on its level and those below; weights in the order of
    /// [`self_similar`](Self::self_similar).
    fn level(&self, graph: &mut Graph, r: usize, levels: usize, slope: f64) -> usize {
        let smooth = |graph: &mut Graph, d, first| {
            let linear = graph.conv(d, self.weight(first), None);
            let one = graph.conv(d, self.weight(first + 1), Some(slope));
            let two = graph.conv(one, self.weight(first + 2), Some(slope));
            let branch = graph.conv(two, self.weight(first + 3), None);
            graph.add(linear, branch)
        };
        let mut u = smooth(graph, r, 3);
        if levels > 1 {
            let d = graph.defect(r, u, 0);
            let restricted = graph.conv(d, self.weight(1), None);
            let pooled = graph.pool(restricted, 4.0 / f64::from(1u32 << self.dim));
            let e = self.level(graph, pooled, levels - 1, slope);
            let up = graph.up(e);
            let e = graph.conv(up, self.weight(2), None);
            u = graph.add(e, u);
        }
        let d = graph.defect(r, u, 0);
        let more = smooth(graph, d, 7);
        graph.add(more, u)
    }

    fn symmetric_level(&self, graph: &mut Graph, r: usize, levels: usize) -> usize {
        let t = graph.conv(r, self.weight(1), None);
        let smooth = graph.transpose(t, self.weight(1));
        let z = graph.add(smooth, r);
        if levels == 1 {
            return z;
        }
        let restricted = graph.transpose(r, self.weight(0));
        let pooled = graph.pool(restricted, 1.0);
        let e = self.symmetric_level(graph, pooled, levels - 1);
        let up = graph.up(e);
        let e = graph.conv(up, self.weight(0), None);
        graph.add(e, z)
    }

    /// Channels of the inner fields.
    pub fn width(&self) -> usize {
        self.width
    }
}
