//! Jacobians: the pattern contains every derivative, compressed and dense and column-wise agree,
//! transposes of the matrix-free product, mass matrices.

use odeon::dynamics::compose::{Embed, Forced, Frozen, Scaled, Sum, WithMass};
use odeon::dynamics::gallery::{Lorenz, Oscillator, Robertson, VanDerPol};
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::dynamics::jacobian::{Jacobian, JacobianProduct};
use odeon::dynamics::sparsity::detect;
use odeon::dynamics::{Dynamics, Mass, Point, Tangent};
use odeon::linalg::{Coloring, Csr, LinearOperator, Pattern};
use odeon::num::Scalar;

/// A chain with nonlinear couplings to neighbours at ±1 and +3 (periodic), time and two parameters.
struct Chain(usize);

impl VectorField for Chain {
    fn dim(&self) -> usize {
        self.0
    }
    fn num_params(&self) -> usize {
        2
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        let n = self.0;
        for i in 0..n {
            let (a, b, c) = (y[(i + 1) % n], y[(i + n - 1) % n], y[(i + 3) % n]);
            let wave = (p[0] * y[i] * t).sin() + (a * b).tanh();
            dy[i] = p[1].mul_add(c.max(y[i]), wave) - y[i].where_greater(a, b.powi(3), y[i].exp());
        }
    }
}

fn state(n: usize) -> Vec<f64> {
    (0..n).map(|i| 0.3 + 0.7 * (1.7 * i as f64).sin()).collect()
}

/// Column-major ∂f/∂y by one jvp a column.
fn by_columns<D: Dynamics<f64>>(f: &D, at: Point<'_, f64>) -> Vec<f64> {
    let n = f.dim();
    let mut scratch = f.scratch(1);
    let column = |j: usize| {
        let (mut unit, mut out) = (vec![0.0; n], vec![0.0; n]);
        unit[j] = 1.0;
        f.jvp(at, Tangent { t: 0.0, y: &unit, theta: &[] }, &mut out, &mut scratch);
        out
    };
    (0..n).flat_map(column).collect()
}

fn by_time<D: Dynamics<f64>>(f: &D, at: Point<'_, f64>) -> Vec<f64> {
    let mut out = vec![0.0; f.dim()];
    let zeros = vec![0.0; f.dim()];
    f.jvp(at, Tangent { t: 1.0, y: &zeros, theta: &[] }, &mut out, &mut f.scratch(1));
    out
}

/// A sparse matrix as column-major dense.
fn dense(a: &Csr<f64>) -> Vec<f64> {
    let mut out = vec![0.0; a.rows() * a.cols()];
    for i in 0..a.rows() {
        let (columns, values) = a.row(i);
        columns.iter().zip(values).for_each(|(&j, &v)| out[j as usize * a.rows() + i] = v);
    }
    out
}

fn close(a: &[f64], b: &[f64], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (k, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= 4e-15 * (1.0 + b.abs()), "{what}, entry {k}: {a} {b}");
    }
}

/// Every way to the Jacobian of `f` at `at` gives that of one jvp a column.
fn every_way_agrees<D: Dynamics<f64>>(f: &D, at: Point<'_, f64>, what: &str) {
    let (n, mut scratch) = (f.dim(), f.scratch(1));
    let (exact, time) = (by_columns(f, at), by_time(f, at));
    let mut stores = vec![Jacobian::dense(n), Jacobian::dense(n).and_time()];
    stores.push(Jacobian::sparse(&Pattern::full(n)).unwrap().and_time());
    if let Some(p) = f.sparsity() {
        stores.push(Jacobian::sparse(&p).unwrap());
        stores.push(Jacobian::sparse(&p).unwrap().and_time());
    }
    for (k, j) in stores.iter_mut().enumerate() {
        for products in [false, true] {
            j.values_mut().fill(f64::NAN);
            match products {
                true => j.by_products(f, at, &mut scratch),
                false => f.jacobian(at, j, &mut scratch),
            }
            let values = j.matrix().map_or(j.values().to_vec(), dense);
            close(&values, &exact, &format!("{what}, store {k}, by products: {products}"));
            if let Some(got) = j.time() {
                close(got, &time, &format!("{what}, time, store {k}"));
            }
        }
    }
}

