"""References for odeon's nn tests. Run here: `pip install numpy safetensors && python make_references.py`.

Writes mlp_f32.safetensors and mlp_f16.safetensors: a 3-4-2 tanh network under the names that
PyTorch gives an `nn.Sequential` called `net` (weights [out, in], row-major), an example input
(batch 2, one row a sample) and the output that numpy computes in f64 from the stored weights.
Prints the optimisers' sequences: a transcription of the update loops of torch.optim
(_single_tensor_*) and of optax's adabelief and rmsprop, one scalar parameter at a time.
"""

import math

import numpy as np
from safetensors.numpy import save_file

rng = np.random.default_rng(2024)
weights = {
    "net.0.weight": rng.normal(size=(4, 3)),
    "net.0.bias": rng.normal(size=4),
    "net.2.weight": rng.normal(size=(2, 4)),
    "net.2.bias": rng.normal(size=2),
}
x = rng.normal(size=(2, 3))
for kind in (np.float32, np.float16):
    stored = {k: v.astype(kind) for k, v in weights.items()}
    given = x.astype(kind)
    w = {k: v.astype(np.float64) for k, v in stored.items()}
    hidden = np.tanh(given.astype(np.float64) @ w["net.0.weight"].T + w["net.0.bias"])
    out = hidden @ w["net.2.weight"].T + w["net.2.bias"]
    stored["example.input"] = given
    stored["example.output"] = out
    save_file(stored, f"mlp_f{np.dtype(kind).itemsize * 8}.safetensors")

GRADIENTS = [0.5, -1.25, 0.75, 0.0, 2.0]
LR, WD = 0.1, 0.05


def sgd(p, momentum, nesterov, wd):
    buf = None
    for g in GRADIENTS:
        g = g + wd * p
        buf = g if buf is None else momentum * buf + g
        p = p - LR * (g + momentum * buf if nesterov else buf)
        yield p


def adam(p, wd, decoupled, b1=0.9, b2=0.999, eps=1e-8):
    m = v = 0.0
    for t, g in enumerate(GRADIENTS, 1):
        if decoupled:
            p *= 1 - LR * wd
        else:
            g = g + wd * p
        m += (g - m) * (1 - b1)
        v = v * b2 + (1 - b2) * g * g
        denom = math.sqrt(v) / math.sqrt(1 - b2**t) + eps
        p -= LR / (1 - b1**t) * (m / denom)
        yield p


def adamax(p, wd, b1=0.9, b2=0.999, eps=1e-8):
    m = u = 0.0
    for t, g in enumerate(GRADIENTS, 1):
        g = g + wd * p
        m += (g - m) * (1 - b1)
        u = max(u * b2, abs(g) + eps)
        p -= LR / (1 - b1**t) * m / u
        yield p


def adabelief(p, b1=0.9, b2=0.999, eps=1e-16, eps_root=1e-16):
    m = s = 0.0
    for t, g in enumerate(GRADIENTS, 1):
        m = (1 - b1) * g + b1 * m
        s = (1 - b2) * (g - m) ** 2 + b2 * s + eps_root
        p -= LR * (m / (1 - b1**t)) / (math.sqrt(s / (1 - b2**t)) + eps)
        yield p


def rmsprop(p, momentum, wd, in_root, alpha=0.9, eps=1e-3):
    v = buf = 0.0
    for g in GRADIENTS:
        g = g + wd * p
        v = alpha * v + (1 - alpha) * g * g
        d = g / math.sqrt(v + eps) if in_root else g / (math.sqrt(v) + eps)
        buf = momentum * buf + d
        p -= LR * buf
        yield p


for name, sequence in {
    "sgd": sgd(1.0, 0.0, False, WD),
    "momentum": sgd(1.0, 0.9, False, WD),
    "nesterov": sgd(1.0, 0.9, True, WD),
    "adam": adam(1.0, WD, False),
    "adamw": adam(1.0, WD, True),
    "adamax": adamax(1.0, WD),
    "adabelief": adabelief(1.0),
    "rmsprop (torch)": rmsprop(1.0, 0.9, WD, False),
    "rmsprop (optax)": rmsprop(1.0, 0.0, 0.0, True),
}.items():
    print(f"{name}: [{', '.join(repr(v) for v in sequence)}]")
