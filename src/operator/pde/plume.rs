//! [`Plume`]: smoke that rises around obstacles, and the pressure systems on the way.

use crate::error::{Error, Result};
use crate::linalg::grid::{Boundary, Grid, Mask, StencilOperator};
use crate::linalg::model::poisson;

/// Whether a place of the box is solid at a time.
type Obstacle = Box<dyn Fn([f64; 3], f64) -> bool + Send + Sync>;

/// A buoyant, incompressible, inviscid fluid with smoke of density ρ in a box of cells of width h = 1/n₀, in two or three
/// dimensions, the last axis up:
///
/// v_t + v·∇v = −∇p + β ρ e,   ∇·v = 0,   ρ_t + v·∇ρ = 0.
///
/// Velocities stand on the cells' faces (Harlow & Welch, *Phys. Fluids* 8 (1965) 2182), v and ρ are carried along by
/// tracing back (Stam, *Stable Fluids*, SIGGRAPH 1999), and v is made free of divergence by the pressure of each step:
///
/// −Δ q = −div v,   v ← v − ∇q,   q = Δt p/h in cells' units,
///
/// with p = 0 in the air around the box and no flux through obstacles, which may move from step to step (through fluid that
/// they do not push): a sequence of symmetric positive definite systems on changing masks, for any solver. It is a source
/// of such systems, not a flow solver to measure with: tracing back is of order 1 and loses energy.
pub struct Plume {
    dim: usize,
    extents: [usize; 3],
    obstacle: Obstacle,
    /// β.
    buoyancy: f64,
    time: f64,
    mask: Mask,
    operator: StencilOperator<f64>,
    /// On the faces across each axis: extents longer by one along it.
    velocity: [Vec<f64>; 3],
    density: Vec<f64>,
    pressure: Vec<f64>,
    divergence: Vec<f64>,
}

/// Centre above the ground and radius of the ball in which the smoke is 1.
const SOURCE: [f64; 2] = [0.12, 0.08];

/// Values beyond an array.
#[derive(Clone, Copy)]
enum Beyond {
    /// Those of its sides.
    Same,
    Zero,
}

impl Plume {
    /// Still air in a box of these cells, smoke coming from a ball in the middle of the ground; `obstacle(x, t)` says whether
    /// a place of \[0, 1\] × … is solid.
    ///
    /// # Errors
    /// Not two or three axes, fewer than 8 cells along one, β that is not finite, a box that is solid throughout.
    pub fn new(
        extents: &[usize],
        buoyancy: f64,
        obstacle: impl Fn([f64; 3], f64) -> bool + Send + Sync + 'static,
    ) -> Result<Self> {
        let dim = extents.len();
        if !(2..=3).contains(&dim) || extents.iter().any(|n| *n < 8) {
            let needed = "two or three axes with at least 8 cells are needed";
            return Err(Error::invalid("the extents of the box", format!("{extents:?}"), needed));
        }
        if !buoyancy.is_finite() {
            return Err(Error::invalid("the buoyancy", buoyancy, "it must be finite"));
        }
        let mut all = [1; 3];
        all[..dim].copy_from_slice(extents);
        let cells = all.iter().product();
        let faces =
            |axis: usize| if axis < dim { vec![0.0; lengthened(all, axis).iter().product()] } else { vec![] };
        let obstacle: Obstacle = Box::new(obstacle);
        let (mask, operator) = geometry(extents, &obstacle, 0.0)?;
        let zeros = || vec![0.0; cells];
        let (density, pressure, divergence) = (zeros(), zeros(), zeros());
        let (velocity, time) = ([0, 1, 2].map(faces), 0.0);
        let extents = all;
        Ok(Self {
            dim,
            extents,
            obstacle,
            buoyancy,
            time,
            mask,
            operator,
            velocity,
            density,
            pressure,
            divergence,
        })
    }

    /// t.
    pub fn time(&self) -> f64 {
        self.time
    }

    /// ρ in every cell, between 0 and 1.
    pub fn density(&self) -> &[f64] {
        &self.density
    }

    /// The solid cells of the last step.
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    /// The velocities on the faces across an axis, whose extent is one longer there.
    pub fn velocity(&self, axis: usize) -> &[f64] {
        &self.velocity[axis]
    }

