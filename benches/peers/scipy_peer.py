"""SciPy on workloads W4 (LSODA, BDF, Radau) and W6 (conjugate gradients)."""
import harness

ARGS = harness.start("scipy", ["scipy", "numpy"])

import numpy as np  # noqa: E402
import scipy.sparse.linalg as sla  # noqa: E402
from scipy.integrate import solve_ivp  # noqa: E402
from workloads import Brusselator, Poisson, Robertson, relative_error  # noqa: E402


def robertson(method):
    p = Robertson
    solve = lambda: solve_ivp(p.rhs, (0, p.T1), p.Y0, method=method, jac=p.jacobian, rtol=p.RTOL, atol=p.ATOL)

    def report():
        s = solve()
        error = np.abs(s.y[:, -1] - p.end()) / np.abs(p.end())
        return dict(nfe=s.nfev, accepted=len(s.t) - 1, err_rel=float(error.max()))

    return harness.Task(solve, report)


def brusselator(method):
    p, jacobian = Brusselator, Brusselator.jacobian()
    solve = lambda: solve_ivp(p.rhs, (0, p.T1), p.start(), method=method, jac=jacobian, rtol=p.RTOL, atol=p.ATOL)

    def report():
        s = solve()
        return dict(nfe=s.nfev, accepted=len(s.t) - 1, err_rel=relative_error(s.y[:, -1], p.end()))

    return harness.Task(solve, report)


def conjugate_gradients(name):
    a, b = Poisson.matrix(name), Poisson.rhs(name)

    def solve(callback=None):
        return sla.cg(a, b, rtol=Poisson.RTOL, atol=0.0, maxiter=5000, callback=callback)[0]

    def report():
        count = [0]
        x = solve(lambda _: count.__setitem__(0, count[0] + 1))
        return dict(iterations=count[0], err_rel=float(np.linalg.norm(b - a @ x) / np.linalg.norm(b)))

    return harness.Task(solve, report)


def tasks():
    table = {("robertson", m.lower()): lambda m=m: robertson(m) for m in ("LSODA", "BDF", "Radau")}
    table["brusselator", "bdf"] = lambda: brusselator("BDF")
    for name in Poisson.SIZES:
        table[name, "cg"] = lambda name=name: conjugate_gradients(name)
    return table


if __name__ == "__main__":
    harness.main(ARGS, tasks())
