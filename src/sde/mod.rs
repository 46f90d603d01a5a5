//! Stochastic differential equations dX = f dt + g dW on the same loop as ordinary ones.

pub mod noise;
