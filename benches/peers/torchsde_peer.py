"""W5 by torchsde: geometric Brownian motion and the gradient of a neural SDE, its whole batch on one step."""
import harness

ARGS = harness.start("torchsde", ["torch", "torchsde"])

import torch  # noqa: E402
import torchsde  # noqa: E402
from sde_data import DT, MU, PATHS, SIGMA, network, strong_error  # noqa: E402

torch.set_num_threads(ARGS.threads)
TIMES = torch.tensor([0.0, 1.0])


class Gbm(torch.nn.Module):
    noise_type, sde_type = "diagonal", "ito"

    def __init__(self):
        super().__init__()
        self.nfe = 0

    def f(self, t, x):
        self.nfe += 1
        return MU * x

    def g(self, t, x):
        return SIGMA * x


def gbm(method, adaptive):
    """Fixed steps, or adaptive ones at 1e-3."""
    start = torch.ones(PATHS, 1, dtype=torch.float64)
    levy = "space-time" if method == "srk" else "none"
    how = dict(adaptive=True, rtol=1e-3, atol=1e-3) if adaptive else {}

    def run(sde):
        grid = {} if adaptive else dict(dt=DT)
        noise = torchsde.BrownianInterval(
            0.0, 1.0, size=(PATHS, 1), dtype=torch.float64, levy_area_approximation=levy, **grid)
        with torch.no_grad():
            return torchsde.sdeint(sde, start, TIMES, bm=noise, method=method, dt=DT, **how)[-1], noise

    def report():
        sde = Gbm()
        x, noise = run(sde)
        w = noise(0.0, 1.0)
        return dict(nfe=sde.nfe, **strong_error(x, w[0] if isinstance(w, tuple) else w))

    sde = Gbm()
    return harness.Task(lambda: run(sde), report)


class Neural(torch.nn.Module):
    noise_type, sde_type = "diagonal", "stratonovich"

    def __init__(self, drift, diffusion):
        super().__init__()
        self.drift, self.diffusion = map(self.layers, (drift, diffusion))

    @staticmethod
    def layers(blocks):
        made = torch.nn.Sequential(torch.nn.Linear(2, 64), torch.nn.Tanh(), torch.nn.Linear(64, 2)).double()
        for parameter, block in zip(made.parameters(), blocks):
            parameter.data = torch.as_tensor(block).clone()
        return made

    def f(self, t, y):
        return self.drift(y)

    def g(self, t, y):
        return self.diffusion(y)


def neural(gradient):
    """Reversible Heun; `gradient`: none, by backpropagation ("direct") or its exact adjoint ("adjoint")."""
    drift, diffusion, y0 = network()
    sde, start = Neural(drift, diffusion), torch.as_tensor(y0)
    solve = torchsde.sdeint_adjoint if gradient == "adjoint" else torchsde.sdeint
    how = dict(adjoint_method="adjoint_reversible_heun") if gradient == "adjoint" else {}

    def call():
        if not gradient:
            with torch.no_grad():
                return torchsde.sdeint(sde, start, TIMES, method="reversible_heun", dt=DT)[-1]
        for parameter in sde.parameters():
            parameter.grad = None
        loss = (solve(sde, start, TIMES, method="reversible_heun", dt=DT, **how)[-1] ** 2).mean()
        loss.backward()
        return loss

    return harness.Task(call, lambda: dict(loss=float(call().detach())) if gradient else {})


def tasks():
    """(workload, variant) -> build."""
    return {
        ("gbm-euler", ""): lambda: gbm("euler", False),
        ("gbm-adaptive", "srk"): lambda: gbm("srk", True),
        ("nsde-forward", ""): lambda: neural(None),
        ("nsde-gradient", "direct"): lambda: neural("direct"),
        ("nsde-gradient", "adjoint"): lambda: neural("adjoint"),
    }


if __name__ == "__main__":
    harness.main(ARGS, tasks())
