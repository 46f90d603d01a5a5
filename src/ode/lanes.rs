//! Sixteen trajectories of a small system in SIMD lanes, each at its own time with its own step.
//!
//! A lane that finishes takes the next trajectory of the chunk. Every operation is the scalar
//! solver's, lane by lane, so a trajectory's bits are those of solving it alone; what is rare (first
//! steps, saves, failures) is done by the scalar code itself.

use super::ensemble::{Part, Task, TrajectoryStatistics};
use super::explicit::{ExplicitStepper, Field, Step};
use super::solve::Solver;
use super::tableau::Tableau;
use crate::dynamics::Dynamics;
use crate::integrate::{
    Controller, History, NON_FINITE_TRIES, Options, Save, Silent, Stepper, exp2, initial_step, log_error,
    shrinks_away, smallest_step, takes_remainder,
};
use crate::num::{Kernel, LANES, Lanes, Real, dispatch};
use std::ops::Range;

/// A chunk of an ensemble in SIMD lanes.
pub(crate) struct LaneSolver<'a, T: Real, D: Dynamics<T>> {
    task: &'a Task<'a, T, D>,
    tableau: &'a Tableau,
    stepper: ExplicitStepper<'a, T, D>,
    first: usize,
    /// Trajectories not yet started.
    waiting: Range<usize>,
    part: Part<T>,
    work: Vec<T>,
    lanes: State<T>,
    /// What each lane is at; `None` when it idles.
    jobs: [Option<Job>; LANES],
    /// Whether a lane's last attempt was not finite, or it is near its limit of steps.
    troubled: bool,
}

/// The lanes' numbers.
struct State<T> {
    t: Lanes<T>,
    h: Lanes<T>,
    y: Vec<Lanes<T>>,
    y1: Vec<Lanes<T>>,
    k: Vec<Lanes<T>>,
    g: Vec<Lanes<T>>,
    theta: Vec<Lanes<T>>,
    log1: Lanes<T>,
    log2: Lanes<T>,
    rejected: [bool; LANES],
    /// Attempted and accepted steps of each lane's trajectory.
    attempts: [u32; LANES],
    accepted: [u32; LANES],
}

#[derive(Clone, Copy, Default)]
struct Job {
    trajectory: usize,
    next_save: usize,
    non_finite: usize,
    nfe: usize,
}

/// The outcome of one attempt in every lane.
struct Verdict<T> {
    h: Lanes<T>,
    t1: Lanes<T>,
    error: Lanes<T>,
    accepted: [bool; LANES],
    ended: [bool; LANES],
    /// Whether any lane ended or was rejected, so that bookkeeping is due.
    event: bool,
}

impl<'a, T: Real, D: Dynamics<T>> LaneSolver<'a, T, D> {
    /// Whether lanes can do what `options` asks; otherwise trajectories run one at a time.
    pub fn serves(tableau: &Tableau, options: &Options<T>) -> bool {
        tableau.fsal
            && matches!(options.save, Save::End | Save::At(_))
            && options.controller.is_adaptive()
            && options.tstops.is_empty()
            && !options.diagnostics
            && options.max_nfe == usize::MAX
    }

    pub fn new(task: &'a Task<'a, T, D>, tableau: &'a Tableau, range: Range<usize>) -> Self {
        let stepper = ExplicitStepper::new(task.dynamics, tableau, 1);
        let n = stepper.len();
        let zeros = |n| vec![Lanes::default(); n];
        let lanes = State {
            t: Lanes::default(),
            h: Lanes::default(),
            y: zeros(n),
            y1: zeros(n),
            k: zeros(n * stepper.method.total_stages()),
            g: zeros(n),
            theta: zeros(task.dynamics.num_params()),
            log1: Lanes::default(),
            log2: Lanes::default(),
            rejected: [false; LANES],
            attempts: [0; LANES],
            accepted: [0; LANES],
        };
        Self {
            part: Part::new(range.len(), task.length),
            work: vec![T::zero(); 2 * n],
            first: range.start,
            waiting: range,
            jobs: [None; LANES],
            troubled: false,
            task,
            tableau,
            stepper,
            lanes,
        }
    }

