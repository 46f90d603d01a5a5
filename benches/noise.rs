//! Random numbers and Brownian sources: nanoseconds per normal number, per query of a tree, and per step
//! of Euler and Maruyama's method on a grid, beside a loop written by hand with the same generator.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use odeon::num::random::{Consecutive, Streams, fill_normal_pairs, stream};
use odeon::sde::noise::{Brownian, FixedGrid, IntervalTree, Levy, VirtualTree};
use std::hint::black_box;

fn normals(c: &mut Criterion) {
    let mut group = c.benchmark_group("normals");
    let (mut x, mut y) = (vec![0.0; 512], vec![0.0; 512]);
    let streams: Vec<u64> = (0..512).map(|i| stream(i, 0)).collect();
    group.throughput(Throughput::Elements(1024));
    group.bench_function("of consecutive ids", |b| {
        b.iter(|| fill_normal_pairs(black_box(1), Consecutive { first: 7, stream: 3 }, &mut x, &mut y));
    });
    group.bench_function("of streams", |b| {
        b.iter(|| fill_normal_pairs(black_box(1), Streams { id: 7, streams: &streams }, &mut x, &mut y));
    });
    group.finish();
}

/// Ten thousand multiples of 2⁻¹³ in (0, 1), without order.
fn times() -> Vec<f64> {
    (0..10_000_u64).map(|i| ((i * 2_654_435_761) % 8191 + 1) as f64 / 8192.0).collect()
}

fn trees(c: &mut Criterion) {
    let times = times();
    for (levy, name) in [(Levy::None, "increments"), (Levy::SpaceTime, "with areas")] {
        for (components, paths) in [(1, 1), (4, 1), (1, 256)] {
            let mut group = c.benchmark_group(format!("{name}, {components} × {paths}"));
            group.sample_size(20);
            let numbers = components * paths;
            let mut w = vec![0.0; numbers];
            let mut area = vec![0.0; if levy == Levy::None { 0 } else { numbers }];
            let virtual_tree = VirtualTree::new(1, [0.0, 1.0], components, paths, 1.0 / 8192.0);
            let mut sources: [(&str, Box<dyn Brownian<f64>>); 2] = [
                ("VirtualTree", Box::new(virtual_tree.unwrap().levy(levy))),
                (
                    "IntervalTree",
                    Box::new(IntervalTree::new(1, [0.0, 1.0], components, paths).unwrap().levy(levy)),
                ),
            ];
            for (source, noise) in &mut sources {
                group.throughput(Throughput::Elements((numbers * times.len()) as u64));
                group.bench_function(format!("{source}, [0, t] at random"), |b| {
                    b.iter(|| {
                        for &t in &times {
                            noise.increment(0.0, t, &mut w, &mut area).unwrap();
                        }
                        w[0]
                    });
                });
                group.throughput(Throughput::Elements((numbers * 4096) as u64));
                group.bench_function(format!("{source}, a sweep of 4096 steps"), |b| {
                    b.iter(|| {
                        for i in 0..4096 {
                            let t = f64::from(i) / 4096.0;
                            noise.increment(t, t + 1.0 / 4096.0, &mut w, &mut area).unwrap();
                        }
                        w[0]
                    });
                });
            }
            group.finish();
        }
    }
}

const STEPS: usize = 1024;
const DRIFT: f64 = 0.1;
const SIGMA: f64 = 0.3;

/// dX = a X dt + s X dW, one step for all paths.
fn step(x: &mut [f64], h: f64, w: &[f64]) {
    for (x, w) in x.iter_mut().zip(w) {
        *x += DRIFT * *x * h + SIGMA * *x * w;
    }
}

fn euler_maruyama(c: &mut Criterion) {
    let h = 1.0 / STEPS as f64;
    for paths in [1, 16, 256] {
        let mut group = c.benchmark_group(format!("Euler–Maruyama, {paths} paths"));
        group.throughput(Throughput::Elements((paths * STEPS) as u64));
        let mut noise = FixedGrid::new(1, [0.0, 1.0], STEPS, 1, paths).unwrap();
        let (mut x, mut w) = (vec![1.0; paths], vec![0.0; paths]);
        group.bench_function("FixedGrid", |b| {
            b.iter(|| {
                x.fill(1.0);
                for i in 0..STEPS {
                    noise.increment(i as f64 * h, (i + 1) as f64 * h, &mut w, &mut []).unwrap();
                    step(&mut x, h, &w);
                }
                x[0]
            });
        });
        // By hand: whole rows of numbers, drawn along the paths or, for few, along time.
        let streams: Vec<u64> = (0..paths).map(|i| stream(i as u32, 0)).collect();
        let together = if paths < 64 { 64 } else { 1 };
        let mut pairs = [vec![0.0; together * paths], vec![0.0; together * paths]];
        group.bench_function("by hand", |b| {
            b.iter(|| {
                x.fill(1.0);
                for block in 0..STEPS / 2 / together {
                    let [first, second] = &mut pairs;
                    if together == 1 {
                        fill_normal_pairs(1, Streams { id: block as u64, streams: &streams }, first, second);
                    } else {
                        for (path, &stream) in streams.iter().enumerate() {
                            let row = path * together..(path + 1) * together;
                            let addresses = Consecutive { first: (block * together) as u64, stream };
                            let (first, second) = (&mut first[row.clone()], &mut second[row]);
                            fill_normal_pairs(1, addresses, first, second);
                        }
                    }
                    for i in 0..together {
                        for x_of in &pairs {
                            for (path, w) in w.iter_mut().enumerate() {
                                *w = h.sqrt() * x_of[path * together + i];
                            }
                            step(&mut x, h, &w);
                        }
                    }
                }
                x[0]
            });
        });
        group.finish();
    }
}

criterion_group!(benches, normals, trees, euler_maruyama);
criterion_main!(benches);
