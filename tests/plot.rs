//! Every ready-made picture is drawn, decoded and looked at by machine: size, ink, labels.
#![cfg(feature = "plot")]

use odeon::error::{Attempt, Member};
use odeon::plot::panels::{self, Trajectory};
use odeon::plot::{Axis, Color, Dash, Figure, HeatMap, Marker, Panel, Style, viridis};
use odeon::{Error, Result};
use std::collections::HashMap;
use std::io::Read;

/// Width, height and RGB pixels of a PNG with unfiltered rows, every chunk's CRC checked.
fn decode(png: &[u8]) -> (usize, usize, Vec<u8>) {
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    let word = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().expect("four bytes"));
    let (mut at, mut idat, mut size) = (8, Vec::new(), (0, 0));
    while at < png.len() {
        let length = word(at) as usize;
        let (name, data) = (&png[at + 4..at + 8], &png[at + 8..at + 8 + length]);
        let mut crc = flate2::Crc::new();
        crc.update(&png[at + 4..at + 8 + length]);
        assert_eq!(crc.sum(), word(at + 8 + length), "CRC of {name:?}");
        match name {
            b"IHDR" => size = (word(at + 8) as usize, word(at + 12) as usize),
            b"IDAT" => idat.extend_from_slice(data),
            _ => {}
        }
        at += 12 + length;
    }
    let mut raw = Vec::new();
    flate2::read::ZlibDecoder::new(&idat[..]).read_to_end(&mut raw).expect("zlib stream");
    assert_eq!(raw.len(), size.1 * (1 + 3 * size.0));
    let rows = raw.chunks_exact(1 + 3 * size.0);
    let pixels = rows.flat_map(|row| {
        assert_eq!(row[0], 0, "filter");
        row[1..].to_vec()
    });
    (size.0, size.1, pixels.collect())
}

fn colours(pixels: &[u8]) -> HashMap<[u8; 3], usize> {
    let mut counts = HashMap::new();
    for p in pixels.chunks_exact(3) {
        *counts.entry([p[0], p[1], p[2]]).or_insert(0) += 1;
    }
    counts
}

fn rgb(color: Color) -> [u8; 3] {
    let (r, g, b) = color.rgb();
    [r, g, b]
}

/// Draws both formats; checks size, ink of the given colours and texts. With ODEON_PLOT_DIR set,
/// keeps the files there for looking at.
fn check(name: &str, figure: &Figure, size: (usize, usize), inks: &[Color], texts: &[&str]) -> Result<()> {
    let png = figure.to_png()?;
    let svg = figure.to_svg()?;
    if let Ok(dir) = std::env::var("ODEON_PLOT_DIR") {
        for extension in ["png", "svg"] {
            figure.save(format!("{dir}/{name}.{extension}"))?;
        }
    }
    let (width, height, pixels) = decode(&png);
    assert_eq!((width, height), size, "{name}");
    let counts = colours(&pixels);
    let white = counts.get(&[255; 3]).copied().unwrap_or(0);
    assert!(white > width * height / 3, "{name}: the ground is white");
    assert!(counts.len() > 30, "{name}: {} colours, text is anti-aliased", counts.len());
    for &ink in inks {
        let count = counts.get(&rgb(ink)).copied().unwrap_or(0);
        assert!(count > 15, "{name}: {count} pixels of {ink:?}");
    }
    assert!(svg.contains(&format!("width=\"{}\" height=\"{}\"", size.0, size.1)), "{name}");
    for text in texts {
        assert!(svg.lines().any(|line| line.trim() == *text), "{name}: no text '{text}'");
    }
    Ok(())
}

fn spiral(n: usize, end: f64) -> (Vec<f64>, Vec<f64>) {
    let t: Vec<f64> = (0..n).map(|i| end * i as f64 / (n - 1) as f64).collect();
    let y = t.iter().flat_map(|t| {
        let r = 2.0 * (-0.15 * t).exp();
        [r * (2.0 * t).cos(), r * (2.0 * t).sin()]
    });
    let y = y.collect();
    (t, y)
}

