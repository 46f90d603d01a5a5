//! The cycle as operations: the recursion of [`Multigrid`](crate::linalg::multigrid::Multigrid) with
//! kernels in the place of its pieces, unrolled.

use super::spec::{CycleSpec, Restriction};
use crate::error::Result;
use crate::linalg::multigrid::Cycle;
use crate::operator::program::assembly::{Assembly, Kernel, Value};

/// One step; the very first one has no A.
pub(super) struct Step {
    pub a: Option<Kernel>,
    pub s: Kernel,
}

/// What leads to the next coarser grid and back.
pub(super) struct Transfer {
    pub a: Option<Kernel>,
    pub r: Kernel,
    pub pi: Kernel,
    pub up: Kernel,
    pub norm: Option<Kernel>,
}

/// The kernels of one grid.
pub(super) struct Level {
    pub before: Vec<Step>,
    pub after: Vec<Step>,
    pub transfer: Option<Transfer>,
    /// Channels of u and f.
    pub channels: [usize; 2],
    pub extents: [usize; 3],
}

/// The kernels of a cycle from `inputs` to `channels` channels, named `prefix`level….
pub(super) fn kernels(
    assembly: &mut Assembly,
    spec: &CycleSpec,
    grids: &[[usize; 3]],
    prefix: &str,
    [inputs, channels]: [usize; 2],
) -> Result<Vec<Level>> {
    let dim = assembly.dim();
    let widened = |l: usize| [channels * spec.width(l), inputs * spec.width(l)];
    let mut levels = Vec::with_capacity(grids.len());
    for (l, (&extents, &[before, after])) in grids.iter().zip(&spec.steps).enumerate() {
        let [u, f] = widened(l);
        let mut steps = |when: &str, count: usize| -> Result<Vec<Step>> {
            let mut step = |i: usize| -> Result<Step> {
                let name = format!("{prefix}level{l}.{when}{i}");
                let starts = l == 0 && i == 0 && when == "before";
                let a = match starts {
                    true => None,
                    false => {
                        let a = spec.smoothing(dim, [u, f])?;
                        Some(assembly.down(&format!("{name}.a"), a, extents)?)
                    }
                };
                let s = spec.smoothing(dim, [f, u])?;
                Ok(Step { a, s: assembly.down(&format!("{name}.s"), s, extents)? })
            };
            (0..count).map(&mut step).collect()
        };
        let (before, after) = (steps("before", before)?, steps("after", after)?);
        let transfer = match l + 1 < grids.len() {
            true => {
                let name = format!("{prefix}level{l}");
                let channels = [[u, f], widened(l + 1)];
                Some(transfer(assembly, spec, extents, &name, channels)?)
            }
            false => None,
        };
        levels.push(Level { before, after, transfer, channels: [u, f], extents });
    }
    Ok(levels)
}

fn transfer(
    assembly: &mut Assembly,
    spec: &CycleSpec,
    extents: [usize; 3],
    name: &str,
    [[u, f], [coarse_u, coarse_f]]: [[usize; 2]; 2],
) -> Result<Transfer> {
    let dim = assembly.dim();
    let a = match spec.restriction {
        Restriction::RightHandSide => None,
        Restriction::Residual => {
            let a = spec.smoothing(dim, [u, f])?;
            Some(assembly.down(&format!("{name}.restrict.a"), a, extents)?)
        }
    };
    let r = spec.coarsening(dim, extents, [f, coarse_f])?;
    let r = assembly.down(&format!("{name}.restrict.r"), r, extents)?;
    let pi = spec.coarsening(dim, extents, [u, coarse_u])?;
    let pi = assembly.down(&format!("{name}.restrict.pi"), pi, extents)?;
    let up = spec.refinement(dim, extents, [u, coarse_u])?;
    let up = assembly.up(&format!("{name}.prolong"), up, extents)?;
    let norm = match spec.norm {
        true => {
            let length = u * extents.iter().product::<usize>();
            Some(assembly.norm(&format!("{name}.norm"), u, length)?)
        }
        false => None,
    };
    Ok(Transfer { a, r, pi, up, norm })
}

/// Appends one cycle from zero with right-hand side `f`; its u.
pub(super) fn unroll(assembly: &mut Assembly, levels: &[Level], kind: Cycle, f: Value) -> Value {
    visit(assembly, levels, kind, f, None)
}

fn visit(assembly: &mut Assembly, levels: &[Level], kind: Cycle, f: Value, u: Option<Value>) -> Value {
    let [level, below @ ..] = levels else { return f };
    // The specification gives the finest grid a first step, which makes u.
    let mut u = level.before.iter().fold(u, |u, s| Some(step(assembly, s, f, u))).unwrap_or(f);
    let Some(transfer) = &level.transfer else { return u };
    let rest = transfer.a.as_ref().map_or(f, |a| assembly.subtract(f, a, u));
    let coarse_f = assembly.apply(&transfer.r, rest);
    let mut coarse_u = assembly.apply(&transfer.pi, u);
    let visits = match kind {
        _ if below.len() == 1 => 1,
        Cycle::W | Cycle::F => 2,
        Cycle::Gamma(visits) => visits,
        _ => 1,
    };
    for number in 0..visits {
        let kind = if number > 0 && kind == Cycle::F { Cycle::V } else { kind };
        coarse_u = visit(assembly, below, kind, coarse_f, Some(coarse_u));
    }
    u = assembly.add(u, &transfer.up, coarse_u);
    if let Some(norm) = &transfer.norm {
        u = assembly.apply(norm, u);
    }
    level.after.iter().fold(u, |u, s| step(assembly, s, f, Some(u)))
}

/// u + S (f − A u); S f for the first one.
fn step(assembly: &mut Assembly, step: &Step, f: Value, u: Option<Value>) -> Value {
    match (u, &step.a) {
        (Some(u), Some(a)) => {
            let rest = assembly.subtract(f, a, u);
            assembly.add(u, &step.s, rest)
        }
        _ => assembly.apply(&step.s, f),
    }
}
