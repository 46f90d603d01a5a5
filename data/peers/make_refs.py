"""Makes the data of workloads W1-W5: initial values, weights, reference solutions and gradients, as .npy files here.

    pip install numpy scipy mpmath gmpy2 && python data/peers/make_refs.py [--out DIR] [--train] [--check DIR]

References never come from the peers that are measured against them: Lorenz is solved by Taylor series, the neural ODEs
by DOP853 at 1e-13 in f64 (SciPy) with the gradient from the continuous adjoint, solved with hand-written
vector-Jacobian products (workloads.py).  Everything is seeded.  `--train` also repeats the 2000 RMSprop iterations behind
`spiral_trained_params.npy` (needs jax, diffrax, optax); without it that file is an input.  `--check DIR` compares what
was made with the files in DIR.
"""
import argparse
import pathlib
import sys

import numpy as np
from scipy.integrate import solve_ivp

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "reference"), str(HERE.parents[1] / "benches" / "peers")]
from workloads import Brusselator, Lorenz, Mlp, Robertson, Spiral, join, split  # noqa: E402

TIGHT = dict(method="DOP853", rtol=1e-13, atol=1e-13)
LIMIT = 2_000_000


def lorenz_single():
    """Rows t = 5 and t = 10 for rho = 28, rounded from 40 digits."""
    import mpmath as mp
    from make_reference import lorenz
    from taylor import solve

    mp.mp.dps = 40
    rows = solve(lorenz, [1, 1, 1], [0, 5, 10], 30, mp.mpf(10) ** -32)
    return np.array([[float(v) for v in row] for row in rows[1:]])


def lorenz_ensemble(steps=250, order=26):
    """All values of rho at once by Taylor series in extended precision, (10000, 3) at t = 5."""
    wide = np.longdouble
    rho, sigma, beta = Lorenz.RHOS.astype(wide), wide(10), wide(8) / wide(3)
    h, state = wide(5) / steps, np.ones((3, rho.size), wide)
    c = np.empty((order + 1, 3, rho.size), wide)
    for _ in range(steps):
        c[0] = state
        for k in range(order):
            x, y, z = c[k]
            xz = np.einsum("ji,ji->i", c[: k + 1, 0], c[k::-1, 2])
            xy = np.einsum("ji,ji->i", c[: k + 1, 0], c[k::-1, 1])
            c[k + 1] = sigma * (y - x), rho * x - xz - y, xy - beta * z
            c[k + 1] /= k + 1
        state = c[order].copy()
        for k in range(order - 1, -1, -1):
            state *= h
            state += c[k]
    return state.T.astype(np.float64)


def spiral_problem():
    """(truth (1000, 2) of the cubic spiral, batch starts, initial flat weights), in the order the generator is drawn."""
    rng = np.random.default_rng(0)
    A = np.array([[-0.1, 2.0], [-2.0, -0.1]])
    curve = solve_ivp(lambda t, y: y**3 @ A, (0, 25), [2.0, 0.0], t_eval=Spiral.GRID, **TIGHT).y.T
    starts = rng.choice(990, 20, replace=False)
    W1, W2 = rng.normal(0, 0.1, (50, 2)), rng.normal(0, 0.1, (2, 50))
    return curve, starts, join([W1, np.zeros(50), W2, np.zeros(2)])


def windows(curve, starts):
    """Ten successive points from each start, (10, batch, 2)."""
    return np.stack([curve[starts + i] for i in range(10)])


def mlp_problem():
    """(x0 (512, 784), flat weights), both f32; weights uniform in +-1/sqrt(fan in), PyTorch's default."""
    rng = np.random.default_rng(1)
    blocks = [rng.uniform(-1, 1, shape) / np.sqrt(Mlp.SHAPES[i - i % 2][1]) for i, shape in enumerate(Mlp.SHAPES)]
    flat = np.concatenate([b.astype(np.float32).ravel() for b in blocks])
    return rng.standard_normal((512, 784)).astype(np.float32), flat


