//! Network passes: the spiral's 2–50–2 net (f64, with its cube) and the image net 784–100–784 (f32,
//! tanh and time concatenation), and square layers around the switch from the direct kernels to the
//! blocked product. `cargo bench --bench nn`.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use odeon::nn::{Activation, Initializer, Input, Network};
use odeon::num::Real;

fn passes<T: Real>(c: &mut Criterion, name: &str, network: &Network, batches: &[usize]) {
    let theta: Vec<T> = network.init(Initializer::GlorotUniform, 1).expect("valid initializer");
    let mut group = c.benchmark_group(name);
    for &batch in batches {
        let wave = |n: usize| (0..n).map(|i| T::of((1.3 * i as f64).sin())).collect::<Vec<T>>();
        let x = wave(network.input_dim() * batch);
        let bar = wave(network.output_dim() * batch);
        let (mut out, mut x_bar) = (bar.clone(), x.clone());
        let mut theta_bar = theta.clone();
        let mut scratch = network.scratch(batch);
        let at = Input { t: T::of(0.3), x: &x, theta: &theta };
        group.bench_function(BenchmarkId::new("forward", batch), |b| {
            b.iter(|| network.forward(at, &mut out, &mut scratch));
        });
        group.bench_function(BenchmarkId::new("vjp", batch), |b| {
            b.iter(|| network.vjp(at, &bar, &mut x_bar, &mut theta_bar, &mut scratch));
        });
    }
    group.finish();
}

fn networks(c: &mut Criterion) {
    let tanh = Activation::Tanh;
    let spiral = Network::builder(2).activation(Activation::Cube).dense(50);
    let spiral = spiral.activation(tanh).dense(2).build().expect("valid network");
    passes::<f64>(c, "spiral 2-50-2 f64", &spiral, &[1, 20, 512]);
    let image = Network::builder(784).concat_time().dense(100).activation(tanh);
    let image = image.concat_time().dense(784).activation(tanh).build().expect("valid network");
    passes::<f32>(c, "image 784-100-784 f32", &image, &[512]);
    for n in [10, 32, 64] {
        let square = Network::builder(n).dense(n).build().expect("valid network");
        passes::<f64>(c, &format!("dense {n}-{n} f64"), &square, &[1, 8, 32]);
    }
}

criterion_group!(benches, networks);
criterion_main!(benches);
