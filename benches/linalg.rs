//! Memory bandwidth of sparse kernels against what the machine copies.
//!
//!     RAYON_NUM_THREADS=1 cargo bench --bench linalg              # everything
//!     RAYON_NUM_THREADS=1 cargo bench --bench linalg -- spmv      # rows whose name contains a word
//!
//! First the copy bandwidth, STREAM's way (J. D. McCalpin, 1995: bytes read + bytes written, no
//! write-allocate): `copy` of the standard library (streaming stores where the system's has them), `scale`
//! and `triad` as plain loops, on arrays beyond the last cache. Then every kernel: the bytes it must move
//! at least, over the best time; that as a share of `copy` beyond the cache, and of a `copy` between two
//! arrays that together have the kernel's bytes, which is the harder measure where all fits in a cache.
//! A kernel is a [`Row`] in a list that one function of [`KERNELS`] makes for each problem.

use odeon::linalg::grid::Grid;
use odeon::linalg::{Csr, LinearOperator, model};
use odeon::num::{Kernel, dispatch, parallel};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// A kernel on a problem.
struct Row<'a> {
    name: String,
    /// Bytes that must be read or written at least: each array once.
    bytes: f64,
    /// The name of the row that this one is compared with, where there is one.
    against: Option<&'static str>,
    run: Box<dyn FnMut() + 'a>,
}

impl<'a> Row<'a> {
    fn new(name: impl Into<String>, bytes: f64, run: impl FnMut() + 'a) -> Self {
        Self { name: name.into(), bytes, against: None, run: Box::new(run) }
    }
    fn against(self, against: &'static str) -> Self {
        Self { against: Some(against), ..self }
    }
}

/// A problem: a model operator on a grid, and what it is assembled to.
struct Problem {
    grid: Grid,
    a: Csr<f64>,
    x: Vec<f64>,
    b: Vec<f64>,
}

impl Problem {
    fn new(extents: &[usize]) -> odeon::Result<Self> {
        let grid = Grid::vertices(extents, &vec![1.0; extents.len()])?;
        let a = model::poisson::<f64>(grid)?.to_csr();
        let x = (0..a.cols()).map(|i| (i as f64 * 0.7).sin()).collect();
        let b = (0..a.rows()).map(|i| (i as f64 * 0.3).cos()).collect();
        Ok(Self { grid, a, x, b })
    }
    fn matrix_bytes(&self) -> f64 {
        bytes_of(&self.a)
    }
    fn vector_bytes(&self) -> f64 {
        8.0 * self.x.len() as f64
    }
}

fn bytes_of(a: &Csr<f64>) -> f64 {
    (12 * a.nnz() + 8 * a.row_starts().len()) as f64
}

/// What makes the rows of a problem.
type Rows = for<'a> fn(&'a Problem) -> odeon::Result<Vec<Row<'a>>>;

/// Every group of kernels; a new one is added here.
const KERNELS: [Rows; 4] = [vectors, blocks, products, stencils];

/// Products with a vector, and sprs's for comparison.
fn vectors(problem: &Problem) -> odeon::Result<Vec<Row<'_>>> {
    let Problem { a, x, b, .. } = problem;
    let (matrix, vector) = (problem.matrix_bytes(), problem.vector_bytes());
    let (mut y, mut r, mut z, mut w) = (b.clone(), b.clone(), b.clone(), b.clone());
    let sprs = a.clone().into_sprs_usize();
    let single = a.cast::<f32>()?;
    let (x32, mut y32) = (vec![1f32; x.len()], vec![0f32; b.len()]);
    Ok(vec![
        Row::new("spmv sprs", matrix + 4.0 * a.nnz() as f64 + 2.0 * vector, move || {
            w.fill(0.0);
            sprs::prod::mul_acc_mat_vec_csr(sprs.view(), &x[..], &mut w[..]);
        }),
        Row::new("spmv", matrix + 2.0 * vector, move || a.apply(x, &mut y)).against("spmv sprs"),
        Row::new("spmv f32", matrix - 4.0 * a.nnz() as f64 + vector, move || single.apply(&x32, &mut y32)),
        Row::new("spmv residual", matrix + 3.0 * vector, move || a.residual(b, x, &mut r)),
        Row::new("spmv transpose", matrix + 2.0 * vector, move || a.apply_transpose(x, &mut z)),
    ])
}

/// Products with several vectors at once.
fn blocks(problem: &Problem) -> odeon::Result<Vec<Row<'_>>> {
    let rows = [2, 4, 8].map(|columns| {
        let x = problem.x.repeat(columns);
        let mut y = vec![0.0; x.len()];
        let bytes = problem.matrix_bytes() + 2.0 * columns as f64 * problem.vector_bytes();
        Row::new(format!("spmm {columns} columns"), bytes, move || {
            let done = problem.a.apply_block(&x, &mut y, columns);
            assert!(done.is_ok());
        })
    });
    Ok(rows.into())
}

/// Products of sparse matrices: the Galerkin product's two, with a smoothed prolongation of 3ᵈ-point
/// aggregates.
fn products(problem: &Problem) -> odeon::Result<Vec<Row<'_>>> {
    let a = &problem.a;
    let p = prolongation(problem)?;
    let (r, ap) = (p.transpose(), a.matmul(&p)?);
    let rap = bytes_of(&r.matmul(&ap)?);
    let (of_p, of_ap) = (bytes_of(&p), bytes_of(&ap));
    let sprs = [a, &p].map(|m| m.clone().into_sprs_usize());
    let (left, other) = (ap, p.clone());
    let transposed = p.clone();
    Ok(vec![
        Row::new("spgemm AP sprs", problem.matrix_bytes() + of_p + of_ap, move || {
            black_box(&sprs[0] * &sprs[1]);
        }),
        Row::new("spgemm AP", problem.matrix_bytes() + of_p + of_ap, move || {
            black_box(a.matmul(&other).is_ok());
        })
        .against("spgemm AP sprs"),
        Row::new("spgemm R(AP)", of_p + of_ap + rap, move || {
            black_box(r.matmul(&left).is_ok());
        }),
        Row::new("transpose of P", 2.0 * of_p, move || {
            black_box(transposed.transpose());
        }),
    ])
}

