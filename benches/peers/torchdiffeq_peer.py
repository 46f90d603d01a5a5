"""W1-W3 by torchdiffeq (dopri5, the whole batch on one step size); gradients by backpropagation through the solver."""
import harness

ARGS = harness.start("torchdiffeq", ["torch", "torchdiffeq"])

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torchdiffeq import odeint, odeint_adjoint  # noqa: E402
from workloads import Lorenz, Mlp, Spiral, join, max_error, relative_error  # noqa: E402

torch.set_num_threads(ARGS.threads)
SOLVERS = {"gradient": odeint, "backsolve": odeint_adjoint}


class Counted(torch.nn.Module):
    """Counts its evaluations."""

    def __init__(self):
        super().__init__()
        self.nfe = 0

    def forward(self, t, y):
        self.nfe += 1
        return self.rhs(t, y)


class LorenzRhs(Counted):
    def __init__(self, rho):
        super().__init__()
        self.rho = rho

    def rhs(self, t, u):
        x, y, z = u.unbind(-1)
        return torch.stack([Lorenz.SIGMA * (y - x), x * (self.rho - z) - y, x * y - Lorenz.BETA * z], -1)


class TwoLayers(Counted):
    """Two linear layers from NumPy blocks W1, b1, W2, b2, in their precision."""

    def __init__(self, blocks):
        super().__init__()
        self.first, self.second = map(self.linear, (blocks[:2], blocks[2:]))

    @staticmethod
    def linear(block):
        weight, bias = map(torch.as_tensor, block)
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0], dtype=weight.dtype)
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
        return layer


class SpiralRhs(TwoLayers):
    def rhs(self, t, y):
        return self.second(torch.tanh(self.first(y**3)))


class MlpRhs(TwoLayers):
    def rhs(self, t, x):
        time = t.to(x.dtype).expand(x.shape[0], 1)
        h = torch.tanh(self.first(torch.cat([x, time], 1)))
        return torch.tanh(self.second(torch.cat([h, time], 1)))


def forward_task(f, y0, times, rtol, atol, error):
    """Solve without gradients; `error` maps the outputs (times, ...) to facts."""

    def call():
        with torch.no_grad():
            return odeint(f, y0, times, rtol=rtol, atol=atol, method="dopri5")

    def report():
        f.nfe = 0
        outputs = call().numpy()
        return dict(nfe=f.nfe, **error(outputs))

    return harness.Task(call, report)


def gradient_task(f, y0, times, rtol, atol, loss, reference, solver=odeint):
    parameters = list(f.parameters())

    def call():
        value = loss(solver(f, y0, times, rtol=rtol, atol=atol, method="dopri5"))
        return value, torch.autograd.grad(value, parameters)

    def report():
        f.nfe = 0
        value, gradient = call()
        return dict(nfe=f.nfe, loss=value.item(), grad_rel_err=relative_error(join(gradient), reference))

    return harness.Task(call, report)


def lorenz(rho, y0, end):
    rho = torch.as_tensor(rho, dtype=torch.float64)
    times = torch.tensor([0.0, Lorenz.T1], dtype=torch.float64)
    error = lambda outputs: dict(err_max=max_error(outputs[-1], end))
    return forward_task(LorenzRhs(rho), y0, times, Lorenz.TOLERANCE, Lorenz.TOLERANCE, error)


def lorenz_single():
    return lorenz(Lorenz.RHO, torch.ones(3, dtype=torch.float64), Lorenz.single_end())


def lorenz_ensemble():
    return lorenz(Lorenz.RHOS, torch.ones(Lorenz.RHOS.size, 3, dtype=torch.float64), Lorenz.ensemble_end())


def spiral(weights, kind):
    f = SpiralRhs(Spiral.parameters(weights))
    y0, truth = map(torch.as_tensor, Spiral.data())
    settings = (f, y0, torch.as_tensor(Spiral.TIMES), Spiral.RTOL, Spiral.ATOL)
    if kind != "forward":
        return gradient_task(*settings, lambda ys: (ys - truth).abs().mean(), Spiral.gradient(weights), SOLVERS[kind])
    reference = Spiral.outputs(weights)
    return forward_task(*settings, lambda ys: dict(err_max=max_error(ys, reference)))


def mlp(tolerance, kind):
    f, x0 = MlpRhs(Mlp.parameters()), torch.as_tensor(Mlp.x0())
    settings = (f, x0, torch.tensor([0.0, 1.0]), float(tolerance), float(tolerance))
    if kind != "forward":
        return gradient_task(*settings, lambda ys: (ys[-1] ** 2).sum(), Mlp.gradient(), SOLVERS[kind])
    end = Mlp.end()
    return forward_task(*settings, lambda ys: dict(err_max=max_error(ys[-1], end)))


def mlp_rhs():
    f, x, t = MlpRhs(Mlp.parameters()), torch.as_tensor(Mlp.x0()), torch.tensor(Mlp.T_EVAL)

    def call():
        with torch.no_grad():
            return f(t, x)

    exact, weights = Mlp.in_f64()
    return harness.Task(call, lambda: dict(nfe=1, err_max=max_error(call(), Mlp.rhs(Mlp.T_EVAL, exact, weights))))


def mlp_vjp():
    f, t = MlpRhs(Mlp.parameters()), torch.tensor(Mlp.T_EVAL)
    x = torch.as_tensor(Mlp.x0()).requires_grad_(True)
    x_bar = x.detach().clone()
    inputs = [x, *f.parameters()]
    call = lambda: torch.autograd.grad(f(t, x), inputs, x_bar)

    def report():
        exact, weights = Mlp.in_f64()
        _, state, parameters = Mlp.vjp(Mlp.T_EVAL, exact, weights, exact)
        return dict(nfe=1, grad_rel_err=relative_error(join(call()), np.concatenate([state.ravel(), parameters])))

    return harness.Task(call, report)


def tasks():
    """(workload, variant) -> build."""
    table = {
        ("lorenz-single", "dopri5"): lorenz_single,
        ("lorenz-ensemble", "shared-dopri5"): lorenz_ensemble,
        ("mlp-rhs", ""): mlp_rhs,
        ("mlp-vjp", ""): mlp_vjp,
    }
    for kind in ("forward", *SOLVERS):
        for w in Spiral.WEIGHTS:
            table[f"spiral-{kind}", f"{w}-dopri5"] = lambda w=w, kind=kind: spiral(w, kind)
        for tol in Mlp.TOLERANCES:
            table[f"mlp-{kind}", f"{tol}-dopri5"] = lambda tol=tol, kind=kind: mlp(tol, kind)
    return table


if __name__ == "__main__":
    harness.main(ARGS, tasks())
