"""Truncated power series in t over mpmath numbers, and the Taylor-series ODE method built on them.

A right-hand side written with ordinary arithmetic on `Series` yields the solution's Taylor coefficients one order at a
time: x_{k+1} = [f(t, x)]_k / (k + 1).  Every operation below computes only its newest coefficient from those of its
operands (the usual recurrences: Griewank & Walther, *Evaluating Derivatives*, chapter 13), so an expression is a graph
that is built once and then advanced order by order, step by step.
"""
import mpmath as mp


class Series:
    """One node of the expression graph: `c` holds the coefficients of the current step."""

    def __init__(self, rule, inputs=()):
        self.c, self.rule, self.inputs = [], rule, inputs

    def __add__(self, other):
        other = lift(other)
        return Series(lambda c, k: self.c[k] + other.c[k], (self, other))

    def __sub__(self, other):
        other = lift(other)
        return Series(lambda c, k: self.c[k] - other.c[k], (self, other))

    def __mul__(self, other):
        if not isinstance(other, Series):
            value = mp.mpf(other)
            return Series(lambda c, k: value * self.c[k], (self,))
        return Series(lambda c, k: mp.fdot(self.c[: k + 1], other.c[k::-1]), (self, other))

    def __truediv__(self, other):
        # q b = a  =>  q_k = (a_k - sum_{j<k} q_j b_{k-j}) / b_0
        other = lift(other)
        return Series(lambda c, k: (self.c[k] - mp.fdot(c, other.c[k:0:-1])) / other.c[0], (self, other))

    def __neg__(self):
        return self * -1

    def __rsub__(self, other):
        return lift(other) - self

    def __rtruediv__(self, other):
        return lift(other) / self

    __radd__, __rmul__ = __add__, __mul__

    def __pow__(self, exponent):
        """Constant real exponent: p = a^r obeys a p' = r a' p, hence the recurrence; small integers by products."""
        if exponent in (2, 3):
            square = self * self
            return square if exponent == 2 else square * self
        r = mp.mpf(exponent)

        def rule(c, k):
            if k == 0:
                return self.c[0] ** r
            weights = [(r + 1) * j - k for j in range(1, k + 1)]
            return mp.fsum(w * a * p for w, a, p in zip(weights, self.c[1 : k + 1], c[::-1])) / (k * self.c[0])

        return Series(rule, (self,))


def lift(value):
    """A constant as a series."""
    if isinstance(value, Series):
        return value
    value = mp.mpf(value)
    return Series(lambda c, k: value if k == 0 else mp.mpf(0))


def cos_of_time(time):
    """cos t along the independent variable: c_k(t0) = cos(t0 + k pi/2) / k!."""
    return Series(lambda c, k: mp.cos(time.c[0] + k * mp.pi / 2) / mp.factorial(k), (time,))


def _ordered(outputs):
    """All nodes reachable from `outputs`, operands first."""
    seen, order = set(), []

    def visit(node):
        if id(node) not in seen:
            seen.add(id(node))
            for operand in node.inputs:
                visit(operand)
            order.append(node)

    for node in outputs:
        visit(node)
    return order


def solve(rhs, y0, times, order, tolerance):
    """Values of y' = rhs(t, y), y(times[0]) = y0 at `times` (ascending), as lists of mpf.

    Each step's length makes the last two Taylor terms at most `tolerance` relative to max(1, |y|)
    (Jorba & Zou 2005, *A software package for the numerical integration of ODEs by means of high-order Taylor methods*).
    """
    time = Series(None)
    state = [Series(None) for _ in y0]
    slope = [lift(f) for f in rhs(time, state)]
    nodes = [n for n in _ordered(slope) if n is not time and all(n is not s for s in state)]
    t, y, rows = mp.mpf(times[0]), [mp.mpf(v) for v in y0], []
    rows.append(list(y))
    for goal in map(mp.mpf, times[1:]):
        while t < goal:
            time.c = [t, mp.mpf(1)] + [mp.mpf(0)] * order
            for s, value in zip(state, y):
                s.c = [value]
            for node in nodes:
                node.c = []
            for k in range(order):
                for node in nodes:
                    node.c.append(node.rule(node.c, k))
                for s, f in zip(state, slope):
                    s.c.append(f.c[k] / (k + 1))
            bound = tolerance * max([mp.mpf(1)] + [abs(v) for v in y])
            h = goal - t
            for k in (order - 1, order):
                term = max(abs(s.c[k]) for s in state)
                if term > 0:
                    h = min(h, (bound / term) ** (mp.mpf(1) / k))
            # Landing exactly on the goal: adding h to t may round.
            t = goal if h == goal - t else t + h
            y = [mp.polyval(s.c[::-1], h) for s in state]
        rows.append(list(y))
    return rows