/// (I − ⅔ D⁻¹A) T, T the indicators of blocks of 3 points along each axis.
fn prolongation(problem: &Problem) -> odeon::Result<Csr<f64>> {
    let (grid, a) = (&problem.grid, &problem.a);
    let extents = grid.extents();
    let coarse: Vec<usize> = extents.iter().map(|n| n.div_ceil(3)).collect();
    let aggregate = |point: usize| {
        let (mut rest, mut stride, mut place) = (point, 1, 0);
        for (n, m) in extents.iter().zip(&coarse) {
            place += (rest % n / 3) * stride;
            rest /= n;
            stride *= m;
        }
        place as u32
    };
    let n = a.rows();
    let columns = (0..n).map(aggregate).collect();
    let tentative = Csr::new([n, coarse.iter().product()], (0..=n).collect(), columns, vec![1.0; n])?;
    let diagonal = a.get(0, 0);
    a.plus(-2.0 / (3.0 * diagonal), &Csr::identity(n), 1.0)?.matmul(&tentative)
}

/// The same operator matrix-free.
fn stencils(problem: &Problem) -> odeon::Result<Vec<Row<'_>>> {
    let Problem { x, b, .. } = problem;
    let vector = problem.vector_bytes();
    let (apply, residual) = (model::poisson::<f64>(problem.grid)?, model::poisson::<f64>(problem.grid)?);
    let (mut y, mut r) = (b.clone(), b.clone());
    Ok(vec![
        Row::new("stencil", 2.0 * vector, move || apply.apply(x, &mut y)).against("spmv"),
        Row::new("stencil residual", 3.0 * vector, move || residual.residual(b, x, &mut r)),
    ])
}

/// Seconds of the best of many calls.
fn best(mut run: impl FnMut()) -> f64 {
    let (mut best, begin, mut calls) = (f64::INFINITY, Instant::now(), 0);
    while calls < 5 || begin.elapsed() < Duration::from_millis(400) {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
        calls += 1;
    }
    best
}

/// y ← 3 z, or y ← x + 3 z.
struct Triad<'a>(&'a mut [f64], Option<&'a [f64]>, &'a [f64]);

impl Kernel for Triad<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        match self.1 {
            None => self.0.iter_mut().zip(self.2).for_each(|(y, z)| *y = 3.0 * z),
            Some(x) => {
                self.0
                    .iter_mut()
                    .zip(x.iter().zip(self.2))
                    .for_each(|(y, (x, z))| *y = 3.0f64.mul_add(*z, *x));
            }
        }
    }
}

/// GB/s of a copy between two arrays of `n` numbers.
fn copy(n: usize) -> f64 {
    let (x, mut y) = (vec![1.0; n], vec![0.0; n]);
    let seconds = best(|| {
        y.copy_from_slice(black_box(&x));
        black_box(&mut y);
    });
    16e-9 * n as f64 / seconds
}

/// GB/s of copy, scale and triad beyond the last cache.
fn stream() -> [f64; 3] {
    let n = 1 << 26;
    let copied = copy(n);
    let (x, z, mut y) = (vec![1.0; n], vec![2.0; n], vec![0.0; n]);
    let scale = best(|| {
        dispatch(Triad(&mut y, None, black_box(&z)));
        black_box(&mut y);
    });
    let triad = best(|| {
        dispatch(Triad(&mut y, Some(&x), black_box(&z)));
        black_box(&mut y);
    });
    [copied, 16e-9 * n as f64 / scale, 24e-9 * n as f64 / triad]
}

fn main() -> odeon::Result<()> {
    // Cargo passes `--bench`.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    println!("{} threads", parallel::threads());
    let [copied, scale, triad] = stream();
    println!("arrays of 512 MiB: copy {copied:.1} GB/s, scale {scale:.1} GB/s, triad {triad:.1} GB/s");
    for extents in [&[512, 512][..], &[2048, 2048], &[64, 64, 64], &[128, 128, 128]] {
        let problem = Problem::new(extents)?;
        println!("\nPoisson {extents:?}, {} rows, {} entries", problem.a.rows(), problem.a.nnz());
        println!("{:<18}{:>10}{:>8}{:>10}{:>16}", "", "ms", "GB/s", "of copy", "of copy, bytes");
        let mut times: Vec<(String, f64)> = Vec::new();
        for make in KERNELS {
            for mut row in make(&problem)? {
                if !(words.is_empty() || words.iter().any(|word| row.name.contains(word))) {
                    continue;
                }
                let seconds = best(&mut row.run);
                let rate = row.bytes * 1e-9 / seconds;
                let near = copy((row.bytes / 16.0) as usize);
                print!("{:<18}{:>10.3}{rate:>8.1}", row.name, 1e3 * seconds);
                print!("{:>9.0}%{:>15.0}%", 100.0 * rate / copied, 100.0 * rate / near);
                if let Some((name, other)) = times.iter().find(|t| Some(t.0.as_str()) == row.against) {
                    print!("   {:.2} of the time of {name}", seconds / other);
                }
                println!();
                times.push((row.name, seconds));
            }
        }
    }
    Ok(())
}
