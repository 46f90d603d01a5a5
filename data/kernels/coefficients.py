"""Writes src/num/kernels/coefficients.rs: polynomial coefficients and split constants.

Every polynomial interpolates its function at the Chebyshev nodes of the reduced interval in 60
digits; the degree is the smallest whose error is below a hundredth of an ulp (unit roundoff; Mills 4/100)
where it matters. Run: pip install mpmath && python3 data/kernels/coefficients.py
"""
import struct
from pathlib import Path
from mpmath import mp, mpf, cos, sin, exp, log, sqrt, pi, erfc, matrix, lu_solve, linspace, polyval, nstr

mp.dps = 60
LN2 = log(mpf(2))


def f32(x):
    return struct.unpack("f", struct.pack("f", float(x)))[0]


def text32(x):
    v = f32(x)
    return next(t for n in range(1, 18) if f32(float(t := f"{v:.{n}g}")) == v)


def show(x, kind):
    t = repr(float(x)) if kind == "f64" else text32(x)
    return t if any(c in t for c in ".en") else t + ".0"


def fit(f, lo, hi, degree):
    n = degree + 1
    nodes = [(lo + hi) / 2 + (hi - lo) / 2 * cos(pi * (2 * i + 1) / (2 * n)) for i in range(n)]
    a = matrix(n, n)
    for i, x in enumerate(nodes):
        for j in range(n):
            a[i, j] = x**j
    c = lu_solve(a, matrix([f(x) for x in nodes]))
    return [c[i] for i in range(n)]


def series(f, lo, hi, weight, tolerance):
    """Smallest degree whose weighted error is below the tolerance."""
    lo, hi = mpf(lo), mpf(hi)
    points = [x for x in linspace(lo, hi, 200) if abs(x) > 1e-9]
    for degree in range(2, 30):
        c = fit(f, lo, hi, degree)
        e = max(abs((polyval(c[::-1], x) - f(x)) * weight(x)) for x in points)
        if e < tolerance:
            return c, e
    raise ValueError("no degree reaches the tolerance")


def split(x, kind, parts):
    out = []
    for _ in range(parts):
        v = mpf(float(x)) if kind == "f64" else mpf(f32(x))
        out.append(v)
        x = x - v
    return out


def top(x, bits):
    """x cut to its leading bits."""
    m, e = mp.frexp(x)
    return mp.ldexp(mp.floor(mp.ldexp(m, bits)), int(e) - bits)


def taylor(c, x, start, step):
    """sum of c(k) x^(step*(k-start)), k >= start, near x = 0, where closed forms cancel."""
    total, k = mpf(0), start
    while k < start + 40:
        total += c(k) * x ** (k - start)
        k += 1
    return total


def exp2_tail(x):
    return taylor(lambda k: LN2**k / mp.factorial(k), x, 2, 1)


def exp_tail(x):
    return taylor(lambda k: 1 / mp.factorial(k), x, 2, 1)


def sin_tail(z):
    return taylor(lambda k: (-1) ** k / mp.factorial(2 * k + 1), z, 1, 1)


def cos_tail(z):
    return taylor(lambda k: (-1) ** k / mp.factorial(2 * k), z, 2, 1)


def log_tail(w):  # ln((2+S)/(2-S)) = S + S w P(w), w = S^2
    return taylor(lambda k: 1 / (mpf(4) ** k * (2 * k + 1)), w, 1, 1)


def mills(u):  # (t + 4) Phi(-t) / exp(-t^2/2), u = (t - 4) / (t + 4)
    t = 4 * (1 + u) / (1 - u)
    return (t + 4) * erfc(t / sqrt(mpf(2))) / 2 * exp(t * t / 2)


