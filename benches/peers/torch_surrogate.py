"""What the PyTorch peers of the neural operators share: the formula of the parameters, waves, a training step, an inference.

Parameters are sin(1.7 i + 0.3)/sqrt(fan_in) by their place in the flat vector, in the order in which `benches/workloads/surrogate.rs`
has them; the loss of the first step must be the same on both sides.
"""
import harness
import torch

N, BATCH = 64, 8


def wave(shape, phase):
    return torch.sin(0.37 * torch.arange(torch.Size(shape).numel(), dtype=torch.float64) + phase).reshape(shape)


def fill(tensors):
    """[(parameter, fan_in)] in the order of the flat vector."""
    start = 0
    for parameter, fan_in in tensors:
        i = torch.arange(start, start + parameter.numel(), dtype=torch.float64)
        values = torch.sin(1.7 * i + 0.3) / fan_in**0.5
        parameter.data = values.reshape(parameter.shape).to(parameter.dtype)
        start += parameter.numel()


def loss_of(net, x, target):
    e = (net(x) - target).flatten(1)
    return (e.norm(dim=1) / target.flatten(1).norm(dim=1)).mean()


def gradient(make, dtype):
    net = make().to(dtype)
    fill(net.flat())
    x, target = (wave((BATCH, 1, N, N), p).to(dtype) for p in (0.8, 0.1))
    loss = loss_of(net, x, target)
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten().double() for p, _ in net.flat()])


def step(make, last):
    net = make()
    fill(net.flat())
    x, target = (wave((BATCH, 1, N, N), p).float() for p in (0.8, 0.1))
    if last:
        net, x, target = (v.to(memory_format=torch.channels_last) for v in (net, x, target))
    adam = torch.optim.Adam(net.parameters(), lr=1e-4, weight_decay=1e-4, fused=True)

    def call():
        adam.zero_grad(set_to_none=True)
        loss = loss_of(net, x, target)
        loss.backward()
        adam.step()

    def report():
        (loss, wide), (_, narrow) = gradient(make, torch.float64), gradient(make, torch.float32)
        return {"loss": loss, "grad_rel_err": ((narrow - wide).norm() / wide.norm()).item(), "params": wide.numel()}

    return harness.Task(call, report)


def inference(make, last):
    net = make()
    fill(net.flat())
    x = wave((1, 1, N, N), 0.8).float()
    if last:
        net, x = (v.to(memory_format=torch.channels_last) for v in (net, x))

    def call():
        with torch.inference_mode():
            return net(x)

    def report():
        wide = make().double()
        fill(wide.flat())
        with torch.inference_mode():
            reference = wide(x.double())
            return {"err_rel": ((net(x) - reference).norm() / reference.norm()).item()}

    return harness.Task(call, report)


def tasks(name, make, layouts):
    """Steps and inferences in each of the layouts {name: whether channels are last}."""
    return {
        (f"{name}-{what}", layout): (lambda build=build, last=last: build(make, last))
        for what, build in (("step", step), ("inference", inference))
        for layout, last in layouts.items()
    }
