"""Definitions of W1-W3 shared by every peer: problem data, plain NumPy models, references, error measures.

Shapes are (batch, dim), C order.  Parameters and gradients are one flat vector: W1 (out, in) row by row, b1, W2, b2.
"""
import pathlib

import numpy as np

DATA = pathlib.Path(__file__).resolve().parents[2] / "data" / "peers"


def load(name):
    path = DATA / f"{name}.npy"
    if not path.is_file():
        raise SystemExit(f"{path} is missing: run data/peers/make_refs.py")
    return np.load(path)


def split(flat, shapes):
    """The named blocks of a flat parameter vector."""
    blocks, at = [], 0
    for shape in shapes:
        size = int(np.prod(shape))
        blocks.append(flat[at : at + size].reshape(shape))
        at += size
    if at != flat.size:
        raise ValueError(f"{flat.size} parameters given, the shapes {shapes} need {at}")
    return blocks


def join(blocks):
    return np.concatenate([np.asarray(b, np.float64).ravel() for b in blocks])


def max_error(values, reference):
    return float(np.abs(np.asarray(values, np.float64) - reference).max())


def relative_error(values, reference):
    """Euclidean norm of the difference over that of the reference."""
    return float(np.linalg.norm(np.asarray(values, np.float64).ravel() - reference.ravel()) / np.linalg.norm(reference))


class Lorenz:
    """W1: x' = s (y - x), y' = x (r - z) - y, z' = x y - b z from (1, 1, 1) over [0, 5]."""

    SIGMA, BETA, RHO = 10.0, 8.0 / 3.0, 28.0
    T1, TOLERANCE = 5.0, 1e-8
    RHOS = np.linspace(20.0, 35.0, 10_000)

    @staticmethod
    def single_end():
        return load("lorenz_single")[0]

    @staticmethod
    def ensemble_end():
        return load("lorenz_ensemble")


class Spiral:
    """W2: y' = W2 tanh(W1 y^3 + b1) + b2, 2-50-2, batch 20, ten output times, loss = mean |prediction - truth|."""

    SHAPES = [(50, 2), (50,), (2, 50), (2,)]
    RTOL, ATOL = 1e-7, 1e-9
    GRID = np.linspace(0.0, 25.0, 1000)
    TIMES = GRID[:10]
    WEIGHTS = ("init", "trained")

    @staticmethod
    def data():
        """(y0 (20, 2), truth (10, 20, 2))."""
        truth = load("spiral_truth")
        return truth[0], truth

    @classmethod
    def parameters(cls, weights):
        return split(load(f"spiral_{weights}_params"), cls.SHAPES)

    @staticmethod
    def outputs(weights):
        return load(f"spiral_{weights}_outputs")

    @staticmethod
    def gradient(weights):
        return load(f"spiral_{weights}_gradient")

    @staticmethod
    def rhs(t, y, p):
        W1, b1, W2, b2 = p
        return np.tanh(y**3 @ W1.T + b1) @ W2.T + b2

    @staticmethod
    def vjp(t, y, p, y_bar):
        """(rhs, cotangent of y, flat cotangent of the parameters)."""
        W1, b1, W2, b2 = p
        cube = y**3
        h = np.tanh(cube @ W1.T + b1)
        a_bar = (y_bar @ W2) * (1 - h**2)
        p_bar = join([a_bar.T @ cube, a_bar.sum(0), y_bar.T @ h, y_bar.sum(0)])
        return h @ W2.T + b2, (a_bar @ W1) * 3 * y**2, p_bar


class Mlp:
    """W3, f32: x' = tanh(W2 [tanh(W1 [x, t] + b1), t] + b2), 785-100, 101-784, batch 512, t in [0, 1], loss = sum x(1)^2."""

    SHAPES = [(100, 785), (100,), (784, 101), (784,)]
    TOLERANCES = ("1e-5", "1.4e-8")
    # One right-hand side or vector-Jacobian product is evaluated here, with the initial state as cotangent.
    T_EVAL = 0.5

    @staticmethod
    def x0():
        return load("mlp_x0")

    @classmethod
    def parameters(cls):
        return split(load("mlp_params"), cls.SHAPES)

    @staticmethod
    def end():
        return load("mlp_end")

    @staticmethod
    def gradient():
        return load("mlp_gradient")

    @staticmethod
    def rhs(t, x, p):
        W1, b1, W2, b2 = p
        time = np.full((len(x), 1), t)
        h = np.tanh(np.hstack([x, time]) @ W1.T + b1)
        return np.tanh(np.hstack([h, time]) @ W2.T + b2)

    @staticmethod
    def vjp(t, x, p, x_bar):
        """(rhs, cotangent of x, flat cotangent of the parameters)."""
        W1, b1, W2, b2 = p
        time = np.full((len(x), 1), t)
        xt = np.hstack([x, time])
        h = np.tanh(xt @ W1.T + b1)
        ht = np.hstack([h, time])
        f = np.tanh(ht @ W2.T + b2)
        c_bar = x_bar * (1 - f**2)
        a_bar = (c_bar @ W2)[:, :-1] * (1 - h**2)
        p_bar = join([a_bar.T @ xt, a_bar.sum(0), c_bar.T @ ht, c_bar.sum(0)])
        return f, (a_bar @ W1)[:, :-1], p_bar

    @classmethod
    def in_f64(cls):
        """(x0, parameters) in f64, for references."""
        return cls.x0().astype(np.float64), [w.astype(np.float64) for w in cls.parameters()]
