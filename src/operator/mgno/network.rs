//! [`Mgno`]: networks on grids of given extents.

use super::cycle::{kernels, unroll};
use super::spec::{Architecture, CycleSpec};
use super::stencil::Plan;
use crate::error::{Error, Result};
use crate::linalg::grid::Stencil;
use crate::nn::conv::ConvSpec;
use crate::nn::init::Initializer;
use crate::nn::{Layout, Role};
use crate::num::Real;
use crate::operator::program::assembly::Assembly;
use crate::operator::program::{Program, Scratch, Surrogate};

/// A multigrid neural operator on a grid, or one of its linear maps by itself; see the
/// [module](super) and [`Architecture`].
#[derive(Clone, Debug)]
pub struct Mgno {
    grids: Vec<[usize; 3]>,
    program: Program,
    /// What each cycle's kernels are when they are classical.
    stencils: Vec<Plan>,
}

impl Mgno {
    /// For fields of these extents (1 to 3 axes).
    ///
    /// # Errors
    /// As [`CycleSpec::grids`]; a count that is 0, an input to be added to more outputs than it has channels.
    pub fn new(architecture: &Architecture, extents: &[usize]) -> Result<Self> {
        architecture.check()?;
        let Architecture { inputs, outputs, channels, cycle, .. } = architecture;
        let grids = cycle.grids(extents)?;
        if cycle.width(0) != 1 {
            return Err(Error::invalid("the first width", cycle.width(0), "the finest grid's is 1"));
        }
        let (dim, points) = (extents.len(), grids[0].iter().product::<usize>());
        let mut assembly = Assembly::new(dim, inputs * points);
        let (mut u, mut from, mut plans) = (0, *inputs, Vec::new());
        let one = [1; 3];
        for layer in 0..architecture.layers {
            let prefix = format!("layers.{layer}.");
            let levels = kernels(&mut assembly, cycle, &grids, &prefix, [from, *channels])?;
            let mut next = unroll(&mut assembly, &levels, cycle.visits, u);
            plans.push(Plan::new(cycle, dim, &levels));
            if architecture.pointwise {
                let spec = ConvSpec::new(from, *channels, &one[..dim])?;
                let pointwise = assembly.down(&format!("{prefix}pointwise"), spec, grids[0])?;
                next = assembly.add(next, &pointwise, u);
            }
            u = assembly.activate(architecture.activation, next);
            from = *channels;
        }
        let spec = ConvSpec::new(from, *outputs, &one[..dim])?.without_bias();
        let last = assembly.down("last", spec, grids[0])?;
        let result = assembly.apply(&last, u);
        if architecture.skip {
            let first = match inputs > outputs {
                true => assembly.crop([outputs * points, inputs * points].map(|n| [n, 1, 1]), 0),
                false => 0,
            };
            assembly.sum(first, result);
        }
        Ok(Self { grids, program: assembly.finish(), stencils: plans })
    }

    /// One linear map W by itself: a cycle from zero, f ↦ u, from `inputs` to `channels` channels.
    ///
    /// # Errors
    /// As [`CycleSpec::grids`]; no channels.
    pub fn cycle(spec: &CycleSpec, [inputs, channels]: [usize; 2], extents: &[usize]) -> Result<Self> {
        let grids = spec.grids(extents)?;
        let points: usize = grids[0].iter().product();
        let mut assembly = Assembly::new(extents.len(), inputs * spec.width(0) * points);
        let levels = kernels(&mut assembly, spec, &grids, "", [inputs, channels])?;
        unroll(&mut assembly, &levels, spec.visits, 0);
        let stencils = vec![Plan::new(spec, extents.len(), &levels)];
        Ok(Self { grids, program: assembly.finish(), stencils })
    }

    /// The network as a line of operations.
    pub fn program(&self) -> &Program {
        &self.program
    }
    /// Names and places of the parameters.
    pub fn layout(&self) -> &Layout {
        self.program.layout()
    }
    /// Numbers of one sample's input: channels × points.
    pub fn input_len(&self) -> usize {
        self.program.input_len()
    }
    /// Numbers of one sample's output.
    pub fn output_len(&self) -> usize {
        self.program.output_len()
    }
    /// Extents of all grids, the finest first.
    pub fn grids(&self) -> &[[usize; 3]] {
        &self.grids
    }

    /// As [`Program::init`].
    ///
    /// # Errors
    /// A scale that is negative or not finite.
    pub fn init<T: Real>(&self, initializer: Initializer, seed: u64) -> Result<Vec<T>> {
        self.program.init(initializer, seed)
    }

    /// As [`Program::forward`].
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
        self.program.forward(theta, x, y, scratch)
    }

    /// As [`Program::gradient`].
    ///
    /// # Errors
    /// Lengths that do not fit.
    pub fn gradient<T: Real>(
        &self,
        theta: &[T],
        x: &[T],
        loss: impl Fn(usize, &[T], [&mut [T]; 2]) -> f64 + Sync,
        theta_bar: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> Result<f64> {
        self.program.gradient(theta, x, loss, theta_bar, scratch)
    }

    /// As [`Program::pullback`].
    ///
    /// # Errors
    /// Lengths that do not fit.
    pub fn pullback<T: Real>(
        &self,
        theta: &[T],
        given: [&[T]; 2],
        x_bar: Option<&mut [T]>,
        theta_bar: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> Result<()> {
        self.program.pullback(theta, given, x_bar, theta_bar, scratch)
    }

    /// Parameters with which every W is the classical cycle for operators with constant stencils, one for
    /// each grid: A is the stencil, S = ω/(the stencil's centre), that is weighted Jacobi, R full weighting,
    /// T (bi-, tri-)linear interpolation; Π and biases are 0. Channels are joined one to one as far as they
    /// go around: u_j solves for f_{j mod c}, and where there are more u than f, A takes their mean. All
    /// else, and `perturbation` times as much on top of the cycles' kernels so that channels differ, is
    /// drawn as [`Initializer::TorchLinear`] does.
    ///
    /// The map is that of [`linalg::multigrid`](crate::linalg::multigrid) where the cycle restricts
    /// residuals, does not normalise and the perturbation is 0. For A = −Δ on grids of doubled spacing the
    /// stencils are the finest one's over 4ˡ.
    ///
    /// # Errors
    /// Another number of stencils than of grids, one with centre 0 or reaching along an axis that the grid
    /// does not have, ω that is not finite, a perturbation that is negative or not finite.
    pub fn init_stencils<T: Real>(
        &self,
        stencils: &[Stencil<f64>],
        omega: f64,
        perturbation: f64,
        seed: u64,
    ) -> Result<Vec<T>> {
        if !(perturbation >= 0.0 && perturbation.is_finite()) {
            let needed = "it must be finite and not negative";
            return Err(Error::invalid("the perturbation", perturbation, needed));
        }
        let mut theta: Vec<T> = self.init(Initializer::TorchLinear, seed)?;
        for entry in self.layout().entries() {
            let normalises = matches!(entry.role, Role::Gain | Role::Shift);
            if entry.name.contains("level") && !normalises {
                theta[entry.range()].iter_mut().for_each(|w| *w *= T::of(perturbation));
            }
        }
        self.stencils.iter().try_for_each(|plan| plan.write(stencils, omega, &mut theta))?;
        Ok(theta)
    }
}

impl Surrogate for Architecture {
    fn name(&self) -> &'static str {
        "MgNO"
    }

    /// [`Mgno::new`]'s network.
    fn compile(&self, extents: &[usize]) -> Result<Program> {
        Ok(Mgno::new(self, extents)?.program)
    }
}