/// A decaying curve with reproducible noise.
fn noisy(n: usize, start: f64, rate: f64, floor: f64, seed: u32) -> Vec<f64> {
    let mut state = seed;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1u32 << 24) - 0.5
    };
    (0..n).map(|i| (start * (-rate * i as f64).exp() + floor) * (0.5 * noise()).exp()).collect()
}

#[test]
fn trajectories_and_phase_portraits() -> Result<()> {
    let (t, y) = spiral(400, 10.0);
    let (td, yd) = spiral(30, 10.0);
    let (model, data) = (Trajectory { t: &t, y: &y }, Trajectory { t: &td, y: &yd });
    let names = ["u₁", "u₂"];
    let mut panel = panels::trajectories("Spiral, neural ODE", &names, model, Some(data))?;
    panel.x_label("t (s)").y_label("u (m)");
    let figure = Figure::new(800, 600)?.with(panel);
    let inks = [Color::Blue, Color::Vermillion];
    check("trajectories", &figure, (800, 600), &inks, &["Spiral, neural ODE", "t (s)", "u₂, data"])?;

    let panel = panels::phase_portrait("Phase portrait", &names, (0, 1), model, Some(data))?;
    let figure = Figure::new(800, 600)?.with(panel);
    check("phase", &figure, (800, 600), &inks, &["Phase portrait", "u₁", "u₂", "start", "−1.5"])
}

#[test]
fn training_pages() -> Result<()> {
    let curves: Vec<Vec<f64>> =
        (0..3).map(|i| noisy(300, 1.0, 0.02 + 0.01 * f64::from(i), 2e-4, 7 + i as u32)).collect();
    let nfe: Vec<Vec<f64>> = (0..3)
        .map(|i| noisy(300, -60.0, 0.01, 260.0 - 40.0 * f64::from(i), 9).iter().map(|v| v.round()).collect())
        .collect();
    let named = |c: &'static [&'static str], v: &'static [Vec<f64>]| -> Vec<(&'static str, &'static [f64])> {
        c.iter().copied().zip(v.iter().map(Vec::as_slice)).collect()
    };
    let names: &'static [&'static str] = &["plain", "error", "error + stiffness"];
    let curves: &'static [Vec<f64>] = Box::leak(curves.into_boxed_slice());
    let nfe: &'static [Vec<f64>] = Box::leak(nfe.into_boxed_slice());
    let figure = Figure::new(800, 600)?
        .columns(2)
        .titled("Training on the spiral")
        .with(panels::training_curves("Loss", "loss", &named(names, curves))?)
        .with(panels::nfe_curves("Cost", &named(names, nfe))?)
        .with(panels::training_curves("Penalty", "R", &named(&names[..1], curves))?)
        .with(panels::comparison("NFE after training", "NFE", &named(names, nfe))?);
    let inks = [Color::Blue, Color::Vermillion, Color::Green];
    let texts = ["Training on the spiral", "error + stiffness", "iteration", "10⁻³", "NFE"];
    check("training", &figure, (800, 600), &inks, &texts)
}

#[test]
fn method_comparisons() -> Result<()> {
    let runs = [
        ("none", vec![(260.0, 2.1e-3), (270.0, 1.9e-3), (255.0, 2.4e-3)]),
        ("STEER", vec![(262.0, 2.0e-3), (241.0, 2.6e-3)]),
        ("rnode", vec![(198.0, 2.9e-3), (187.0, 3.3e-3)]),
        ("error", vec![(150.0, 2.3e-3), (160.0, 2.0e-3)]),
        ("stiffness", vec![(181.0, 2.2e-3), (177.0, 2.5e-3)]),
        ("error + stiffness", vec![(141.0, 2.8e-3), (139.0, 2.6e-3)]),
        ("local, unbiased", vec![(190.0, 2.0e-3), (195.0, 1.8e-3)]),
        ("local, biased", vec![(185.0, 2.1e-3), (188.0, f64::NAN)]),
    ];
    let pairs: Vec<_> = runs.iter().map(|(n, r)| (*n, r.as_slice())).collect();
    let figure = Figure::new(800, 600)?.with(panels::pareto("Test loss against cost", &pairs)?);
    let texts = ["Pareto front", "local, biased", "200", "NFE"];
    check("pareto", &figure, (800, 600), &[Color::Blue, Color::Sky, Color::Black], &texts)?;

    let nfe: Vec<(&str, Vec<f64>)> =
        runs.iter().map(|(n, r)| (*n, r.iter().map(|r| r.0).collect())).collect();
    let nfe: Vec<_> = nfe.iter().map(|(n, v)| (*n, v.as_slice())).collect();
    let panel = panels::comparison("Cost of a prediction", "NFE", &nfe)?;
    let figure = Figure::new(800, 600)?.with(panel);
    check("bars", &figure, (800, 600), &[Color::Sky, Color::Black], &["error + stiffness", "median"])
}

