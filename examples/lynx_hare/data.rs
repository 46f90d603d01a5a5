//! The pelts.

use odeon::dataset::{Missing, Table};
use odeon::{Error, Result};
use std::path::{Path, PathBuf};

/// Pelts in thousands, and the years that are fitted.
pub struct Pelts {
    /// Years, increasing.
    pub year: Vec<f64>,
    /// Hare.
    pub hare: Vec<f64>,
    /// Lynx.
    pub lynx: Vec<f64>,
    /// ln(hare/its mean), ln(lynx/its mean) year by year: `2 × years`.
    pub log: Vec<f64>,
    /// Mean of hare and lynx over the fitted years.
    pub mean: [f64; 2],
    /// How many years are fitted.
    pub fitted: usize,
}

/// The file that comes with the repository.
pub fn path() -> PathBuf {
    let file = Path::new("data/hudson_bay_lynx_hare.csv");
    match file.exists() {
        true => file.to_path_buf(),
        false => Path::new(env!("CARGO_MANIFEST_DIR")).join(file),
    }
}

impl Pelts {
    /// Reads the file.
    ///
    /// # Errors
    /// A file that cannot be read; years that do not increase, populations that are not positive;
    /// an `until` that leaves fewer than four years to fit or none to forecast.
    pub fn read(path: &Path, until: f64) -> Result<Self> {
        let table = Table::read_columns(path, &["year", "lynx", "hare"], Missing::Refuse)?;
        let column = |name| table.column(name).map(<[f64]>::to_vec);
        let (year, lynx, hare) = (column("year")?, column("lynx")?, column("hare")?);
        if let Some(pair) = year.windows(2).find(|w| w[0] >= w[1]) {
            let reason = format!("year {} follows {}: years must increase", pair[1], pair[0]);
            return Err(Error::malformed(path, None, reason));
        }
        if let Some(bad) = lynx.iter().chain(&hare).find(|&&p| p <= 0.0) {
            let reason = format!("a population of {bad}: the fit takes logarithms, so it must be positive");
            return Err(Error::malformed(path, None, reason));
        }
        let fitted = year.iter().filter(|&&y| y <= until).count();
        if fitted < 4 || fitted == year.len() {
            let needed = format!(
                "at least four of the years {}…{} must be fitted and one forecast",
                year[0],
                year[year.len() - 1]
            );
            return Err(Error::invalid("--until", until, needed));
        }
        let mean = |p: &[f64]| p[..fitted].iter().sum::<f64>() / fitted as f64;
        let mean = [mean(&hare), mean(&lynx)];
        let log =
            hare.iter().zip(&lynx).flat_map(|(h, l)| [(h / mean[0]).ln(), (l / mean[1]).ln()]).collect();
        Ok(Self { year, hare, lynx, log, mean, fitted })
    }

    /// Years since the first.
    pub fn time(&self) -> Vec<f64> {
        self.year.iter().map(|y| y - self.year[0]).collect()
    }
}
