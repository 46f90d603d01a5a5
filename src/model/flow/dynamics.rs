//! The right-hand side of a [`Flow`]: (z, ℓ) or (z, ℓ, e, q).

use super::{Flow, Trace};
use crate::dynamics::{Dynamics, Point, Tangent};
use crate::nn::{Input, Scratch, SecondOrderScratch};
use crate::num::Real;

/// Scratch of a [`Flow`].
#[derive(Debug)]
pub struct FlowScratch<T> {
    network: SecondOrderScratch<T>,
    /// For the tangents of single columns.
    single: Scratch<T>,
    /// What the tangents' pass keeps, and f. Not handed to the adjoint: copying a tape of all tangents to and from
    /// its store took longer than the pass (2–64–64–64–2, 512 columns).
    tape: Vec<T>,
    dy: Vec<T>,
    /// `dim × batch`: z, N, and their cotangents.
    z: Vec<T>,
    f: Vec<T>,
    z_bar: Vec<T>,
    f_bar: Vec<T>,
    /// A block for each direction: v, J v, and its cotangent.
    v: Vec<T>,
    u: Vec<T>,
    u_bar: Vec<T>,
    theta_bar: Vec<T>,
}

/// Numbers of the tape that a level-2 cache holds beside the rest: a batch passes in groups of columns of that size.
const GROUP: usize = 1 << 16;

fn dot<T: Real>(x: &[T], y: &[T]) -> T {
    x.iter().zip(y).fold(T::zero(), |a, (x, y)| x.mul_add(*y, a))
}

impl<T: Real> Flow<T> {
    fn rows(&self) -> usize {
        self.data_dim() + self.extra()
    }

    /// Columns that pass the network at once.
    fn group(&self, batch: usize) -> usize {
        let column = self.network.tangents_tape_len(1, self.directions().0);
        (GROUP / column).max(1).next_multiple_of(16).min(batch)
    }

    /// The rows z of the states, and the directions of `columns` columns from `first` on.
    fn split(&self, y: &[T], first: usize, s: &mut FlowScratch<T>) {
        let (dim, (k, _)) = (self.data_dim(), self.directions());
        s.z.clear();
        for column in y.chunks_exact(self.rows()) {
            s.z.extend_from_slice(&column[..dim]);
        }
        let n = s.z.len();
        s.v.resize(k * n, T::zero());
        for (i, block) in s.v.chunks_exact_mut(n).enumerate() {
            match self.trace {
                Trace::Exact => {
                    block.fill(T::zero());
                    block[i..].iter_mut().step_by(dim).for_each(|v| *v = T::one());
                }
                Trace::Hutchinson { .. } => {
                    let probes = &self.probes[i * self.probes.len() / k..][..self.probes.len() / k];
                    let from = probes.iter().cycle().skip(first * dim % probes.len());
                    block.iter_mut().zip(from).for_each(|(v, probe)| *v = *probe);
                }
            }
        }
    }

    /// `dy` of the columns in `s.z` along `s.v`.
    fn products(&self, (t, theta): (T, &[T]), dy: &mut [T], tape: &mut [T], s: &mut FlowScratch<T>) {
        let (dim, (k, weight)) = (self.data_dim(), self.directions());
        let n = s.z.len();
        let (f, u) = (&mut s.f[..n], &mut s.u[..k * n]);
        let tape = &mut tape[..self.network.tangents_tape_len(n / dim, k)];
        self.network.tangents(Self::input(t, &s.z, theta), &s.v, (f, u), tape, &mut s.network);
        let scale = T::of(1.0 / dim as f64);
        for (j, out) in dy.chunks_exact_mut(self.rows()).enumerate() {
            let here = j * dim..(j + 1) * dim;
            let f = &s.f[here.clone()];
            out[..dim].copy_from_slice(f);
            let blocks = || s.v.chunks_exact(n).zip(s.u.chunks_exact(n));
            let along = |(v, u): (&[T], &[T])| dot(&v[here.clone()], &u[here.clone()]);
            out[dim] = weight * blocks().map(along).sum::<T>();
            if let [_, e, q] = &mut out[dim..] {
                *e = scale * dot(f, f);
                let square = |(_, u): (&[T], &[T])| dot(&u[here.clone()], &u[here.clone()]);
                *q = weight * scale * blocks().map(square).sum::<T>();
            }
        }
    }

