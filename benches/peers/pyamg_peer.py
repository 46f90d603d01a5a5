"""PyAMG on workload W6: set-up and solve timed together."""
import harness

ARGS = harness.start("pyamg", ["pyamg", "scipy", "numpy"])

import numpy as np  # noqa: E402
import pyamg  # noqa: E402
from workloads import Poisson  # noqa: E402

SETUPS = {"rs": pyamg.ruge_stuben_solver, "sa": pyamg.smoothed_aggregation_solver}


def poisson(name, setup, accel):
    a, b = Poisson.matrix(name), Poisson.rhs(name)

    def solve():
        residuals = []
        hierarchy = SETUPS[setup](a)
        x = hierarchy.solve(b, tol=Poisson.RTOL, residuals=residuals, accel=accel, maxiter=100)
        return x, len(residuals) - 1

    def report():
        x, iterations = solve()
        return dict(iterations=iterations, err_rel=float(np.linalg.norm(b - a @ x) / np.linalg.norm(b)))

    return harness.Task(solve, report)


def tasks():
    kinds = [(s, a) for s in SETUPS for a in (None, "cg")]
    return {
        (name, setup + ("-cg" if accel else "")): lambda n=name, s=setup, a=accel: poisson(n, s, a)
        for name in Poisson.SIZES
        for setup, accel in kinds
    }


if __name__ == "__main__":
    harness.main(ARGS, tasks())
