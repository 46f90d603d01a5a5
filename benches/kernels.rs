//! Nanoseconds per element of the kernels, on slices that fit in L1, and the latency of the step
//! controller's scalar logarithm and power.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use odeon::num::Real;
use odeon::num::kernels::{Function, exp2, log2, map, pullback};
use std::hint::black_box;

/// Elements per call: 8 KiB in `f64`, so that source and destination stay in L1.
const COUNT: usize = 1024;

fn slices<T: Real>(c: &mut Criterion) {
    let mut group = c.benchmark_group(T::NAME);
    group.throughput(Throughput::Elements(COUNT as u64));
    let x: Vec<T> = (0..COUNT).map(|i| T::of(0.01 + (i * 37 % 997) as f64 * 0.004)).collect();
    let mut y = vec![T::of(0.0); COUNT];
    for function in Function::ALL {
        group.bench_function(format!("{function:?}"), |b| {
            b.iter(|| map(function, black_box(&x), black_box(&mut y)));
        });
        group.bench_function(format!("{function:?} pullback"), |b| {
            b.iter(|| pullback(function, black_box(&x), &x, black_box(&mut y)));
        });
    }
    group.finish();
}

fn latency(c: &mut Criterion) {
    // Each call waits for the one before.
    c.bench_function("latency of log2 then exp2, f64", |b| {
        let mut x = 1.2345;
        b.iter(|| {
            x = exp2(log2(black_box(x)));
            x
        });
    });
}

criterion_group!(benches, slices::<f64>, slices::<f32>, latency);
criterion_main!(benches);