#[test]
fn compressed_dense_and_column_wise_jacobians_agree() {
    for n in [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 40] {
        let y = state(n);
        every_way_agrees(
            &Generic(Chain(n)),
            Point { t: 0.8, y: &y, theta: &[1.3, -0.4] },
            &format!("n = {n}"),
        );
    }
    let (y, k) = ([0.9, 1e-5, 0.1], [0.04, 3e7, 1e4]);
    every_way_agrees(&Generic(Robertson), Point { t: 0.0, y: &y, theta: &k }, "Robertson");
}

#[test]
fn combinators_keep_the_jacobian() {
    let (lorenz, y) = (Generic(Lorenz), [1.0, -2.0, 0.5]);
    let theta = [10.0, 28.0, 8.0 / 3.0];
    let push = || (|t: f64| [t.sin(), 0.0, t * t], |t: f64| [t.cos(), 0.0, 2.0 * t]);
    every_way_agrees(
        &Forced { inner: lorenz, input: push() },
        Point { t: 0.4, y: &y, theta: &theta },
        "Forced",
    );
    let frozen = Frozen::new(lorenz, &[(1, 28.0)]);
    every_way_agrees(&frozen, Point { t: 0.0, y: &y, theta: &[10.0, 2.5] }, "Frozen");
    let embed = Embed::new(Generic(VanDerPol), 3, &[2, 0], &[1, 2]);
    every_way_agrees(&embed, Point { t: 0.0, y: &y, theta: &[5.0] }, "Embed");
    let sum = Sum(lorenz, embed.clone());
    let all = [10.0, 28.0, 8.0 / 3.0, 5.0];
    every_way_agrees(&sum, Point { t: 0.0, y: &y, theta: &all }, "Sum");
    every_way_agrees(&Scaled { inner: sum, factor: 3.0 }, Point { t: 0.0, y: &y, theta: &all }, "Scaled");
    assert_eq!(Dynamics::<f64>::sparsity(&embed).unwrap().nnz(), 3);
}

#[test]
fn detection_finds_both_sides_and_no_more() {
    let p = detect(&Chain(10));
    assert_eq!(p.row(4), [3, 4, 5, 7]);
    assert_eq!(p.row(0), [0, 1, 3, 9]);
    assert_eq!(detect(&Robertson).nnz(), 7);
    assert_eq!(detect(&Oscillator).row(0), [1]);

    /// Constants, t and θ carry no index; a running sum carries all before it.
    struct Sums;
    impl VectorField for Sums {
        fn dim(&self) -> usize {
            4
        }
        fn num_params(&self) -> usize {
            1
        }
        fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
            let mut sum = t * p[0];
            for i in 0..3 {
                dy[i] = sum;
                sum += y[i] * sum;
            }
            // The condition has no derivative.
            dy[3] = y[3].where_greater(y[0], y[1].min(y[2]), S::of(2.0));
        }
    }
    let p = detect(&Sums);
    let rows: Vec<&[u32]> = (0..4).map(|i| p.row(i)).collect();
    assert_eq!(rows, [&[][..], &[0], &[0, 1], &[1, 2]]);
}

#[test]
fn the_store_is_sparse_where_that_pays_and_its_colours_are_valid() {
    assert!(Jacobian::<f64>::of(&Generic(Chain(12))).unwrap().pattern().is_none());
    let j = Jacobian::<f64>::of(&Generic(Chain(60))).unwrap();
    let (pattern, coloring) = (j.pattern().unwrap(), j.coloring().unwrap());
    assert!(coloring.is_valid(pattern));
    assert!(coloring.count() <= 8, "{}", coloring.count());
    assert_eq!(coloring, &Coloring::columns(pattern));
}

#[test]
fn the_matrix_free_jacobian_is_the_matrix_and_its_transpose() {
    let f = Generic(Chain(9));
    let y = state(27);
    let at = Point { t: 0.8, y: &y, theta: &[1.3, -0.4] };
    let j = JacobianProduct::new(&f, at).unwrap();
    let (v, w) = (state(27), (0..27).map(|i| (0.3 * i as f64).cos()).collect::<Vec<_>>());
    let (mut jv, mut jtw) = (vec![0.0; 27], vec![0.0; 27]);
    j.apply(&v, &mut jv);
    j.apply_transpose(&w, &mut jtw);
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    assert!((dot(&jv, &w) - dot(&v, &jtw)).abs() < 1e-13);
    for c in 0..3 {
        let exact = by_columns(&f, Point { y: &y[9 * c..][..9], ..at });
        let product: Vec<f64> =
            (0..9).map(|i| (0..9).map(|k| exact[9 * k + i] * v[9 * c + k]).sum()).collect();
        for (a, b) in jv[9 * c..][..9].iter().zip(&product) {
            assert!((a - b).abs() < 1e-13, "{a} {b}");
        }
    }
    assert!(JacobianProduct::new(&f, Point { y: &y[1..], ..at }).is_err());
}

