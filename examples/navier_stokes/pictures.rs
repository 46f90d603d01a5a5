//! The pictures: a roll-out beside the truth, errors over time, spectra at the end.

use crate::test::{Tested, true_spectrum};
use crate::trajectories::Trajectories;
use odeon::Result;
use odeon::plot::{Figure, HeatMap, Panel};

/// The first test trajectory at three times: the truth, then what each network makes of its start.
pub fn rollout(test: &Trajectories, all: &[Tested], extents: &[usize], interval: f64) -> Result<Figure> {
    let last = test.length - 1;
    let times = [1, last / 2, last];
    let scale = f64::from(test.scale);
    let wide = |u: &[f32]| -> Vec<f64> { u.iter().map(|u| scale * f64::from(*u)).collect() };
    let truth = |k: usize| wide(test.state(0, k));
    let networks = &all[1..];
    let of = |tested: &Tested, k: usize| wide(&tested.first[(k - 1) * test.dim..k * test.dim]);
    if let [n] = *extents {
        let x: Vec<f64> = (0..n).map(|i| i as f64 / n as f64).collect();
        let mut figure = Figure::new(1300, 430)?.columns(3);
        for k in times {
            let mut panel = Panel::new(format!("t = {:.2}", k as f64 * interval));
            panel.x_label("x").y_label("u").line(&x, &truth(k), "truth")?;
            for tested in networks {
                panel.line(&x, &of(tested, k), tested.name)?;
            }
            figure = figure.with(panel);
        }
        return Ok(figure);
    }
    let mut panels = Vec::new();
    let half = 0.5 / extents[0] as f64;
    let side = (half, 1.0 - half);
    let mut row = |name: &str, states: &dyn Fn(usize) -> Vec<f64>| -> Result<()> {
        for k in times {
            let most = truth(k).iter().fold(0.0f64, |most, w| most.max(w.abs()));
            let map = HeatMap::new(extents[0], &states(k), side, side)?.range(-most, most)?.label("w");
            let mut panel = Panel::new(format!("{name}, t = {:.1}", k as f64 * interval));
            panel.x_label("x").y_label("y").heat_map(map)?;
            panels.push(panel);
        }
        Ok(())
    };
    row("Truth", &truth)?;
    for tested in networks {
        row(tested.name, &|k| of(tested, k))?;
    }
    let figure = Figure::new(1200, 350 * (1 + networks.len() as u32))?.columns(3);
    Ok(panels.into_iter().fold(figure, Figure::with))
}

/// Mean errors against time, and mean spectra at the end.
pub fn errors(test: &Trajectories, all: &[Tested], extents: &[usize], interval: f64) -> Result<Figure> {
    let times: Vec<f64> = (1..test.length).map(|k| k as f64 * interval).collect();
    let mut growth = Panel::new("Errors of roll-outs");
    growth.x_label("t").y_label("relative L2 error, mean over the test set").log_y();
    for tested in all {
        growth.line(&times, &tested.errors, tested.name)?;
    }
    let mut spectra = Panel::new("Spectra at the end");
    spectra.x_label("wavenumber").y_label("mean square of the shell").log_x().log_y();
    let scale = f64::from(test.scale).powi(2);
    let truth = true_spectrum(test, extents)?;
    // Shells that hold anything, the mean aside.
    let mut line = |values: &[f64], name: &str| -> Result<()> {
        let shells = values.iter().enumerate().skip(1).filter(|(_, e)| **e > 0.0);
        let (k, e): (Vec<f64>, Vec<f64>) = shells.map(|(k, e)| (k as f64, scale * e)).unzip();
        spectra.line(&k, &e, name).map(|_| ())
    };
    line(&truth, "truth")?;
    for tested in &all[1..] {
        line(&tested.spectrum, tested.name)?;
    }
    Ok(Figure::new(1200, 500)?.columns(2).with(growth).with(spectra))
}
