//! Trajectories in files.

use crate::Tested;
use odeon::Error;
use odeon::dataset::Simulated;
use odeon::operator::pde::{Generator, NavierStokes};

/// Generation that is interrupted after a file goes on there, to the same bits; other parameters are refused.
#[test]
fn interrupted_trajectories_go_on() -> Tested {
    let flow = NavierStokes::new([8, 6], 1e-2, 0.1, 3);
    let folder = tempfile::tempdir()?;
    let [whole, cut] = ["whole", "cut"].map(|name| folder.path().join(name));
    let all = Simulated::generate(&flow, [5, 2], 3, &whole, |_| Ok(()))?;
    let stop =
        |done| if done >= 2 { Err(Error::invalid("the run", "stopped", "it is a test")) } else { Ok(()) };
    assert!(Simulated::generate(&flow, [5, 2], 3, &cut, stop).is_err());
    let mut calls = Vec::new();
    let resumed = Simulated::generate(&flow, [5, 2], 3, &cut, |done| {
        calls.push(done);
        Ok(())
    })?;
    let [inputs, outputs] = all.read_all::<f64>()?;
    assert_eq!((inputs.count(), inputs.shape()), (5, &[6, 8][..]));
    assert_eq!((outputs.count(), outputs.shape()), (5, &[3, 6, 8][..]));
    let again = resumed.read_all::<f64>()?;
    assert_eq!([inputs.data(), outputs.data()], [again[0].data(), again[1].data()]);
    assert_eq!(outputs.get(4).unwrap(), flow.output(&flow.input(3, 4)?)?);
    let other = NavierStokes { viscosity: 2e-2, ..flow };
    let error = Simulated::generate(&other, [5, 2], 3, &cut, |_| Ok(())).unwrap_err().to_string();
    assert!(error.contains("parameters"), "{error}");
    Ok(())
}
