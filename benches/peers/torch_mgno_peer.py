"""W8 by PyTorch: MgNO on 64^2 with C = 24, J = 5, 4 layers, f32: a training step (batch 8) and the inference of one sample.

    python benches/peers/torch_mgno_peer.py mgno-step mgno-inference --threads 1

Variants: the default layout and channels last, whichever is faster is the row to compare with.
"""
import harness

ARGS = harness.start("torch", ["torch"])

import torch  # noqa: E402
import torch_surrogate  # noqa: E402
from torch import nn  # noqa: E402

torch.set_num_threads(ARGS.threads)


class Cycle(nn.Module):
    """The backslash cycle: u = S f, then u += S (f - A u), one step a grid and two on the coarsest."""

    def __init__(self, inputs, channels, levels):
        super().__init__()
        same = lambda i, o: nn.Conv2d(i, o, 3, padding=1, bias=False)
        half = lambda i, o: nn.Conv2d(i, o, 3, stride=2, padding=1, bias=False)
        self.a, self.s, self.r, self.pi, self.t = (nn.ModuleList() for _ in range(5))
        f, c = inputs, channels
        for level in range(levels):
            for i in range(2 if level == levels - 1 else 1):
                if level or i:
                    self.a.append(same(c, f))
                self.s.append(same(f, c))
            if level < levels - 1:
                self.r.append(half(f, f))
                self.pi.append(half(c, c))
                self.t.append(nn.ConvTranspose2d(c, c, 4, stride=2, padding=1, bias=False))
        self.levels = levels

    def flat(self):
        """Kernels in the order of the flat vector."""
        a, s, r, pi, t = map(iter, (self.a, self.s, self.r, self.pi, self.t))
        for level in range(self.levels):
            for i in range(2 if level == self.levels - 1 else 1):
                if level or i:
                    yield next(a)
                yield next(s)
            if level < self.levels - 1:
                yield from (next(r), next(pi), next(t))

    def forward(self, f):
        a, s, left = iter(self.a), iter(self.s), []
        u = next(s)(f)
        for r, pi in zip(self.r, self.pi):
            left.append(u)
            u, f = pi(u), r(f)
            u = u + next(s)(f - next(a)(u))
        u = u + next(s)(f - next(a)(u))
        for t, fine in zip(reversed(self.t), reversed(left)):
            u = fine + t(u)
        return u


class Mgno(nn.Module):
    def __init__(self, channels=24, levels=5, layers=4):
        super().__init__()
        widths = [1] + [channels] * (layers - 1)
        self.cycles = nn.ModuleList(Cycle(w, channels, levels) for w in widths)
        self.pointwise = nn.ModuleList(nn.Conv2d(w, channels, 1) for w in widths)
        self.last = nn.Conv2d(channels, 1, 1, bias=False)

    def flat(self):
        pairs = []
        for cycle, pointwise in zip(self.cycles, self.pointwise):
            for k in cycle.flat():
                # A transposed kernel is [in, out, ...]; the fan-in is of what it reads.
                inputs = k.in_channels
                pairs.append((k.weight, inputs * k.weight[0, 0].numel()))
            pairs += [(pointwise.weight, pointwise.in_channels), (pointwise.bias, pointwise.in_channels)]
        return pairs + [(self.last.weight, self.last.in_channels)]

    def forward(self, u):
        for cycle, pointwise in zip(self.cycles, self.pointwise):
            u = nn.functional.gelu(cycle(u) + pointwise(u))
        return self.last(u)


harness.main(ARGS, torch_surrogate.tasks("mgno", Mgno, {"default": False, "channels-last": True}))
