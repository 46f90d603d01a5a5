//! How good fit and forecast are.

use crate::Fitted;
use crate::common::{Row, Session, Table};
use crate::data::Pelts;
use crate::fit::file_name;
use odeon::Result;

/// A fitted model's populations and errors.
pub struct Forecast {
    /// Name of the model.
    pub name: &'static str,
    /// Seed of the run.
    pub seed: u64,
    /// Years, 48 points in each.
    pub year: Vec<f64>,
    /// Hare, thousands.
    pub hare: Vec<f64>,
    /// Lynx, thousands.
    pub lynx: Vec<f64>,
    /// Training loss in each iteration.
    pub losses: Vec<f64>,
    /// Root mean squares over both species: fit and forecast.
    pub rmse: [Errors; 2],
}

/// Root-mean-square errors over some years.
#[derive(Clone, Copy)]
pub struct Errors {
    /// Thousands of pelts.
    pub pelts: f64,
    /// Natural logarithm.
    pub log: f64,
}

impl Errors {
    /// Of log populations `model` against the years `range` of the data.
    fn of(model: &[f64], pelts: &Pelts, range: std::ops::Range<usize>) -> Self {
        let (mut squares, mut logs, n) = (0.0, 0.0, 2.0 * range.len() as f64);
        for year in range {
            for (species, data) in [&pelts.hare, &pelts.lynx].into_iter().enumerate() {
                let u = model[2 * year + species];
                squares += (pelts.mean[species] * u.exp() - data[year]).powi(2);
                logs += (u - pelts.log[2 * year + species]).powi(2);
            }
        }
        Self { pelts: (squares / n).sqrt(), log: (logs / n).sqrt() }
    }
}

impl Forecast {
    /// Measures a fitted model, records its row, writes its curve.
    pub fn new(fitted: &Fitted, pelts: &Pelts, session: &mut Session) -> Result<Self> {
        let Fitted { name, seed, curve, yearly, .. } = fitted;
        let population = |species: usize| -> Vec<f64> {
            let u = curve.y.iter().skip(species).step_by(2);
            u.map(|u| pelts.mean[species] * u.exp()).collect()
        };
        let errors = |range| Errors::of(yearly, pelts, range);
        let forecast = Self {
            name,
            seed: *seed,
            year: curve.t.iter().map(|t| pelts.year[0] + t).collect(),
            hare: population(0),
            lynx: population(1),
            losses: fitted.losses.clone(),
            rmse: [errors(0..pelts.fitted), errors(pelts.fitted..pelts.year.len())],
        };
        session.record(Row {
            method: file_name(name),
            seed: *seed,
            loss: Some(forecast.rmse[0].log.powi(2)),
            nfe: curve.stats.nfe,
            accepted: curve.stats.accepted,
            rejected: curve.stats.rejected,
            train_s: fitted.train_s,
            predict_s: fitted.predict_s,
        });
        let file = format!("{}_{seed}", file_name(name));
        let columns = [("year", &forecast.year[..]), ("hare", &forecast.hare), ("lynx", &forecast.lynx)];
        session.curves(&file, &columns)?;
        Ok(forecast)
    }
}

/// The names of the models, each once, in order.
pub fn names(forecasts: &[Forecast]) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = forecasts.iter().map(|f| f.name).collect();
    names.dedup();
    names
}

/// Writes the training losses of all runs, side by side.
pub fn losses(forecasts: &[Forecast], session: &mut Session) -> Result<()> {
    let named = |f: &Forecast| format!("{}_{}", file_name(f.name), f.seed);
    let labels: Vec<String> = forecasts.iter().map(named).collect();
    let columns: Vec<(&str, &[f64])> =
        labels.iter().zip(forecasts).map(|(label, f)| (label.as_str(), &f.losses[..])).collect();
    session.curves("training", &columns)
}

/// Prints the errors: of a single run, or median [least–most] over the runs.
pub fn report(forecasts: &[Forecast], session: &mut Session) -> Result<()> {
    let mut table =
        Table::new(&["model", "runs", "RMSE fit", "RMSE forecast", "RMSE fit (ln)", "RMSE forecast (ln)"]);
    for name in names(forecasts) {
        let runs: Vec<_> = forecasts.iter().filter(|f| f.name == name).collect();
        let cell = |f: fn(&Forecast) -> f64, digits: usize| {
            let mut all: Vec<f64> = runs.iter().map(|r| f(r)).collect();
            all.sort_by(f64::total_cmp);
            let (low, middle, high) = (all[0], all[all.len() / 2], all[all.len() - 1]);
            match all.len() {
                1 => format!("{middle:.digits$}"),
                _ => format!("{middle:.digits$} [{low:.digits$}–{high:.digits$}]"),
            }
        };
        table.row([
            name.to_string(),
            runs.len().to_string(),
            cell(|f| f.rmse[0].pelts, 1),
            cell(|f| f.rmse[1].pelts, 1),
            cell(|f| f.rmse[0].log, 3),
            cell(|f| f.rmse[1].log, 3),
        ]);
    }
    session.say(format!(
        "\nRoot-mean-square errors over both species, in thousands of pelts and of the logarithm\n(median [range] over runs)\n{table}"
    ))
}
