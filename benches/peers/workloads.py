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


class Robertson:
    """W4: Robertson's kinetics to t = 1e5; the gradient is of 1/2 sum w_c^2 (y_c(t_i) - d_ic)^2 with respect to log k."""

    Y0, T1, RTOL, ATOL = (1.0, 0.0, 0.0), 1e5, 1e-6, 1e-10
    K, K_GUESS = (0.04, 3e7, 1e4), (0.05, 2.5e7, 1.2e4)
    TIMES, WEIGHTS = np.logspace(-4, 5, 20), np.array([1.0, 1e4, 1.0])

    @staticmethod
    def end():
        return load("robertson_end")

    @staticmethod
    def data():
        return load("robertson_data")

    @staticmethod
    def gradient():
        return load("robertson_gradient")

    @staticmethod
    def rhs(t, y, k=K):
        r1, r2, r3 = k[0] * y[0], k[1] * y[1] * y[1], k[2] * y[1] * y[2]
        return np.array([-r1 + r3, r1 - r2 - r3, r2])

    @staticmethod
    def jacobian(t, y, k=K):
        c, b = y[2], y[1]
        return np.array([[-k[0], k[2] * c, k[2] * b], [k[0], -k[2] * c - 2 * k[1] * b, -k[2] * b], [0, 2 * k[1] * b, 0]])


class Brusselator:
    """W4: 2-D Brusselator, periodic, 35 x 35 x 2, alpha = 10 (N - 1)^2, forcing from t = 1.1, t in [0, 11.5]."""

    N, A, B, T1, RTOL, ATOL = 35, 3.4, 1.0, 11.5, 1e-6, 1e-8
    ALPHA = 10.0 * (N - 1) ** 2

    @staticmethod
    def end():
        return load("brusselator_end")

    @classmethod
    def start(cls):
        x = np.linspace(0, 1, cls.N)
        X, Z = np.meshgrid(x, x, indexing="ij")
        return np.stack([22 * (Z * np.abs(1 - Z)) ** 1.5, 27 * (X * np.abs(1 - X)) ** 1.5], -1).ravel()

    @classmethod
    def rhs(cls, t, state):
        x = np.linspace(0, 1, cls.N)
        X, Z = np.meshgrid(x, x, indexing="ij")
        forcing = 5.0 * (((X - 0.3) ** 2 + (Z - 0.6) ** 2) <= 0.01) if t >= 1.1 else 0.0
        y = state.reshape(cls.N, cls.N, 2)
        u, v = y[..., 0], y[..., 1]
        laplacian = lambda w: np.roll(w, 1, 0) + np.roll(w, -1, 0) + np.roll(w, 1, 1) + np.roll(w, -1, 1) - 4 * w
        out = np.empty_like(y)
        out[..., 0] = cls.B + u * u * v - (cls.A + 1) * u + cls.ALPHA * laplacian(u) + forcing
        out[..., 1] = cls.A * u - u * u * v + cls.ALPHA * laplacian(v)
        return out.ravel()

    @classmethod
    def jacobian(cls):
        """A function (t, y) -> sparse Jacobian."""
        import scipy.sparse as sp

        n = cls.N
        ring = sp.diags([np.ones(n - 1), np.ones(n - 1)], [1, -1]).tolil()
        ring[0, -1] = ring[-1, 0] = 1
        flat = cls.ALPHA * (sp.kron(ring, sp.eye(n)) + sp.kron(sp.eye(n), ring) - 4 * sp.eye(n * n))
        both = sp.kron(flat, sp.eye(2)).tocsc()
        e = np.arange(n * n) * 2
        rows, cols = np.concatenate([e, e, e + 1, e + 1]), np.concatenate([e, e + 1, e, e + 1])

        def at(t, y):
            u, v = y[0::2], y[1::2]
            local = np.concatenate([2 * u * v - (cls.A + 1), u * u, cls.A - 2 * u * v, -u * u])
            return (both + sp.csc_matrix((local, (rows, cols)), shape=both.shape)).tocsc()

        return at


class Poisson:
    """W6: -Laplacian with unit spacing and Dirichlet ends, b ~ N(0, 1), x0 = 0, to a true relative residual of 1e-6."""

    RTOL = 1e-6
    SIZES = {"poisson-2d-512": (2, 512), "poisson-3d-64": (3, 64), "poisson-3d-128": (3, 128)}

    @classmethod
    def matrix(cls, name):
        import scipy.sparse as sp

        dims, n = cls.SIZES[name]
        line, eye = sp.diags([-np.ones(n - 1), 2 * np.ones(n), -np.ones(n - 1)], [-1, 0, 1]), sp.eye(n)
        if dims == 2:
            a = sp.kron(line, eye) + sp.kron(eye, line)
        else:
            a = sp.kron(sp.kron(line, eye), eye) + sp.kron(sp.kron(eye, line), eye) + sp.kron(sp.kron(eye, eye), line)
        a = a.tocsr()
        return sp.csr_matrix((a.data, a.indices.astype(np.int32), a.indptr.astype(np.int32)), shape=a.shape)

    @classmethod
    def rhs(cls, name):
        """b_i by Box and Muller from SplitMix64 at 2i and 2i + 1, as benches/workloads/poisson.rs draws it."""
        dims, n = cls.SIZES[name]
        with np.errstate(over="ignore"):
            z = (np.arange(1, 2 * n**dims + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z ^= z >> np.uint64(31)
        u = ((z >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
        return np.sqrt(-2 * np.log(u[0::2])) * np.cos(2 * np.pi * u[1::2])
