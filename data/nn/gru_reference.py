"""Reference of tests/nn_gradients/gru.rs. Run: `python gru_reference.py`; it needs nothing but Python.

A transcription of torch.nn.GRUCell (its documentation's four formulas; weight_ih [3H, I], weight_hh [3H, H],
bias_ih [3H], bias_hh [3H], rows of r, z, n), two steps of one column from a state that is not 0.
"""

import math

INPUTS, HIDDEN = 2, 3


def wave(n, seed):
    return [math.sin(1.7 * i + 12.9 * seed + math.sqrt(i)) for i in range(n)]


count = 3 * HIDDEN * (INPUTS + HIDDEN + 2)
theta = [0.9 * w + 0.1 for w in wave(count, 0.3)]
take = iter(theta)


def matrix(rows, columns):
    return [[next(take) for _ in range(columns)] for _ in range(rows)]


weight_ih, weight_hh = matrix(3 * HIDDEN, INPUTS), matrix(3 * HIDDEN, HIDDEN)
bias_ih, bias_hh = matrix(1, 3 * HIDDEN)[0], matrix(1, 3 * HIDDEN)[0]


def affine(w, x, b):
    return [sum(p * q for p, q in zip(row, x)) + c for row, c in zip(w, b)]


def sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x))


def cell(x, h):
    gi, gh = affine(weight_ih, x, bias_ih), affine(weight_hh, h, bias_hh)
    new = []
    for i in range(HIDDEN):
        r = sigmoid(gi[i] + gh[i])
        z = sigmoid(gi[HIDDEN + i] + gh[HIDDEN + i])
        n = math.tanh(gi[2 * HIDDEN + i] + r * gh[2 * HIDDEN + i])
        new.append((1.0 - z) * n + z * h[i])
    return new


h = [0.5, -0.25, 0.75]
for x in ([0.3, -1.1], [-0.7, 0.2]):
    h = cell(x, h)
    print(h)
