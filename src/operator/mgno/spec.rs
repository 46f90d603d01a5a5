//! [`Architecture`] and [`CycleSpec`]: what a multigrid neural operator is, apart from the grid.

use crate::error::{Error, Result};
use crate::linalg::multigrid::Cycle;
use crate::nn::Activation;
use crate::nn::conv::{ConvSpec, Padding};

/// What a coarser grid is asked to solve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restriction {
    /// R f, as the authors' programs do.
    #[default]
    RightHandSide,
    /// R (f − A u) with one more kernel A for each transfer, as the paper's text and classical multigrid
    /// do.
    Residual,
}

/// Which points of a grid the next coarser one has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CoarsePoints {
    /// 0, 2, 4, …: n becomes ⌈n/2⌉. For periodic axes and for fields that hold their boundary; PyTorch's
    /// padding of 1.
    #[default]
    Even,
    /// 1, 3, 5, …: n becomes ⌊n/2⌋. For the interior vertices of a Dirichlet problem, 2ᵏ − 1 of them, whose
    /// sides then stand on all grids at the same place.
    Odd,
}

/// One multigrid cycle with learnable kernels: the linear map W of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct CycleSpec {
    /// For each grid, the finest first, the steps before the coarser grids are visited and after. The
    /// coarsest has none after; the finest at least one before, the first being u = S f.
    pub steps: Vec<[usize; 2]>,
    /// How often coarser grids are visited; the coarsest one once each time, as in
    /// [`Multigrid`](crate::linalg::multigrid::Multigrid).
    pub visits: Cycle,
    /// What coarser grids are asked to solve.
    pub restriction: Restriction,
    /// Where coarse points are.
    pub coarse_points: CoarsePoints,
    /// What stands beyond the low and the high side of each axis: zeros (Dirichlet), the mirrored field
    /// (Neumann), the field again (periodic; T wraps there too, which the authors' does not).
    pub padding: [[Padding; 2]; 3],
    /// Whether A and S have biases (the authors' Navier–Stokes networks).
    pub bias: bool,
    /// Whether u is normalised after each T: to mean 0 and variance 1 over channels and points, then
    /// scaled and shifted per channel, so that the parameters do not depend on the grid.
    pub norm: bool,
    /// Factors of the channels on each grid (the authors' Helmholtz networks have 1, 2, 3, …); empty is
    /// 1 everywhere.
    pub widths: Vec<usize>,
}

impl CycleSpec {
    /// A "backslash" cycle over `levels` grids: one step before on each, two on the coarsest (the
    /// published choice), zeros beyond the sides.
    pub fn backslash(levels: usize) -> Self {
        let mut steps = vec![[1, 0]; levels];
        if let Some(last) = steps.last_mut() {
            *last = [2, 0];
        }
        Self {
            steps,
            visits: Cycle::V,
            restriction: Restriction::default(),
            coarse_points: CoarsePoints::default(),
            padding: [[Padding::Zero; 2]; 3],
            bias: false,
            norm: false,
            widths: Vec::new(),
        }
    }

    /// The same with `after` steps after each visit of a coarser grid.
    pub fn with_after(mut self, after: usize) -> Self {
        if let Some((_, finer)) = self.steps.split_last_mut() {
            finer.iter_mut().for_each(|s| s[1] = after);
        }
        self
    }

    /// The same with this beyond every side.
    pub fn with_padding(self, mode: Padding) -> Self {
        Self { padding: [[mode; 2]; 3], ..self }
    }

    /// Grids.
    pub fn levels(&self) -> usize {
        self.steps.len()
    }

    /// The factor of the channels on a grid.
    pub(super) fn width(&self, level: usize) -> usize {
        self.widths.get(level).copied().unwrap_or(1)
    }

    /// Points of the next coarser grid along an axis of n, if it may have one.
    fn coarser(&self, axis: usize, n: usize) -> Option<usize> {
        let m = match self.coarse_points {
            CoarsePoints::Even => n.div_ceil(2),
            CoarsePoints::Odd => n / 2,
        };
        // A mirrored side needs a second point.
        let least = if self.padding[axis].contains(&Padding::Reflect) { 2 } else { 1 };
        (n >= 2 && m >= least).then_some(m)
    }

