//! A solve allocates its report and nothing per iteration. Counted by the global allocator of this
//! test alone, so there is one test function.

mod linalg_support;

use linalg_support::*;
use odeon::linalg::grid::Grid;
use odeon::linalg::krylov::{BiCgStab, Cg, Gmres, Lsmr, Lsqr, Matrix, MinRes, Narrow, Normalised, SsorCg};
use odeon::linalg::{Claims, Identity, Settings, model};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Counting;

static CALLS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; counting touches an atomic alone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn iterations_allocate_nothing() {
    let a = poisson::<f64>(10);
    let n = a.rows();
    let b: Vec<f64> = random(n, 1);
    let mut x = vec![0.0; n];
    let jacobi = || Jacobi::new(&a);
    macro_rules! each {
        ($($name:literal $method:expr, $m:expr;)*) => {$(
            let counts = [2, 40].map(|k| {
                let s = Settings { check_every: 3, ..Settings::tol(1e-15) }.max_iterations(k);
                let mut method = $method(s).unwrap();
                let mut m = $m;
                x.fill(0.0);
                let before = CALLS.load(Relaxed);
                let report = method.solve(&a, &mut m, &b, &mut x).unwrap();
                let calls = CALLS.load(Relaxed) - before;
                assert!(report.iterations >= k.min(10), "{}: {:?}", $name, report.outcome);
                calls
            });
            assert_eq!(counts, [2, 2], "{}: the two histories", $name);
        )*};
    }
    let copy = || Map(n, Claims::SPD, |r: &[f32], z: &mut [f32]| z.copy_from_slice(r));
    each! {
        "cg" |s| Cg::new(n, s), Identity(n);
        "pcg" |s| Cg::new(n, s), jacobi();
        "mixed" |s| Cg::new(n, s), Narrow::new(copy());
        "fcg" |s| Cg::flexible(n, s, 4), Normalised::new(jacobi());
        "minres" |s| MinRes::new(n, s), jacobi();
        "gmres" |s| Gmres::new(n, 7, s), jacobi();
        "fgmres" |s| Gmres::flexible(n, 7, s), jacobi();
        "bicgstab" |s| BiCgStab::new(n, s), jacobi();
        "lsqr" |s| Lsqr::new([n, n], s), jacobi();
        "lsmr" |s| Lsmr::new([n, n], s), Identity(n);
    }
    // SSOR-CG is built with its preconditioner; another ω, and another matrix of the pattern, cost nothing either.
    let stencil = model::poisson::<f64>(Grid::vertices(&[10, 10], &[1.0; 2]).unwrap()).unwrap();
    let periodic = with_spectrum(&(1..=n).map(|i| i as f64).collect::<Vec<_>>(), 3);
    for a in [Matrix::from(a), stencil.into(), periodic.into()] {
        let settings = Settings { check_every: 3, ..Settings::tol(1e-15) }.max_iterations(40);
        let mut cg = SsorCg::new(&a, 1.0, settings).unwrap();
        for omega in [1.0, 1.5] {
            x.fill(0.0);
            let before = CALLS.load(Relaxed);
            cg.refill(&a).unwrap();
            cg.set_omega(omega).unwrap();
            let report = cg.solve(&a, &b, &mut x).unwrap();
            assert_eq!(CALLS.load(Relaxed) - before, 2, "ω = {omega}: the two histories");
            assert!(report.iterations >= 10, "{:?}", report.outcome);
        }
    }
}
