//! Fixed points: contracting maps, graph solvers, deep equilibria; their gradients and refusals.

use super::Outcome;
use odeon::linalg::{Csr, Settings};
use odeon::model::{ContractingMap, DeepEquilibrium, FixedPointSolver, Graph, GraphSolver, GraphSolverShape};
use odeon::nn::{Activation, Network};

fn wave(n: usize, seed: f64) -> Vec<f64> {
    (0..n).map(|i| (1.7 * i as f64 + seed).sin()).collect()
}

#[test]
fn contracting_maps_reach_their_fixed_point_both_ways_and_others_are_refused() -> Outcome {
    let entries = [(0, 1, 0.5), (0, 2, -0.3), (1, 0, 0.9), (2, 1, 0.4), (2, 2, 0.2)];
    let m = Csr::from_triplets([3, 3], &entries)?;
    let (b, bar) = ([1.0, -2.0, 0.5], [0.3, 0.7, -1.1]);
    for solver in [FixedPointSolver::Krylov, FixedPointSolver::Relaxation] {
        let mut map = ContractingMap::new(&m, solver, Settings::tol(1e-13))?;
        assert!((map.contraction() - 0.9f64).abs() < 1e-15);
        let (mut x, mut lambda) = ([0.0; 3], [0.0; 3]);
        map.solve(&b, &mut x)?;
        map.solve_transpose(&bar, &mut lambda)?;
        for (i, (b, bar)) in b.iter().zip(&bar).enumerate() {
            let image: f64 = entries.iter().filter(|e| e.0 == i).map(|e| e.2 * x[e.1]).sum();
            assert!((image + b - x[i]).abs() < 1e-12);
            let image: f64 = entries.iter().filter(|e| e.1 == i).map(|e| e.2 * lambda[e.0]).sum();
            assert!((image + bar - lambda[i]).abs() < 1e-12);
        }
    }
    let refused = |entries: &[(usize, usize, f64)]| -> Result<String, super::Failed> {
        let m = Csr::from_triplets([3, 3], entries)?;
        let map = ContractingMap::new(&m, FixedPointSolver::Krylov, Settings::default());
        Ok(map.err().ok_or("a refusal")?.to_string())
    };
    // I − M singular; and rows that sum to more than 1.
    let message = refused(&[(1, 1, 1.0)])?;
    assert!(message.contains("row 1 sums to 1") && message.contains("contraction"), "{message}");
    let message = refused(&[(0, 0, 0.5), (2, 0, -0.8), (2, 1, 0.4)])?;
    assert!(message.contains("row 2"), "{message}");
    Ok(())
}

fn networks(shape: GraphSolverShape) -> odeon::Result<[Network; 3]> {
    let GraphSolverShape { nodes, edges, heads, width, outputs, .. } = shape;
    let make = |inputs: usize, outputs: usize| {
        Network::builder(inputs).dense(5).activation(Activation::Tanh).dense(outputs).build()
    };
    Ok([
        make(2 * nodes + edges, heads)?,
        make(nodes, heads * (width + 1))?,
        make(heads * width + nodes, outputs)?,
    ])
}

/// A ring of seven with chords; node 6 has no edge into it.
fn graph() -> odeon::Result<Graph<f64>> {
    let pairs = [
        (1, 0),
        (0, 1),
        (2, 1),
        (1, 2),
        (3, 2),
        (2, 3),
        (4, 3),
        (3, 4),
        (5, 4),
        (0, 5),
        (3, 0),
        (6, 2),
        (6, 4),
    ];
    let edges: Vec<_> = pairs.iter().enumerate().map(|(k, &(j, i))| (j, i, wave(1, k as f64))).collect();
    Graph::new(&wave(14, 0.3), 2, &edges)
}

#[test]
fn a_graph_solver_has_the_gradient_it_claims_by_both_solvers() -> Outcome {
    let shape = GraphSolverShape { nodes: 2, edges: 1, heads: 2, width: 2, outputs: 1, gamma: 0.95 };
    let (graph, mut solver) = (graph()?, GraphSolver::new(shape, networks(shape)?)?);
    let theta: Vec<f64> = wave(solver.layout().len(), 0.8).iter().map(|w| 1.5 * w).collect();
    let mut outputs = Vec::new();
    for kind in [FixedPointSolver::Krylov, FixedPointSolver::Relaxation] {
        solver.solver = kind;
        solver.settings = Settings::tol(1e-14);
        let mut solved = solver.forward(&graph, &theta)?;
        assert!(solved.iterations > 4);
        let w = wave(7, 1.1);
        let y_bar: Vec<f64> = solved.y.iter().zip(&w).map(|(y, w)| w + y).collect();
        let mut bar = vec![0.0; theta.len()];
        solver.reverse((&graph, &theta), &mut solved, &y_bar, &mut bar)?;
        let value = |theta: &[f64]| -> odeon::Result<f64> {
            let y = solver.forward(&graph, theta)?.y;
            Ok(y.iter().zip(&w).map(|(y, w)| w * y + 0.5 * y * y).sum())
        };
        let size = bar.iter().fold(0.0f64, |a, g| a.max(g.abs()));
        for (e, bar) in bar.iter().enumerate() {
            let moved = |d: f64| {
                let mut theta = theta.clone();
                theta[e] += d;
                value(&theta)
            };
            let want = (8.0 * (moved(1e-3)? - moved(-1e-3)?) - (moved(2e-3)? - moved(-2e-3)?)) / 12e-3;
            assert!((bar - want).abs() < 1e-8 * size, "{kind:?} {e}: {bar} {want}");
        }
        outputs.push(solved.y);
    }
    assert!(outputs[0].iter().zip(&outputs[1]).all(|(a, b)| (a - b).abs() < 1e-11));
    Ok(())
}

