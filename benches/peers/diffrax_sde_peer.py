"""W5 by Diffrax, jitted: each path by itself under vmap with its VirtualBrownianTree, or without tree."""
import harness

ARGS = harness.start("diffrax_sde", ["jax", "jaxlib", "diffrax", "equinox", "lineax"])

import diffrax  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import jax.random as jr  # noqa: E402
import lineax  # noqa: E402
from sde_data import DT, MU, PATHS, RESOLUTION, SIGMA, network, query_times, strong_error  # noqa: E402

jax.config.update("jax_enable_x64", True)
KEYS = jr.split(jr.PRNGKey(0), PATHS)


def brownian(key, tree, levy, shape, resolution):
    if tree:
        return diffrax.VirtualBrownianTree(0.0, 1.0, resolution, shape, key, levy_area=levy)
    return diffrax.UnsafeBrownianPath(shape, key, levy_area=levy)


def gbm(solver, tree, adaptive=False):
    stratonovich = not isinstance(solver, diffrax.Euler)
    levy = diffrax.SpaceTimeLevyArea if stratonovich else diffrax.BrownianIncrement
    mu = MU - SIGMA**2 / 2 if stratonovich else MU
    control = diffrax.PIDController(rtol=1e-3, atol=1e-3, pcoeff=0.1, icoeff=0.3, dtmin=2.0**-12)
    adjoint = diffrax.RecursiveCheckpointAdjoint() if tree else diffrax.ForwardMode()

    def one(key):
        w = brownian(key, tree, levy, (), RESOLUTION if adaptive else DT / 2)
        terms = diffrax.MultiTerm(
            diffrax.ODETerm(lambda t, x, _: mu * x), diffrax.ControlTerm(lambda t, x, _: SIGMA * x, w))
        s = diffrax.diffeqsolve(
            terms, solver, 0.0, 1.0, DT, jnp.array(1.0), max_steps=4096, adjoint=adjoint,
            stepsize_controller=control if adaptive else diffrax.ConstantStepSize(), saveat=diffrax.SaveAt(t1=True))
        end = w.evaluate(0.0, 1.0) if tree else 0.0
        return s.ys[-1], s.stats["num_steps"], getattr(end, "W", end)

    g = jax.jit(jax.vmap(one))
    call = lambda: jax.block_until_ready(g(KEYS))

    def report():
        x, n, w = call()
        return dict(accepted=float(jnp.mean(n)), **(strong_error(x, w) if tree else {}))

    return harness.Task(call, report)


def neural(gradient):
    """Reversible Heun, one solve over the whole batch; a path without tree has no reverse mode."""
    drift, diffusion, y0 = network()
    p, y0 = [jnp.asarray(b) for b in (*drift, *diffusion)], jnp.asarray(y0)
    mlp = lambda y, W1, b1, W2, b2: jnp.tanh(y @ W1.T + b1) @ W2.T + b2

    def solve(p, key):
        w = brownian(key, True, diffrax.BrownianIncrement, (PATHS, 2), DT / 2)
        terms = diffrax.MultiTerm(
            diffrax.ODETerm(lambda t, y, p: mlp(y, *p[:4])),
            diffrax.ControlTerm(lambda t, y, p: lineax.DiagonalLinearOperator(mlp(y, *p[4:])), w))
        return diffrax.diffeqsolve(
            terms, diffrax.ReversibleHeun(), 0.0, 1.0, DT, y0, args=p, max_steps=128,
            adjoint=diffrax.RecursiveCheckpointAdjoint(), saveat=diffrax.SaveAt(t1=True)).ys[-1]

    loss = lambda p, key: jnp.mean(solve(p, key) ** 2)
    g = jax.jit(jax.value_and_grad(loss) if gradient else solve)
    call = lambda: jax.block_until_ready(g(p, KEYS[0]))
    return harness.Task(call, lambda: dict(loss=float(call()[0])) if gradient else {})


def queries(resolution):
    """W(t) at random times of one tree, all in one vmap; t0 = 0 is not batched and descends once."""
    times = jnp.asarray(query_times())
    tree = diffrax.VirtualBrownianTree(0.0, 1.0, resolution, (), jr.PRNGKey(0))
    g = jax.jit(jax.vmap(lambda t: tree.evaluate(0.0, t)))
    return harness.Task(lambda: jax.block_until_ready(g(times)), dict)


def tasks():
    """(workload, variant) -> build."""
    return {
        ("gbm-euler", "tree"): lambda: gbm(diffrax.Euler(), True),
        ("gbm-euler", "unsafe"): lambda: gbm(diffrax.Euler(), False),
        ("gbm-adaptive", "spark"): lambda: gbm(diffrax.SPaRK(), True, True),
        ("nsde-forward", "tree"): lambda: neural(False),
        ("nsde-gradient", "tree"): lambda: neural(True),
        ("brownian-queries", ""): lambda: queries(RESOLUTION),
        ("brownian-queries", "fine"): lambda: queries(2.0**-20),
    }


if __name__ == "__main__":
    harness.main(ARGS, tasks())