    /// Extents of all grids.
    ///
    /// # Errors
    /// Not 1 to 3 axes, steps that make no cycle, another number of widths than of grids, a K-cycle
    /// (which is nonlinear), a grid too small for so many levels, with the most that fit.
    pub fn grids(&self, extents: &[usize]) -> Result<Vec<[usize; 3]>> {
        self.check()?;
        let dim = extents.len();
        if !(1..=3).contains(&dim) || extents.contains(&0) {
            let needed = "1 to 3 axes of at least one point are needed";
            return Err(Error::invalid("the extents of the field", format!("{extents:?}"), needed));
        }
        let mut grid = [1; 3];
        grid[..dim].copy_from_slice(extents);
        let mirrored = |axis: usize| self.padding[axis].contains(&Padding::Reflect);
        if let Some(axis) = (0..dim).find(|&axis| mirrored(axis) && grid[axis] < 2) {
            let what = format!("the extent of axis {axis}");
            return Err(Error::invalid(what, grid[axis], "a reflecting side needs at least 2 points"));
        }
        let mut grids = vec![grid];
        while grids.len() < self.levels() {
            let mut coarse = [1; 3];
            for axis in 0..dim {
                match self.coarser(axis, grid[axis]) {
                    Some(m) => coarse[axis] = m,
                    None => return Err(self.too_small(extents, axis, grids.len())),
                }
            }
            grid = coarse;
            grids.push(grid);
        }
        Ok(grids)
    }

    fn too_small(&self, extents: &[usize], axis: usize, fit: usize) -> Error {
        let needed = format!(
            "a field of {extents:?} points has at most {fit} (axis {axis} is too short for more): use \
             {fit} levels or a larger grid"
        );
        Error::invalid("the number of levels", self.levels(), needed)
    }

    fn check(&self) -> Result<()> {
        let bad = |what: &str, given: String, needed: &str| Err(Error::invalid(what, given, needed));
        let (Some(first), Some(last)) = (self.steps.first(), self.steps.last()) else {
            return bad("the number of levels", "0".into(), "a cycle needs at least one");
        };
        let steps = || format!("{:?}", self.steps);
        if first[0] == 0 || last[0] == 0 {
            let needed = "the finest and the coarsest grid need a step before";
            return bad("the steps of the cycle", steps(), needed);
        }
        if last[1] != 0 {
            return bad("the steps of the cycle", steps(), "the coarsest grid has none after: use before");
        }
        if matches!(self.visits, Cycle::K | Cycle::Gamma(0)) {
            let needed = "the cycle must be linear and visit coarse grids: V, W, F or Gamma(n)";
            return bad("the cycle", format!("{:?}", self.visits), needed);
        }
        let widths = &self.widths;
        if !widths.is_empty() && (widths.len() != self.levels() || widths.contains(&0)) {
            let needed = "one positive factor for each level is needed, or none at all";
            return bad("the widths", format!("{widths:?}"), needed);
        }
        Ok(())
    }

    /// A or S.
    pub(super) fn smoothing(&self, dim: usize, [from, to]: [usize; 2]) -> Result<ConvSpec> {
        let mut spec = ConvSpec::new(from, to, &[3, 3, 3][..dim])?;
        for axis in 0..dim {
            spec = spec.with_padding(axis, [1, 1], self.padding[axis])?;
        }
        Ok(if self.bias { spec } else { spec.without_bias() })
    }

    /// Π or R from a grid of these extents.
    pub(super) fn coarsening(
        &self,
        dim: usize,
        grid: [usize; 3],
        [from, to]: [usize; 2],
    ) -> Result<ConvSpec> {
        let mut spec = ConvSpec::new(from, to, &[3, 3, 3][..dim])?.with_stride(&[2, 2, 2][..dim])?;
        for (axis, extent) in grid.into_iter().enumerate().take(dim) {
            let points = match self.coarse_points {
                CoarsePoints::Even => [1, 1],
                CoarsePoints::Odd => [0, 1 - extent % 2],
            };
            spec = spec.with_padding(axis, points, self.padding[axis])?;
        }
        Ok(spec.without_bias())
    }

