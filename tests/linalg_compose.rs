//! Composed operators against the dense matrices they stand for, and their transposes by the
//! dot-product test yᵀ(A x) = xᵀ(Aᵀ y).

use odeon::linalg::compose::{Block, Combination, FromFn, Part, Product, Transposed};
use odeon::linalg::{Csr, LinearOperator};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn random(seed: u64, [rows, cols]: [usize; 2]) -> Csr<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let dense: Vec<f64> = (0..rows * cols).map(|_| rng.random_range(-1.0..1.0)).collect();
    Csr::from_dense([rows, cols], &dense).unwrap().filter(|i, j, _| (i + 2 * j) % 3 > 0)
}

fn vector(seed: u64, n: usize) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// The operator does what the matrix does, transposed too, leaves nothing of what its outputs held, and
/// knows the diagonal that it says it knows.
fn check(what: &str, a: &dyn LinearOperator<f64>, want: &Csr<f64>) {
    assert_eq!([a.rows(), a.cols()], [want.rows(), want.cols()], "{what}");
    let (x, z) = (vector(1, a.cols()), vector(2, a.rows()));
    let mut out = vec![vec![f64::NAN; a.rows()]; 2];
    a.apply(&x, &mut out[0]);
    want.apply(&x, &mut out[1]);
    close(what, &out[0], &out[1]);
    let mut back = vec![vec![f64::NAN; a.cols()]; 2];
    a.apply_transpose(&z, &mut back[0]);
    want.apply_transpose(&z, &mut back[1]);
    close(what, &back[0], &back[1]);
    let (left, right) = (dot(&z, &out[0]), dot(&x, &back[0]));
    assert!((left - right).abs() <= 1e-13, "{what}: {left} and {right}");
    let mut residual = vec![f64::NAN; a.rows()];
    a.residual(&z, &x, &mut residual);
    assert!((0..a.rows()).all(|i| (residual[i] - (z[i] - out[1][i])).abs() <= 1e-13), "{what}");
    let mut sum = z.clone();
    a.apply_add(&x, &mut sum, &mut vec![f64::NAN; a.rows()]);
    assert!((0..a.rows()).all(|i| (sum[i] - (z[i] + out[1][i])).abs() <= 1e-13), "{what}");
    if let Some(diagonal) = a.diagonal() {
        close(what, &diagonal, &want.diagonal().unwrap());
    }
}

fn close(what: &str, a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len(), "{what}");
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-13), "{what}: {a:?} for {b:?}");
}

fn refusal<T>(result: odeon::Result<T>) -> String {
    result.err().expect("it must be refused").to_string()
}

#[test]
fn sums_and_shifts() {
    let (a, b) = (random(3, [7, 7]), random(4, [7, 7]));
    let scaled = Combination::new(-2.0, &a).unwrap();
    check("scaled", &scaled, &a.plus(-2.0, &a, 0.0).unwrap());
    let sum = Combination::new(1.0, &a).unwrap().plus(0.5, &b).unwrap();
    check("sum", &sum, &a.plus(1.0, &b, 0.5).unwrap());
    let shifted = Combination::new(-0.3, &a).unwrap().shift(1.0).unwrap().shift(0.25).unwrap();
    check("shifted", &shifted, &a.plus(-0.3, &Csr::identity(7), 1.25).unwrap());
    assert!(shifted.diagonal().is_some());
    let nested = Combination::new(2.0, &shifted).unwrap().plus(1.0, Transposed(&b)).unwrap();
    let want = a.plus(-0.6, &Csr::identity(7), 2.5).unwrap().plus(1.0, &b.transpose(), 1.0).unwrap();
    check("nested", &nested, &want);
    let (tall, wide) = (random(5, [9, 4]), random(6, [9, 4]));
    let sum = Combination::new(2.0, &tall).unwrap().plus(-1.0, &wide).unwrap();
    check("tall", &sum, &tall.plus(2.0, &wide, -1.0).unwrap());

    assert!(refusal(Combination::new(f64::NAN, &a)).contains("the factor of an operator[0] is NaN"));
    let message = refusal(Combination::new(1.0, &a).unwrap().plus(1.0, &tall));
    assert_eq!(message, "an operator of the sum is 9 × 4, but it must be 7 × 7 as the first one");
    assert!(refusal(Combination::new(1.0, &tall).unwrap().shift(1.0)).contains("it must be square"));
    assert!(refusal(Combination::new(1.0, &a).unwrap().shift(f64::INFINITY)).contains("the shift"));
}