fn attempts(n: usize) -> Vec<Attempt> {
    let mut t = 0.0;
    (0..n)
        .map(|i| {
            let phase = i as f64 * 0.21;
            let h = 0.02 * (1.0 + 0.9 * phase.sin());
            let accepted = i % 9 != 4;
            let error = if accepted { 0.3 + 0.25 * (3.0 * phase).cos() } else { 2.7 };
            let a = Attempt {
                t,
                h,
                error,
                stiffness: 60.0 / (1.2 + phase.cos()),
                accepted,
                member: Member::First,
            };
            t += if accepted { h } else { 0.0 };
            a
        })
        .collect()
}

#[test]
fn solver_diagnostics() -> Result<()> {
    let attempts = attempts(150);
    let figure = panels::diagnostics("Tsit5, rtol = atol = 10⁻⁶", &attempts, Some(3.5))?;
    let texts = ["rejected", "stability size", "tolerance", "|h|·S", "error estimate"];
    check("diagnostics", &figure, (800, 860), &[Color::Blue, Color::Vermillion], &texts)?;

    let without: Vec<Attempt> =
        attempts.iter().map(|a| Attempt { stiffness: f64::NAN, accepted: true, ..*a }).collect();
    let svg = panels::diagnostics("no stiffness", &without, Some(3.5))?.to_svg()?;
    assert!(!svg.contains("stability size") && !svg.contains("rejected"));
    assert!(panels::diagnostics("none", &[], None).is_err());
    Ok(())
}

/// Rows of iterations stand under the page of an implicit solve, and not under that of an explicit one.
#[test]
fn the_solver_page_has_the_iterations_of_implicit_steps() -> Result<()> {
    use odeon::dynamics::{gallery::VanDerPol, generic::Generic};
    use odeon::integrate::{Options, Problem};
    use odeon::ode::implicit::{ImplicitOptions, LinearChoice, MatrixFree};
    use odeon::ode::{sdirk::Kvaerno3, solve, tableaux::Tsit5};

    let problem = Problem { y0: &[2.0, 0.0], span: [0.0, 5.0], theta: &[10.0] };
    let options = Options::tol(1e-4, 1e-4).diagnostics();
    let rows = ["Newton iterations", "linear iterations"];
    let free = LinearChoice::MatrixFree(MatrixFree::default());
    let free = Kvaerno3.with(ImplicitOptions { linear: free, ..Default::default() });
    let explicit = solve(&Generic(VanDerPol), &Tsit5, &problem, &options)?;
    let direct = solve(&Generic(VanDerPol), &Kvaerno3, &problem, &options)?;
    let iterative = solve(&Generic(VanDerPol), &free, &problem, &options)?;
    for (solution, expected) in [(explicit, [false; 2]), (direct, [true, false]), (iterative, [true; 2])] {
        let svg = panels::solver_page("a solve", &solution, None)?.to_svg()?;
        assert_eq!(rows.map(|row| svg.contains(row)), expected);
    }
    Ok(())
}

