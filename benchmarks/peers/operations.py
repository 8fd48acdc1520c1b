"""Peers of the small operations of `KernelSubject`, in eager PyTorch: the same shapes, one row of T tokens, F32."""
import torch
import torch.nn.functional as F

WIDTH, INNER, HEADS, HEAD_WIDTH, VOCABULARY, TAPS = 768, 1536, 8, 64, 8192, 4


def draw(*shape):
    return torch.rand(shape) * 2 - 1


def subject(function, *inputs, constant=None):
    """make(params) of a function of tensors: `inputs` make each from T, and `constant` a last argument without a gradient."""

    def make(params):
        gradient = params["pass"] == "gradient"
        tensors = [make_input(params["time"]).requires_grad_(gradient) for make_input in inputs]
        arguments = tensors if constant is None else tensors + [constant(params["time"])]

        def forward():
            with torch.no_grad():
                function(*arguments)

        def both():
            results = function(*arguments)
            results = results if isinstance(results, tuple) else (results,)
            torch.autograd.grad(results, tensors, [torch.ones_like(y) for y in results])

        return both if gradient else forward

    return make


def ids(time):
    return torch.arange(time) * 7919 % VOCABULARY


def conv(x, weight, bias):
    y = F.conv1d(x.transpose(1, 2), weight, bias, padding=TAPS - 1, groups=INNER)[:, :, : x.shape[1]]
    return F.silu(y).transpose(1, 2)


def add_rms(x, residual, weight):
    total = x + residual
    return total, F.rms_norm(total, (WIDTH,), weight, 1e-5)


def angles(time):
    half = HEAD_WIDTH // 2
    table = torch.outer(torch.arange(time).float(), 10000.0 ** (-torch.arange(half).float() / half)).unsqueeze(1)
    return table.cos(), table.sin()


def rotary(x, table):
    cos, sin = table
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


CASES = {
    "kernel/causal_conv": subject(conv, lambda t: draw(1, t, INNER), lambda t: draw(INNER, 1, TAPS), lambda t: draw(INNER)),
    "kernel/rms_norm": subject(add_rms, lambda t: draw(1, t, WIDTH), lambda t: draw(1, t, WIDTH), lambda t: draw(WIDTH)),
    "kernel/swiglu": subject(lambda gate, up: F.silu(gate) * up, lambda t: draw(1, t, INNER), lambda t: draw(1, t, INNER)),
    "kernel/rotary": subject(rotary, lambda t: draw(1, t, HEADS, HEAD_WIDTH), constant=angles),
    "kernel/cross_entropy": subject(lambda x, targets: F.cross_entropy(x[0], targets), lambda t: draw(1, t, VOCABULARY), constant=ids),
    "kernel/embedding": subject(lambda table, indices: F.embedding(indices, table), lambda t: draw(VOCABULARY, WIDTH), constant=ids),
    "kernel/softmax": subject(lambda x: F.softmax(x, dim=-1), lambda t: draw(1, t, WIDTH)),
    "kernel/matmul": subject(lambda x, w: x @ w.T, lambda t: draw(t, WIDTH), lambda t: draw(INNER, WIDTH)),
    "kernel/projections": subject(lambda x, *w: tuple(x @ each.T for each in w), *[lambda t: draw(t, WIDTH)] + [lambda t: draw(WIDTH, WIDTH)] * 3),
    "kernel/add": subject(torch.add, lambda t: draw(t, WIDTH), lambda t: draw(t, WIDTH)),
    "kernel/silu": subject(F.silu, lambda t: draw(t, WIDTH)),
}
