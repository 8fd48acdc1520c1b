#!/usr/bin/env python3
"""One training step of a small language model in PyTorch: the peer of `TrainStep` in this module.

Needs: torch (CPU is enough), and transformers for --model mamba2.
Run: python3 train_step.py --model transformer|mamba|mamba2 [--batch 4 --time 1024 --threads 2 --steps 5 --precision f32|bf16 --compile]
Prints one line per measured step: seconds and tokens per second. Forward, backward and AdamW; eager unless --compile is given.
--precision bf16 is autocast: F32 master weights, gradients and optimizer, matrix products and attention in BF16.
CASES offers the same steps to serve.py.

transformer: 6 blocks of RMSNorm, causal attention (scaled_dot_product_attention, 4 heads, rotary embedding with --rope), RMSNorm,
SwiGLU of inner width 682. mamba: 6 Mamba-1 blocks (expand 2, state 16, conv 4, dt_rank 16) with a work-efficient parallel scan over time in
tensor operations (Blelloch 1990), and the same scan in reverse for the gradient. mamba2: transformers' Mamba2Model in its chunked form
(8 heads of 64, state 64, chunk 128), which tensor operations compute where there is no GPU. Width 256, vocabulary 256, tied head.
"""
import argparse
import math
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, 1e-5)


def rotate(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Attention(nn.Module):
    def __init__(self, width, heads, rope, time):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.rope = rope
        half = width // heads // 2
        angles = torch.outer(torch.arange(time).float(), 10000.0 ** (-torch.arange(half).float() / half))
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (y.view(b, t, self.heads, -1).transpose(1, 2) for y in self.qkv(x).chunk(3, dim=-1))
        if self.rope:
            q, k = rotate(q, self.cos, self.sin), rotate(k, self.cos, self.sin)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(b, t, d))


class SwiGlu(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


def sweep(a, x):
    """In-place inclusive scan of h_t = a_t h_{t-1} + x_t over dim 2, whose size is a power of two; a is overwritten by its products."""
    n = x.shape[2]
    levels = int(math.log2(n))
    for level in range(levels):
        s = 1 << level
        left, right = slice(s - 1, None, 2 * s), slice(2 * s - 1, None, 2 * s)
        x[:, :, right] += a[:, :, right] * x[:, :, left][:, :, : x[:, :, right].shape[2]]
        a[:, :, right] *= a[:, :, left][:, :, : a[:, :, right].shape[2]]
    for level in range(levels - 2, -1, -1):
        s = 1 << level
        right, left = slice(3 * s - 1, None, 2 * s), slice(2 * s - 1, None, 2 * s)
        m = x[:, :, right].shape[2]
        x[:, :, right] += a[:, :, right] * x[:, :, left][:, :, :m]
        a[:, :, right] *= a[:, :, left][:, :, :m]


class Scan(torch.autograd.Function):
    """h_t = a_t h_{t-1} + x_t along dim 2 of (B, E, T, N)."""

    @staticmethod
    def forward(ctx, a, x):
        h = x.clone()
        sweep(a.clone(), h)
        ctx.save_for_backward(a, h)
        return h

    @staticmethod
    def backward(ctx, dh):
        a, h = ctx.saved_tensors
        shifted = F.pad(a[:, :, 1:], (0, 0, 0, 1)).flip(2)
        g = dh.flip(2).contiguous()
        sweep(shifted, g)
        g = g.flip(2)
        return g * F.pad(h[:, :, :-1], (0, 0, 1, 0)), g


class Mamba(nn.Module):
    def __init__(self, width, expand=2, state=16, kernel=4):
        super().__init__()
        inner, self.rank, self.state, self.kernel = expand * width, math.ceil(width / 16), state, kernel
        self.in_proj = nn.Linear(width, 2 * inner, bias=False)
        self.conv = nn.Conv1d(inner, inner, kernel, groups=inner, padding=kernel - 1)
        self.x_proj = nn.Linear(inner, self.rank + 2 * state, bias=False)
        self.dt_proj = nn.Linear(self.rank, inner)
        self.a_log = nn.Parameter(torch.arange(1, state + 1).float().log().repeat(inner, 1))
        self.d = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x):
        t = x.shape[1]
        u, z = self.in_proj(x).chunk(2, dim=-1)
        u = F.silu(self.conv(u.transpose(1, 2))[:, :, :t]).transpose(1, 2)
        dt, b, c = self.x_proj(u).split((self.rank, self.state, self.state), dim=-1)
        dt = F.softplus(self.dt_proj(dt))
        decay = torch.exp(dt.unsqueeze(-1) * -torch.exp(self.a_log))                       # (B, T, E, N)
        drive = (dt * u).unsqueeze(-1) * b.unsqueeze(2)
        h = Scan.apply(decay.transpose(1, 2).contiguous(), drive.transpose(1, 2).contiguous()).transpose(1, 2)
        y = (h @ c.unsqueeze(-1)).squeeze(-1) + self.d * u
        return self.out_proj(y * F.silu(z))


