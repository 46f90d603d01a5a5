"""Writes the reference tables data/kernels/{function}.csv.

Columns: x, the double nearest to f(x), and (f(x) − nearest)/ulp(nearest); computed in 120 digits by
mpmath, independent of the crate's code. Arguments spread over the whole range: every exponent,
the neighbourhoods of range-reduction boundaries, ends of overflow and underflow, subnormals.
Run: pip install mpmath && python3 data/kernels/make.py
"""
import math
import random
from pathlib import Path
from mpmath import mp, mpf, exp, expm1, log, log1p, sin, cos, tanh, erfc, sqrt, pi, nstr

mp.dps = 120
ONE = mpf(1)


def sigmoid(x):
    return 1 / (1 + exp(-x)) if x > 0 else exp(x) / (1 + exp(x))


def gelu(x):
    return x * erfc(-x / sqrt(mpf(2))) / 2


def tanh_exact(x):
    m = expm1(-2 * abs(x))
    return (1 if x > 0 else -1) * (-m / (2 + m))


FUNCTIONS = {
    "exp": (exp, (-746, 710), "real"),
    "exp2": (lambda x: exp(x * log(mpf(2))), (-1076, 1025), "real"),
    "ln": (log, (0, 0), "positive"),
    "log2": (lambda x: log(x) / log(mpf(2)), (0, 0), "positive"),
    "sin": (sin, (-1e9, 1e9), "trig"),
    "cos": (cos, (-1e9, 1e9), "trig"),
    "tanh": (tanh_exact, (-21, 21), "real"),
    "sigmoid": (sigmoid, (-746, 40), "real"),
    "silu": (lambda x: x * sigmoid(x), (-753, 40), "real"),
    "softplus": (lambda x: log1p(exp(x)) if x < 0 else x + log1p(exp(-x)), (-746, 40), "real"),
    "gelu": (gelu, (-39, 9), "real"),
}


def near(x, steps=2):
    out = [x]
    up = down = x
    for _ in range(steps):
        up, down = math.nextafter(up, math.inf), math.nextafter(down, -math.inf)
        out += [up, down]
    return out


def arguments(low, high, kind, rng):
    xs = []
    if kind == "positive":
        for e in range(-1074, 1024, 6):
            xs.append(math.ldexp(1 + rng.random(), e))
        for _ in range(200):
            xs.append(math.exp(rng.uniform(-1.5, 1.5)))
            xs.append(1 + math.copysign(2.0 ** rng.uniform(-52, -1), rng.random() - 0.5))
        for x in (1.0, 0.5, 2.0, math.sqrt(0.5), math.sqrt(2), math.e, 5e-324, 2.0**-1022, 1.7976931348623157e308):
            xs += near(x)
        return [x for x in xs if 0 < x < math.inf]
    for e in range(-1074, 10, 14):
        x = math.ldexp(1 + rng.random(), e)
        xs += [x, -x]
    for _ in range(200):
        xs.append(rng.uniform(low, high))
        xs.append(rng.uniform(-3, 3))
    if kind == "trig":
        for _ in range(150):
            xs.append(math.copysign(math.exp(rng.uniform(-2, math.log(1e9))), rng.random() - 0.5))
        for n in [*range(1, 40), *(rng.randrange(1, 4 * 10**8) for _ in range(60))]:
            xs += near(float(n * pi / 2), 1) + near(float((2 * n - 1) * pi / 4), 1)
        # The double nearest to a multiple of pi/2 among those in reach, and the bound itself.
        xs += [math.ldexp(1 + rng.random(), e) for e in range(30, 1024, 16)]
        xs += [6381956970095103 * 2.0**-23, 1e9, -1e9, math.nextafter(1e9, 2e9), 1e22, 6381956970095103 * 2.0**797]
        return xs
    for _ in range(150):
        xs.append(rng.uniform(-25, 25))
    for n in range(-40, 41, 4):
        xs += near(float((n + 0.5) * log(mpf(2))), 1)
        xs.append(float((n + 0.5) * log(mpf(2)) / 2))
    for n in range(int(low), int(low) + 45, 1):
        xs.append(n + rng.random())
    for x in (low, high, -708.3964185322641, 709.782712893384, -745.1332191019411, -1022.0, 1024.0, -1074.0, -1075.0, 0.8813735870195429):
        xs += near(float(x))
    return xs


def main():
    folder = Path(__file__).resolve().parent
    rng = random.Random(20260101)
    for name, (f, (low, high), kind) in FUNCTIONS.items():
        rows = ["x,nearest,rest_in_ulps"]
        for x in sorted(set(arguments(low, high, kind, rng))):
            if x == 0:
                continue
            value = f(mpf(x))
            top = float(value) if abs(value) < mpf(2) ** 1024 * (1 - mpf(2) ** -54) else math.copysign(math.inf, value)
            rest = value - mpf(top) if math.isfinite(top) else mpf(0)
            ulps = rest / mpf(math.ulp(top)) if rest else mpf(0)
            rows.append(f"{x!r},{top!r},{nstr(ulps, 3) if abs(ulps) > 0.001 else 0}")
        (folder / f"{name}.csv").write_text("\n".join(rows) + "\n")
        print(name, len(rows) - 1)


if __name__ == "__main__":
    main()
