//! The engine's parts: one attempted step of every method (Lorenz alone, and a batch of 256), the
//! error norm, and the combination of stages. `cargo bench --bench engine`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use odeon::dynamics::gallery::Lorenz;
use odeon::dynamics::generic::Generic;
use odeon::integrate::Stepper;
use odeon::num::{ErrorNorm, combine, combine_differences};
use odeon::ode::ExplicitStepper;
use odeon::ode::tableaux::all;
use std::hint::black_box;

/// Lengths of a state: in the first-level cache, and as large as a batch of images.
const LENGTHS: [usize; 3] = [40, 4096, 784 * 512];
/// Stages in a combination.
const STAGES: usize = 6;

fn wave(n: usize, frequency: f64) -> Vec<f64> {
    (0..n).map(|i| (frequency * i as f64).sin()).collect()
}

fn steps(c: &mut Criterion) {
    let dynamics = Generic(Lorenz);
    let norm = ErrorNorm::new(1e-6, 1e-6);
    for batch in [1, 256] {
        let mut group = c.benchmark_group(format!("step, Lorenz × {batch}"));
        let y = wave(3 * batch, 0.7);
        let mut y1 = y.clone();
        for method in all() {
            let mut stepper = ExplicitStepper::new(&dynamics, method, batch);
            stepper.set_theta(&[10.0, 28.0, 8.0 / 3.0]);
            stepper.begin(0.0, &y);
            group.bench_function(&*method.name, |b| {
                b.iter(|| stepper.attempt((0.0, black_box(1e-3)), false, &y, &mut y1, &norm));
            });
        }
        group.finish();
    }
}

fn norms(c: &mut Criterion) {
    let mut group = c.benchmark_group("error norm");
    let norm = ErrorNorm::new(1e-6, 1e-6);
    for n in LENGTHS {
        let [u, y0, y1] = [0.3, 0.7, 1.1].map(|f| wave(n, f));
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(BenchmarkId::from_parameter(n), |b| {
            b.iter(|| norm.value(black_box(&u), &y0, &y1, n));
        });
    }
    group.finish();
}

fn combinations(c: &mut Criterion) {
    let weights = [0.1, 0.3, -0.2, 0.4, 0.25, 0.15];
    for n in LENGTHS {
        let (base, stages) = (wave(n, 0.9), wave(STAGES * n, 1.3));
        let mut out = base.clone();
        let mut group = c.benchmark_group(format!("{STAGES} stages of {n}"));
        group.throughput(Throughput::Elements((STAGES * n) as u64));
        group.bench_function("combine", |b| {
            b.iter(|| combine(&mut out, &base, black_box(1e-3), &weights, &stages));
        });
        group.bench_function("combine differences", |b| {
            b.iter(|| combine_differences(&mut out, black_box(1e-3), &weights, &stages));
        });
        group.finish();
    }
}

criterion_group!(benches, steps, norms, combinations);
criterion_main!(benches);
