use super::super::gallery::{self, Visit};
use super::*;

/// A few columns around the usual initial state.
fn columns<T: Real>(y0: &[f64], batch: usize) -> Vec<T> {
    let wiggle = |i: usize| 1.0 + 0.03 * ((i * 7 % 11) as f64 - 5.0) / 5.0;
    (0..batch * y0.len()).map(|i| T::of(y0[i % y0.len()] * wiggle(i) + 0.01 * (i % 5) as f64)).collect()
}

fn cast<T: Real>(x: &[f64]) -> Vec<T> {
    x.iter().map(|&x| T::of(x)).collect()
}

/// Seven directions that are all of the same size as the entries.
fn direction<T: Real>(n: usize, phase: f64) -> Vec<T> {
    (0..n).map(|i| T::of((1.3 * i as f64 + phase).cos())).collect()
}

/// ⟨ȳ', J v⟩ = ⟨Jᵀ ȳ', v⟩ to rounding, with t and θ in play, for batches around the lane count.
struct DotProduct<T>(std::marker::PhantomData<T>);
impl<T: Real> Visit for DotProduct<T> {
    fn visit<F: VectorField>(&mut self, name: &str, field: F, y0: &[f64], theta: &[f64]) {
        let f = Generic(field);
        for batch in [1, 2, 8, 11] {
            let (y, theta) = (columns::<T>(y0, batch), cast::<T>(theta));
            let at = Point { t: T::of(0.4), y: &y, theta: &theta };
            let mut scratch = f.scratch(batch);
            let (v_y, v_theta) = (direction::<T>(y.len(), 0.1), direction::<T>(theta.len(), 0.2));
            let dot = Tangent { t: T::of(0.7), y: &v_y, theta: &v_theta };
            let mut jv = vec![T::of(0.0); y.len()];
            f.jvp(at, dot, &mut jv, &mut scratch);
            let seed = direction::<T>(y.len(), 0.9);
            let (mut y_bar, mut theta_bar) = (vec![T::of(0.0); y.len()], vec![T::of(0.0); theta.len()]);
            let t_bar = f.vjp(at, &seed, &mut y_bar, &mut theta_bar, &mut scratch);
            let terms =
                |a: &[T], b: &[T]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a.f64() * b.f64()).collect() };
            let forward = terms(&seed, &jv);
            let mut reverse = terms(&y_bar, &v_y);
            reverse.extend(terms(&theta_bar, &v_theta));
            reverse.push(t_bar.f64() * 0.7);
            let size: f64 = forward.iter().chain(&reverse).map(|x| x.abs()).sum();
            let gap = forward.iter().sum::<f64>() - reverse.iter().sum::<f64>();
            let tolerance = if T::NAME == "f64" { 1e-14 } else { 3e-6 };
            assert!(size > 0.0 && gap.abs() <= tolerance * size, "{name} batch {batch}: {gap:e} of {size:e}");
        }
    }
}

#[test]
fn tape_and_dual_agree_on_the_whole_gallery_in_both_precisions() {
    gallery::visit_all(&mut DotProduct::<f64>(std::marker::PhantomData));
    gallery::visit_all(&mut DotProduct::<f32>(std::marker::PhantomData));
}

