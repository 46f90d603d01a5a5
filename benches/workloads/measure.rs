//! Timing, errors against references, and what is printed.

use crate::Failure;
use odeon::dataset::read_npy;
use odeon::integrate::Statistics;
use odeon::num::Real;
use serde::Serialize;
use std::fmt;
use std::path::Path;
use std::time::Instant;

/// Seconds that one repeat takes at least.
const MIN_TIME: f64 = 0.1;

/// Times calls: warm-up, then repeats of an inner loop.
pub struct Clock {
    repeats: usize,
}

impl Clock {
    pub fn new(repeats: usize) -> Self {
        Self { repeats }
    }

    /// Seconds a call, for each repeat.
    pub fn time(&self, mut call: impl FnMut() -> Result<(), Failure>) -> Result<Vec<f64>, Failure> {
        let mut repeat = |inner: usize| -> Result<f64, Failure> {
            let start = Instant::now();
            for _ in 0..inner {
                call()?;
            }
            Ok(start.elapsed().as_secs_f64() / inner as f64)
        };
        repeat(1)?;
        let inner = (MIN_TIME / repeat(1)?.max(1e-7)).ceil() as usize;
        (0..self.repeats).map(|_| repeat(inner)).collect()
    }
}

/// What a workload reports besides its time.
#[derive(Default, Serialize)]
pub struct Facts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nfe: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub err_max: Option<f64>,
    /// Relative error of the solution, or relative true residual of a linear solve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub err_rel: Option<f64>,
    /// Iterations of a linear solve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grad_rel_err: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<usize>,
}

impl Facts {
    /// The counts of a solve.
    pub fn of(stats: &Statistics) -> Self {
        Self {
            nfe: Some(stats.nfe as f64),
            accepted: Some(stats.accepted as f64),
            rejected: Some(stats.rejected as f64),
            ..Self::default()
        }
    }
}

/// One line of output.
#[derive(Serialize)]
pub struct Row<'a> {
    workload: &'a str,
    variant: &'a str,
    wall_s: f64,
    wall_min_s: f64,
    repeats: usize,
    threads: usize,
    #[serde(flatten)]
    facts: Facts,
}

impl<'a> Row<'a> {
    pub const HEADER: &'static str =
        "workload         variant     wall        min        nfe  accepted  rejected   error    peak MiB";

    pub fn new(
        (workload, variant): (&'a str, &'a str),
        threads: usize,
        mut times: Vec<f64>,
        facts: Facts,
    ) -> Self {
        times.sort_by(f64::total_cmp);
        let (n, half) = (times.len(), times.len() / 2);
        let median = if n % 2 == 1 { times[half] } else { 0.5 * (times[half - 1] + times[half]) };
        Self { workload, variant, wall_s: median, wall_min_s: times[0], repeats: n, threads, facts }
    }
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |c: Option<f64>| c.map_or("–".into(), |c| format!("{c:.0}"));
        let facts = &self.facts;
        let error = facts.grad_rel_err.or(facts.err_rel).or(facts.err_max);
        write!(
            f,
            "{:<16} {:<8} {} {} {:>8} {:>9} {:>9} {:>9} {:>9}",
            self.workload,
            self.variant,
            Seconds(self.wall_s),
            Seconds(self.wall_min_s),
            count(facts.nfe.or(facts.iterations)),
            count(facts.accepted),
            count(facts.rejected),
            error.map_or("–".into(), |e| format!("{e:.1e}")),
            facts.peak_bytes.map_or("–".into(), |b| format!("{:.1}", b as f64 / (1 << 20) as f64)),
        )
    }
}

struct Seconds(f64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0 {
            s if s >= 1.0 => (s, "s "),
            s if s >= 1e-3 => (s * 1e3, "ms"),
            s => (s * 1e6, "µs"),
        };
        write!(f, "{value:>8.2} {unit}")
    }
}

/// The numbers of an array of `data/peers`, batches as `dim × batch` columns.
pub fn load<T: Real>(name: &str) -> Result<Vec<T>, Failure> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/peers");
    Ok(read_npy::<T>(folder.join(format!("{name}.npy")))?.data().to_vec())
}

/// Largest absolute difference; NaN when any number is.
pub fn max_error<T: Real>(values: &[T], reference: &[f64]) -> f64 {
    assert_eq!(values.len(), reference.len(), "as many values as references");
    let differences = values.iter().zip(reference).map(|(v, r)| (v.f64() - r).abs());
    differences.fold(0.0, |worst, e| if e > worst || e.is_nan() { e } else { worst })
}

/// Euclidean norm of the difference over that of the reference.
pub fn relative_error<T: Real>(values: impl IntoIterator<Item = T>, reference: &[f64]) -> f64 {
    let values = values.into_iter().zip(reference);
    let (difference, norm) = values.fold((0.0, 0.0), |(d, n), (v, r)| (d + (v.f64() - r).powi(2), n + r * r));
    (difference / norm).sqrt()
}