#[test]
fn products_and_transposes() {
    let (a, b) = (random(7, [5, 8]), random(8, [8, 6]));
    check("product", &Product::new(&a, &b).unwrap(), &a.matmul(&b).unwrap());
    check("transpose", &Transposed(&a), &a.transpose());
    let normal = Product::new(Transposed(&a), &a).unwrap();
    check("normal", &normal, &a.transpose().matmul(&a).unwrap());
    assert_eq!(format!("{normal:?}"), "Product(8 × 8)");
    let message = refusal(Product::new(&a, &a));
    assert_eq!(message, "B in the product A B is 5 × 8, but B must have 8 rows, as many as A has columns");
}

/// The matrix of blocks, entry by entry.
fn assembled(blocks: &[&[Option<&Csr<f64>>]], heights: &[usize], widths: &[usize]) -> Csr<f64> {
    let mut triplets = Vec::new();
    for (p, row) in blocks.iter().enumerate() {
        for (q, block) in row.iter().enumerate() {
            let Some(block) = block else { continue };
            let corner = [heights[..p].iter().sum::<usize>(), widths[..q].iter().sum::<usize>()];
            for i in 0..block.rows() {
                for (&j, &v) in block.row(i).0.iter().zip(block.row(i).1) {
                    triplets.push((corner[0] + i, corner[1] + j as usize, v));
                }
            }
        }
    }
    Csr::from_triplets([heights.iter().sum(), widths.iter().sum()], &triplets).unwrap()
}

fn part(a: &Csr<f64>) -> Option<Part<'_, f64>> {
    Some(Box::new(a))
}

#[test]
fn blocks() {
    // A saddle point: [K Bᵀ; B 0].
    let (k, b) = (random(9, [6, 6]), random(10, [3, 6]));
    let zero = Csr::from_triplets([3, 3], &[]).unwrap();
    let saddle =
        Block::new(vec![vec![part(&k), Some(Box::new(Transposed(&b)))], vec![part(&b), None]]).unwrap();
    let want = assembled(&[&[Some(&k), Some(&b.transpose())], &[Some(&b), Some(&zero)]], &[6, 3], &[6, 3]);
    check("saddle", &saddle, &want);
    assert!(saddle.diagonal().is_some());
    // Three by two, with different extents.
    let parts = [random(11, [2, 4]), random(12, [5, 3]), random(13, [1, 4]), random(14, [1, 3])];
    let blocks = vec![
        vec![part(&parts[0]), None],
        vec![None, part(&parts[1])],
        vec![part(&parts[2]), part(&parts[3])],
    ];
    let rows: [&[_]; 3] =
        [&[Some(&parts[0]), None], &[None, Some(&parts[1])], &[Some(&parts[2]), Some(&parts[3])]];
    let block = Block::new(blocks).unwrap();
    check("3 × 2", &block, &assembled(&rows, &[2, 5, 1], &[4, 3]));
    assert!(block.diagonal().is_none());

    assert!(refusal(Block::<f64>::new(vec![])).contains("the list of blocks is empty"));
    let message = refusal(Block::new(vec![vec![part(&k)], vec![part(&b), None]]));
    assert_eq!(message, "block row 1 is 2 blocks long, but row 0 has 1");
    let message = refusal(Block::new(vec![vec![part(&k), part(&b)]]));
    assert_eq!(message, "block (0, 1) is 3 × 6, but its row and column of blocks need an extent of 6");
    assert!(refusal(Block::new(vec![vec![part(&k), None]])).contains("block column 1 is without operators"));
}

#[test]
fn closures() {
    let a = random(15, [4, 7]);
    let t = a.transpose();
    let operator = FromFn::new(
        [4, 7],
        |x: &[f64], y: &mut [f64]| a.apply(x, y),
        |y: &[f64], x: &mut [f64]| t.apply(y, x),
    );
    check("closures", &operator, &a);
    let doubled = FromFn::symmetric(5, |x: &[f64], y: &mut [f64]| {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = 2.0 * x);
    });
    check("symmetric", &doubled, &Csr::from_diagonal(&[2.0; 5]).unwrap());
}