    /// Cotangents of N and of the products from those of the rows of the states.
    fn seeds(&self, dy_bar: &[T], s: &mut FlowScratch<T>) {
        let (dim, (_, weight)) = (self.data_dim(), self.directions());
        let n = s.z.len();
        let two = T::of(2.0 / dim as f64);
        for (j, bar) in dy_bar.chunks_exact(self.rows()).enumerate() {
            let here = j * dim..(j + 1) * dim;
            let (own, extra) = bar.split_at(dim);
            let (e_bar, q_bar) =
                if let [_, e, q] = extra { (two * *e, two * *q) } else { (T::zero(), T::zero()) };
            let f_bar = &mut s.f_bar[here.clone()];
            for ((f_bar, own), f) in f_bar.iter_mut().zip(own).zip(&s.f[here.clone()]) {
                *f_bar = e_bar.mul_add(*f, *own);
            }
            let blocks = s.v.chunks_exact(n).zip(s.u.chunks_exact(n));
            for ((v, u), u_bar) in blocks.zip(s.u_bar.chunks_exact_mut(n)) {
                for ((v, u), u_bar) in
                    v[here.clone()].iter().zip(&u[here.clone()]).zip(&mut u_bar[here.clone()])
                {
                    *u_bar = weight * q_bar.mul_add(*u, extra[0] * *v);
                }
            }
        }
    }

    /// ACCUMULATES the cotangent of θ and leaves that of z in `s.z_bar`, from the seeds and what
    /// [`products`](Self::products) left; returns that of t.
    fn pull(&self, (t, theta): (T, &[T]), theta_bar: &mut [T], tape: &[T], s: &mut FlowScratch<T>) -> T {
        let (n, kn) = (s.z.len(), s.v.len());
        let tape_len = self.network.tangents_tape_len(n / self.data_dim(), kn / n);
        s.z_bar[..n].fill(T::zero());
        let bars = [&s.f_bar[..n], &s.u_bar[..kn]];
        let kept = (&s.f[..n], &tape[..tape_len]);
        let at = Input { t, x: &s.z, theta };
        self.network.tangents_vjp(at, kept, bars, &mut s.z_bar[..n], theta_bar, &mut s.network)
    }
}

impl<T: Real> Dynamics<T> for Flow<T> {
    type Scratch = FlowScratch<T>;

    fn dim(&self) -> usize {
        self.rows()
    }

    fn num_params(&self) -> usize {
        self.network.layout().len()
    }

    fn scratch(&self, batch: usize) -> FlowScratch<T> {
        let (dim, (k, _)) = (self.data_dim(), self.directions());
        let batch = self.group(batch);
        let zeros = |n: usize| vec![T::zero(); n * batch];
        FlowScratch {
            network: self.network.tangents_scratch(batch, k),
            single: self.network.scratch(1),
            tape: vec![T::zero(); self.network.tangents_tape_len(batch, k)],
            dy: zeros(self.rows()),
            z: zeros(dim),
            f: zeros(dim),
            z_bar: zeros(dim),
            f_bar: zeros(dim),
            v: zeros(k * dim),
            u: zeros(k * dim),
            u_bar: zeros(k * dim),
            theta_bar: vec![T::zero(); self.num_params()],
        }
    }

