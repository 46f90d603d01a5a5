"""Reference solutions of stiff problems by Radau IIA collocation in 40-digit arithmetic.

    pip install mpmath && python data/reference/stiff.py [NAME ...]     # half an hour for all

Every step is taken once whole and once in two halves; their difference controls the step. A file is
written only if a second run with fewer stages and a looser tolerance agrees to 1e-15 (relative to the
larger of the component and 1e-10). They agree with the published values to 13 digits (Mazzia & Magherini,
Test Set for IVP Solvers): Robertson at t = 1e11, (0.2083340149701255e-7, 0.8333360770334713e-13,
0.9999999791665050), and van der Pol, mu = 1e3, at t = 2000, (1.706167732170469, -0.8928097010248125e-3).
"""

import sys
import time as clock
from pathlib import Path

import mpmath as mp

HERE = Path(__file__).parent


def robertson(u):
    a, b, c = u
    slow, fast, pair = mp.mpf("0.04") * a, 10000 * b * c, 30000000 * b * b
    f = [fast - slow, slow - fast - pair, pair]
    k1 = mp.mpf("0.04")
    jac = [[-k1, 10000 * c, 10000 * b], [k1, -10000 * c - 60000000 * b, -10000 * b], [0, 60000000 * b, 0]]
    return f, jac


def van_der_pol(mu):
    def rhs(u):
        x, v = u
        return [v, mu * (1 - x * x) * v - x], [[0, 1], [-2 * mu * x * v - 1, mu * (1 - x * x)]]
    return rhs


def orego(u):
    a, b, c = u
    s, w, q = mp.mpf("77.27"), mp.mpf("0.161"), mp.mpf("8.375e-6")
    f = [s * (b + a * (1 - q * a - b)), (c - (1 + a) * b) / s, w * (a - c)]
    jac = [[s * (1 - 2 * q * a - b), s * (1 - a), 0], [-b / s, -(1 + a) / s, 1 / s], [w, 0, -w]]
    return f, jac


PROBLEMS = {
    "robertson": ("Robertson; k = (0.04, 3e7, 1e4)", robertson, [1, 0, 0], ["0.4", "40", "4e3", "1e5", "4e7", "1e11"]),
    "van_der_pol_1000": ("van der Pol; x' = y, y' = mu (1 - x^2) y - x; mu = 1000", van_der_pol(1000), [2, 0], ["1", "500", "1000", "2000"]),
    "van_der_pol_1e6": ("van der Pol; x' = y, y' = mu (1 - x^2) y - x; mu = 1e6", van_der_pol(1000000), [2, 0], ["1", "5e5", "1e6", "2e6"]),
    "orego": ("OREGO (Hairer & Wanner II, IV.10)", orego, [1, 2, 3], ["30", "180", "360"]),
}


def tableau(s):
    """Abscissae and matrix of Radau IIA with s stages (Hairer & Wanner II, IV.5)."""
    # Zeros of d^(s-1)/dx^(s-1) [x^(s-1) (x-1)^s]: coefficients of x^(k + s - 1), differentiated s-1 times.
    coeffs = []
    for k in range(s, -1, -1):
        falling = mp.mpf(1)
        for j in range(s - 1):
            falling *= k + s - 1 - j
        coeffs.append(mp.binomial(s, k) * (-1) ** (s - k) * falling)
    c = sorted(mp.polyroots(coeffs, maxsteps=500, extraprec=400), key=lambda z: z.real)
    c = [mp.re(z) for z in c]
    c[-1] = mp.mpf(1)
    vandermonde = mp.matrix(s, s)
    right = mp.matrix(s, s)
    for i in range(s):
        for k in range(s):
            vandermonde[i, k] = c[i] ** k
            right[i, k] = c[i] ** (k + 1) / (k + 1)
    a = right * vandermonde ** -1
    return c, [[a[i, j] for j in range(s)] for i in range(s)]


def solve_linear(m, b):
    """Gaussian elimination with partial pivoting, in place."""
    n = len(b)
    for i in range(n):
        p = max(range(i, n), key=lambda r: abs(m[r][i]))
        m[i], m[p], b[i], b[p] = m[p], m[i], b[p], b[i]
        for r in range(i + 1, n):
            if m[r][i] != 0:
                factor = m[r][i] / m[i][i]
                row, pivot = m[r], m[i]
                for k in range(i + 1, n):
                    row[k] -= factor * pivot[k]
                b[r] -= factor * b[i]
    for i in range(n - 1, -1, -1):
        b[i] = (b[i] - sum(m[i][k] * b[k] for k in range(i + 1, n))) / m[i][i]
    return b


