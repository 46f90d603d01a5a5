//! Accepted steps allocate nothing: a solve of many steps makes as many calls of the allocator as one of
//! few, once the memory is warm. Calls are counted in each thread by itself.

use crate::common::{Failed, every};
use odeon::dynamics::gallery::VanDerPol;
use odeon::dynamics::generic::Generic;
use odeon::integrate::{Options, Problem};
use odeon::ode::radau::RadauStepper;
use odeon::ode::sdirk::SdirkStepper;
use odeon::ode::{ImplicitOptions, Solver};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that is being torn down is not counted.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread's own cell.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn accepted_steps_allocate_nothing() -> Result<(), Failed> {
    let f = Generic(VanDerPol);
    let (few, many) = (Options::tol(1e-3, 1e-3), Options::tol(1e-5, 1e-5));
    let problem = Problem { y0: &VanDerPol::Y0, span: [0.0, 200.0], theta: &[100.0] };
    for method in every() {
        macro_rules! counted {
            ($stepper:expr) => {{
                let mut solver = Solver::with($stepper);
                solver.solve(&problem, &many)?;
                let mut calls = |options: &Options<f64>| -> Result<(usize, usize), Failed> {
                    let before = CALLS.with(Cell::get);
                    let steps = solver.solve(&problem, options)?.stats.accepted;
                    Ok((CALLS.with(Cell::get) - before, steps))
                };
                let ((a, short), (b, long)) = (calls(&few)?, calls(&many)?);
                assert!(long > short + 20, "{}: {short} {long}", method.name());
                assert_eq!(a, b, "{}: {short} and {long} steps", method.name());
            }};
        }
        let options = ImplicitOptions::default();
        match method {
            crate::common::Method::Sdirk(t) => counted!(SdirkStepper::new(&f, t, 1, &options)),
            crate::common::Method::Radau => counted!(RadauStepper::new(&f, 1, &options)),
        }
    }
    Ok(())
}
