//! Stochastic Runge–Kutta methods: order conditions, strong and weak orders, gradients, rejection, bad input.

#[path = "sde/failures.rs"]
mod failures;
#[path = "sde/gradients.rs"]
mod gradients;
#[path = "sde/order.rs"]
mod order;
#[path = "sde/problems.rs"]
mod problems;
#[path = "sde/rejection.rs"]
mod rejection;
#[path = "sde/single.rs"]
mod single;
#[path = "sde/table.rs"]
mod table;
#[path = "sde/tableaux.rs"]
mod tableaux;
#[path = "sde/weak.rs"]
mod weak;
