//! The way back itself: from saved time to saved time through the one loop.

use super::augmented::Augmented;
use super::quadrature::{Accumulate, Gauss};
use super::{Continuous, WayBack};
use crate::dynamics::Dynamics;
use crate::error::Result;
use crate::integrate::{Drive, Observer, Options, Save, Silent, Solution, Stepper};
use crate::num::{Atol, Real};
use crate::ode::StepMethod;

/// A method of the way back whose type is forgotten.
pub(super) trait Back<'a, T: Real, D: Dynamics<T>> {
    /// Goes back until the time `until`. `at` is the solution, the cotangents of its saved states, and θ.
    fn cross(
        &self,
        system: &Augmented<'a, T, D>,
        way: &mut Way<T>,
        at: (&Solution<T>, &[T], &[T]),
        until: T,
        quadrature: Option<(&mut Gauss<T>, &mut [T])>,
    ) -> Result<()>;
}

pub(super) struct ByMethod<'m, B>(pub &'m B);

impl<'a, T, D, B> Back<'a, T, D> for ByMethod<'_, B>
where
    T: Real,
    D: Dynamics<T> + 'a,
    B: StepMethod<T, Augmented<'a, T, D>>,
{
    fn cross(
        &self,
        system: &Augmented<'a, T, D>,
        way: &mut Way<T>,
        at: (&Solution<T>, &[T], &[T]),
        until: T,
        quadrature: Option<(&mut Gauss<T>, &mut [T])>,
    ) -> Result<()> {
        let mut stepper = self.0.stepper(system, 1);
        stepper.set_theta(at.2);
        way.work_bytes = way.work_bytes.max(stepper.bytes());
        match quadrature {
            None => way.descend(&mut stepper, at, until, &mut Silent),
            Some((gauss, theta_bar)) => {
                gauss.prepare(stepper.order(), stepper.dense_weights(), system.n);
                let mut observer = Accumulate::new(system, gauss, at.2, theta_bar);
                way.descend(&mut stepper, at, until, &mut observer)
            }
        }
    }
}

/// Where the way back stands.
pub(super) struct Way<T> {
    /// Whether y and Θ are part of z.
    pub with: [bool; 2],
    /// Numbers of a state.
    n: usize,
    drive: Drive<T>,
    z: Vec<T>,
    t: T,
    /// Saved states that are not passed yet.
    saved: usize,
    options: Options<T>,
    /// The relative tolerance as it was given.
    pub rtol: T,
    /// Largest drift and where.
    pub drift: (T, T),
    /// Largest |y| of the stored states.
    size: T,
    pub nfe: usize,
    pub accepted: usize,
    pub rejected: usize,
    pub replayed: usize,
    work_bytes: usize,
}

impl<T: Real> Way<T> {
    pub fn new(n: usize, params: usize, kind: Continuous) -> Self {
        let with = match kind {
            Continuous::Backsolve => [true, true],
            Continuous::Interpolating(_) => [false, true],
            Continuous::Quadrature(_) => [false, false],
        };
        let [y, theta] = with.map(usize::from);
        let length = (1 + y) * n + theta * params;
        Self {
            with,
            n,
            drive: Drive::new(length),
            z: vec![T::zero(); length],
            t: T::zero(),
            saved: 0,
            options: Options::default(),
            rtol: T::zero(),
            drift: (T::zero(), T::zero()),
            size: T::zero(),
            nfe: 0,
            accepted: 0,
            rejected: 0,
            replayed: 0,
            work_bytes: 0,
        }
    }

    /// Takes over how the way there was solved.
    pub fn prepare(&mut self, there: &Options<T>, settings: &WayBack<T>, solution: &Solution<T>, dim: usize) {
        let own = settings.options.as_ref();
        self.options.clone_from(own.unwrap_or(there));
        self.options.save = Save::End;
        self.options.tstops.clone_from(&there.tstops);
        self.options.diagnostics = false;
        self.options.h0 = match own {
            Some(own) => own.h0,
            None => latest(solution),
        };
        self.rtol = self.options.norm.rtol;
        self.widen(settings.seminorm, dim);
    }

    /// The norm on states made that on z.
    fn widen(&mut self, seminorm: bool, dim: usize) {
        let [y, theta] = self.with;
        let judged = (1 + usize::from(y)) * self.n;
        let norm = &mut self.options.norm;
        if seminorm && theta && self.z.len() > judged {
            *norm = norm.leading(judged, self.z.len(), dim);
        } else if let Atol::PerRow(rows) = &mut norm.atol {
            let smallest = rows.iter().fold(rows[0], |s, a| s.min(*a));
            let states = rows.iter().copied().cycle().take(judged);
            *rows = states.chain((judged..self.z.len()).map(|_| smallest)).collect();
        }
    }