    /// div v in every fluid cell times h, 0 in solid ones.
    pub fn divergence(&mut self) -> &[f64] {
        let Self { dim, extents, velocity, divergence, mask, .. } = self;
        for (at, out) in divergence.iter_mut().enumerate() {
            let cell = place(*extents, at);
            let through = |axis: usize| {
                let [low, high] = faces(*extents, cell, axis);
                velocity[axis][high] - velocity[axis][low]
            };
            *out = if mask.solid()[at] { 0.0 } else { (0..*dim).map(through).sum() };
        }
        divergence
    }

    /// A step of Δt: `solve(A, mask, b, x)` solves A x = b from the pressure of the step before in x, A being −Δ on the
    /// mask's fluid with unit spacing.
    ///
    /// # Errors
    /// Δt that is not positive and finite, an obstacle that fills the box, what `solve` returns.
    pub fn step(
        &mut self,
        dt: f64,
        solve: impl FnMut(&StencilOperator<f64>, &Mask, &[f64], &mut [f64]) -> Result<()>,
    ) -> Result<()> {
        if !(dt > 0.0 && dt.is_finite()) {
            return Err(Error::invalid("the time step", dt, "it must be positive and finite"));
        }
        let dim = self.dim;
        let (mask, operator) = geometry(&self.extents[..dim], &self.obstacle, self.time + dt)?;
        (self.mask, self.operator) = (mask, operator);
        self.time += dt;
        self.force(dt);
        self.carry(dt);
        self.project(solve)
    }

    /// The smoke of the source, and what lifts it.
    fn force(&mut self, dt: f64) {
        let (up, h) = (self.dim - 1, 1.0 / self.extents[0] as f64);
        for (at, density) in self.density.iter_mut().enumerate() {
            let cell = place(self.extents, at);
            let off = |axis: usize| {
                let middle = if axis == up { SOURCE[0] } else { 0.5 * self.extents[axis] as f64 * h };
                (cell[axis] as f64 + 0.5) * h - middle
            };
            if (0..self.dim).map(|axis| off(axis).powi(2)).sum::<f64>() < SOURCE[1] * SOURCE[1] {
                *density = 1.0;
            }
        }
        for (at, density) in self.density.iter().enumerate() {
            for face in faces(self.extents, place(self.extents, at), up) {
                self.velocity[up][face] += 0.5 * dt * self.buoyancy * density;
            }
        }
    }

    /// Traces velocities and smoke back.
    fn carry(&mut self, dt: f64) {
        let (dim, extents) = (self.dim, self.extents);
        let cells_per_time = dt * extents[0] as f64;
        // The velocity at a place, in cells from the box's corner.
        let flow = |at: [f64; 3]| -> [f64; 3] {
            [0, 1, 2].map(|axis| {
                if axis >= dim {
                    return 0.0;
                }
                let shifted = shifted(at, dim, Some(axis));
                sample(&self.velocity[axis], lengthened(extents, axis), shifted, Beyond::Same)
            })
        };
        let back = |at: [f64; 3]| -> [f64; 3] {
            let v = flow(at);
            [0, 1, 2].map(|axis| at[axis] - cells_per_time * v[axis])
        };
        let centre = |place: [usize; 3], face: Option<usize>| -> [f64; 3] {
            [0, 1, 2]
                .map(|axis| place[axis] as f64 + if face == Some(axis) || axis >= dim { 0.0 } else { 0.5 })
        };
        let velocity = [0, 1, 2].map(|axis| {
            let long = lengthened(extents, axis);
            let carried = |at: usize| {
                let from = back(centre(place(long, at), Some(axis)));
                sample(&self.velocity[axis], long, shifted(from, dim, Some(axis)), Beyond::Same)
            };
            (0..self.velocity[axis].len()).map(carried).collect()
        });
        let carried = |at: usize| {
            let from = back(centre(place(extents, at), None));
            sample(&self.density, extents, shifted(from, dim, None), Beyond::Zero)
        };
        let mut density: Vec<f64> = (0..self.density.len()).map(carried).collect();
        self.mask.clear(&mut density);
        (self.velocity, self.density) = (velocity, density);
    }

