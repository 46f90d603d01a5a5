"""Reference solutions of classic initial value problems, written as `NAME.csv` beside this script.

    pip install mpmath gmpy2 && python data/reference/make_reference.py [NAME ...]

Each problem is solved twice by Taylor series (taylor.py), with 40 digits at order 30 and with 50 digits at order 40; the
file is written only where the two agree to 1e-20 relative to max(1, |y|).  Where a closed form exists it is compared as
well.  Parameters and initial values are the exact decimals of the publications; output times are the f64 numbers a
program would use, except where the period itself is given to 30 digits.
"""
import pathlib
import sys
import time as clock

import mpmath as mp

from taylor import cos_of_time, solve

# Start values are computed when the table below is built: well above either run's precision.
mp.mp.dps = 60

HERE = pathlib.Path(__file__).resolve().parent
DIGITS = 20


def linspace(t0, t1, n):
    """The n times numpy.linspace gives, as exact values of those f64 numbers."""
    step = (t1 - t0) / (n - 1)
    return [t0 + i * step for i in range(n - 1)] + [float(t1)]


def lorenz(t, u):
    x, y, z = u
    return 10 * (y - x), x * (28 - z) - y, x * y - z * (mp.mpf(8) / 3)


def arenstorf(t, u):
    mu = mp.mpf("0.012277471")
    x, y, dx, dy = u
    earth, moon = x + mu, x - (1 - mu)
    d1 = (earth**2 + y**2) ** mp.mpf("-1.5") * (1 - mu)
    d2 = (moon**2 + y**2) ** mp.mpf("-1.5") * mu
    return dx, dy, x + 2 * dy - earth * d1 - moon * d2, y - 2 * dx - y * d1 - y * d2


def pleiades(t, u):
    x, y, velocity = u[:7], u[7:14], u[14:]
    ax, ay = [0] * 7, [0] * 7
    for i in range(7):
        for j in range(i):
            dx, dy = x[j] - x[i], y[j] - y[i]
            cube = (dx**2 + dy**2) ** mp.mpf("-1.5")
            fx, fy = dx * cube, dy * cube
            # Masses are 1..7.
            ax[i], ay[i] = fx * (j + 1) + ax[i], fy * (j + 1) + ay[i]
            ax[j], ay[j] = ax[j] - fx * (i + 1), ay[j] - fy * (i + 1)
    return *velocity, *ax, *ay


def van_der_pol(mu):
    return lambda t, u: (u[1], mu * ((1 - u[0] ** 2) * u[1]) - u[0])


def kepler(t, u):
    x, y, dx, dy = u
    cube = (x**2 + y**2) ** mp.mpf("-1.5")
    return dx, dy, -(x * cube), -(y * cube)


def kepler_start(e):
    e = mp.mpf(e)
    return [1 - e, 0, 0, mp.sqrt((1 + e) / (1 - e))]


def kepler_exact(e):
    def at(t):
        e_ = mp.mpf(e)
        angle = mp.findroot(lambda a: a - e_ * mp.sin(a) - t, t)
        root, rate = mp.sqrt(1 - e_**2), 1 / (1 - e_ * mp.cos(angle))
        return [mp.cos(angle) - e_, root * mp.sin(angle), -mp.sin(angle) * rate, root * mp.cos(angle) * rate]

    return at


def spiral(t, u):
    x, y = u[0] ** 3, u[1] ** 3
    return mp.mpf("-0.1") * x - 2 * y, 2 * x - mp.mpf("0.1") * y


def lotka_volterra(t, u):
    x, y = u
    xy = x * y
    return mp.mpf("1.5") * x - xy, xy - 3 * y


def decay_chain(t, u):
    return (-u[0], *(u[i - 1] - u[i] for i in range(1, 9)), u[8] * 1)


def decay_chain_exact(t):
    poisson = [mp.exp(-t) * mp.mpf(t) ** i / mp.factorial(i) for i in range(9)]
    return [*poisson, 1 - mp.fsum(poisson)]


