//! The coefficients of the built-in methods, one file a family, data only.
