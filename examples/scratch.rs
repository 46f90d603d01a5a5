use odeon::dynamics::pde::Brusselator;
use odeon::integrate::{Options, Problem};
use odeon::ode::tableaux_rosenbrock::{Rodas4, Rodas5P, Rosenbrock23};
use odeon::ode::{Solver, StepMethod};
use std::time::Instant;
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let reference = odeon::dataset::read_npy::<f64>("data/peers/brusselator_end.npy")?.data().to_vec();
    let grid = Brusselator::benchmark(35)?;
    let y0: Vec<f64> = Brusselator::initial(&grid);
    let problem = Problem { y0: &y0, span: [0.0, 11.5], theta: &Brusselator::THETA };
    macro_rules! go { ($m:expr, $name:expr, $($tol:expr),*) => { $(
        let mut options = Options::tol($tol, $tol * 1e-1);
        options.tstops = vec![1.1];
        let mut solver = Solver::with(StepMethod::stepper(&$m, &grid, 1));
        let t = Instant::now();
        match solver.solve(&problem, &options) { Ok(s) => {
        let e = s.last().iter().zip(&reference).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt() / reference.iter().map(|b| b * b).sum::<f64>().sqrt();
        println!("{} {:e}: {:.3} s, error {e:.2e}, {:?}", $name, $tol, t.elapsed().as_secs_f64(), s.stats); }
        Err(e) => println!("{} {:e}: {}", $name, $tol, e) }
    )* } }
    go!(Rodas5P, "Rodas5P", 1e-3, 1e-4, 1e-5);
    go!(Rodas4, "Rodas4", 1e-3, 1e-4, 1e-5);
    go!(Rosenbrock23, "Ros23", 1e-4);
    go!(odeon::ode::sdirk::Kvaerno5, "Kvaerno5", 1e-3, 1e-4, 1e-5);
    go!(odeon::ode::sdirk::Esdirk54I8L2SA, "Esdirk54", 1e-3, 1e-4, 1e-5);
    go!(odeon::ode::sdirk::TrBdf2, "TrBdf2", 1e-4, 1e-5);
    go!(odeon::ode::radau::RadauIia5, "Radau", 1e-3, 1e-4, 1e-5);
    Ok(())
}