def table(kind):
    ulp = mpf(2) ** (-53 if kind == "f64" else -24)
    tol = ulp / 100
    reach = mpf(40) if kind == "f64" else mpf(15)
    half = LN2 / 2 * mpf("1.001")
    quarter = pi / 4 * mpf("1.001")
    w = (2 * (sqrt(mpf(2)) - 1) / (sqrt(mpf(2)) + 1)) ** 2 * mpf("1.001")
    lists = [
        ("EXP", "(eʳ − 1 − r)/r², |r| ≤ ln2/2", *series(exp_tail, -half, half, lambda x: abs(x), tol)),
        ("EXP2", "(2ʳ − 1 − r ln2)/r², |r| ≤ 1/2", *series(exp2_tail, -mpf("0.501"), mpf("0.501"), lambda x: x * x, tol)),
        ("LN", "(ln((2+S)/(2−S)) − S)/S³ in S²", *series(log_tail, 0, w, lambda x: x, tol)),
        ("SIN", "(sin r − r)/r³ in r², |r| ≤ π/4", *series(sin_tail, 0, quarter**2, lambda z: z, tol)),
        ("COS", "(cos r − 1 + r²/2)/r⁴ in r², |r| ≤ π/4", *series(cos_tail, 0, quarter**2, lambda z: z * z, tol)),
        ("MILLS", "(t+4) Φ(−t) e^(t²/2) in u = (t−4)/(t+4)", *series(mills, -1, (reach - 4) / (reach + 4), lambda u: 1 / mills(u), 4 * tol)),
    ]
    # ln2 in two: cut so that k·LN2[0] is exact for every exponent k, and the rest.
    cut = top(LN2, 53 - 12 if kind == "f64" else 24 - 9)
    half_bits = 21 if kind == "f64" else 12
    inv = top(1 / LN2, half_bits)
    pairs = [
        ("LN2", "ln 2 as a nearest value and the rest.", split(LN2, kind, 2)),
        ("LN2_CUT", "ln 2 with enough trailing zeros that k·LN2_CUT[0] is exact, and the rest.", [cut, LN2 - cut]),
        ("LOG2E_CUT", "1/ln 2 cut to half the significand, and the rest.", [inv, 1 / LN2 - inv]),
        ("HALF_PI", "π/2 in three parts.", split(pi / 2, kind, 3)),
    ]
    body = []
    for name, doc, c, e in lists:
        body.append(f"/// {doc}; error {nstr(e / (2 * ulp), 2)} ulp.")
        body.append(f"pub(crate) const {name}: &[{kind}] = &[" + ", ".join(show(x, kind) for x in c) + "];")
    for name, doc, c in pairs:
        body.append(f"/// {doc}")
        # Written as bits: some are the named constants, which clippy would have spelled.
        if kind == "f64":
            vals = [f"{kind}::from_bits({struct.unpack('<Q', struct.pack('<d', float(x)))[0]:#018x})" for x in c]
        else:
            vals = [f"{kind}::from_bits({struct.unpack('<I', struct.pack('<f', float(x)))[0]:#010x})" for x in c]
        body.append(f"pub(crate) const {name}: [{kind}; {len(c)}] = [" + ", ".join(vals) + "];")
    return [f"/// Coefficients in `{kind}`.", f"pub(super) mod {kind.replace('f', 'of_f')} {{"] + body + ["}"]


lines = [
    "//! Coefficients and split constants of the kernels, lowest degree first; written by",
    "//! `data/kernels/coefficients.py` (Chebyshev interpolation in 60 digits), not by hand.",
    "",
]
for kind in ("f64", "f32"):
    lines += table(kind)
digits = mp.dps
mp.dps = 420
bits = int(mp.floor(2 / pi * mpf(2) ** (64 * 20)))
words = [0] + [(bits >> (64 * (19 - i))) & (2**64 - 1) for i in range(20)]
mp.dps = digits
lines += [
    "/// The binary digits of 2/π, the first word before the point.",
    "pub(crate) const TWO_OVER_PI: [u64; 21] = [" + ", ".join(f"{w:#018x}" for w in words) + "];",
]
path = Path(__file__).resolve().parents[2] / "src/num/kernels/coefficients.rs"
path.write_text("\n".join(lines) + "\n")
