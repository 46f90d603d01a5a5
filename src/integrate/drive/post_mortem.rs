//! What is known of a solve that dies: where, which component, which part of the model.

use super::{Cursor, Drive, KEPT, view};
use crate::error::{Attempt, Error, Failure, PostMortem};
use crate::integrate::{Iterations, Options, StepInfo, Stepper};
use crate::num::{Atol, ErrorNorm, Real};

impl<T: Real> Drive<T> {
    #[cold]
    pub(super) fn post_mortem<S: Stepper<T>>(
        &mut self,
        stepper: &S,
        failure: Failure,
        at: &Cursor<T>,
        options: &Options<T>,
    ) -> Error {
        let dim = stepper.dim();
        let mut history: Vec<Attempt> =
            (at.attempts.saturating_sub(KEPT)..at.attempts).filter_map(|i| self.last[i % KEPT]).collect();
        history.dedup_by(|a, b| a == b);
        let worst = match failure {
            Failure::NonFinite => {
                let first = |x: &[T]| x.iter().position(|v| !v.is_finite());
                first(&self.y)
                    .or_else(|| stepper.stages().chunks(self.y.len().max(1)).find_map(first))
                    .or_else(|| first(&self.y1))
            }
            _ if at.attempts == 0 => None,
            _ => self.dominant(stepper, at, &options.norm),
        };
        let h = history.last().map_or(at.h.f64(), |a| a.h);
        let part = match failure {
            Failure::NonFinite => stepper.locate_non_finite((at.t, T::of(h)), &self.y),
            _ => None,
        };
        Error::Solve(Box::new(PostMortem {
            failure,
            t: at.t.f64(),
            step: at.attempts,
            h,
            component: worst.map(|i| i % dim),
            trajectory: worst.filter(|_| self.y.len() > dim).map(|i| i / dim),
            part,
            history,
        }))
    }

    /// Entry that dominates the error norm of the last attempt.
    fn dominant<S: Stepper<T>>(&mut self, stepper: &S, at: &Cursor<T>, norm: &ErrorNorm<T>) -> Option<usize> {
        let n = self.y.len();
        let (error, iterations) = (T::zero(), Iterations::default());
        let (to_stop, from_stop) = (false, false);
        let (t, h, t1, member) = (at.t, at.h, at.t, stepper.member());
        let info = StepInfo { t, h, t1, to_stop, from_stop, error, iterations, member };
        let step = view(stepper, 0, &info, [&self.y, &self.y1], norm);
        let u = &mut self.work[..n];
        if !stepper.estimates().error_vector(&step, false, u) {
            return None;
        }
        let single = |i: usize| norm.mean_square(&u[i..=i], &self.y[i..=i], &self.y1[i..=i], 1);
        match norm.atol {
            Atol::Scalar(_) => {
                (0..n).map(|i| (i, single(i))).fold(None, |best: Option<(usize, T)>, x| match best {
                    Some(b) => Some(if x.1 > b.1 { x } else { b }),
                    None => Some(x),
                })
            }
            _ => (0..n).map(|i| (i, u[i].abs())).max_by(|a, b| a.1.f64().total_cmp(&b.1.f64())),
        }
        .map(|(i, _)| i)
    }
}