    fn scratch_bytes(&self, batch: usize) -> usize {
        let (dim, (k, _)) = (self.data_dim(), self.directions());
        let batch = self.group(batch);
        let network = self.network.tangents_scratch_len(batch, k) + self.network.scratch_len(1);
        let own = (self.rows() + (4 + 3 * k) * dim) * batch + self.num_params();
        let own = own + self.network.tangents_tape_len(batch, k);
        (network + own) * size_of::<T>()
    }

    fn eval(&self, at: Point<'_, T>, dy: &mut [T], s: &mut FlowScratch<T>) {
        let mut tape = std::mem::take(&mut s.tape);
        let (rows, group) = (self.rows(), self.group(at.y.len() / self.rows()));
        for (i, (y, dy)) in at.y.chunks(rows * group).zip(dy.chunks_mut(rows * group)).enumerate() {
            self.split(y, i * group, s);
            self.products((at.t, at.theta), dy, &mut tape, s);
        }
        s.tape = tape;
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        s: &mut FlowScratch<T>,
    ) -> T {
        let (dim, rows) = (self.data_dim(), self.rows());
        let (mut tape, mut dy) = (std::mem::take(&mut s.tape), std::mem::take(&mut s.dy));
        let group = self.group(at.y.len() / rows);
        let mut t_bar = T::zero();
        let bars = dy_bar.chunks(rows * group).zip(y_bar.chunks_mut(rows * group));
        for (i, (y, (dy_bar, y_bar))) in at.y.chunks(rows * group).zip(bars).enumerate() {
            self.split(y, i * group, s);
            self.products((at.t, at.theta), &mut dy[..y.len()], &mut tape, s);
            self.seeds(dy_bar, s);
            t_bar += self.pull((at.t, at.theta), theta_bar, &tape, s);
            for (y_bar, z_bar) in y_bar.chunks_exact_mut(rows).zip(s.z_bar.chunks_exact(dim)) {
                y_bar.iter_mut().zip(z_bar).for_each(|(y, z)| *y += *z);
            }
        }
        (s.tape, s.dy) = (tape, dy);
        t_bar
    }

    /// Column by column, the tangents of ℓ', e' and q' being their gradients times the direction.
    fn jvp(&self, at: Point<'_, T>, along: Tangent<'_, T>, dy_dot: &mut [T], s: &mut FlowScratch<T>) {
        let (dim, rows) = (self.data_dim(), self.rows());
        let point = (at.t, at.theta);
        let mut theta_bar = std::mem::take(&mut s.theta_bar);
        let (mut tape, mut dy) = (std::mem::take(&mut s.tape), std::mem::take(&mut s.dy));
        let columns = at.y.chunks_exact(rows).zip(along.y.chunks_exact(rows));
        for (j, (out, (y, y_dot))) in dy_dot.chunks_exact_mut(rows).zip(columns).enumerate() {
            self.split(y, j, s);
            self.products(point, &mut dy[..rows], &mut tape, s);
            let dot_in = Input { t: along.t, x: &y_dot[..dim], theta: along.theta };
            let at = Self::input(at.t, &s.z, at.theta);
            self.network.jvp(at, dot_in, &mut out[..dim], &mut s.single);
            for (row, out) in out.iter_mut().enumerate().skip(dim) {
                let mut seed = vec![T::zero(); rows];
                seed[row] = T::one();
                self.seeds(&seed, s);
                theta_bar.fill(T::zero());
                let t_bar = self.pull(point, &mut theta_bar, &tape, s);
                let sum = dot(&s.z_bar[..dim], &y_dot[..dim]) + dot(&theta_bar, along.theta);
                *out = t_bar.mul_add(along.t, sum);
            }
        }
        (s.theta_bar, s.tape, s.dy) = (theta_bar, tape, dy);
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        let columns = at.y.chunks_exact(self.rows());
        let z: Vec<T> = columns.flat_map(|c| &c[..self.data_dim()]).copied().collect();
        self.network.locate_non_finite(Self::input(at.t, &z, at.theta))
    }
}
