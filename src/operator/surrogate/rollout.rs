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

/// u_{k+1} = G(u_k; θ) for k = 0 … K − 1, G a network that gives as many fields as it takes; or G(u_k, c; θ).
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
    /// c.
    fixed: Vec<T>,
    /// u_0 … u_K, each `dim × batch`.
    states: Vec<T>,
    /// (u_0, c) … (u_{K−1}, c), where there is a c.
    inputs: Vec<T>,
    /// Cotangents of a state, and of the input that it comes from.
    bars: [Vec<T>; 2],
    work: Vec<T>,
}

impl<'a, T: Real> Rollout<'a, T> {
    /// Of K = `steps`.
    ///
    /// # Errors
    /// No steps; a network that does not give as many numbers as it takes.
    pub fn new(program: &'a Program, steps: usize, through: Through) -> Result<Self> {
        Self::with_fixed(program, steps, through, Vec::new())
    }

    /// Of K = `steps` of a network G(u, c) whose input ends in channels c that stay the same, say a force or coordinates:
    /// a periodic network of convolutions alone cannot know where it is.
    ///
    /// # Errors
    /// No steps; a network that takes another number of numbers than it gives and c has; a c that is not finite.
    pub fn with_fixed(program: &'a Program, steps: usize, through: Through, fixed: Vec<T>) -> Result<Self> {
        let (inputs, outputs) = (program.input_len(), program.output_len());
        if inputs != outputs + fixed.len() {
            let given = format!("{inputs} numbers in, {outputs} out, {} that stay", fixed.len());
            let needed = "its answers and what stays must be its inputs";
            return Err(Error::invalid("the network of a roll-out", given, needed));
        }
        if steps == 0 {
            return Err(Error::invalid("the steps of a roll-out", steps, "at least one is needed"));
        }
        Error::check_finite("the channels that stay", &fixed)?;
        let (states, inputs, bars, work) = (Vec::new(), Vec::new(), [Vec::new(), Vec::new()], Vec::new());
        Ok(Self { program, steps, through, fixed, states, inputs, bars, work })
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
        let (n, dim) = (start.len(), self.program.output_len());
        if n == 0 || !n.is_multiple_of(dim) {
            let needed = format!("a multiple of {dim} (numbers of one state), at least one sample");
            return Err(Error::Length { what: "the first states", given: n, needed });
        }
        let Self { program, fixed, states, inputs, .. } = self;
        let wide = n / dim * (dim + fixed.len());
        states.resize((self.steps + 1) * n, T::zero());
        inputs.resize(if fixed.is_empty() { 0 } else { self.steps * wide }, T::zero());
        states[..n].copy_from_slice(start);
        for k in 0..self.steps {
            let (known, next) = states[k * n..(k + 2) * n].split_at_mut(n);
            let mut given = &*known;
            if !fixed.is_empty() {
                let input = &mut inputs[k * wide..(k + 1) * wide];
                for (input, u) in input.chunks_exact_mut(dim + fixed.len()).zip(known.chunks_exact(dim)) {
                    input[..dim].copy_from_slice(u);
                    input[dim..].copy_from_slice(fixed);
                }
                given = input;
            }
            if k == steps {
                break;
            }
            program.forward(theta, given, next, scratch)?;
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
        let last = self.steps;
        let one = self.through == Through::Last || last == 1;
        // A last step that alone is reversed is taken there.
        self.roll(theta, start, if one { last - 1 } else { last }, scratch)?;
        let Self { program, fixed, states, inputs, bars: [bar, before], work, .. } = self;
        let (n, dim) = (start.len(), program.output_len());
        let wide = n / dim * (dim + fixed.len());
        let known = if fixed.is_empty() { &*states } else { &*inputs };
        let known = |k: usize| &known[(k - 1) * wide..k * wide];
        if one {
            let only = |sample: usize, u: &[T], bars: [&mut [T]; 2]| loss([sample, last], u, bars);
            return program.gradient(theta, known(last), only, theta_bar, scratch);
        }
        work.resize(dim, T::zero());
        before.resize(wide, T::zero());
        before.fill(T::zero());
        bar.resize(n, T::zero());
        let mut total = 0.0;
        for k in (1..=last).rev() {
            let samples = states[k * n..(k + 1) * n].chunks_exact(dim).zip(bar.chunks_exact_mut(dim));
            let later = before.chunks_exact(dim + fixed.len());
            for (sample, ((u, bar), later)) in samples.zip(later).enumerate() {
                total += loss([sample, k], u, [bar, work]);
                bar.iter_mut().zip(later).for_each(|(bar, later)| *bar += *later);
            }
            let wanted = (k > 1).then_some(&mut before[..]);
            program.pullback(theta, [known(k), bar], wanted, theta_bar, scratch)?;
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
