//! W8: neural operators on 64², f32: one training step (batch 8, relative L2, gradient, Adam) and the
//! inference of one sample. MgNO with C = 24, 5 grids, 4 layers; FNO with width 32, 12 modes, 4 layers.
//!
//! Parameters are sin(1.7 i + 0.3)/√fan_in by their place, inputs and targets waves, so that a peer has the
//! same numbers; `loss` is that of the first step, `grad_rel_err` f32 against f64.

use crate::Failure;
use crate::measure::{Clock, Facts, relative_error};
use odeon::nn::{Layout, Optimizer, Role, Rule, Schedule};
use odeon::num::{Real, parallel};
use odeon::operator::baselines::Fno;
use odeon::operator::mgno::{Architecture, CycleSpec};
use odeon::operator::surrogate::FieldNorm;
use odeon::operator::{Program, Scratch, Surrogate};

const N: usize = 64;
const BATCH: usize = 8;

fn program(model: &str) -> Result<Program, Failure> {
    let mgno = Architecture::darcy(4, 24, CycleSpec::backslash(5));
    let fno = Fno { padding: 0, ..Fno::darcy(32, 12) };
    let model: &dyn Surrogate = if model == "mgno" { &mgno } else { &fno };
    Ok(model.compile(&[N, N])?)
}

fn parameters(layout: &Layout) -> Vec<f64> {
    let mut theta = Vec::with_capacity(layout.len());
    for entry in layout.entries() {
        let fan_in = match entry.role {
            Role::Weight { fan_in, .. } | Role::Bias { fan_in } => fan_in,
            _ => 1,
        };
        let scale = (fan_in as f64).sqrt().recip();
        theta.extend(entry.range().map(|i| scale * (1.7 * i as f64 + 0.3).sin()));
    }
    theta
}

fn wave<T: Real>(n: usize, phase: f64) -> Vec<T> {
    (0..n).map(|i| T::of((0.37 * i as f64 + phase).sin())).collect()
}

/// Loss and gradient of one batch: Σ ‖y − t‖/‖t‖ over the samples, divided by their number.
struct Step<T> {
    program: Program,
    norm: FieldNorm<T>,
    x: Vec<T>,
    target: Vec<T>,
    sizes: Vec<f64>,
    theta_bar: Vec<T>,
    scratch: Scratch<T>,
}

impl<T: Real> Step<T> {
    fn new(program: &Program) -> Result<Self, Failure> {
        let norm = FieldNorm::l2(&[N, N])?;
        let target = wave::<T>(BATCH * program.output_len(), 0.1);
        let sizes = target.chunks_exact(N * N).map(|t| norm.norm(t)).collect::<Result<_, _>>()?;
        Ok(Self {
            program: program.clone(),
            norm,
            x: wave(BATCH * program.input_len(), 0.8),
            target,
            sizes,
            theta_bar: vec![T::zero(); program.layout().len()],
            scratch: Scratch::new(),
        })
    }

    fn run(&mut self, theta: &[T]) -> Result<f64, Failure> {
        let Self { program, norm, x, target, sizes, theta_bar, scratch } = self;
        let share = T::of(1.0 / BATCH as f64);
        let loss = |i: usize, y: &[T], [bar, work]: [&mut [T]; 2]| {
            let target = &target[i * y.len()..][..y.len()];
            work.iter_mut().zip(y.iter().zip(target)).for_each(|(w, (y, t))| *w = *y - *t);
            let loss = norm.relative(work, sizes[i], bar).unwrap_or(f64::NAN);
            bar.iter_mut().for_each(|bar| *bar *= share);
            loss
        };
        theta_bar.fill(T::zero());
        Ok(program.gradient(theta, x, loss, theta_bar, scratch)? / BATCH as f64)
    }
}

/// Times a training step of `model`.
pub fn step(model: &str, threads: usize, clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let program = program(model)?;
    let wide = parameters(program.layout());
    let mut theta: Vec<f32> = wide.iter().map(|v| *v as f32).collect();
    let (mut step, mut reference) = (Step::<f32>::new(&program)?, Step::<f64>::new(&program)?);
    let loss = reference.run(&wide)?;
    step.run(&theta)?;
    let error = relative_error(step.theta_bar.iter().copied(), &reference.theta_bar);
    let rule = Rule::Adam { betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 1e-4 };
    let mut optimizer = Optimizer::new(rule, Schedule::Constant(1e-4), program.layout().clone())?;
    let times = parallel::with_threads(threads, || {
        let timed = clock.time(|| {
            step.run(&theta)?;
            Ok(optimizer.step(&mut theta, &step.theta_bar)?)
        });
        timed.map_err(|e| e.to_string())
    })??;
    Ok((times, Facts { loss: Some(loss), grad_rel_err: Some(error), ..Facts::default() }))
}

/// Times the inference of one sample by `model`.
pub fn inference(model: &str, threads: usize, clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let program = program(model)?;
    let wide = parameters(program.layout());
    let theta: Vec<f32> = wide.iter().map(|v| *v as f32).collect();
    let (x, mut y) = (wave::<f32>(program.input_len(), 0.8), vec![0.0f32; program.output_len()]);
    let mut reference = vec![0.0; y.len()];
    program.forward(&wide, &wave::<f64>(x.len(), 0.8), &mut reference, &mut Scratch::new())?;
    let mut scratch = Scratch::new();
    let times = parallel::with_threads(threads, || {
        let timed = clock.time(|| Ok(program.forward(&theta, &x, &mut y, &mut scratch)?));
        timed.map_err(|e| e.to_string())
    })??;
    let err_rel = Some(relative_error(y, &reference));
    Ok((times, Facts { err_rel, ..Facts::default() }))
}
