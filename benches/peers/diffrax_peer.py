"""W1-W3 by Diffrax, jitted.  Discrete gradients (RecursiveCheckpointAdjoint), one step size for a batch except in `own-*`."""
import harness

ARGS = harness.start("diffrax", ["jax", "jaxlib", "diffrax", "equinox", "lineax"]) if __name__ == "__main__" else None

import diffrax  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from workloads import Lorenz, Mlp, Spiral, join, max_error, relative_error  # noqa: E402

jax.config.update("jax_enable_x64", True)
SOLVERS = {"tsit5": diffrax.Tsit5, "dopri5": diffrax.Dopri5}


ADJOINTS = {"gradient": diffrax.RecursiveCheckpointAdjoint, "backsolve": diffrax.BacksolveAdjoint}


def solve(rhs, method, t0, t1, y0, args, rtol, atol, saveat, adjoint="gradient"):
    """(saved values, attempted steps, accepted steps)."""
    s = diffrax.diffeqsolve(
        diffrax.ODETerm(rhs), SOLVERS[method](), t0, t1, None, y0, args=args, saveat=saveat, max_steps=4096,
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol), adjoint=ADJOINTS[adjoint]())
    return s.ys, s.stats["num_steps"], s.stats["num_accepted_steps"]


def counts(steps, accepted):
    """Means over trajectories.  Both methods pass their last stage on: 6 evaluations an attempt, and 1 to start."""
    mean = lambda v: float(jnp.mean(v))
    return dict(nfe=6 * mean(steps) + 1, accepted=mean(accepted), rejected=mean(steps) - mean(accepted))


def task(run, facts, f64=True):
    """`run()` is jitted; `facts(result)` is what to report of it."""

    def call():
        with jax.enable_x64(f64):
            return jax.block_until_ready(run())

    return harness.Task(call, lambda: facts(call()))


# W1
def lorenz(t, y, rho):
    x, y_, z = y[..., 0], y[..., 1], y[..., 2]
    return jnp.stack([Lorenz.SIGMA * (y_ - x), x * (rho - z) - y_, x * y_ - Lorenz.BETA * z], -1)


def lorenz_end(method, rho, y0):
    ys, *n = solve(lorenz, method, 0.0, Lorenz.T1, y0, rho, Lorenz.TOLERANCE, Lorenz.TOLERANCE, diffrax.SaveAt(t1=True))
    return ys[-1], *n


def lorenz_single(method):
    g = jax.jit(lambda rho, y0: lorenz_end(method, rho, y0))
    rho, y0, end = jnp.asarray(Lorenz.RHO), jnp.ones(3), Lorenz.single_end()
    return task(lambda: g(rho, y0), lambda r: dict(counts(*r[1:]), err_max=max_error(r[0], end)))


def lorenz_ensemble(how, method):
    one = lambda rho, y0: lorenz_end(method, rho, y0)
    g = jax.jit({
        "own-vmap": jax.vmap(one),
        "own-laxmap": lambda rhos, y0: jax.lax.map(lambda a: one(*a), (rhos, y0)),
        "shared": one,
    }[how])
    rhos, end = jnp.asarray(Lorenz.RHOS), Lorenz.ensemble_end()
    y0 = jnp.ones((rhos.size, 3))
    return task(lambda: g(rhos, y0), lambda r: dict(counts(*r[1:]), err_max=max_error(r[0], end)))


# W2
def spiral(t, y, p):
    W1, b1, W2, b2 = p
    return jnp.tanh(y**3 @ W1.T + b1) @ W2.T + b2


def spiral_outputs(method, p, y0, adjoint="gradient"):
    ts = jnp.asarray(Spiral.TIMES)
    return solve(spiral, method, ts[0], ts[-1], y0, p, Spiral.RTOL, Spiral.ATOL, diffrax.SaveAt(ts=ts), adjoint)


def spiral_loss(method, adjoint):
    def loss(p, truth):
        ys, *n = spiral_outputs(method, p, truth[0], adjoint)
        return jnp.mean(jnp.abs(ys - truth)), n

    return loss


