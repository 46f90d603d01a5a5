//! How fast ensembles are: one at a time, in SIMD lanes, on all threads; and the same bits.

use crate::Setup;
use crate::common::{Row, Session, Table, timed};
use crate::divergence::{Divergence, complete};
use odeon::Result;
use odeon::dynamics::gallery::Lorenz;
use odeon::integrate::Problem;
use odeon::num::parallel;
use odeon::ode::{Ensemble, Solver, TrajectoryStatistics, solve_ensemble};

/// End of the timed ensembles.
const END: f64 = 10.0;

/// Times the ways of solving the ensemble of neighbours to t = 10.
pub fn report(setup: &Setup, divergence: &Divergence, session: &mut Session) -> Result<()> {
    let y0 = &divergence.y0[..];
    let ((alone, statistics), alone_s) = timed(|| one_by_one(setup, y0))?;
    let on = |threads| timed(|| parallel::with_threads(threads, || ensemble(setup, y0))?);
    let (single, single_s) = on(1)?;
    let (all, all_s) = on(0)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let same = single.y == alone && all.y == alone;

    let count = y0.len() / 3;
    let header = ["ensemble", "threads", "seconds", "trajectories/s", "ns/step", "speed-up"];
    let mut table = Table::new(&header);
    let ways = [
        ("one by one", 1, &statistics, alone_s),
        ("solve_ensemble", 1, &single.stats, single_s),
        ("solve_ensemble", threads, &all.stats, all_s),
    ];
    for (name, threads, statistics, seconds) in ways {
        let sum = |f: fn(&TrajectoryStatistics) -> usize| statistics.iter().map(f).sum::<usize>();
        let (nfe, accepted, rejected) = (sum(|s| s.nfe), sum(|s| s.accepted), sum(|s| s.rejected));
        table.row([
            name.to_string(),
            threads.to_string(),
            format!("{seconds:.3}"),
            format!("{:.0}", count as f64 / seconds),
            format!("{:.1}", 1e9 * seconds / (accepted + rejected) as f64),
            format!("{:.1}×", alone_s / seconds),
        ]);
        session.record(Row {
            method: format!("{name}, {threads} thread{}", if threads == 1 { "" } else { "s" }),
            seed: setup.seed,
            nfe,
            accepted,
            rejected,
            predict_s: seconds,
            ..Row::default()
        });
    }
    let steps = statistics.iter().map(|s| s.accepted);
    let (fewest, most) = (steps.clone().min().unwrap_or(0), steps.max().unwrap_or(0));
    session.say(format!(
        "\n{count} trajectories to t = {END}, {fewest} to {most} steps each\n{table}\nSame bits as each trajectory alone: {}\n",
        if same { "yes" } else { "NO" }
    ))
}

fn problem<'a>(y0: &'a [f64]) -> Problem<'a, f64> {
    Problem { y0, span: [0.0, END], theta: &Lorenz::THETA }
}

fn ensemble(setup: &Setup, y0: &[f64]) -> Result<Ensemble<f64>> {
    complete(solve_ensemble(&setup.dynamics, setup.method, &problem(y0), &setup.options())?)
}

fn one_by_one(setup: &Setup, y0: &[f64]) -> Result<(Vec<f64>, Vec<TrajectoryStatistics>)> {
    let mut solver = Solver::new(&setup.dynamics, setup.method, 1);
    let (mut ends, mut statistics) = (Vec::with_capacity(y0.len()), Vec::new());
    for start in y0.chunks_exact(3) {
        let solution = solver.solve(&problem(start), &setup.options())?;
        ends.extend_from_slice(solution.last());
        statistics.push(TrajectoryStatistics {
            nfe: solution.stats.nfe,
            accepted: solution.stats.accepted,
            rejected: solution.stats.rejected,
        });
    }
    Ok((ends, statistics))
}
