"""One more token of a language model in PyTorch, greedily: the peer of `Decoding` in this module.

`decode/transformer`, `mamba`, `mamba2`, `hybrid`: 6 layers, width 256, vocabulary 256 (params: context, threads).
`decode/large_transformer`, `large_mamba`, `large_mamba2`, and with `_bf16`: 1.7 GB in F32, width 2048, vocabulary 32,000.

What a step needs and no more: a cache of fixed capacity that is written in place, one scaled_dot_product_attention over what is filled,
recurrent states overwritten in place, projections of one input joined. transformers' models do the same and add their bookkeeping. Weights,
caches and states are random; what a token costs does not depend on them. A cache forgets each token again.
"""
import math

import torch
import torch.nn.functional as F

EPS, TAPS, ROPE_BASE = 1e-5, 4, 10000.0


def weight(dtype, *shape):
    return (torch.rand(shape) * 2 - 1).mul_(1 / math.sqrt(shape[-1])).to(dtype)


class Attention:
    def __init__(self, size, dtype, context):
        width, self.heads, self.groups = size["width"], size["heads"], size["groups"]
        self.head = width // self.heads
        self.qkv = weight(dtype, (self.heads + 2 * self.groups) * self.head, width)
        self.out = weight(dtype, width, width)
        self.norm = torch.ones(width, dtype=dtype)
        self.gate_up = weight(dtype, 2 * size["hidden"], width)
        self.down = weight(dtype, width, size["hidden"])
        self.keys = torch.rand(1, self.groups, context + 1, self.head).to(dtype)
        self.values = torch.rand(1, self.groups, context + 1, self.head).to(dtype)
        angles = context * ROPE_BASE ** (-torch.arange(self.head // 2).float() / (self.head // 2))
        self.cos, self.sin = angles.cos().to(dtype), angles.sin().to(dtype)
        self.sizes = (self.heads, self.groups, self.groups)

    def turned(self, x):
        a, b = x.chunk(2, dim=-1)
        return torch.cat((a * self.cos - b * self.sin, b * self.cos + a * self.sin), dim=-1)

    def step(self, x, normalised):
        q, k, v = F.linear(normalised, self.qkv).view(1, -1, 1, self.head).split(self.sizes, dim=1)
        self.keys[:, :, -1:] = self.turned(k)
        self.values[:, :, -1:] = v
        y = F.scaled_dot_product_attention(self.turned(q), self.keys, self.values, enable_gqa=self.groups != self.heads)
        x = x + F.linear(y.view(1, -1), self.out)
        gate, up = F.linear(F.rms_norm(x, x.shape[-1:], self.norm, EPS), self.gate_up).chunk(2, dim=-1)
        return x + F.linear(F.silu(gate) * up, self.down)


class Convolution:
    """The last inputs of a depthwise convolution, and SiLU of its result."""

    def __init__(self, channels, dtype):
        self.weight = weight(dtype, channels, TAPS)
        self.bias = torch.zeros(channels, dtype=dtype)
        self.window = torch.rand(channels, TAPS).to(dtype)

    def step(self, x):
        self.window.copy_(torch.roll(self.window, -1, dims=-1))
        self.window[:, -1] = x
        return F.silu((self.window * self.weight).sum(-1) + self.bias)


class Mamba:
    def __init__(self, size, dtype, context, states=16):
        width = size["width"]
        self.inner, self.states, self.rank = 2 * width, states, math.ceil(width / 16)
        self.in_proj = weight(dtype, 2 * self.inner, width)
        self.conv = Convolution(self.inner, dtype)
        self.x_proj = weight(dtype, self.rank + 2 * states, self.inner)
        self.dt_proj = weight(dtype, self.inner, self.rank)
        self.dt_bias = torch.full((self.inner,), -4.6)
        self.a = -torch.arange(1, states + 1).float().repeat(self.inner, 1)
        self.skip = torch.ones(self.inner)
        self.out_proj = weight(dtype, width, self.inner)
        self.state = torch.rand(self.inner, states)

    def step(self, x, normalised):
        u, z = F.linear(normalised, self.in_proj)[0].split((self.inner, self.inner))
        u = self.conv.step(u)
        dt, b, c = F.linear(u, self.x_proj).split((self.rank, self.states, self.states))
        dt = F.softplus(F.linear(dt, self.dt_proj).float() + self.dt_bias).unsqueeze(-1)
        self.state.mul_(torch.exp(dt * self.a)).add_(dt * u.float().unsqueeze(-1) * b.float())
        y = torch.mv(self.state, c.float()) + self.skip * u.float()
        return x + F.linear((y * F.silu(z.float())).to(x.dtype), self.out_proj)


class Mamba2:
    def __init__(self, size, dtype, context):
        width, self.head, self.states = size["width"], 64, size["states"]
        self.inner = 2 * width
        self.heads = self.inner // self.head
        self.sizes = (self.inner, self.inner + 2 * self.states, self.heads)
        self.in_proj = weight(dtype, sum(self.sizes), width)
        self.conv = Convolution(self.sizes[1], dtype)
        self.dt_bias = torch.full((self.heads,), -4.6)
        self.a = -torch.linspace(1, 16, self.heads)
        self.skip = torch.ones(self.heads, 1)
        self.norm = torch.ones(self.inner)
        self.out_proj = weight(dtype, width, self.inner)
        self.state = torch.rand(self.heads, self.head, self.states)

    def step(self, x, normalised):
        z, mixed, dt = F.linear(normalised, self.in_proj)[0].split(self.sizes)
        u, b, c = self.conv.step(mixed).float().split((self.inner, self.states, self.states))
        dt = F.softplus(dt.float() + self.dt_bias)
        u = u.view(self.heads, self.head)
        self.state.mul_(torch.exp(dt * self.a).view(-1, 1, 1)).add_((dt.unsqueeze(-1) * u).unsqueeze(-1) * b)
        y = (self.state @ c + self.skip * u).view(-1) * F.silu(z.float())
        return x + F.linear(F.rms_norm(y, y.shape, self.norm, EPS).to(x.dtype).unsqueeze(0), self.out_proj)


KINDS = {"transformer": (Attention,), "mamba": (Mamba,), "mamba2": (Mamba2,), "hybrid": (Mamba, Mamba, Attention)}
SMALL = dict(width=256, layers=6, heads=4, groups=4, hidden=682, states=64, vocabulary=256)
LARGE = dict(width=2048, layers=14, heads=16, groups=4, hidden=5632, states=128, vocabulary=32000)


class Model:
    def __init__(self, kind, size, dtype, context):
        layers = 8 if kind == "transformer" and size is LARGE else size["layers"]
        kinds = KINDS[kind]
        self.blocks = [kinds[i % len(kinds)](size, dtype, context) for i in range(layers)]
        self.norms = [torch.ones(size["width"], dtype=dtype) for _ in range(layers + 1)]
        self.embeddings = weight(dtype, size["vocabulary"], size["width"])
        self.last = 0

    def token(self):
        with torch.inference_mode():
            x = self.embeddings[self.last:self.last + 1]
            for block, norm in zip(self.blocks, self.norms):
                x = block.step(x, F.rms_norm(x, x.shape[-1:], norm, EPS))
            logits = F.linear(F.rms_norm(x, x.shape[-1:], self.norms[-1], EPS), self.embeddings)
            self.last = logits.argmax().item()


def case(kind, size=SMALL, dtype=torch.float32):
    return lambda params: Model(kind, size, dtype, params["context"]).token


CASES = {"decode/" + kind: case(kind) for kind in KINDS}
for kind in ("transformer", "mamba", "mamba2"):
    CASES["decode/large_" + kind] = case(kind, LARGE)
    CASES["decode/large_" + kind + "_bf16"] = case(kind, LARGE, torch.bfloat16)