#[test]
fn bands_rules_notes_and_long_orbits() -> Result<()> {
    let year: Vec<f64> = (1900..=1920).map(f64::from).collect();
    let hare: Vec<f64> = year.iter().map(|y| 40.0 + 30.0 * (0.6 * (y - 1900.0)).sin()).collect();
    let low: Vec<f64> = hare.iter().map(|v| v - 8.0).collect();
    let high: Vec<f64> = hare.iter().map(|v| v + 8.0).collect();
    let mut panel = Panel::new("Snowshoe hare");
    panel.x_label("year").y_label("pelts (thousands)");
    panel.band(&year, &low, &high, Style::new("±1 σ").color(Color::Blue))?;
    panel.line(&year, &hare, Style::new("model").color(Color::Blue))?;
    panel.points(&year, &hare, Style::new("data").color(Color::Vermillion))?;
    panel.rule_x(1914.5, Style::default().dash(Dash::Dashed))?.text(1914.8, 5.0, "forecast")?;
    let figure = Figure::new(800, 600)?.with(panel);
    check("band", &figure, (800, 600), &[Color::Blue, Color::Vermillion], &["1910", "forecast", "±1 σ"])?;

    let mut u = [1.0f64, 1.0, 1.0];
    let mut y = Vec::new();
    let t: Vec<f64> = (0..20_000).map(|i| i as f64 * 0.003).collect();
    for _ in &t {
        y.extend(u);
        let d = [10.0 * (u[1] - u[0]), u[0] * (28.0 - u[2]) - u[1], u[0] * u[1] - 8.0 / 3.0 * u[2]];
        (0..3).for_each(|i| u[i] += 0.003 * d[i]);
    }
    let orbit = Trajectory { t: &t, y: &y };
    let panel = panels::phase_portrait("Lorenz attractor", &["x", "y", "z"], (0, 2), orbit, None)?;
    let figure = Figure::new(800, 600)?.with(panel);
    check("lorenz", &figure, (800, 600), &[Color::Blue], &["Lorenz attractor", "z"])
}

#[test]
fn gaps_and_tiny_numbers() -> Result<()> {
    let x: Vec<f64> = (0..60).map(|i| f64::from(i) * 1e-6).collect();
    let y: Vec<f64> = (0..60)
        .map(|i| match i {
            20..30 => f64::NAN,
            45 => f64::INFINITY,
            _ => 3e-7 * (f64::from(i) * 0.2).sin(),
        })
        .collect();
    let mut panel = Panel::new("Gaps");
    panel.x_label("x (m)").y_label("y (m)").line(&x, &y, "curve")?;
    let figure = Figure::new(800, 600)?.with(panel);
    let texts = ["x (m)  [×10⁻⁵]", "y (m)  [×10⁻⁷]"];
    check("gaps", &figure, (800, 600), &[Color::Blue], &texts)?;
    // Three runs of the curve and its legend sample.
    let svg = figure.to_svg()?;
    let blue = svg.matches("<polyline").count();
    let strokes = svg.lines().filter(|l| l.contains("polyline") && l.contains("#0072B2")).count();
    assert_eq!(strokes, 4, "of {blue}");
    Ok(())
}

/// Two rows of two cells, the last without a value: where each colour stands and how large it is.
#[test]
fn heat_maps_show_rows_from_the_bottom_in_square_cells() -> Result<()> {
    let mut panel = Panel::new("Heat");
    panel.x_label("x (m)").y_label("y (m)");
    let map = HeatMap::new(2, &[0.0, 1.0, 2.0, f64::NAN], (0.0, 2.0), (0.0, 2.0))?;
    panel.heat_map(map.range(0.0, 2.0)?.label("u (K)"))?;
    panel.points(&[0.5], &[1.5], Style::new("mark").color(Color::Vermillion))?;
    let figure = Figure::new(800, 600)?.with(panel);
    check("heat", &figure, (800, 600), &[Color::Vermillion], &["Heat", "u (K)", "0.5", "mark"])?;
    let (width, _, pixels) = decode(&figure.to_png()?);
    // Of 256 colours the middles of the first, the 129th and the last.
    let places = [0.5, 128.5, 255.5].map(|level| {
        let (r, g, b) = viridis(level / 256.0);
        let here = |p: &[u8]| p == [r, g, b];
        let found = pixels.chunks_exact(3).enumerate().filter(|(_, p)| here(p)).map(|(i, _)| i);
        let found: Vec<[f64; 2]> = found.map(|i| [(i % width) as f64, (i / width) as f64]).collect();
        let n = found.len() as f64;
        (n, [0, 1].map(|c| found.iter().map(|p| p[c]).sum::<f64>() / n))
    });
    let [(first, low), (second, right), (third, above)] = places;
    let side = right[0] - low[0];
    assert!(side > 180.0 && (low[1] - right[1]).abs() < 3.0, "{places:?}");
    assert!((above[0] - low[0]).abs() < 5.0 && (low[1] - above[1] - side).abs() < 6.0, "{places:?}");
    for area in [first, second, third] {
        assert!((area / (side * side) - 1.0).abs() < 0.05, "{places:?}");
    }
    Ok(())
}