def step(rhs, a, y, h, tol):
    """One step by Newton's method on the stage increments; None when it does not converge."""
    s, n = len(a), len(y)
    z = [mp.mpf(0)] * (s * n)
    last = mp.inf
    for _ in range(20):
        values = [rhs([y[i] + z[j * n + i] for i in range(n)]) for j in range(s)]
        m = [[mp.mpf(0)] * (s * n) for _ in range(s * n)]
        b = []
        for i in range(s):
            for p in range(n):
                row = m[i * n + p]
                for j in range(s):
                    for q in range(n):
                        row[j * n + q] = -h * a[i][j] * values[j][1][p][q]
                row[i * n + p] += 1
                b.append(h * sum(a[i][j] * values[j][0][p] for j in range(s)) - z[i * n + p])
        delta = solve_linear(m, b)
        z = [u + v for u, v in zip(z, delta)]
        size = max(abs(v) / max(abs(y[k % n]), mp.mpf(10) ** -10) for k, v in enumerate(delta))
        if size < tol:
            return [y[i] + z[(s - 1) * n + i] for i in range(n)]
        if size > last and size > 1:
            return None
        last = size
    return None


def solve(rhs, y0, times, stages, tol):
    _, a = tableau(stages)
    t, y, h, rows, taken = mp.mpf(0), [mp.mpf(v) for v in y0], mp.mpf(10) ** -6, [], 0
    for end in map(mp.mpf, times):
        while t < end:
            clipped = h >= end - t
            size = end - t if clipped else h
            whole = step(rhs, a, y, size, tol)
            half = step(rhs, a, y, size / 2, tol) if whole else None
            fine = step(rhs, a, half, size / 2, tol) if half else None
            if fine is None:
                h = size / 4
                continue
            error = max(abs(u - v) / max(abs(v), mp.mpf(10) ** -10) for u, v in zip(whole, fine))
            factor = min(mp.mpf(5), max(mp.mpf("0.2"), mp.mpf("0.8") * (tol / (error + tol / 10**9)) ** (mp.mpf(1) / (2 * stages))))
            if error <= tol:
                t, y, taken = (end if clipped else t + size), fine, taken + 1
                h = max(h, size * factor) if clipped else size * factor
            else:
                h = size * factor
        rows.append(list(y))
    return rows, taken


def make(name):
    start = clock.time()
    mp.mp.dps = 40
    title, rhs, y0, times = PROBLEMS[name]
    fine, taken = solve(rhs, y0, times, 7, mp.mpf(10) ** -21)
    coarse, _ = solve(rhs, y0, times, 6, mp.mpf(10) ** -18)
    floor = mp.mpf(10) ** -10
    difference = max(abs(u - v) / max(abs(u), floor) for p, q in zip(fine, coarse) for u, v in zip(p, q))
    if difference > mp.mpf(10) ** -15:
        raise SystemExit(f"{name}: the two runs differ by {mp.nstr(difference, 3)}; nothing written")
    lines = [f"# problem: {title}", f"# method: Radau IIA, 7 stages, 40 digits, {taken} steps (stiff.py)",
             f"# differs from 6 stages at a looser tolerance by at most {mp.nstr(difference, 2)}",
             ",".join(["t"] + [f"y{i + 1}" for i in range(len(y0))]),
             ",".join(["0.0"] + [repr(float(v)) for v in y0])]
    for t, row in zip(times, fine):
        lines.append(",".join([repr(float(t))] + [mp.nstr(v, 20, min_fixed=-3, max_fixed=6) for v in row]))
    path = HERE / f"{name}.csv"
    path.with_suffix(".tmp").write_text("\n".join(lines) + "\n")
    path.with_suffix(".tmp").replace(path)
    print(f"{name}: {clock.time() - start:.0f} s, {taken} steps, {mp.nstr(difference, 2)}", flush=True)


if __name__ == "__main__":
    for name in sys.argv[1:] or PROBLEMS:
        if name not in PROBLEMS:
            raise SystemExit(f"unknown problem {name}; one of {', '.join(PROBLEMS)}")
        make(name)
