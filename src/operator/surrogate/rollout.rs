//! [`Rollout`]: one-step surrogates applied to their own answers.

use crate::error::{Error, Result};
use crate::num::{Real, random};
use crate::operator::program::{Program, Scratch};

/// What a loss on a roll-out is differentiated through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Through {
    /// Every step, each one's answer being compared: the gradient of Σ_k L(u_k).
    #[default]
    Window,
    /// The last step alone, whose answer alone is compared; the steps before only bring the states that the network
    /// makes of its own answers ("push-forward", Brandstetter, Worrall & Welling, *Message Passing Neural PDE
    /// Solvers*, ICLR 2022, section 3.1). It costs little more than one step, and is not the gradient of L(u_K).
    Last,
}

/// u_{k+1} = G(u_k; θ) for k = 0 … K − 1, G a network that gives as many fields as it takes.
///
/// Trained on pairs alone (K = 1) a network never sees states as it makes them, and its errors grow from step to step;
/// windows (K > 1) and noise on the first state ([`add_noise`]) are the two remedies.
///
/// ```
/// use odeon::nn::conv::Padding;
/// use odeon::operator::mgno::{Architecture, CycleSpec};
/// use odeon::operator::surrogate::{Rollout, Through};
/// use odeon::operator::{Scratch, Surrogate};
///
/// let cycle = CycleSpec { padding: [[Padding::Circular; 2]; 3], ..CycleSpec::backslash(3) };
/// let step = Architecture { skip: true, ..Architecture::darcy(2, 4, cycle) }.compile(&[16])?;
/// let theta: Vec<f64> = step.init(Default::default(), 0)?;
/// let mut rollout = Rollout::new(&step, 3, Through::Window)?;
/// let (start, mut theta_bar) = (vec![0.5; 16], vec![0.0; theta.len()]);
/// let square = |_: [usize; 2], u: &[f64], [bar, _]: [&mut [f64]; 2]| {
///     bar.copy_from_slice(u);
///     0.5 * u.iter().map(|u| u * u).sum::<f64>()
/// };
/// let loss = rollout.gradient(&theta, &start, square, &mut theta_bar, &mut Scratch::new())?;
/// assert!(loss > 0.0 && rollout.states().len() == 4 * 16);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Rollout<'a, T> {
    program: &'a Program,
    steps: usize,
    through: Through,
    /// u_0 … u_K, each `dim × batch`.
    states: Vec<T>,
    /// Cotangents of a state and of the one before.
    bars: [Vec<T>; 2],
}

impl<'a, T: Real> Rollout<'a, T> {
    /// Of K = `steps`.
    ///
    /// # Errors
    /// No steps; a network that does not give as many numbers as it takes.
    pub fn new(program: &'a Program, steps: usize, through: Through) -> Result<Self> {
        let (inputs, outputs) = (program.input_len(), program.output_len());
        if inputs != outputs {
            let given = format!("{inputs} numbers in, {outputs} out");
            let needed = "its answers must be inputs";
            return Err(Error::invalid("the network of a roll-out", given, needed));
        }
        if steps == 0 {
            return Err(Error::invalid("the steps of a roll-out", steps, "at least one is needed"));
        }
        Ok(Self { program, steps, through, states: Vec::new(), bars: [Vec::new(), Vec::new()] })
    }

    /// The states u_0 … u_K of the last roll-out, each of all samples one after the other.
    pub fn states(&self) -> &[T] {
        &self.states
    }

    /// Rolls out from `start` (any number of samples).
    ///
    /// # Errors
    /// Lengths that do not fit; a state that is not finite (step and place).
    pub fn forward(&mut self, theta: &[T], start: &[T], scratch: &mut Scratch<T>) -> Result<&[T]> {
        self.roll(theta, start, self.steps, scratch)?;
        Ok(&self.states)
    }

    fn roll(&mut self, theta: &[T], start: &[T], steps: usize, scratch: &mut Scratch<T>) -> Result<()> {
        let n = start.len();
        self.states.resize((self.steps + 1) * n, T::zero());
        self.states[..n].copy_from_slice(start);
        for k in 0..steps {
            let (known, next) = self.states[k * n..(k + 2) * n].split_at_mut(n);
            self.program.forward(theta, known, next, scratch)?;
            finite(k + 1, next)?;
        }
        Ok(())
    }

