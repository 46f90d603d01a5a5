//! Workloads W1–W8, ours: the problems, data and tolerances of `benches/peers`, timed.
//!
//!     cargo bench --bench workloads -- [NAME …] [--variant V] [--json] [--threads N] [--repeats R]
//!     cargo bench --bench workloads -- mlp-gradient --variant 1e-5 --budget-mib 64
//!     cargo bench --bench workloads -- --first-gradient
//!
//! Without names every workload runs. `--json` prints one line for each workload and variant: `workload, variant, wall_s`
//! (median of the repeats, each an inner loop of at least 0.1 s), `wall_min_s, repeats, threads, nfe,
//! accepted, rejected` (means over trajectories), `iterations` of a linear solve, `err_max` (largest absolute difference
//! from the reference), `err_rel` (relative; the true residual of a linear solve) or, for
//! gradients, `grad_rel_err` (relative, 2-norm) with `peak_bytes` (most memory allocated during the first call, set-up
//! included). One process times one call at a time; everything but the ensemble, the convolutions and
//! the neural operators runs on one thread.

#[path = "workloads/cnf.rs"]
mod cnf;
#[path = "workloads/conv.rs"]
mod conv;
#[path = "workloads/dcdm.rs"]
mod dcdm;
#[path = "workloads/gbm.rs"]
mod gbm;
#[path = "workloads/heap.rs"]
mod heap;
#[path = "workloads/lorenz.rs"]
mod lorenz;
#[path = "workloads/measure.rs"]
mod measure;
#[path = "workloads/mlp.rs"]
mod mlp;
#[path = "workloads/nsde.rs"]
mod nsde;
#[path = "workloads/poisson.rs"]
mod poisson;
#[path = "workloads/spiral.rs"]
mod spiral;
#[path = "workloads/stiff.rs"]
mod stiff;
#[path = "workloads/surrogate.rs"]
mod surrogate;

use clap::Parser;
use measure::{Clock, Facts, Row};
use std::process::ExitCode;

type Failure = Box<dyn std::error::Error>;

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

/// Times workloads W1–W8.
#[derive(Parser)]
struct Arguments {
    /// Workloads; all without.
    names: Vec<String>,
    /// One variant of them alone.
    #[arg(long)]
    variant: Option<String>,
    /// One JSON line for each workload and variant.
    #[arg(long)]
    json: bool,
    /// Threads of the ensemble, the convolutions and the neural operators.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Repeats, whose median is taken.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    repeats: u16,
    /// Lorenz to t = 10 instead of 5.
    #[arg(long)]
    t10: bool,
    /// Gives the mlp's gradient this many MiB, and fails when its allocations exceed them.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    budget_mib: Option<u32>,
    /// Prints the seconds from the start of this process to its first spiral gradient, and leaves.
    #[arg(long)]
    first_gradient: bool,
    /// Prints the names and leaves.
    #[arg(long)]
    list: bool,
    /// What cargo passes to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Times one variant: seconds of each repeat, and what is known of the result.
type Run = fn(&str, &Arguments, &Clock) -> Result<(Vec<f64>, Facts), Failure>;

/// A workload: its name, its variants, and how one is measured.
struct Workload {
    name: &'static str,
    variants: &'static [&'static str],
    run: Run,
}