def spiral_task(weights, method, kind):
    p = [jnp.asarray(w) for w in Spiral.parameters(weights)]
    y0, truth = map(jnp.asarray, Spiral.data())
    if kind != "forward":
        reference = Spiral.gradient(weights)
        g = jax.jit(jax.value_and_grad(spiral_loss(method, kind), has_aux=True))
        facts = lambda r: dict(counts(*r[0][1]), loss=float(r[0][0]), grad_rel_err=relative_error(join(r[1]), reference))
        return task(lambda: g(p, truth), facts)
    reference = Spiral.outputs(weights)
    g = jax.jit(lambda p, y0: spiral_outputs(method, p, y0))
    return task(lambda: g(p, y0), lambda r: dict(counts(*r[1:]), err_max=max_error(r[0], reference)))


# W3
def mlp(t, x, p):
    W1, b1, W2, b2 = p
    time = jnp.broadcast_to(jnp.asarray(t, x.dtype), (x.shape[0], 1))
    h = jnp.tanh(jnp.concatenate([x, time], 1) @ W1.T + b1)
    return jnp.tanh(jnp.concatenate([h, time], 1) @ W2.T + b2)


def mlp_end(method, tolerance, p, x0, adjoint="gradient"):
    ys, *n = solve(mlp, method, 0.0, 1.0, x0, p, tolerance, tolerance, diffrax.SaveAt(t1=True), adjoint)
    return ys[-1], *n


def mlp_inputs():
    with jax.enable_x64(False):
        return [jnp.asarray(w) for w in Mlp.parameters()], jnp.asarray(Mlp.x0()), jnp.float32(Mlp.T_EVAL)


def mlp_rhs():
    p, x, t = mlp_inputs()
    g = jax.jit(mlp)
    exact, weights = Mlp.in_f64()
    return task(lambda: g(t, x, p), lambda r: dict(nfe=1, err_max=max_error(r, Mlp.rhs(Mlp.T_EVAL, exact, weights))), False)


def mlp_vjp():
    p, x, t = mlp_inputs()
    g = jax.jit(lambda t, x, p, x_bar: jax.vjp(lambda x, p: mlp(t, x, p), x, p)[1](x_bar))
    exact, weights = Mlp.in_f64()

    def facts(r):
        _, x_bar, p_bar = Mlp.vjp(Mlp.T_EVAL, exact, weights, exact)
        return dict(nfe=1, grad_rel_err=relative_error(join([r[0], *r[1]]), np.concatenate([x_bar.ravel(), p_bar])))

    return task(lambda: g(t, x, p, x), facts, False)


def mlp_task(method, tolerance, kind):
    p, x0, _ = mlp_inputs()
    run = lambda p, x0: mlp_end(method, float(tolerance), p, x0, "gradient" if kind == "forward" else kind)
    if kind != "forward":
        def loss(p, x0):
            y, *n = run(p, x0)
            return jnp.sum(y**2), n

        g, reference = jax.jit(jax.value_and_grad(loss, has_aux=True)), Mlp.gradient()
        facts = lambda r: dict(counts(*r[0][1]), loss=float(r[0][0]), grad_rel_err=relative_error(join(r[1]), reference))
        return task(lambda: g(p, x0), facts, False)
    g, reference = jax.jit(run), Mlp.end()
    return task(lambda: g(p, x0), lambda r: dict(counts(*r[1:]), err_max=max_error(r[0], reference)), False)


def tasks():
    """(workload, variant) -> build."""
    table = {
        ("lorenz-single", "tsit5"): lambda: lorenz_single("tsit5"),
        ("lorenz-single", "dopri5"): lambda: lorenz_single("dopri5"),
        ("mlp-rhs", ""): mlp_rhs,
        ("mlp-vjp", ""): mlp_vjp,
    }
    for how in ("own-vmap", "own-laxmap", "shared"):
        table["lorenz-ensemble", f"{how}-tsit5"] = lambda how=how: lorenz_ensemble(how, "tsit5")
    for kind in ("forward", "gradient", "backsolve"):
        for m in SOLVERS:
            for w in Spiral.WEIGHTS:
                table[f"spiral-{kind}", f"{w}-{m}"] = lambda w=w, m=m, kind=kind: spiral_task(w, m, kind)
            for tol in Mlp.TOLERANCES:
                table[f"mlp-{kind}", f"{tol}-{m}"] = lambda tol=tol, m=m, kind=kind: mlp_task(m, tol, kind)
    return table


if __name__ == "__main__":
    harness.main(ARGS, tasks())