def nsde_problem():
    """(y0 (1000, 2), flat weights of drift and diffusion), both 2-64-2; weights uniform in +-1/sqrt(fan in)."""
    rng = np.random.default_rng(2)
    block = lambda shape, fan_in: rng.uniform(-1, 1, shape) / np.sqrt(fan_in)
    layers = [((64, 2), 2), ((64,), 2), ((2, 64), 64), ((2,), 64)]
    flat = join([block(*layer) for _ in "fg" for layer in layers])
    return rng.standard_normal((1000, 2)), flat


def solve(model, p, y0, times):
    """States at `times` (times, batch, dim)."""
    rhs = lambda t, y: model.rhs(t, y.reshape(y0.shape), p).ravel()
    states = [y0]
    for a, b in zip(times[:-1], times[1:]):
        states.append(solve_ivp(rhs, (a, b), states[-1].ravel(), **TIGHT).y[:, -1].reshape(y0.shape))
    return np.stack(states)


def gradient(model, p, states, times, cotangents):
    """dL/dp by the continuous adjoint: state, adjoint and gradient together backward between the stored states.

    `cotangents[i]` is dL/d(state i).
    """
    n, shape, total = states[0].size, states[0].shape, sum(w.size for w in p)

    def rhs(t, u):
        f, y_bar, p_bar = model.vjp(t, u[:n].reshape(shape), p, u[n : 2 * n].reshape(shape))
        return np.concatenate([f.ravel(), -y_bar.ravel(), -p_bar])

    adjoint, sums = np.zeros(n), np.zeros(total)
    for i in range(len(times) - 1, 0, -1):
        adjoint = adjoint + cotangents[i].ravel()
        u = np.concatenate([states[i].ravel(), adjoint, sums])
        u = solve_ivp(rhs, (times[i], times[i - 1]), u, **TIGHT).y[:, -1]
        adjoint, sums = u[n : 2 * n], u[2 * n :]
    return sums


def train(curve, flat):
    """2000 iterations of RMSprop (1e-3, decay 0.99) on random batches, gradients by Diffrax (Tsit5, discrete)."""
    import jax
    import optax

    jax.config.update("jax_enable_x64", True)
    from diffrax_peer import spiral_loss

    optimiser = optax.rmsprop(1e-3, decay=0.99)

    @jax.jit
    def step(p, state, truth):
        g, _ = jax.grad(spiral_loss("tsit5"), has_aux=True)(p, truth)
        updates, state = optimiser.update(g, state)
        return optax.apply_updates(p, updates), state

    p = [jax.numpy.asarray(w) for w in split(flat, Spiral.SHAPES)]
    state, rng = optimiser.init(p), np.random.default_rng(5)
    for _ in range(2000):
        p, state = step(p, state, windows(curve, rng.choice(990, 20, replace=False)))
    return join(p)


def spiral_references(made, truth, flat, weights):
    p = split(flat, Spiral.SHAPES)
    states = solve(Spiral, p, truth[0], Spiral.TIMES)
    residual = states - truth
    made[f"spiral_{weights}_params"] = flat
    made[f"spiral_{weights}_outputs"] = states
    made[f"spiral_{weights}_gradient"] = gradient(Spiral, p, states, Spiral.TIMES, np.sign(residual) / residual.size)
    return np.abs(residual).mean()


def mlp_references(made):
    x0, flat = mlp_problem()
    p = split(flat.astype(np.float64), Mlp.SHAPES)
    times = np.array([0.0, 1.0])
    states = solve(Mlp, p, x0.astype(np.float64), times)
    made["mlp_x0"], made["mlp_params"] = x0, flat
    made["mlp_gradient"] = gradient(Mlp, p, states, times, [None, 2 * states[1]])
    # Rounded to f32 (6e-8 relative) to stay small: the workload is f32.
    made["mlp_end"] = states[1].astype(np.float32)