    /// Starts at the end of the way there.
    pub fn start(&mut self, end: &[T], solution: &Solution<T>) {
        let n = self.n;
        self.z.fill(T::zero());
        if self.with[0] {
            self.z[..n].copy_from_slice(end);
        }
        self.t = solution.steps.last().map_or(T::zero(), |s| s.t1);
        self.saved = solution.t.len();
        self.drift = (T::zero(), self.t);
        self.size = end.iter().chain(&solution.y).fold(T::zero(), |s, y| y.abs().max_number(s));
        (self.nfe, self.accepted, self.rejected, self.replayed) = (0, 0, 0, 0);
    }

    /// Back until `until`.
    fn descend<S: Stepper<T>, O: Observer<T>>(
        &mut self,
        stepper: &mut S,
        (solution, y_bar, _): (&Solution<T>, &[T], &[T]),
        until: T,
        observer: &mut O,
    ) -> Result<()> {
        let t0 = solution.steps[0].t;
        while self.t != until {
            self.jump(solution, y_bar);
            // The next saved time, unless `until` comes first.
            let saved = self.saved.checked_sub(1).map(|i| solution.t[i]);
            let beyond = |t: T| (t - until) * (t0 - solution.steps[0].t1) > T::zero();
            let target = saved.filter(|&t| !beyond(t)).unwrap_or(until);
            let span = [self.t, target];
            self.drive.run(stepper, &self.z, span, &self.options, observer)?;
            let ran = &self.drive.solution;
            self.nfe += ran.stats.nfe;
            self.accepted += ran.stats.accepted;
            self.rejected += ran.stats.rejected;
            self.options.h0 = latest(ran);
            self.z.copy_from_slice(self.drive.reached_state());
            self.t = target;
        }
        Ok(())
    }

    /// λ takes the cotangents of all states saved at the time in hand, y the states.
    fn jump(&mut self, solution: &Solution<T>, y_bar: &[T]) {
        let n = self.n;
        while let Some(i) = self.saved.checked_sub(1).filter(|&i| solution.t[i] == self.t) {
            self.saved = i;
            self.compare(solution.state(i));
            if self.with[0] {
                self.z[..n].copy_from_slice(solution.state(i));
            }
            let lambda = self.lambda_start();
            let bars = &y_bar[i * n..(i + 1) * n];
            self.z[lambda..lambda + n].iter_mut().zip(bars).for_each(|(z, bar)| *z += *bar);
        }
    }

    /// Notes how far y is from a stored state.
    fn compare(&mut self, stored: &[T]) {
        if !self.with[0] {
            return;
        }
        // The largest difference, NaN when any is.
        let differences = self.z.iter().zip(stored).map(|(a, b)| (*a - *b).abs());
        let furthest = differences.fold(T::zero(), |s, d| if d <= s || !s.is_finite() { s } else { d });
        let relative = furthest / self.size.max(T::MIN_POSITIVE);
        let small = relative <= self.drift.0;
        if !small {
            self.drift = (relative, self.t);
        }
    }

    /// Ends at t0.
    pub fn finish(&mut self, y0: &[T], solution: &Solution<T>, y_bar: &[T]) {
        self.size = y0.iter().fold(self.size, |s, y| y.abs().max_number(s));
        self.compare(y0);
        self.jump(solution, y_bar);
    }

    fn lambda_start(&self) -> usize {
        if self.with[0] { self.n } else { 0 }
    }

    /// λ.
    pub fn lambda(&self) -> &[T] {
        &self.z[self.lambda_start()..self.lambda_start() + self.n]
    }

    /// Θ, where it is integrated.
    pub fn theta(&self) -> Option<&[T]> {
        self.with[1].then(|| &self.z[self.lambda_start() + self.n..])
    }

    /// Bytes of work space, the stepper's included.
    pub fn bytes(&self) -> usize {
        self.work_bytes + self.drive.bytes() + self.z.len() * size_of::<T>()
    }
}

/// The larger of the last two step sizes: the last may be cut short.
fn latest<T: Real>(solution: &Solution<T>) -> Option<T> {
    let last = solution.steps.iter().rev().take(2).map(|s| s.h.abs());
    last.reduce(|a, b| a.max_number(b))
}