    pub fn run(mut self) -> Part<T> {
        for lane in 0..LANES {
            self.load(lane);
        }
        let saves = matches!(self.task.options.save, Save::At(_));
        while self.jobs.iter().any(Option::is_some) {
            let verdict = dispatch(Attempt(&mut self));
            if saves {
                self.save(&verdict);
            }
            if verdict.event || self.troubled {
                self.judge(&verdict);
            }
        }
        self.part.failures.sort_by_key(|f| f.0);
        self.part
    }

    /// Gives `lane` the next waiting trajectory, started by the scalar code.
    fn load(&mut self, lane: usize) {
        self.jobs[lane] = None;
        for trajectory in self.waiting.by_ref() {
            let problem = self.task.single(trajectory);
            let stepper = &mut self.stepper;
            stepper.set_theta(problem.theta);
            let nfe0 = stepper.nfe();
            let [t0, t1] = problem.span;
            stepper.begin(t0, problem.y0);
            if !stepper.derivative().iter().all(|k| k.is_finite()) {
                Self::alone(self.task, self.tableau, trajectory, self.first, &mut self.part);
                continue;
            }
            let first = match self.task.options.h0 {
                Some(h) => h.min((t1 - t0).abs()),
                None => {
                    initial_step(stepper, (t0, problem.y0), t1 - t0, &self.task.options.norm, &mut self.work)
                }
            };
            let lanes = &mut self.lanes;
            for (to, from) in lanes.y.iter_mut().zip(problem.y0) {
                to[lane] = *from;
            }
            for (to, from) in lanes.theta.iter_mut().zip(problem.theta) {
                to[lane] = *from;
            }
            for (to, from) in lanes.k.iter_mut().zip(stepper.derivative()) {
                to[lane] = *from;
            }
            lanes.t[lane] = t0;
            lanes.h[lane] = first.copysign(t1 - t0);
            lanes.log1[lane] = T::zero();
            lanes.log2[lane] = T::zero();
            lanes.rejected[lane] = false;
            (lanes.attempts[lane], lanes.accepted[lane]) = (0, 0);
            self.jobs[lane] = Some(Job { trajectory, nfe: stepper.nfe() - nfe0, ..Job::default() });
            return;
        }
    }

    /// Solves a troubled trajectory by the scalar code from the start, which says what is wrong with it.
    #[cold]
    fn alone(task: &Task<'_, T, D>, tableau: &Tableau, trajectory: usize, first: usize, part: &mut Part<T>) {
        let mut solver = Solver::new(task.dynamics, tableau, 1);
        let outcome = solver.run(&task.single(trajectory), task.options, &mut Silent);
        let at = (trajectory - first, trajectory);
        part.enter(at, &solver.drive.solution, outcome, &task.options.save);
    }

    /// Bookkeeping after an attempt in which something happened: ends, rejections, failures.
    fn judge(&mut self, verdict: &Verdict<T>) {
        let options = self.task.options;
        self.troubled = false;
        for lane in 0..LANES {
            let Some(job) = &mut self.jobs[lane] else {
                continue;
            };
            let spent = self.lanes.attempts[lane] as usize >= options.max_steps;
            let end = self.task.problem.span[1];
            let at = (self.lanes.t[lane], end);
            let stuck = verdict.accepted[lane]
                && !verdict.ended[lane]
                && shrinks_away(self.lanes.h[lane], verdict.h[lane], at, options);
            if verdict.accepted[lane] && !verdict.ended[lane] && !spent && !stuck {
                job.non_finite = 0;
                continue;
            }
            let finite = verdict.error[lane].is_finite();
            job.non_finite = if finite { 0 } else { job.non_finite + 1 };
            self.troubled |= !finite;
            let (t, h) = (self.lanes.t[lane], self.lanes.h[lane].abs());
            let small = stuck || (!verdict.accepted[lane] && h < smallest_step(t, end, options));
            let job = *job;
            if verdict.accepted[lane] && verdict.ended[lane] {
                self.finish(lane, &job);
            } else if small || spent || job.non_finite > NON_FINITE_TRIES {
                Self::alone(self.task, self.tableau, job.trajectory, self.first, &mut self.part);
            } else {
                continue;
            }
            self.load(lane);
        }
        // Idle lanes keep computing on harmless numbers.
        if let Some(busy) = self.jobs.iter().position(Option::is_some) {
            for lane in (0..LANES).filter(|&l| self.jobs[l].is_none()) {
                self.lanes.copy_lane(busy, lane);
            }
        }
    }