class Block(nn.Module):
    def __init__(self, args):
        super().__init__()
        self.norm = RmsNorm(args.width)
        transformer = args.model == "transformer"
        self.mixer = Attention(args.width, args.heads, args.rope, args.time) if transformer else Mamba(args.width)
        self.mlp_norm = RmsNorm(args.width) if transformer else None
        self.mlp = SwiGlu(args.width, 682) if transformer else None

    def forward(self, x):
        x = x + self.mixer(self.norm(x))
        return x if self.mlp is None else x + self.mlp(self.mlp_norm(x))


class Model(nn.Module):
    def __init__(self, args):
        super().__init__()
        self.embeddings = nn.Embedding(args.vocabulary, args.width)
        nn.init.normal_(self.embeddings.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(args) for _ in range(args.layers))
        self.norm = RmsNorm(args.width)

    def forward(self, ids):
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x)
        return self.norm(x) @ self.embeddings.weight.T


class Mamba2(nn.Module):
    def __init__(self, args):
        super().__init__()
        from transformers import Mamba2Config, Mamba2ForCausalLM
        self.model = Mamba2ForCausalLM(Mamba2Config(
            vocab_size=args.vocabulary, hidden_size=args.width, num_hidden_layers=args.layers, num_heads=8, head_dim=64, state_size=64, expand=2,
            n_groups=1, chunk_size=128, use_cache=False, tie_word_embeddings=True, pad_token_id=0, bos_token_id=0, eos_token_id=0))

    def forward(self, ids):
        return self.model(ids, use_cache=False).logits


DEFAULTS = dict(batch=4, time=1024, width=256, layers=6, heads=4, vocabulary=256, threads=2)


def training_step(args):
    """A function that trains one step on one batch of random tokens and returns the loss."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    model = Mamba2(args) if args.model == "mamba2" else Model(args)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95))
    ids = torch.randint(args.vocabulary, (args.batch, args.time + 1))

    def loss_of(inputs, targets):
        with torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16"):
            return F.cross_entropy(model(inputs).reshape(-1, args.vocabulary), targets.reshape(-1))

    loss_of = torch.compile(loss_of) if args.compile else loss_of

    def step():
        loss = loss_of(ids[:, :-1], ids[:, 1:])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


VARIANTS = {"": {}, "@compile": dict(compile=True), "@bf16": dict(precision="bf16"), "@bf16 compile": dict(compile=True, precision="bf16")}


def case(model, **fixed):
    """Makes steps of a kind of model from params: batch, time, threads, precision ("f32" or "bf16"), compile, rope; all may be missing."""
    def make(params):
        params = {**params, **fixed}
        sizes = {name: int(params.get(name, value)) for name, value in DEFAULTS.items()}
        return training_step(argparse.Namespace(model=model, precision=params.get("precision", "f32"), compile=flag(params, "compile"),
                                                rope=flag(params, "rope"), **sizes))
    return make


def flag(params, name):
    return str(params.get(name, False)).lower() == "true"


CASES = {"step/" + model + variant: case(model, **fixed) for model in ("transformer", "mamba", "mamba2") for variant, fixed in VARIANTS.items()}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--model", choices=("transformer", "mamba", "mamba2"), required=True)
    for name, value in dict(DEFAULTS, warmup=1, steps=3).items():
        p.add_argument("--" + name, type=int, default=value)
    p.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--rope", action="store_true")
    args = p.parse_args()
    step = training_step(args)
    for n in range(args.warmup + args.steps):
        start = time.perf_counter()
        step()
        seconds = time.perf_counter() - start
        if n >= args.warmup:
            print(f"torch {args.model} {args.precision} B={args.batch} T={args.time} {seconds:.4f} s {args.batch * args.time / seconds:.0f} tokens/s",
                  flush=True)


if __name__ == "__main__":
    main()