#[test]
fn graphs_and_shapes_that_do_not_fit_are_refused() -> Outcome {
    let shape = GraphSolverShape { nodes: 2, edges: 1, heads: 1, width: 1, outputs: 1, gamma: 0.9 };
    for gamma in [1.0, 0.0, 1.5, f64::NAN] {
        let error = GraphSolver::new(GraphSolverShape { gamma, ..shape }, networks(shape)?).err();
        let message = error.ok_or("γ")?.to_string();
        assert!(message.contains("γ") && message.contains("(0, 1)"), "{message}");
    }
    let other = GraphSolverShape { heads: 2, ..shape };
    assert!(GraphSolver::new(other, networks(shape)?).is_err());
    let say =
        |edges: &[(usize, usize, Vec<f64>)]| Graph::new(&[0.0; 6], 2, edges).err().map(|e| e.to_string());
    assert!(say(&[(0, 3, vec![])]).is_some_and(|m| m.contains("3 nodes")));
    assert!(say(&[(0, 1, vec![]), (0, 1, vec![])]).is_some_and(|m| m.contains("twice")));
    assert!(say(&[(0, 1, vec![1.0]), (1, 2, vec![])]).is_some());
    assert!(Graph::<f64>::new(&[], 2, &[]).is_err());
    let solver = GraphSolver::new(shape, networks(shape)?)?;
    let theta = wave(solver.layout().len(), 0.1);
    let bare = Graph::new(&[0.1; 6], 2, &[(0, 1, vec![])])?;
    assert!(solver.forward(&bare, &theta).is_err());
    assert!(solver.forward(&graph()?, &theta[1..]).is_err());
    Ok(())
}

#[test]
fn a_deep_equilibrium_has_the_gradient_of_the_implicit_function_theorem() -> Outcome {
    let network = Network::builder(5).dense(6).activation(Activation::Tanh).dense(3).build()?;
    let theta: Vec<f64> = wave(network.layout().len(), 0.4).iter().map(|w| 0.5 * w).collect();
    let layer = DeepEquilibrium::new(network)?;
    let x = wave(4, 0.2);
    let solve = |x: &[f64], theta: &[f64]| -> odeon::Result<Vec<f64>> {
        let mut z = vec![0.0; 6];
        layer.forward(x, &mut z, theta)?;
        Ok(z)
    };
    let z = solve(&x, &theta)?;
    let w = wave(6, 1.7);
    let (mut x_bar, mut theta_bar) = (vec![0.0; 4], vec![0.0; theta.len()]);
    layer.reverse((&x, &z, &theta), &w, &mut x_bar, &mut theta_bar)?;
    let value = |x: &[f64], theta: &[f64]| -> odeon::Result<f64> {
        Ok(solve(x, theta)?.iter().zip(&w).map(|(z, w)| z * w).sum())
    };
    let all = [&x_bar[..], &theta_bar].concat();
    let size = all.iter().fold(0.0f64, |a, g| a.max(g.abs()));
    for (e, bar) in all.iter().enumerate() {
        let moved = |d: f64| {
            let (mut x, mut theta) = (x.clone(), theta.clone());
            if e < 4 {
                x[e] += d
            } else {
                theta[e - 4] += d
            }
            value(&x, &theta)
        };
        let want = (8.0 * (moved(1e-3)? - moved(-1e-3)?) - (moved(2e-3)? - moved(-2e-3)?)) / 12e-3;
        assert!((bar - want).abs() < 1e-8 * size, "{e}: {bar} {want}");
    }
    Ok(())
}

#[test]
fn maps_without_a_fixed_point_are_refused() -> Outcome {
    // z ↦ z + 1: I − J = 0.
    let network = Network::builder(1).dense(1).build()?;
    let layer = DeepEquilibrium::new(network)?;
    let message = layer.forward(&[], &mut [0.0], &[1.0, 1.0]).err().ok_or("singular")?.to_string();
    assert!(message.contains("singular") && message.contains("invertible"), "{message}");
    // z ↦ 2z + 1 does not contract, but has a fixed point, which Newton finds.
    let mut z = [0.0];
    layer.forward(&[], &mut z, &[2.0, 1.0])?;
    assert!((z[0] + 1.0f64).abs() < 1e-12);
    let narrow = Network::builder(1).dense(2).build()?;
    assert!(DeepEquilibrium::new(narrow).is_err());
    assert!(layer.forward(&[0.0], &mut [0.0], &[0.5, 1.0]).is_err());
    Ok(())
}