    /// The loss over the samples in `start` and its gradient: `loss([sample, k], u, [u_bar, work])` returns the loss of
    /// u_k (k from 1, or K alone, see [`Through`]) and writes its cotangent; `work` is free memory of the same length.
    /// ACCUMULATES: `theta_bar` += the gradient of the sum of the losses, which is returned.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn gradient(
        &mut self,
        theta: &[T],
        start: &[T],
        loss: impl Fn([usize; 2], &[T], [&mut [T]; 2]) -> f64 + Sync,
        theta_bar: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> Result<f64> {
        let (n, last) = (start.len(), self.steps);
        self.roll(theta, start, last - 1, scratch)?;
        let Self { program, states, bars: [bar, before], .. } = self;
        let known = &states[(last - 1) * n..last * n];
        if self.through == Through::Last || last == 1 {
            let only = |sample: usize, u: &[T], bars: [&mut [T]; 2]| loss([sample, last], u, bars);
            return program.gradient(theta, known, only, theta_bar, scratch);
        }
        let (known, end) = states[(last - 1) * n..].split_at_mut(n);
        program.forward(theta, known, end, scratch)?;
        finite(last, end)?;
        let dim = program.input_len();
        let mut work = vec![T::zero(); dim];
        before.clear();
        before.resize(n, T::zero());
        bar.resize(n, T::zero());
        let mut total = 0.0;
        for k in (1..=last).rev() {
            let samples = states[k * n..(k + 1) * n].chunks_exact(dim).zip(bar.chunks_exact_mut(dim));
            for (sample, (u, bar)) in samples.enumerate() {
                total += loss([sample, k], u, [bar, &mut work]);
            }
            bar.iter_mut().zip(before.iter()).for_each(|(bar, later)| *bar += *later);
            let given = [&states[(k - 1) * n..k * n], &bar[..]];
            let wanted = (k > 1).then_some(&mut before[..]);
            program.pullback(theta, given, wanted, theta_bar, scratch)?;
        }
        Ok(total)
    }
}

fn finite<T: Real>(step: usize, state: &[T]) -> Result<()> {
    let Some(i) = state.iter().position(|u| !u.is_finite()) else { return Ok(()) };
    let what = format!("entry {i} of the state after step {step} of the roll-out");
    Err(Error::invalid(
        what,
        state[i],
        "it must be finite: train on windows or with noise, or roll out less far",
    ))
}

/// `u` += σ ξ with independent standard normal ξ, a function of seed, `stream` (say the iteration and the sample) and
/// place alone: what a network learns to damp (Sanchez-Gonzalez et al., *Learning to Simulate Complex Physics with Graph
/// Networks*, ICML 2020, section 4.3).
pub fn add_noise<T: Real>(u: &mut [T], sigma: f64, seed: u64, stream: u64) {
    for (i, pair) in u.chunks_mut(2).enumerate() {
        let (first, second) = random::normal_pair(random::at(seed, stream, i as u64));
        for (u, xi) in pair.iter_mut().zip([first, second]) {
            *u += T::of(sigma * xi);
        }
    }
}

/// The correlation of two fields, Σ (a − ā)(b − b̄)/√(Σ (a − ā)² Σ (b − b̄)²); 0 where one does not vary.
///
/// # Errors
/// Fields of different lengths, no points, a NaN or infinity.
pub fn correlation<T: Real>(a: &[T], b: &[T]) -> Result<f64> {
    Error::check_len("the second field", b.len(), a.len(), "the length of the first")?;
    if a.is_empty() {
        return Err(Error::invalid("the points of the fields", 0, "at least one is needed"));
    }
    Error::check_finite("the first field", a)?;
    Error::check_finite("the second field", b)?;
    let mean = |x: &[T]| x.iter().map(|x| x.f64()).sum::<f64>() / x.len() as f64;
    let means = [mean(a), mean(b)];
    let mut sums = [0.0; 3];
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a.f64() - means[0], b.f64() - means[1]);
        [a * b, a * a, b * b].iter().zip(&mut sums).for_each(|(term, sum)| *sum += term);
    }
    let scale = (sums[1] * sums[2]).sqrt();
    Ok(if scale > 0.0 { sums[0] / scale } else { 0.0 })
}

/// How long a roll-out stays true: the time at which the correlation with the truth, given at `times`, first falls below
/// `least`, linear between two times; the last time where it never does, the first where it never was.
///
/// # Errors
/// Another number of times than of correlations, none, times that do not increase, a NaN.
pub fn high_correlation_time(times: &[f64], correlations: &[f64], least: f64) -> Result<f64> {
    Error::check_len("the correlations", correlations.len(), times.len(), "one for each time")?;
    Error::check_finite("the times", times)?;
    Error::check_finite("the correlations", correlations)?;
    if let Some(i) = (1..times.len()).find(|&i| times[i] <= times[i - 1]) {
        let given = format!("{} after {}", times[i], times[i - 1]);
        return Err(Error::invalid("the times", given, "they must increase"));
    }
    let Some((first, last)) = times.first().zip(times.last()) else {
        return Err(Error::invalid("the times", "none", "at least one is needed"));
    };
    match correlations.iter().position(|c| *c < least) {
        None => Ok(*last),
        Some(0) => Ok(*first),
        Some(i) => {
            let [from, to] = [correlations[i - 1], correlations[i]];
            Ok(times[i - 1] + (times[i] - times[i - 1]) * (from - least) / (from - to))
        }
    }
}