    /// What T is the transpose of, on a fine grid of these extents.
    pub(super) fn refinement(
        &self,
        dim: usize,
        grid: [usize; 3],
        [fine, coarse]: [usize; 2],
    ) -> Result<ConvSpec> {
        let kernel = grid.map(|n| if n.is_multiple_of(2) { 4 } else { 3 });
        let mut spec = ConvSpec::new(fine, coarse, &kernel[..dim])?.with_stride(&[2, 2, 2][..dim])?;
        for (axis, extent) in grid.into_iter().enumerate().take(dim) {
            let points = match self.coarse_points {
                CoarsePoints::Even => [1, 1],
                CoarsePoints::Odd => [1 - extent % 2; 2],
            };
            // What interpolates beyond a mirrored side is dropped: its mirror image is inside.
            let wraps = |mode| if mode == Padding::Circular { mode } else { Padding::Zero };
            spec = spec.with_padding(axis, points, self.padding[axis].map(wraps))?;
        }
        Ok(spec.without_bias())
    }
}

/// A whole network. See the [module](super).
///
/// ```
/// use odeon::operator::mgno::{Architecture, CycleSpec, Mgno, Scratch};
///
/// let mgno = Mgno::new(&Architecture::darcy(4, 24, CycleSpec::backslash(6)), &[256, 256])?;
/// assert_eq!(mgno.layout().len(), 572_661);
/// let small = Mgno::new(&Architecture::darcy(2, 4, CycleSpec::backslash(3)), &[9, 7])?;
/// let theta: Vec<f32> = small.init(Default::default(), 0)?;
/// let mut u = [0.0; 63];
/// small.forward(&theta, &[1.0; 63], &mut u, &mut Scratch::new())?;
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// Channels in.
    pub inputs: usize,
    /// Channels out.
    pub outputs: usize,
    /// Channels of the hidden fields, C.
    pub channels: usize,
    /// Layers before the last map.
    pub layers: usize,
    /// Their cycles.
    pub cycle: CycleSpec,
    /// Whether layers have B and b.
    pub pointwise: bool,
    /// Whether the input (of more channels its first ones) is added to the output, for one step of an evolution.
    pub skip: bool,
    /// σ.
    pub activation: Activation,
}

impl Architecture {
    /// The published network for Darcy's law: one channel in and out, GELU, layers with B and b.
    pub fn darcy(layers: usize, channels: usize, cycle: CycleSpec) -> Self {
        Self {
            inputs: 1,
            outputs: 1,
            channels,
            layers,
            cycle,
            pointwise: true,
            skip: false,
            activation: Activation::Gelu,
        }
    }

    /// The published network for one step of the Navier–Stokes equations on the torus: no B, biases in A
    /// and S, normalised, periodic, the input added to the output. Steps on the two coarsest grids are
    /// doubled, as published for five.
    pub fn navier_stokes(layers: usize, channels: usize, levels: usize) -> Self {
        let mut cycle = CycleSpec::backslash(levels).with_padding(Padding::Circular);
        cycle.steps.iter_mut().rev().take(2).for_each(|s| s[0] = 2);
        let cycle = CycleSpec { bias: true, norm: true, ..cycle };
        Self { pointwise: false, skip: true, ..Self::darcy(layers, channels, cycle) }
    }

    pub(super) fn check(&self) -> Result<()> {
        let counts = [
            ("the input channels", self.inputs),
            ("the output channels", self.outputs),
            ("the hidden channels", self.channels),
            ("the number of layers", self.layers),
        ];
        for (what, n) in counts {
            if n == 0 {
                return Err(Error::invalid(what, n, "it must be at least 1"));
            }
        }
        if self.skip && self.inputs < self.outputs {
            let given = format!("{} in and {} out", self.inputs, self.outputs);
            return Err(Error::invalid("the channels", given, "adding the input needs as many in as out"));
        }
        Ok(())
    }
}