    /// Makes v free of divergence, and 0 on the faces of solids.
    ///
    /// # Errors
    /// What `solve` returns.
    pub fn project(
        &mut self,
        mut solve: impl FnMut(&StencilOperator<f64>, &Mask, &[f64], &mut [f64]) -> Result<()>,
    ) -> Result<()> {
        let solid = self.mask.solid();
        for (at, _) in solid.iter().enumerate().filter(|(_, solid)| **solid) {
            for axis in 0..self.dim {
                for face in faces(self.extents, place(self.extents, at), axis) {
                    self.velocity[axis][face] = 0.0;
                }
            }
        }
        self.divergence();
        let Self { dim, extents, mask, operator, velocity, pressure, divergence: b, .. } = self;
        b.iter_mut().for_each(|b| *b = -*b);
        mask.clear(pressure);
        solve(operator, mask, b, pressure)?;
        Error::check_finite("the pressure", pressure)?;
        // −Δ q = −div v, v − ∇q; q = 0 beyond the box.
        for (at, (q, solid)) in pressure.iter().zip(mask.solid()).enumerate() {
            let cell = place(*extents, at);
            for axis in 0..*dim {
                let stride: usize = extents[..axis].iter().product();
                let [low, high] = faces(*extents, cell, axis);
                let (first, last) = (cell[axis] == 0, cell[axis] + 1 == extents[axis]);
                if *solid {
                    break;
                }
                if first || !mask.solid()[at - stride] {
                    velocity[axis][low] -= q;
                }
                if last || !mask.solid()[at + stride] {
                    velocity[axis][high] += q;
                }
            }
        }
        Ok(())
    }
}

/// The solid cells at a time, and −Δ on the others with unit spacing.
fn geometry(extents: &[usize], obstacle: &Obstacle, t: f64) -> Result<(Mask, StencilOperator<f64>)> {
    let grid = Grid::vertices(extents, &vec![1.0; extents.len()])?;
    let h = 1.0 / extents[0] as f64;
    let mut all = [1; 3];
    all[..extents.len()].copy_from_slice(extents);
    let solid = |at: usize| {
        let cell = place(all, at);
        let x = [0, 1, 2].map(|axis| if axis < extents.len() { (cell[axis] as f64 + 0.5) * h } else { 0.5 });
        obstacle(x, t)
    };
    let mask = Mask::new(&grid, (0..grid.len()).map(solid).collect(), Boundary::Neumann)?;
    let operator = poisson(grid)?;
    let operator = if mask.fluid_count() < grid.len() { operator.masked(&mask)? } else { operator };
    Ok((mask, operator))
}

fn place([n, m, _]: [usize; 3], at: usize) -> [usize; 3] {
    [at % n, at / n % m, at / (n * m)]
}

fn lengthened(mut extents: [usize; 3], axis: usize) -> [usize; 3] {
    extents[axis] += 1;
    extents
}

/// The faces of a cell across an axis, the lower first.
fn faces(extents: [usize; 3], [i, j, k]: [usize; 3], axis: usize) -> [usize; 2] {
    let [n, m, _] = lengthened(extents, axis);
    let low = (k * m + j) * n + i;
    [low, low + [1, n, n * m][axis]]
}

/// A place in cells as an index into an array of cells' centres, or of the faces across an axis.
fn shifted(at: [f64; 3], dim: usize, face: Option<usize>) -> [f64; 3] {
    [0, 1, 2].map(|axis| if axis >= dim || face == Some(axis) { at[axis] } else { at[axis] - 0.5 })
}

/// Linear interpolation at an index.
fn sample(values: &[f64], extents: [usize; 3], at: [f64; 3], beyond: Beyond) -> f64 {
    let low = at.map(f64::floor);
    let part = [0, 1, 2].map(|axis| at[axis] - low[axis]);
    let mut sum = 0.0;
    for corner in 0..8usize {
        let side = [0, 1, 2].map(|axis| corner >> axis & 1);
        let weight: f64 =
            (0..3).map(|axis| if side[axis] == 1 { part[axis] } else { 1.0 - part[axis] }).product();
        if weight == 0.0 {
            continue;
        }
        let index = [0, 1, 2].map(|axis| low[axis] as isize + side[axis] as isize);
        let inside = (0..3).all(|axis| (0..extents[axis] as isize).contains(&index[axis]));
        if inside || matches!(beyond, Beyond::Same) {
            let [i, j, k] = [0, 1, 2].map(|axis| index[axis].clamp(0, extents[axis] as isize - 1) as usize);
            sum += weight * values[(k * extents[1] + j) * extents[0] + i];
        }
    }
    sum
}
