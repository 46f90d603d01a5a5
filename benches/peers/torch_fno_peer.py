"""W8 by PyTorch: FNO on 64^2 with width 32, 12 modes, 4 layers, f32: a training step (batch 8) and the inference of one sample.

    python benches/peers/torch_fno_peer.py fno-step fno-inference --threads 1
"""
import harness

ARGS = harness.start("torch", ["torch"])

import torch  # noqa: E402
import torch_surrogate  # noqa: E402
from torch import nn  # noqa: E402

torch.set_num_threads(ARGS.threads)


class Spectral(nn.Module):
    """Complex weights for the lowest modes, kept as real and imaginary parts [in, out, 2, 2 m, m]."""

    def __init__(self, width, modes):
        super().__init__()
        self.modes = modes
        self.weight = nn.Parameter(torch.empty(width, width, 2, 2 * modes, modes))

    def forward(self, u):
        m, (ny, nx) = self.modes, u.shape[-2:]
        hat = torch.fft.rfft2(u)
        low = torch.cat([hat[:, :, :m, :m], hat[:, :, -m:, :m]], dim=2)
        low = torch.einsum("bilk,iolk->bolk", low, torch.complex(self.weight[:, :, 0], self.weight[:, :, 1]))
        out = hat.new_zeros(low.shape[:2] + hat.shape[-2:])
        out[:, :, :m, :m], out[:, :, -m:, :m] = low[:, :, :m], low[:, :, m:]
        return torch.fft.irfft2(out, s=(ny, nx))


class Fno(nn.Module):
    def __init__(self, width=32, modes=12, layers=4, projection=128):
        super().__init__()
        self.lift = nn.Conv2d(3, width, 1)
        self.pointwise = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(layers))
        self.spectral = nn.ModuleList(Spectral(width, modes) for _ in range(layers))
        self.project = nn.ModuleList([nn.Conv2d(width, projection, 1), nn.Conv2d(projection, 1, 1)])

    def flat(self):
        pairs = []

        def conv(layer):
            pairs.extend([(layer.weight, layer.in_channels), (layer.bias, layer.in_channels)])

        conv(self.lift)
        for pointwise, spectral in zip(self.pointwise, self.spectral):
            conv(pointwise)
            inputs, outputs = spectral.weight.shape[:2]
            pairs.append((spectral.weight, (inputs * outputs) ** 2))
        for layer in self.project:
            conv(layer)
        return pairs

    def forward(self, a):
        batch, _, ny, nx = a.shape
        x = torch.linspace(0, 1, nx, dtype=a.dtype).expand(batch, 1, ny, nx)
        y = torch.linspace(0, 1, ny, dtype=a.dtype)[:, None].expand(batch, 1, ny, nx)
        u = self.lift(torch.cat([a, x, y], dim=1))
        for number, (pointwise, spectral) in enumerate(zip(self.pointwise, self.spectral)):
            u = pointwise(u) + spectral(u)
            if number + 1 < len(self.spectral):
                u = nn.functional.gelu(u)
        return self.project[1](nn.functional.gelu(self.project[0](u)))


harness.main(ARGS, torch_surrogate.tasks("fno", Fno, {"": False}))
