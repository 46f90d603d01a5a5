//! The discrete adjoint: the exact reverse of the accepted steps, heuristics' cotangents included.
//!
//! The solve is a function of (y0, θ) once its step sizes are fixed: y_{j+1} = Φ(y_j; t_j, h_j, θ). Its
//! gradient is the product of the steps' transposed Jacobians, exact to rounding. Held constant:
//! every h_j, the automatic first one included, and the accept/reject decisions, so that
//! [`DiscreteAdjoint::replay`] is the very function that is differentiated (finite differences of
//! it agree). Rejected steps leave no trace.

use super::checkpoint::{Memory, Store};
pub(super) use super::evaluation::{AdjointStatistics, Evaluation, Weighted};
use super::spill::Spill;
use crate::error::{Error, Result};
use crate::integrate::{
    AcceptedSteps, Backward, Drive, Injection, Observer, Options, Partial, Problem, Reverse, Solution,
    StepInfo, StepView, check_step, pass_on, take, view,
};
use crate::num::{ErrorNorm, Real};

/// Gradients through the accepted steps of `S`. Its memory is reused from call to call.
pub struct DiscreteAdjoint<T: Real, S> {
    stepper: S,
    memory: Memory,
    /// Numbers that a step's stages keep for the reverse.
    tape: usize,
    drive: Drive<T>,
    store: Store<T>,
    back: Backward<T>,
    /// The state in hand and the one after, during a reverse.
    states: [Vec<T>; 2],
    end: Vec<T>,
    norm: ErrorNorm<T>,
    theta_bar: Vec<T>,
    stats: AdjointStatistics,
}

/// Sees a step, its ends, and the cotangent of its end.
pub(super) type Seen<'s, T> = &'s mut dyn FnMut(&StepInfo<T>, [&[T]; 2], &[T]);

struct Recorder<'a, 'p, T> {
    store: &'a mut Store<T>,
    penalties: &'a mut [Weighted<'p, T>],
    scratch: &'a mut [T],
    end: &'a mut Vec<T>,
}

impl<T: Real> Observer<T> for Recorder<'_, '_, T> {
    const FALLIBLE: bool = true;

    fn refusal(&mut self) -> Option<Error> {
        self.store.failure()
    }

    fn accepted(&mut self, step: &StepView<'_, T>) {
        self.store.push(step.y0, step.stages, step.tape);
        for p in self.penalties.iter_mut() {
            p.penalty.observe(step, self.scratch);
        }
        self.end.copy_from_slice(step.y1);
    }
}

impl<T: Real, S: Reverse<T>> DiscreteAdjoint<T, S> {
    /// Gradients through `stepper` within `memory`.
    pub fn new(mut stepper: S, memory: Memory) -> Self {
        let n = stepper.len();
        Self {
            memory,
            tape: stepper.keep_tape(),
            drive: Drive::new(n),
            store: Store::default(),
            back: Backward::new(n, stepper.total_stages(), false),
            states: [vec![T::zero(); n], vec![T::zero(); n]],
            end: vec![T::zero(); n],
            norm: ErrorNorm::new(T::one(), T::one()),
            theta_bar: vec![T::zero(); stepper.num_params()],
            stats: AdjointStatistics::default(),
            stepper,
        }
    }

    /// With checkpoints on disk where the budget is smaller than a state for each step, instead of steps taken
    /// again. The gradient has the same bits; disk and memory are `spill`'s and the budget's limits.
    #[must_use]
    pub fn spill(mut self, spill: Spill) -> Self {
        self.store.spill_to(spill);
        self
    }

    /// The solution of the last forward pass.
    pub fn solution(&self) -> &Solution<T> {
        &self.drive.solution
    }

    /// The stepper.
    pub fn stepper(&self) -> &S {
        &self.stepper
    }

    /// Cotangent of y0 from the last reverse.
    pub fn y0_gradient(&self) -> &[T] {
        &self.back.y
    }

    /// Cotangent of θ from the last reverse.
    pub fn theta_gradient(&self) -> &[T] {
        &self.theta_bar
    }

    /// What the last reverse cost.
    pub fn statistics(&self) -> AdjointStatistics {
        self.stats
    }

    /// Bytes of work space, checkpoints not counted; `seeded`: with seeds on the stages.
    fn work_bytes(&self, seeded: bool) -> usize {
        let extra = if seeded && self.back.stages.is_empty() { self.stepper.total_stages() } else { 0 };
        let states = 3 + extra;
        self.stepper.bytes()
            + self.drive.bytes()
            + self.back.bytes()
            + states * self.end.len() * size_of::<T>()
    }