/// Batch = single, bit for bit: eval, jvp, y_bar, and θ̄ as a sum in column order.
struct BatchBits;
impl Visit for BatchBits {
    fn visit<F: VectorField>(&mut self, name: &str, field: F, y0: &[f64], theta: &[f64]) {
        let f = Generic(field);
        let (dim, batch) = (y0.len(), 11);
        let y = columns::<f64>(y0, batch);
        let (seed, v) = (direction::<f64>(y.len(), 0.3), direction::<f64>(y.len(), 0.5));
        let mut scratch = f.scratch(batch);
        let run =
            |y: &[f64], seed: &[f64], v: &[f64], theta_bar: &mut [f64], t_bar: f64, s: &mut Scratch<f64>| {
                let at = Point { t: 0.4, y, theta };
                let mut out = [vec![0.0; y.len()], vec![0.0; y.len()], vec![0.25; y.len()]];
                f.eval(at, &mut out[0], s);
                f.jvp(at, Tangent { t: 0.7, y: v, theta: &[] }, &mut out[1], s);
                let t_bar = t_bar + f.vjp(at, seed, &mut out[2], theta_bar, s);
                (out, t_bar)
            };
        let mut all_theta = vec![0.125; theta.len()];
        let (all, all_t) = run(&y, &seed, &v, &mut all_theta, 0.0, &mut scratch);
        let (mut sum_theta, mut sum_t) = (vec![0.125; theta.len()], 0.0);
        for j in 0..batch {
            let c = j * dim..(j + 1) * dim;
            let (one, t) =
                run(&y[c.clone()], &seed[c.clone()], &v[c.clone()], &mut sum_theta, sum_t, &mut scratch);
            sum_t = t;
            for (k, part) in one.iter().enumerate() {
                assert_eq!(part[..], all[k][c.clone()], "{name} column {j}, part {k}");
            }
        }
        assert_eq!(sum_theta, all_theta, "{name}");
        assert_eq!(sum_t, all_t, "{name}");
    }
}

#[test]
fn a_column_has_the_same_bits_in_any_batch() {
    gallery::visit_all(&mut BatchBits);
}

/// `eval_lanes` with its own t, y and θ per lane against scalar `eval`.
struct LaneBits;
impl Visit for LaneBits {
    fn visit<F: VectorField>(&mut self, name: &str, field: F, y0: &[f64], theta: &[f64]) {
        let f = Generic(field);
        let dim = y0.len();
        let y = columns::<f64>(y0, LANES);
        let theta_of =
            |lane: usize| -> Vec<f64> { theta.iter().map(|p| p * (1.0 + 0.01 * lane as f64)).collect() };
        let t = Lanes(std::array::from_fn(|lane| 0.1 * lane as f64));
        let wide_y: Vec<_> = (0..dim).map(|row| Lanes::gather(&y, dim, row)).collect();
        let wide_theta: Vec<_> =
            (0..theta.len()).map(|k| Lanes(std::array::from_fn(|lane| theta_of(lane)[k]))).collect();
        let mut wide = vec![Lanes::splat(0.0); dim];
        f.eval_lanes(t, &wide_y, &wide_theta, &mut wide);
        let mut scratch = f.scratch(1);
        for lane in 0..LANES {
            let mut dy = vec![0.0; dim];
            let theta = theta_of(lane);
            let at = Point { t: t[lane], y: &y[lane * dim..][..dim], theta: &theta };
            f.eval(at, &mut dy, &mut scratch);
            for row in 0..dim {
                assert_eq!(dy[row].to_bits(), wide[row][lane].to_bits(), "{name} lane {lane}");
            }
        }
    }
}

#[test]
fn lanes_have_the_bits_of_scalars() {
    gallery::visit_all(&mut LaneBits);
}

#[test]
fn kept_vectors_keep_their_allocation() {
    assert_eq!(size_of::<Blank<f64>>(), size_of::<Var<'_, f64>>());
    assert_eq!(size_of::<Blank<Lanes<f32>>>(), size_of::<Var<'_, Lanes<f32>>>());
    let v: Vec<Blank<f64>> = Vec::with_capacity(37);
    let before = (v.as_ptr().addr(), v.capacity());
    let mut vars: Vec<Var<'_, f64>> = recycle(v);
    vars.push(Var::zero());
    assert_eq!((vars.as_ptr().addr(), vars.capacity()), before);
    let back: Vec<Blank<f64>> = recycle(vars);
    assert_eq!((back.as_ptr().addr(), back.capacity()), before);
}

#[test]
fn non_finite_rows_are_named() {
    let f = Generic(gallery::LotkaVolterra);
    let theta = gallery::LotkaVolterra::THETA;
    let y = [1.0, 1.0, 1e200, 1e200];
    let named = f.locate_non_finite(Point { t: 0.0, y: &y, theta: &theta });
    assert_eq!(named.as_deref(), Some("derivative of row 0 of column 1 (-inf)"));
    assert_eq!(f.locate_non_finite(Point { t: 0.0, y: &y[..2], theta: &theta }), None);
}