    fn finish(&mut self, lane: usize, job: &Job) {
        let slot = job.trajectory - self.first;
        let (attempts, accepted) = (self.lanes.attempts[lane] as usize, self.lanes.accepted[lane] as usize);
        let nfe = job.nfe + attempts * (self.stepper.method.stages - 1);
        self.part.stats[slot] = TrajectoryStatistics { nfe, accepted, rejected: attempts - accepted };
        if self.task.options.save == Save::End {
            let out = &mut self.part.y[slot * self.task.length..(slot + 1) * self.task.length];
            for (to, from) in out.iter_mut().zip(&self.lanes.y) {
                *to = from[lane];
            }
        }
    }

    /// Saves what lies in the steps that were just accepted. Called after the lanes moved on: `y1`
    /// then holds each lane's start, and the stages are those of the step.
    fn save(&mut self, verdict: &Verdict<T>) {
        let Save::At(times) = &self.task.options.save else {
            return;
        };
        let n = self.lanes.y.len();
        let forward = self.task.problem.span[1] > self.task.problem.span[0];
        for lane in 0..LANES {
            let Some(job) = self.jobs[lane].as_mut().filter(|_| verdict.accepted[lane]) else {
                continue;
            };
            let (h, t1) = (verdict.h[lane], verdict.t1[lane]);
            let passed = |time: T| if forward { time <= t1 } else { time >= t1 };
            if !times.get(job.next_save).is_some_and(|&t| passed(t)) {
                continue;
            }
            let t = self.lanes.g[0][lane];
            let (y0, rest) = self.work.split_at_mut(n);
            let y1 = &mut rest[..n];
            for c in 0..n {
                (y0[c], y1[c]) = (self.lanes.y1[c][lane], self.lanes.y[c][lane]);
            }
            let mut ready = false;
            while let Some(&time) = times.get(job.next_save).filter(|t| passed(**t)) {
                let start = (job.trajectory - self.first) * self.task.length + job.next_save * n;
                let out = &mut self.part.y[start..start + n];
                let theta = if time == t1 { T::one() } else { (time - t) / h };
                if theta == T::zero() {
                    out.copy_from_slice(y0);
                } else if theta == T::one() {
                    out.copy_from_slice(y1);
                } else {
                    if !ready {
                        for (to, from) in self.stepper.k.iter_mut().zip(&self.lanes.k) {
                            *to = from[lane];
                        }
                        for (to, from) in self.stepper.theta.iter_mut().zip(&self.lanes.theta) {
                            *to = from[lane];
                        }
                        self.stepper.extra_done = false;
                        ready = true;
                    }
                    let before = self.stepper.nfe;
                    self.stepper.interpolate((t, h), theta, [y0, y1], out);
                    job.nfe += self.stepper.nfe - before;
                }
                job.next_save += 1;
            }
        }
        let last = (self.stepper.method.stages - 1) * n;
        for c in 0..n {
            self.lanes.k[c] = Lanes::select(verdict.accepted, self.lanes.k[last + c], self.lanes.k[c]);
        }
    }
}

impl<T: Real> State<T> {
    fn copy_lane(&mut self, from: usize, to: usize) {
        for x in self.y.iter_mut().chain(&mut self.k).chain(&mut self.theta) {
            x[to] = x[from];
        }
        (self.t[to], self.h[to]) = (self.t[from], self.h[from]);
        (self.log1[to], self.log2[to]) = (self.log1[from], self.log2[from]);
        self.rejected[to] = self.rejected[from];
    }
}

/// One attempt in every lane, compiled for this CPU.
struct Attempt<'s, 'a, T: Real, D: Dynamics<T>>(&'s mut LaneSolver<'a, T, D>);