const WORKLOADS: &[Workload] = &[
    Workload { name: "lorenz-single", variants: &[""], run: |_, a, clock| lorenz::single(a.t10, clock) },
    Workload {
        name: "lorenz-ensemble",
        variants: &["own", "shared"],
        run: |v, a, clock| match v {
            "own" => lorenz::own(a.threads.into(), clock),
            _ => lorenz::shared(clock),
        },
    },
    Workload {
        name: "spiral-gradient",
        variants: &["init", "trained"],
        run: |v, _, clock| spiral::gradient(v, clock),
    },
    Workload {
        name: "spiral-forward",
        variants: &["init", "trained"],
        run: |v, _, clock| spiral::forward(v, clock),
    },
    Workload {
        name: "spiral-backsolve",
        variants: &["init", "trained"],
        run: |v, _, clock| spiral::backsolve(v, clock),
    },
    Workload {
        name: "mlp-backsolve",
        variants: &["1e-5", "1.4e-8"],
        run: |v, _, clock| mlp::backsolve(v, clock),
    },
    Workload {
        name: "mlp-long",
        variants: &["discrete", "reversible", "leapfrog"],
        run: |v, _, clock| mlp::long(v, clock),
    },
    Workload { name: "mlp-rhs", variants: &[""], run: |_, _, clock| mlp::rhs(clock) },
    Workload { name: "mlp-vjp", variants: &[""], run: |_, _, clock| mlp::vjp(clock) },
    Workload {
        name: "mlp-forward",
        variants: &["1e-5", "1.4e-8"],
        run: |v, _, clock| mlp::forward(v, clock),
    },
    Workload {
        name: "mlp-gradient",
        variants: &["1e-5", "1.4e-8"],
        run: |v, a, clock| mlp::gradient(v, a.budget_mib, clock),
    },
    Workload { name: "cnf-iteration", variants: &[""], run: |_, _, clock| cnf::iteration(clock) },
    Workload { name: "nsde-forward", variants: &[""], run: |_, _, clock| nsde::forward(clock) },
    Workload { name: "nsde-gradient", variants: &[""], run: |_, _, clock| nsde::gradient(clock) },
    Workload { name: "robertson", variants: &[""], run: |_, _, clock| stiff::robertson(clock) },
    Workload {
        name: "robertson-gradient",
        variants: &[""],
        run: |_, _, clock| stiff::robertson_gradient(clock),
    },
    Workload { name: "brusselator", variants: &[""], run: |_, _, clock| stiff::brusselator(clock) },
    Workload { name: "gbm-euler", variants: &[""], run: |_, _, clock| gbm::euler(clock) },
    Workload {
        name: "gbm-adaptive",
        variants: &["sosri", "spark"],
        run: |v, _, clock| gbm::adaptive(v, clock),
    },
    Workload {
        name: "brownian-queries",
        variants: &["batch", "single", "fine"],
        run: |variant, _, clock| gbm::queries(variant, clock),
    },
    Workload {
        name: "poisson-2d-512",
        variants: POISSON,
        run: |v, _, clock| poisson::solve("poisson-2d-512", v, clock),
    },
    Workload {
        name: "poisson-3d-64",
        variants: POISSON,
        run: |v, _, clock| poisson::solve("poisson-3d-64", v, clock),
    },
    Workload {
        name: "poisson-3d-128",
        variants: POISSON,
        run: |v, _, clock| poisson::solve("poisson-3d-128", v, clock),
    },
    Workload { name: "dcdm", variants: DCDM, run: |v, _, clock| dcdm::run(v, clock) },
    Workload { name: "conv2d", variants: CONV, run: |v, a, clock| conv::run(2, v, a.threads.into(), clock) },
    Workload { name: "conv3d", variants: CONV, run: |v, a, clock| conv::run(3, v, a.threads.into(), clock) },
    Workload {
        name: "mgno-step",
        variants: &[""],
        run: |_, a, clock| surrogate::step("mgno", a.threads.into(), clock),
    },
    Workload {
        name: "mgno-inference",
        variants: &[""],
        run: |_, a, clock| surrogate::inference("mgno", a.threads.into(), clock),
    },
    Workload {
        name: "fno-step",
        variants: &[""],
        run: |_, a, clock| surrogate::step("fno", a.threads.into(), clock),
    },
    Workload {
        name: "fno-inference",
        variants: &[""],
        run: |_, a, clock| surrogate::inference("fno", a.threads.into(), clock),
    },
];

/// Ways of solving Poisson's equation beside learned directions.
const DCDM: &[&str] =
    &["2d-cg", "2d-ic0", "2d-amg", "2d-mg", "2d-learned", "3d-cg", "3d-ic0", "3d-amg", "3d-mg", "3d-learned"];

/// Passes of W7.
const CONV: &[&str] = &["forward", "both"];

/// Ways of solving W6.
const POISSON: &[&str] = &["amg", "amg-mixed", "geometric", "cg", "cg-csr"];

fn main() -> ExitCode {
    let started = std::time::Instant::now();
    match run(&Arguments::parse(), started) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(a: &Arguments, started: std::time::Instant) -> Result<(), Failure> {
    if a.list {
        for w in WORKLOADS {
            println!("{} {}", w.name, w.variants.join(" "));
        }
        return Ok(());
    }
    if a.first_gradient {
        spiral::first_gradient()?;
        println!("{:.6}", started.elapsed().as_secs_f64());
        return Ok(());
    }
    let known = |name: &String| WORKLOADS.iter().any(|w| w.name == name);
    if let Some(name) = a.names.iter().find(|name| !known(name)) {
        return Err(format!("unknown workload {name}; --list prints the names").into());
    }
    let clock = Clock::new(a.repeats.into());
    let mut any = false;
    let wanted = |w: &&Workload| a.names.is_empty() || a.names.iter().any(|n| n == w.name);
    for w in WORKLOADS.iter().filter(wanted) {
        let asked = |v: &&&str| a.variant.as_ref().is_none_or(|asked| asked == **v);
        for variant in w.variants.iter().filter(asked) {
            let (times, facts) = (w.run)(variant, a, &clock)?;
            let row = Row::new((w.name, variant), a.threads.into(), times, facts);
            if a.json {
                println!("{}", serde_json::to_string(&row)?);
            } else {
                if !any {
                    println!("{}", Row::HEADER);
                }
                println!("{row}");
            }
            any = true;
        }
    }
    match any {
        true => Ok(()),
        false => Err("no workload has that variant; --list prints them".into()),
    }
}
