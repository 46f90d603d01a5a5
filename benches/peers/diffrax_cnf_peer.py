"""W7 by Diffrax, jitted: one training iteration of a continuous normalising flow, exact trace, as Diffrax's own example.

The trace is that example's: the rows of the Jacobian by `jax.vjp` under `vmap` over unit vectors, under `vmap` over the
points; `one` solves the whole batch with one step size, `own` each point with its own.
"""
import harness

ARGS = harness.start("diffrax_cnf", ["jax", "jaxlib", "diffrax", "equinox"])

import diffrax  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from workloads import join, relative_error  # noqa: E402

jax.config.update("jax_enable_x64", True)
BATCH, WIDTH, TOLERANCE = 512, 64, 1e-5
LAYERS = [(3, WIDTH), (WIDTH + 1, WIDTH), (WIDTH + 1, WIDTH), (WIDTH + 1, 2)]


def wave(i):
    return np.sin(1.7 * i + np.sqrt(i))


def parameters():
    """(W (out, in), b) of each layer: 2 wave/sqrt(inputs) and 0.1 wave, numbered from 1 on."""
    blocks, at = [], 1
    for inputs, outputs in LAYERS:
        n = inputs * outputs
        blocks.append((2 / np.sqrt(inputs) * wave(np.arange(at, at + n, dtype=float))).reshape(outputs, inputs))
        blocks.append(0.1 * wave(np.arange(at + n, at + n + outputs, dtype=float)))
        at += n + outputs
    return blocks


def points():
    return 2 * wave(np.arange(2 * BATCH, dtype=float) + 100_000).reshape(BATCH, 2)


def field(t, z, p):
    for i in range(0, len(p), 2):
        z = p[i] @ jnp.append(z, t.astype(z.dtype)) + p[i + 1]
        z = jnp.tanh(z) if i + 2 < len(p) else z
    return z


def with_trace(t, y, p):
    """(N, tr dN/dz) of one point."""
    f, vjp = jax.vjp(lambda z: field(t, z, p), y[0])
    (jacobian,) = jax.vmap(vjp)(jnp.eye(2, dtype=f.dtype))
    return f, jnp.trace(jacobian)


def ends(p, x, own, tolerance):
    batched = jax.vmap(with_trace, in_axes=(None, 0, None))

    def solve(rhs, x, zeros):
        s = diffrax.diffeqsolve(
            diffrax.ODETerm(rhs), diffrax.Tsit5(), 0.0, 1.0, None, (x, zeros), args=p, max_steps=4096,
            stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
            adjoint=diffrax.RecursiveCheckpointAdjoint())
        return s.ys[0][-1], s.ys[1][-1], s.stats["num_steps"], s.stats["num_accepted_steps"]

    zeros = jnp.zeros(len(x), x.dtype)
    return jax.vmap(lambda x, l: solve(with_trace, x, l))(x, zeros) if own else solve(batched, x, zeros)


def loss(p, x, own, tolerance):
    z, l, *n = ends(p, x, own, tolerance)
    return jnp.mean(0.5 * jnp.sum(z**2, 1) + jnp.log(2 * jnp.pi) - l), n


def adam(p, g, state, rate=1e-3, b1=0.9, b2=0.999, eps=1e-8):
    n, m, v = state
    n = n + 1
    m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, g)
    v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, v, g)
    step = lambda p, m, v: p - rate * (m / (1 - b1**n)) / (jnp.sqrt(v / (1 - b2**n)) + eps)
    return jax.tree.map(step, p, m, v), (n, m, v)


def iteration(own):
    with jax.enable_x64(True):
        exact = jax.jit(jax.grad(lambda p, x: loss(p, x, False, 1e-10)[0]))
        reference = join(exact([jnp.asarray(b) for b in parameters()], jnp.asarray(points())))
    with jax.enable_x64(False):
        p = [jnp.asarray(b, jnp.float32) for b in parameters()]
        x = jnp.asarray(points(), jnp.float32)
        zeros = [jnp.zeros_like(b) for b in p]
        state = (jnp.float32(0), zeros, zeros)

        @jax.jit
        def step(p, state, x):
            (value, n), g = jax.value_and_grad(lambda p: loss(p, x, own, TOLERANCE), has_aux=True)(p)
            return *adam(p, g, state), value, n, g

    def call():
        with jax.enable_x64(False):
            return jax.block_until_ready(step(p, state, x))

    def report():
        _, _, value, (steps, accepted), g = call()
        steps, accepted = float(jnp.mean(steps)), float(jnp.mean(accepted))
        return dict(nfe=6 * steps + 1, accepted=accepted, rejected=steps - accepted, loss=float(value),
                    grad_rel_err=relative_error(join(g), reference))

    return harness.Task(call, report)


if __name__ == "__main__":
    harness.main(ARGS, {("cnf-iteration", "one"): lambda: iteration(False), ("cnf-iteration", "own"): lambda: iteration(True)})
