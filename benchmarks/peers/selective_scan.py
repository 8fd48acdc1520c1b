"""The selective scan of Mamba-1 over one row, 1536 channels of 16 states, in PyTorch's tensor operations: there is no CPU kernel in PyTorch.

Cases as dev.sequent.benchmarks.KernelSubject makes them, in four compositions; compare with the fastest one at each size:

* sequential: the recurrence, token by token;
* cumsum: chunks of 16 tokens, h_t = P_t (h_0 + sum of x_s / P_s) with P the decays' products; longer chunks would overflow;
* chunked: chunks of 64 tokens by Hillis and Steele's scan (log-depth, not work-efficient);
* sweep: chunks of 256 tokens by Blelloch's work-efficient scan.

Chunks follow one another, so that temporaries stay in the cache. Gradients are those of autograd through the same operations.
"""
import torch
from torch.nn.functional import pad, silu, softplus

CHANNELS = 1536
STATES = 16


def sequential(decay, x, h):
    states = []
    for t in range(decay.shape[1]):
        h = decay[:, t] * h + x[:, t]
        states.append(h)
    return torch.stack(states, 1)


def cumsum(log_decay, x, h):
    total = log_decay.cumsum(1)
    return total.exp() * (h.unsqueeze(1) + (x * total.neg().exp()).cumsum(1))


def hillis_steele(decay, x, h):
    a, s = decay, torch.cat((x[:, :1] + decay[:, :1] * h.unsqueeze(1), x[:, 1:]), 1)
    distance = 1
    while distance < a.shape[1]:
        s = s + a * pad(s[:, :-distance], (0, 0, 0, 0, distance, 0))
        a = a * pad(a[:, :-distance], (0, 0, 0, 0, distance, 0), value=1.0)
        distance *= 2
    return s


def blelloch(decay, x, h):
    """Recursion over pairs of tokens; the number of tokens is a power of two."""
    x = torch.cat((x[:, :1] + decay[:, :1] * h.unsqueeze(1), x[:, 1:]), 1)

    def scan(a, s):
        if a.shape[1] == 1:
            return s
        odd = scan(a[:, 0::2] * a[:, 1::2], a[:, 1::2] * s[:, 0::2] + s[:, 1::2])
        even = torch.cat((s[:, :1], a[:, 2::2] * odd[:, :-1] + s[:, 2::2]), 1)
        return torch.stack((even, odd), 2).flatten(1, 2)

    return scan(decay, x)


def case(scan, chunk, gated, logarithm=False):
    def make(params):
        torch.set_num_threads(params["threads"])
        generator = torch.Generator().manual_seed(20)
        time = params["time"]
        backward = params["pass"] == "gradient"

        def draw(*shape, low=-1.0, high=1.0):
            return (torch.rand(*shape, generator=generator) * (high - low) + low).requires_grad_(backward)

        u, delta = draw(1, time, CHANNELS), draw(1, time, CHANNELS, low=0.0005, high=0.1)
        a = draw(CHANNELS, STATES, low=-8.0, high=-0.04)
        b, c, d = draw(1, time, STATES), draw(1, time, STATES), draw(CHANNELS)
        bias, z = (draw(CHANNELS), draw(1, time, CHANNELS)) if gated else (None, None)
        inputs = [x for x in (u, delta, a, b, c, d, bias, z) if x is not None]

        def run():
            step = softplus(delta + bias) if gated else delta
            h = torch.zeros(1, CHANNELS, STATES)
            outputs = []
            for start in range(0, time, chunk):
                end = min(time, start + chunk)
                part = step[:, start:end]
                decay = part.unsqueeze(-1) * a
                x = (part * u[:, start:end]).unsqueeze(-1) * b[:, start:end].unsqueeze(2)
                states = scan(decay if logarithm else decay.exp(), x, h)
                h = states[:, -1]
                outputs.append((states @ c[:, start:end].unsqueeze(-1)).squeeze(-1))
            y = torch.cat(outputs, 1) + d * u
            return y * silu(z) if gated else y

        cotangent = torch.ones(1, time, CHANNELS)

        def forward():
            with torch.no_grad():
                return run()

        def gradient():
            return torch.autograd.grad(run(), inputs, cotangent)

        return gradient if backward else forward

    return make


CASES = {
    name + variant: case(scan, chunk, gated, logarithm)
    for name, gated in (("kernel/selective_scan", False), ("kernel/gated_selective_scan", True))
    for variant, scan, chunk, logarithm in (
        ("", sequential, 64, False),
        ("@cumsum", cumsum, 16, True),
        ("@chunked", hillis_steele, 64, False),
        ("@sweep", blelloch, 256, False),
    )
}
