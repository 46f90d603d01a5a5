//! Network passes and optimiser steps allocate nothing once their memory is made.

use odeon::Result;
use odeon::nn::{Activation, Builder, Initializer, Input, Network, Optimizer, Rule, Schedule};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

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

fn allocations(mut work: impl FnMut()) -> usize {
    work();
    let before = COUNT.with(Cell::get);
    work();
    COUNT.with(Cell::get) - before
}

#[test]
fn passes_allocate_nothing() -> Result<()> {
    let counted = allocations(|| drop(std::hint::black_box(vec![1.0; 9])));
    assert_eq!(counted, 1, "the counter counts");
    let small = Network::builder(2).activation(Activation::Cube).dense(50);
    let small = small.activation(Activation::Gelu).dense(2);
    let block = |b: Builder| b.layer_norm().dense(40).activation(Activation::Silu);
    let large = Network::builder(40).concat_time().dense(40).residual(block);
    for (builder, batch) in [(small, 1), (large.activation(Activation::Tanh), 64)] {
        let network = builder.build()?;
        let mut theta: Vec<f64> = network.init(Initializer::GlorotNormal, 1)?;
        let n = network.input_dim() * batch;
        let x: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
        let (mut out, mut x_bar, mut theta_bar) = (x.clone(), x.clone(), theta.clone());
        let mut scratch = network.scratch(batch);
        let mut second = network.second_order_scratch(batch);
        let mut optimizer =
            Optimizer::new(Rule::adabelief(), Schedule::Constant(0.1), network.layout().clone())?;
        let counted = allocations(|| {
            let at = Input { t: 0.5, x: &x, theta: &theta };
            network.forward(at, &mut out, &mut scratch);
            network.vjp(at, &x, &mut x_bar, &mut theta_bar, &mut scratch);
            network.jvp(at, at, &mut out, &mut scratch);
            network.jvp_vjp(at, [&x, &x], &mut x_bar, &mut theta_bar, &mut second);
            assert!(optimizer.step(&mut theta, &theta_bar).is_ok());
        });
        assert_eq!(counted, 0, "batch {batch}");
    }
    Ok(())
}
