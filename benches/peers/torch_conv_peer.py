"""W7 by PyTorch: convolution 24 -> 24, kernel 3, padding 1, bias, f32; 64^2 with batch 8 and 24^3 with batch 4.

    python benches/peers/torch_conv_peer.py conv2d conv3d --threads 1

Variants: forward, both (forward and the gradients of input, weights, bias); each in the default layout and channels
last, whichever is faster is the row to compare with.
"""
import harness

ARGS = harness.start("torch", ["torch"])

import torch  # noqa: E402

torch.set_num_threads(ARGS.threads)


def task(dim, both, last):
    extents, batch = ((64, 64), 8) if dim == 2 else ((24, 24, 24), 4)
    wave = lambda shape, seed: torch.sin(1.7 * torch.arange(torch.Size(shape).numel(), dtype=torch.float64) + seed).reshape(shape).float()
    layer = (torch.nn.Conv2d if dim == 2 else torch.nn.Conv3d)(24, 24, 3, padding=1)
    x, bar = wave((batch, 24, *extents), 0.8), wave((batch, 24, *extents), 0.1)
    if last:
        form = torch.channels_last if dim == 2 else torch.channels_last_3d
        layer, x, bar = layer.to(memory_format=form), x.to(memory_format=form), bar.to(memory_format=form)
    x.requires_grad_(both)

    def call():
        if not both:
            with torch.no_grad():
                return layer(x)
        x.grad = None
        layer.zero_grad(set_to_none=True)
        layer(x).backward(bar)
        return x.grad

    return harness.Task(call, lambda: {})


TASKS = {
    (f"conv{dim}d", f"{name}-{layout}"): (lambda dim=dim, both=both, last=last: task(dim, both, last))
    for dim in (2, 3)
    for name, both in (("forward", False), ("both", True))
    for layout, last in (("default", False), ("channels-last", True))
}

harness.main(ARGS, TASKS)