#[test]
fn shifted_matrices_take_every_mass_in_every_layout() {
    let n = 30;
    let y = state(n);
    let at = Point { t: 0.8, y: &y, theta: &[1.3, -0.4] };
    let exact = by_columns(&Generic(Chain(n)), at);
    let diagonal: Vec<f64> = (0..n).map(|i| (i % 3) as f64).collect();
    // Entries outside the pattern of J: the anti-diagonal.
    let places: Vec<_> = (0..n).map(|i| (i, n - 1 - i, 1.0 + i as f64)).collect();
    let sparse = Csr::from_triplets([n, n], &places).unwrap();
    for mass in [None, Some(Mass::Diagonal(diagonal)), Some(Mass::Sparse(sparse))] {
        let mut m = vec![0.0; n * n];
        match &mass {
            None => (0..n).for_each(|i| m[i * (n + 1)] = 1.0),
            Some(Mass::Diagonal(d)) => (0..n).for_each(|i| m[i * (n + 1)] = d[i]),
            Some(Mass::Sparse(a)) => m = dense(a),
        }
        let expected: Vec<f64> = m.iter().zip(&exact).map(|(m, j)| 2.0 * m - 0.5 * j).collect();
        let check = |j: &mut Jacobian<f64>, fill: &dyn Fn(&mut Jacobian<f64>)| {
            fill(j);
            let mut w = vec![f64::NAN; j.values().len()];
            j.shifted(2.0, mass.as_ref(), -0.5, &mut w);
            let w = match j.pattern() {
                None => w,
                Some(p) => {
                    let mut a = p.zeros();
                    a.values_mut().copy_from_slice(&w);
                    dense(&a)
                }
            };
            close(&w, &expected, "shifted");
        };
        let plain = Generic(Chain(n));
        let fill = |j: &mut Jacobian<f64>| plain.jacobian(at, j, &mut plain.scratch(1));
        check(&mut Jacobian::dense(n), &fill);
        match mass.clone() {
            None => check(&mut Jacobian::of(&plain).unwrap(), &fill),
            Some(mass) => {
                let f = WithMass { inner: Generic(Chain(n)), mass };
                f.validate().unwrap();
                let mut j = Jacobian::of(&f).unwrap();
                assert!(j.pattern().is_some());
                check(&mut j, &|j| f.jacobian(at, j, &mut f.scratch(1)));
            }
        }
    }
}

#[test]
fn masses_that_do_not_fit_are_refused_and_combinators_do_not_lose_them() {
    let wrong = WithMass { inner: Generic(Lorenz), mass: Mass::Diagonal(vec![1.0; 2]) };
    let message = wrong.validate().unwrap_err().to_string();
    assert_eq!(message, "the mass matrix has length 2, but 3 (the rows of the state) is needed");
    let mass = Mass::Diagonal(vec![1.0, 1.0, 0.0]);
    let f = WithMass { inner: Generic(Lorenz), mass: mass.clone() };
    let push = (|_: f64| [0.0; 3], |_: f64| [0.0; 3]);
    assert_eq!(Forced { inner: f.clone(), input: push }.mass(), Some(&mass));
    assert_eq!(Frozen::new(f.clone(), &[(0, 10.0)]).mass(), Some(&mass));
    assert_eq!(Dynamics::<f64>::mass(&Scaled { inner: f.clone(), factor: 2.0 }), Some(&mass));
    let outermost = |e: odeon::Error| assert!(e.to_string().contains("WithMass"), "{e}");
    outermost(Dynamics::<f64>::validate(&Sum(f.clone(), Generic(Lorenz))).unwrap_err());
    outermost(Dynamics::<f64>::validate(&Sum(Generic(Lorenz), f.clone())).unwrap_err());
    outermost(Dynamics::<f64>::validate(&Embed::new(f, 4, &[0, 1, 2], &[0, 1, 2])).unwrap_err());
}