    fn start(
        &mut self,
        problem: &Problem<'_, T>,
        options: &Options<T>,
        penalties: &mut [Weighted<'_, T>],
    ) -> Result<()> {
        let n = self.stepper.len();
        Error::check_len("y0", problem.y0.len(), n, "dim × batch")?;
        Error::check_len(
            "theta",
            problem.theta.len(),
            self.stepper.num_params(),
            "the right-hand side's parameters",
        )?;
        Error::check_finite("y0", problem.y0)?;
        Error::check_finite("theta", problem.theta)?;
        for p in penalties.iter_mut() {
            p.check()?;
            p.penalty.start();
        }
        let inside = matches!(options.save, crate::integrate::Save::At(_));
        let seeded = inside || !penalties.is_empty();
        let work = self.work_bytes(seeded);
        let capacity = match self.memory {
            Memory::Unlimited => usize::MAX,
            Memory::Bytes(bytes) => bytes.saturating_sub(work) / size_of::<T>(),
        };
        if capacity < n {
            let needed = format!(
                "this solve needs at least {} bytes ({work} of work space and one checkpoint)",
                work + n * size_of::<T>()
            );
            return Err(Error::invalid("the memory budget", format!("{:?}", self.memory), needed));
        }
        self.store.start(n, [self.stepper.main_stages() * n, self.tape], capacity)?;
        self.stepper.set_theta(problem.theta);
        self.norm = options.norm.clone();
        self.stats = AdjointStatistics { work_bytes: work, ..Default::default() };
        Ok(())
    }

    /// The forward pass: solves, records what the reverse needs, evaluates the penalties.
    ///
    /// # Errors
    /// Inputs that do not fit, a budget below one checkpoint, or a solve that stops early, with
    /// the partial solution.
    pub fn forward(
        &mut self,
        problem: &Problem<'_, T>,
        options: &Options<T>,
        penalties: &mut [Weighted<'_, T>],
    ) -> Result<&Solution<T>, Partial<T>> {
        self.start(problem, options, penalties)?;
        let Self { stepper, drive, store, back, end, .. } = self;
        let mut recorder = Recorder { store, penalties, scratch: &mut back.scratch, end };
        match drive.run(stepper, problem.y0, problem.span, options, &mut recorder) {
            Ok(()) => Ok(&self.drive.solution),
            Err(error) => Err(Partial { error, solution: Box::new(self.drive.solution.clone()) }),
        }
    }

    /// The forward pass at the frozen steps and saved times of `recorded`.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn replay(
        &mut self,
        problem: &Problem<'_, T>,
        recorded: &Solution<T>,
        options: &Options<T>,
        penalties: &mut [Weighted<'_, T>],
    ) -> Result<&Solution<T>, Partial<T>> {
        self.start(problem, options, penalties)?;
        let Self { stepper, drive, store, back, end, .. } = self;
        let mut recorder = Recorder { store, penalties, scratch: &mut back.scratch, end };
        let saved = (&recorded.steps[..], &recorded.located[..], &recorded.t[..]);
        let outcome = drive.replay(stepper, problem.y0, saved, options, &mut recorder);
        match outcome.and(self.store.failure().map_or(Ok(()), Err)) {
            Ok(()) => Ok(&self.drive.solution),
            Err(error) => Err(Partial { error, solution: Box::new(self.drive.solution.clone()) }),
        }
    }

    /// The controller's norm, the stepper and the solution, for who takes the steps again.
    pub(super) fn norm(&self) -> &ErrorNorm<T> {
        &self.norm
    }

    /// The reverse of the last forward pass: `y_bar` holds the cotangents of all saved states (the
    /// layout of `solution().y`). Gradients are then in [`theta_gradient`](Self::theta_gradient)
    /// and [`y0_gradient`](Self::y0_gradient). The checkpoints are consumed.
    ///
    /// # Errors
    /// Cotangents of the wrong length, no forward pass to reverse, or a gradient that is not finite.
    pub fn reverse(
        &mut self,
        y_bar: &[T],
        injections: &[Injection<'_, T>],
        penalties: &mut [Weighted<'_, T>],
    ) -> Result<()> {
        self.reverse_seen(y_bar, injections, penalties, None)
    }

    /// The reverse with someone who sees every step before it is pulled back. The cotangent that it sees is then
    /// the whole derivative with respect to the end of the step: no stage is carried over.
    pub(super) fn reverse_seen(
        &mut self,
        y_bar: &[T],
        injections: &[Injection<'_, T>],
        penalties: &mut [Weighted<'_, T>],
        mut seen: Option<Seen<'_, T>>,
    ) -> Result<()> {
        let before = self.begin_reverse(y_bar, injections, !penalties.is_empty())?;
        let mut saved = self.drive.solution.located.len();
        for j in (0..self.drive.solution.steps.len()).rev() {
            self.bring_back(j)?;
            self.seed(j, &mut saved, y_bar, injections);
            let Self { stepper, drive, back, states: [y0, y1], theta_bar, norm, .. } = self;
            let steps = &drive.solution.steps;
            let step = &steps[j];
            if !penalties.is_empty() {
                let view = view(stepper, j, step, [y0, y1], norm);
                for p in penalties.iter_mut().filter(|p| p.weight != T::zero()) {
                    p.penalty.pullback(&view, p.weight, &mut back.cotangent());
                }
            }
            let fresh = seen.is_some() || j == 0 || step.from_stop || steps[j - 1].member != step.member;
            if let Some(seen) = &mut seen {
                seen(step, [y0, y1], &back.y);
            }
            stepper.pullback(step, [y0, y1], fresh, back, theta_bar);
            self.states.swap(0, 1);
        }
        self.end_reverse(before)
    }

    /// Checks what a reverse is given and makes ready for it; `seeded`: with seeds on the stages besides those of
    /// saved states. Returns the evaluations and products so far.
    fn begin_reverse(
        &mut self,
        y_bar: &[T],
        injections: &[Injection<'_, T>],
        seeded: bool,
    ) -> Result<[usize; 2]> {
        let n = self.end.len();
        Error::check_len(
            "the cotangent of the saved states",
            y_bar.len(),
            self.drive.solution.y.len(),
            "one for each saved number",
        )?;
        let steps = self.drive.solution.steps.len();
        if steps == 0 {
            let needed = "a forward pass must come first";
            return Err(Error::invalid("the forward pass", "missing", needed));
        }
        for injection in injections {
            if injection.step >= steps {
                let needed = format!("the solve has {steps} accepted steps");
                return Err(Error::invalid("an injection's step", injection.step, needed));
            }
            Error::check_len("an injected cotangent", injection.y_bar.len(), n, "the state's length")?;
            check_step(injection.step, self.drive.solution.steps.len())?;
            if !(injection.theta >= T::zero() && injection.theta <= T::one()) {
                return Err(Error::invalid("an injection's theta", injection.theta, "it must lie in [0, 1]"));
            }
        }
        if self.stats.nvjp > 0 {
            return Err(Error::invalid("the forward pass", "already reversed", "call forward again first"));
        }
        let located = self.drive.solution.located.iter().map(|l| l.theta);
        let inside = located
            .chain(injections.iter().map(|i| i.theta))
            .any(|theta| theta != T::zero() && theta != T::one());
        if inside || seeded {
            self.back.seed_stages();
        }
        self.theta_bar.fill(T::zero());
        self.back.clear();
        self.states[1].copy_from_slice(&self.end);
        Ok([self.stepper.nfe(), self.stepper.nvjp()])
    }

    /// The reverse of what came before the first step, and the accounts.
    fn end_reverse(&mut self, [nfe, nvjp]: [usize; 2]) -> Result<()> {
        let t0 = self.drive.solution.steps[0].t;
        self.stepper.prepare_pullback(t0, &self.states[1], &mut self.back.y, &mut self.theta_bar)?;
        self.stats.nfe = self.stepper.nfe() - nfe;
        self.stats.nvjp = self.stepper.nvjp() - nvjp;
        (self.stats.checkpoint_bytes, self.stats.disk_bytes) = self.store.peak_bytes();
        Error::check_finite("the gradient with respect to theta", &self.theta_bar)?;
        Error::check_finite("the gradient with respect to y0", &self.back.y)
    }

    /// Adds the cotangents of saved states and injections that belong to step `j`.
    fn seed(&mut self, j: usize, saved: &mut usize, y_bar: &[T], injections: &[Injection<'_, T>]) {
        let n = self.end.len();
        let Self { stepper, drive, back, states: [y0, _], .. } = self;
        back.clear_seeds();
        let Solution { located, steps, .. } = &drive.solution;
        while *saved > 0 && located[*saved - 1].step == j {
            *saved -= 1;
            let theta = located[*saved].theta;
            let bar = &y_bar[*saved * n..(*saved + 1) * n];
            scatter(stepper, &steps[j], y0, theta, bar, back);
        }
        for injection in injections.iter().filter(|i| i.step == j) {
            scatter(stepper, &steps[j], y0, injection.theta, injection.y_bar, back);
        }
    }

    /// Makes step `j` the stepper's step in hand, its start in `states[0]`.
    ///
    /// # Errors
    /// A checkpoint that cannot be read from disk.
    fn bring_back(&mut self, j: usize) -> Result<()> {
        self.stepper.select(self.drive.solution.steps[j].member);
        let [y0, _] = &mut self.states;
        if let Some([y, stages, tape]) = self.store.stages(j) {
            y0.copy_from_slice(y);
            self.stepper.restore(&self.drive.solution.steps[j], stages, tape);
            return Ok(());
        }
        if let Some(y) = self.store.state(j)? {
            y0.copy_from_slice(y);
        } else {
            self.reach(j);
        }
        let step = self.drive.solution.steps[j];
        self.stepper.select(step.member);
        self.stepper.begin(step.start(), &self.states[0]);
        self.take(&step);
        Ok(())
    }

    /// Takes a recorded step again from `states[0]`; its end goes to `end`, which is free by now.
    fn take(&mut self, step: &StepInfo<T>) {
        let Self { stepper, states: [y0, _], end, norm, stats, .. } = self;
        take(stepper, step, y0, end, norm);
        stats.replayed += 1;
    }

    /// Brings the state at the start of step `j` into `states[0]` from the latest checkpoint,
    /// placing new ones on the way.
    fn reach(&mut self, j: usize) {
        let mut from = match self.store.latest(j) {
            Some((k, y)) => {
                self.states[0].copy_from_slice(y);
                k
            }
            None => return,
        };
        while from < j {
            let target = self.store.next_checkpoint(from, j);
            let to = target.unwrap_or(j);
            self.stepper.select(self.drive.solution.steps[from].member);
            self.stepper.begin(self.drive.solution.steps[from].start(), &self.states[0]);
            for i in from..to {
                let step = self.drive.solution.steps[i];
                self.take(&step);
                pass_on(&mut self.stepper, &step, self.drive.solution.steps.get(i + 1), &self.end);
                self.states[0].copy_from_slice(&self.end);
            }
            if target.is_some() {
                self.store.checkpoint(to, &self.states[0]);
            }
            from = to;
        }
    }

    /// Loss, penalties and their gradient. `loss` sees the solution and writes the cotangents of
    /// its saved states.
    ///
    /// # Errors
    /// As [`forward`](Self::forward) and [`reverse`](Self::reverse), or what `loss` returns.
    pub fn value_and_gradient(
        &mut self,
        problem: &Problem<'_, T>,
        options: &Options<T>,
        penalties: &mut [Weighted<'_, T>],
        loss: impl FnOnce(&Solution<T>, &mut [T]) -> Result<T>,
    ) -> Result<Evaluation<T>> {
        self.forward(problem, options, penalties)?;
        let mut y_bar = vec![T::zero(); self.drive.solution.y.len()];
        let loss = loss(&self.drive.solution, &mut y_bar)?;
        let evaluation = Evaluation::new(loss, penalties)?;
        self.reverse(&y_bar, &[], penalties)?;
        Ok(evaluation)
    }
}

/// ACCUMULATES the cotangent `bar` of y(t + ϑh) in the step in hand into the seeds.
fn scatter<T: Real, S: Reverse<T>>(
    stepper: &mut S,
    step: &StepInfo<T>,
    y0: &[T],
    theta: T,
    bar: &[T],
    back: &mut Backward<T>,
) {
    if theta == T::one() {
        add(&mut back.y, bar);
    } else if theta == T::zero() {
        add(&mut back.y0, bar);
    } else {
        stepper.prepare_interpolation(step, y0);
        stepper.interpolate_pullback(step, theta, bar, back);
    }
}

impl<T: Real, S: Reverse<T>> AcceptedSteps<T> for DiscreteAdjoint<T, S> {
    type Stepper = S;

    fn parts(&mut self) -> (&Solution<T>, &mut S, &ErrorNorm<T>) {
        (&self.drive.solution, &mut self.stepper, &self.norm)
    }

    /// Between [`forward`](DiscreteAdjoint::forward) and [`reverse`](DiscreteAdjoint::reverse):
    /// copied from the checkpoints, or replayed from the nearest where they were thinned.
    fn step_start(&mut self, step: usize, out: &mut [T]) -> Result<()> {
        let n = self.end.len();
        check_step(step, self.drive.solution.steps.len())?;
        Error::check_len("the state's place", out.len(), n, "the state's length")?;
        if self.stats.nvjp > 0 {
            return Err(Error::invalid(
                "the forward pass",
                "already reversed",
                "its checkpoints are consumed: call forward again first",
            ));
        }
        let Some((from, y)) = self.store.nearest(step)? else {
            return Err(Error::invalid("the forward pass", "missing", "call forward first"));
        };
        out.copy_from_slice(y);
        if from < step {
            self.stepper.select(self.drive.solution.steps[from].member);
            self.stepper.begin(self.drive.solution.steps[from].start(), out);
        }
        for i in from..step {
            let info = &self.drive.solution.steps[i];
            let y1 = &mut self.states[1];
            take(&mut self.stepper, info, out, y1, &self.norm);
            pass_on(&mut self.stepper, info, self.drive.solution.steps.get(i + 1), y1);
            out.copy_from_slice(y1);
            self.stats.replayed += 1;
        }
        Ok(())
    }
}

fn add<T: Real>(to: &mut [T], from: &[T]) {
    for (a, b) in to.iter_mut().zip(from) {
        *a += *b;
    }
}
