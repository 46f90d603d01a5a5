//! What tests of networks on grids share: a counting allocator, numbers without a pattern, gradients against
//! differences.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

pub type Tested = Result<(), Box<dyn std::error::Error>>;

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches a const-initialised
// thread-local without a destructor, which allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
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

/// Allocations of the second call of `work`.
pub fn allocations(mut work: impl FnMut()) -> usize {
    work();
    let before = COUNT.with(Cell::get);
    work();
    COUNT.with(Cell::get) - before
}

/// Numbers without a pattern.
pub fn wave<T: odeon::num::Real>(n: usize, seed: f64) -> Vec<T> {
    (0..n).map(|i| T::of((1.7 * i as f64 + seed + (i as f64).sqrt()).sin())).collect()
}

/// Central differences of `value` along all entries of `at` together and along some of them, against
/// the gradient.
pub fn check_gradient(
    at: &[f64],
    gradient: &[f64],
    samples: usize,
    mut value: impl FnMut(&[f64]) -> Result<f64, odeon::Error>,
) -> Tested {
    let all = wave::<f64>(at.len(), 0.9);
    let alone = |i: usize| {
        let mut unit = vec![0.0; at.len()];
        unit[i] = 1.0;
        unit
    };
    let largest = gradient.iter().fold(0.0f64, |m, g| m.max(g.abs()));
    assert!(largest > 0.0, "the gradient vanishes");
    let some = (0..at.len()).step_by(1 + at.len() / samples).map(|i| (format!("[{i}]"), alone(i), 1e-3));
    let together = ("all".to_string(), all, 1e-3 / (at.len() as f64).sqrt());
    for (name, direction, h) in some.chain([together]) {
        let mut shifted = |by: f64| {
            let x: Vec<f64> = at.iter().zip(&direction).map(|(x, d)| x + by * h * d).collect();
            value(&x)
        };
        // Fourth order: truncation is below rounding at this h.
        let near = shifted(1.0)? - shifted(-1.0)?;
        let difference = (8.0 * near - shifted(2.0)? + shifted(-2.0)?) / (12.0 * h);
        let own: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
        let error = (difference - own).abs();
        assert!(
            error <= 1e-7 * largest.max(own.abs()),
            "{name}: {own} by the reverse pass, {difference} by differences"
        );
    }
    Ok(())
}
