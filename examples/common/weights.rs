//! `--lambda METHOD=…`: weights of penalties and their schedule.

use odeon::regularise::LambdaSchedule;
use odeon::{Error, Result};
use std::str::FromStr;

/// `METHOD=FROM` or `METHOD=FROM:TO`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weight<M> {
    pub method: M,
    pub lambda: [f64; 2],
}

impl<M: FromStr<Err = String>> FromStr for Weight<M> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || format!("'{text}' is not of the form METHOD=FROM or METHOD=FROM:TO");
        let (method, lambda) = text.split_once('=').ok_or_else(form)?;
        let (from, to) = lambda.split_once(':').unwrap_or((lambda, lambda));
        let number = |part: &str| part.trim().parse::<f64>().map_err(|_| form());
        Ok(Self { method: method.parse()?, lambda: [number(from)?, number(to)?] })
    }
}

/// λ(n) from `from` to `to` over the training.
///
/// # Errors
/// Weights that are negative or not finite, or 0 at one end alone.
pub fn schedule([from, to]: [f64; 2], iterations: u64) -> Result<LambdaSchedule> {
    if !(from >= 0.0 && to >= 0.0 && from.is_finite() && to.is_finite()) {
        let needed = "weights are finite and not negative";
        return Err(Error::invalid("--lambda", format!("{from}:{to}"), needed));
    }
    let over = usize::try_from(iterations).unwrap_or(usize::MAX);
    let schedule = match from == to {
        true => LambdaSchedule::Constant(from),
        false => LambdaSchedule::Exponential { from, to, over },
    };
    schedule.check()?;
    Ok(schedule)
}