def save(folder, name, values):
    path, part = folder / f"{name}.npy", folder / f"{name}.part"
    with open(part, "wb") as f:
        np.save(f, np.ascontiguousarray(values))
    if part.stat().st_size > LIMIT:
        raise SystemExit(f"{name}: {part.stat().st_size} bytes, at most {LIMIT} are kept")
    part.replace(path)


def robertson(rtol=1e-12):
    """(end, states at the observation times, gradient with respect to log k): Radau with analytic Jacobian, restarted at
    every observation because dense output is less accurate than the steps; sensitivities in the state for the gradient."""
    p = Robertson

    def legs(f, start, rtol, atol, jac=None):
        out, t, y = [], 0.0, np.array(start, float)
        for end in p.TIMES:
            y = solve_ivp(f, (t, end), y, method="Radau", jac=jac, rtol=rtol, atol=atol).y[:, -1]
            out.append(y)
            t = end
        return np.array(out)

    def augmented(t, state):
        y, s, k = state[:3], state[3:].reshape(3, 3), p.K_GUESS
        r1, r2, r3 = k[0] * y[0], k[1] * y[1] * y[1], k[2] * y[1] * y[2]
        direct = np.array([[-r1, 0, r3], [r1, -r2, -r3], [0, r2, 0]])
        return np.concatenate([p.rhs(t, y, k), (p.jacobian(t, y, k) @ s + direct).ravel()])

    end = solve_ivp(p.rhs, (0, p.T1), p.Y0, method="Radau", jac=p.jacobian, rtol=rtol, atol=1e-6 * rtol).y[:, -1]
    data = legs(p.rhs, p.Y0, rtol, 1e-6 * rtol, p.jacobian)
    states = legs(augmented, np.r_[p.Y0, np.zeros(9)], 100 * rtol, 1e-4 * rtol)
    y, s = states[:, :3], states[:, 3:].reshape(-1, 3, 3)
    return end, data, np.einsum("tc,tcp->p", p.WEIGHTS**2 * (y - data), s)


def brusselator(rtol=1e-10):
    """Radau in two legs, before and after the forcing sets in."""
    p, jac = Brusselator, Brusselator.jacobian()
    options = dict(method="Radau", jac=jac, rtol=rtol, atol=0.1 * rtol)
    before = solve_ivp(p.rhs, (0, 1.1 - 1e-13), p.start(), **options).y[:, -1]
    return solve_ivp(p.rhs, (1.1, p.T1), before, **options).y[:, -1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=HERE)
    parser.add_argument("--train", action="store_true", help="train the spiral's weights anew")
    parser.add_argument("--check", type=pathlib.Path, help="folder to compare with")
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    made = {"lorenz_single": lorenz_single(), "lorenz_ensemble": lorenz_ensemble()}
    curve, starts, init = spiral_problem()
    truth = made["spiral_truth"] = windows(curve, starts)
    trained = train(curve, init) if a.train else np.load(HERE / "spiral_trained_params.npy")
    made["spiral_losses"] = np.array(
        [spiral_references(made, truth, flat, w) for w, flat in zip(Spiral.WEIGHTS, (init, trained))]
    )
    mlp_references(made)
    made["nsde_y0"], made["nsde_params"] = nsde_problem()
    made["robertson_end"], made["robertson_data"], made["robertson_gradient"] = robertson()
    made["brusselator_end"] = brusselator()
    for name, values in made.items():
        save(a.out, name, values)
        note = ""
        if a.check and (a.check / f"{name}.npy").is_file():
            old = np.load(a.check / f"{name}.npy").astype(np.float64)
            note = f"  largest difference {np.abs(values - old).max():.2e}, relative norm {np.linalg.norm(values - old) / np.linalg.norm(old):.2e}"
        print(f"{name} {values.shape} {values.dtype}{note}", flush=True)


if __name__ == "__main__":
    main()
