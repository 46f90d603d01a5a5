//! Stochastic methods: order conditions, weak orders by quadrature, a look at the strong ones, gradients, bad
//! input. What takes many paths is in `tests/sde_statistics.rs`.

#[path = "sde/failures.rs"]
mod failures;
#[path = "sde/gradients.rs"]
mod gradients;
#[path = "sde/inside.rs"]
mod inside;
#[allow(dead_code, reason = "some methods are for the statistics")]
#[path = "sde/methods.rs"]
mod methods;
#[path = "sde/order.rs"]
mod order;
#[path = "sde/problems.rs"]
mod problems;
#[path = "sde/single.rs"]
mod single;
#[path = "sde/study.rs"]
mod study;
#[path = "sde/table.rs"]
mod table;
#[path = "sde/tableaux.rs"]
mod tableaux;
#[path = "sde/weak.rs"]
mod weak;
