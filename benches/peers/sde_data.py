"""Definitions of W5 shared by its peers: geometric Brownian motion and a small neural SDE."""
import numpy as np
from workloads import load, split

MU, SIGMA, PATHS, STEPS = 0.5, 0.5, 1000, 100
DT = 1.0 / STEPS
# Drift, then diffusion: W1 (out, in) row by row, b1, W2, b2.
SHAPES = [(64, 2), (64,), (2, 64), (2,)] * 2
QUERIES, RESOLUTION = 10_000, 2.0**-13


def strong_error(x, w):
    """Root mean square of X(1) against the exact solution on the same paths."""
    exact = np.exp(MU - SIGMA**2 / 2 + SIGMA * np.asarray(w).ravel())
    return dict(err_rel=float(np.sqrt(np.mean((np.asarray(x).ravel() - exact) ** 2))))


def network():
    """(drift's four blocks, diffusion's four, initial states (paths, 2))."""
    blocks = split(load("nsde_params"), SHAPES)
    return blocks[:4], blocks[4:], load("nsde_y0").reshape(PATHS, 2)


def query_times():
    """Multiples of the golden ratio modulo 1: a fixed shuffle of the unit interval."""
    times = np.arange(1, QUERIES + 1) * 0.6180339887498949 % 1.0
    return np.maximum(times, RESOLUTION)