#[test]
fn heat_maps_refuse_what_they_cannot_show() -> Result<()> {
    let reason = |result: Result<HeatMap>| result.map_or_else(|e| e.to_string(), |_| "none".into());
    let unit = (0.0, 1.0);
    assert!(reason(HeatMap::new(0, &[1.0], unit, unit)).contains("1 values in rows of 0"));
    assert!(reason(HeatMap::new(2, &[1.0; 3], unit, unit)).contains("whole rows"));
    assert!(reason(HeatMap::new(2, &[], unit, unit)).contains("whole rows"));
    assert!(reason(HeatMap::new(1, &[f64::NAN], unit, unit)).contains("finite value"));
    assert!(reason(HeatMap::new(1, &[1.0], (1.0, 1.0), unit)).contains("width"));
    assert!(reason(HeatMap::new(1, &[1.0], unit, (0.0, f64::NAN))).contains("height"));
    let map = HeatMap::new(1, &[1.0], unit, unit)?;
    assert!(reason(map.clone().range(2.0, 1.0)).contains("(2, 1)"));
    let mut panel = Panel::new("two");
    assert!(panel.heat_map(map.clone())?.heat_map(map).is_err());
    Ok(())
}

#[test]
fn bad_input_is_an_error_that_says_why() -> Result<()> {
    fn reason<T>(result: Result<T>) -> String {
        match result {
            Ok(_) => panic!("must fail"),
            Err(e) => e.to_string(),
        }
    }
    let mut panel = Panel::new("p");
    assert!(reason(panel.line(&[], &[], "")).contains("at least one point"));
    assert!(reason(panel.line(&[1.0], &[1.0, 2.0], "")).contains("as many as x"));
    assert!(reason(panel.points(&[1.0, 2.0], &[f64::NAN; 2], "")).contains("NaN"));
    assert!(reason(panel.band(&[1.0], &[1.0], &[], "")).contains("as many as x"));
    assert!(reason(panel.rule_x(f64::NAN, "")).contains("finite"));
    assert!(reason(panel.text(0.0, f64::INFINITY, "")).contains("finite"));
    assert!(reason(Figure::new(10, 600)).contains("120 to 8000"));
    let empty = Figure::new(400, 300)?;
    assert!(reason(empty.to_png()).contains("without panels"));
    assert!(reason(empty.clone().with(Panel::new("bare")).to_svg()).contains("panel 'bare'"));
    let mut log = Panel::new("log");
    log.log_y().line(&[1.0, 2.0], &[-1.0, 0.0], "")?;
    assert!(reason(empty.clone().with(log).to_svg()).contains("positive"));
    let mut ranged = Panel::new("ranged");
    ranged.line(&[1.0, 2.0], &[1.0, 2.0], "")?;
    *ranged.x_axis() = Axis { range: Some((2.0, 1.0)), ..Axis::default() };
    assert!(reason(empty.clone().with(ranged).to_svg()).contains("increasing"));

    let mut good = Panel::new("good");
    good.points(&[1.0], &[1.0], Style::default().marker(Marker::Diamond))?;
    let crowded = (0..9).fold(empty.clone().columns(9), |f, _| f.with(good.clone()));
    assert!(reason(crowded.to_svg()).contains("120×110"));
    let figure = empty.with(good);
    assert!(reason(figure.save("picture.jpg")).contains(".png or .svg"));
    let dir = tempfile::tempdir().expect("tempdir");
    std::fs::write(dir.path().join("file"), "").expect("writable");
    assert!(matches!(figure.save(dir.path().join("file/x.png")), Err(Error::Io { .. })));
    figure.save(dir.path().join("sub/x.PNG"))?;
    assert_eq!(std::fs::read_dir(dir.path().join("sub")).expect("made").count(), 1);
    Ok(())
}