/// [`Dynamics::eval_lanes`] with each lane's parameters.
struct LaneField<'s, T, D> {
    dynamics: &'s D,
    theta: &'s [Lanes<T>],
}

impl<T: Real, D: Dynamics<T>> Field<Lanes<T>> for LaneField<'_, T, D> {
    #[inline(always)]
    fn eval(&mut self, t: Lanes<T>, y: &[Lanes<T>], dy: &mut [Lanes<T>]) {
        self.dynamics.eval_lanes(t, y, self.theta, dy);
    }
}

impl<T: Real, D: Dynamics<T>> Kernel for Attempt<'_, '_, T, D> {
    type Output = Verdict<T>;
    #[inline(always)]
    fn run(self) -> Verdict<T> {
        let LaneSolver { task, stepper, lanes, .. } = self.0;
        let State { t, h, y, y1, k, g, theta, log1, log2, rejected, attempts, accepted: taken } = lanes;
        let n = y.len();
        let options = task.options;
        let end = Lanes::splat(task.problem.span[1]);
        if let Some(largest) = options.dt_max {
            for l in 0..LANES {
                h[l] = h[l].abs().min(largest).copysign(h[l]);
            }
        }
        let remaining = end - *t;
        let mut ended = [false; LANES];
        for l in 0..LANES {
            ended[l] = takes_remainder(h[l], remaining[l]);
        }
        let step = Lanes::select(ended, remaining, *h);
        let t_end = *t + step;
        let t1 = Lanes::select(ended, end, t_end);
        let method = &stepper.method;
        let mut field = LaneField { dynamics: task.dynamics, theta };
        let error = Step { method, t: *t, h: step, t_end, y, y1, k, g }.run_single(&options.norm, &mut field);
        let power = method.error_power.unwrap_or(1);
        let (factor, accepted) = control(&options.controller, error, power, log1, log2, rejected);
        // Move on: y1 and y trade places where accepted; g[0] keeps the start time for saves.
        let last = (method.stages - 1) * n;
        g[0] = *t;
        for c in 0..n {
            let (old, new) = (y[c], y1[c]);
            y[c] = Lanes::select(accepted, new, old);
            y1[c] = old;
        }
        if matches!(options.save, Save::End) {
            for c in 0..n {
                k[c] = Lanes::select(accepted, k[last + c], k[c]);
            }
        }
        *t = Lanes::select(accepted, t1, *t);
        *h = step * factor;
        let limit = options.max_steps.min(u32::MAX as usize) as u32;
        let mut event = false;
        for l in 0..LANES {
            attempts[l] += 1;
            taken[l] += u32::from(accepted[l]);
            event |= !accepted[l] | ended[l] | (attempts[l] >= limit);
            event |= shrinks_away(h[l], step[l], (t[l], task.problem.span[1]), options);
        }
        Verdict { h: step, t1, error, accepted, ended, event }
    }
}

/// The controller in every lane.
#[inline(always)]
fn control<T: Real>(
    controller: &Controller,
    error: Lanes<T>,
    power: usize,
    log1: &mut Lanes<T>,
    log2: &mut Lanes<T>,
    rejected: &mut [bool; LANES],
) -> (Lanes<T>, [bool; LANES]) {
    let mut accepted = [false; LANES];
    let (mut log, mut factor) = (error, error);
    for l in 0..LANES {
        accepted[l] = error[l] <= T::one();
        log[l] = log_error(error[l]);
    }
    for l in 0..LANES {
        let history = History { log1: log1[l], log2: log2[l], rejected: rejected[l] };
        factor[l] = controller.exponent(log[l], accepted[l], power, &history);
    }
    for l in 0..LANES {
        factor[l] = exp2(factor[l]);
    }
    for l in 0..LANES {
        factor[l] = controller.bound(factor[l], error[l], accepted[l] && !rejected[l]);
    }
    *log2 = Lanes::select(accepted, *log1, *log2);
    *log1 = Lanes::select(accepted, log, *log1);
    for l in 0..LANES {
        rejected[l] = !accepted[l];
    }
    (factor, accepted)
}