PERIOD = "17.0652165601579625588917206249"
UNIT = [0, 5, 10, 15, 20]
# name: (title with parameters, right-hand side, y0, times, exact solution or None)
PROBLEMS = {
    "lorenz": (
        "Lorenz 1963; x' = s (y - x), y' = x (r - z) - y, z' = x y - b z; s = 10, r = 28, b = 8/3",
        lorenz, [1, 1, 1], [0, 1, 2, 5, 10], None),
    "arenstorf": (
        "Arenstorf orbit (Hairer, Norsett & Wanner I, II.0); restricted three bodies, state x, y, x', y'; mu = 0.012277471; the last time is the period",
        arenstorf, ["0.994", 0, 0, "-2.00158510637908252240537862224"], [0, 4, 8, 12, 16, PERIOD], None),
    "pleiades": (
        "Pleiades (Hairer, Norsett & Wanner I, II.10); seven bodies in the plane, masses 1..7, state x1..x7, y1..y7, x1'..x7', y1'..y7'",
        pleiades,
        [3, 3, -1, -3, 2, -2, 2, 3, -3, 2, 0, 0, -4, 4, 0, 0, 0, 0, 0, "1.75", "-1.5", 0, 0, 0, "-1.25", 1, 0, 0],
        [0, 1, 2, 3], None),
    "van_der_pol_5": (
        "van der Pol; x' = y, y' = mu (1 - x^2) y - x; mu = 5",
        van_der_pol(5), [2, 0], [0, 2, 4, 6, 8, 10], None),
    "kepler": (
        "Kepler, eccentricity 0.6; state x, y, x', y'; x'' = -x / r^3, y'' = -y / r^3; y'(0) = sqrt((1 + e) / (1 - e)) = 2",
        kepler, kepler_start("0.6"), [0, 5, 10, 15, 20], kepler_exact("0.6")),
    "spiral": (
        "Cubic spiral; x' = -0.1 x^3 - 2 y^3, y' = 2 x^3 - 0.1 y^3; 30 equally spaced times in [0, 1.5]",
        spiral, [2, 0], linspace(0, 1.5, 30), None),
    "lotka_volterra": (
        "Lotka-Volterra; x' = a x - b x y, y' = d x y - c y; a = 1.5, b = 1, c = 3, d = 1",
        lotka_volterra, [1, 1], linspace(0, 10, 11), None),
    "detest_a3": (
        "DETEST A3 (Hull, Enright, Fellen & Sedgwick 1972); y' = y cos t",
        lambda t, u: (u[0] * cos_of_time(t),), [1], UNIT, lambda t: [mp.exp(mp.sin(t))]),
    "detest_a4": (
        "DETEST A4; y' = y / 4 (1 - y / 20)",
        lambda t, u: ((u[0] - u[0] ** 2 * mp.mpf("0.05")) * mp.mpf("0.25"),), [1], UNIT,
        lambda t: [20 / (1 + 19 * mp.exp(-mp.mpf(t) / 4))]),
    "detest_a5": (
        "DETEST A5; y' = (y - t) / (y + t)",
        lambda t, u: ((u[0] - t) / (u[0] + t),), [4], UNIT, None),
    "detest_b1": (
        "DETEST B1; x' = 2 (x - x y), y' = -(y - x y)",
        lambda t, u: (2 * (u[0] - u[0] * u[1]), u[0] * u[1] - u[1]), [1, 3], UNIT, None),
    "detest_c1": (
        "DETEST C1, a radioactive decay chain; y1' = -y1, yi' = y(i-1) - yi for i = 2..9, y10' = y9",
        decay_chain, [1] + [0] * 9, UNIT, decay_chain_exact),
    "detest_d5": (
        "DETEST D5, the two-body orbit with eccentricity 0.9; state x, y, x', y'; y'(0) = sqrt((1 + e) / (1 - e))",
        kepler, kepler_start("0.9"), UNIT, kepler_exact("0.9")),
    "detest_e2": (
        "DETEST E2, van der Pol with mu = 1; x' = y, y' = (1 - x^2) y - x",
        van_der_pol(1), [2, 0], UNIT, None),
}


def largest_difference(rows, others):
    """Largest componentwise difference relative to max(1, |y|) of its row."""
    return max(abs(a - b) / max([1] + [abs(v) for v in row]) for row, other in zip(rows, others) for a, b in zip(row, other))


def text(value):
    return value if isinstance(value, str) else mp.nstr(value, DIGITS, strip_zeros=False, min_fixed=-3, max_fixed=6)


def make(name):
    start = clock.time()
    title, rhs, y0, times, exact = PROBLEMS[name]
    mp.mp.dps = 40
    coarse = solve(rhs, y0, times, 30, mp.mpf(10) ** -32)
    mp.mp.dps = 50
    fine = solve(rhs, y0, times, 40, mp.mpf(10) ** -42)
    witnesses = {"the same at 40 digits and order 30": largest_difference(fine, coarse)}
    if exact is not None:
        witnesses["closed form"] = largest_difference(fine, [exact(mp.mpf(t)) for t in times])
    for witness, difference in witnesses.items():
        if difference > mp.mpf(10) ** -20:
            raise SystemExit(f"{name}: differs from {witness} by {mp.nstr(difference, 3)}; nothing written")
    lines = [f"# problem: {title}", "# method: Taylor series, 50 digits, order 40 (make_reference.py)"]
    lines += [f"# differs from {witness} by at most {mp.nstr(difference, 2)}" for witness, difference in witnesses.items()]
    lines.append(",".join(["t"] + [f"y{i + 1}" for i in range(len(y0))]))
    for t, row in zip(times, fine):
        lines.append(",".join([t if isinstance(t, str) else repr(float(t))] + [text(v) for v in row]))
    path = HERE / f"{name}.csv"
    path.with_suffix(".tmp").write_text("\n".join(lines) + "\n")
    path.with_suffix(".tmp").replace(path)
    print(f"{name}: {clock.time() - start:.1f} s, " + ", ".join(f"{w} {mp.nstr(d, 2)}" for w, d in witnesses.items()), flush=True)


if __name__ == "__main__":
    for name in sys.argv[1:] or PROBLEMS:
        if name not in PROBLEMS:
            raise SystemExit(f"unknown problem {name}; one of {', '.join(PROBLEMS)}")
        make(name)
