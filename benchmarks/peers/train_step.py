#!/usr/bin/env python3
"""One training step of a small language model in PyTorch: the peer of `TrainStep` in this module.

Needs: torch (CPU is enough), and transformers for --model mamba2.
Run: python3 train_step.py --model transformer|mamba|mamba2 [--batch 4 --time 1024 --threads 2 --steps 5 --precision f32|bf16 --compile]
Prints one line per measured step: seconds and tokens per second. Forward, backward, clipping of the gradient's norm at 1 and AdamW (fused,
matrices decay); eager unless --compile is given.
--precision bf16 is autocast: F32 master weights, gradients and optimizer, matrix products and attention in BF16.
CASES offers the same steps to serve.py, with weights and tokens from our side so that losses can be compared.

transformer: 6 blocks of RMSNorm, causal attention (scaled_dot_product_attention, 4 heads, rotary embedding), RMSNorm, SwiGLU of inner
width 682. mamba: 6 Mamba-1 blocks (expand 2, state 16, conv 4, dt_rank 16) with a work-efficient parallel scan over time in
tensor operations (Blelloch 1990), and the same scan in reverse for the gradient. mamba2: transformers' Mamba2Model in its chunked form
(8 heads of 64, state 64, chunk 128), which tensor operations compute where there is no GPU. Width 256, vocabulary 256, tied head.
"""
import argparse
import json
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
    def __init__(self, width, heads, time):
        super().__init__()
        self.heads = heads
        self.qkv_proj = nn.Linear(width, 3 * width, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)
        half = width // heads // 2
        angles = torch.outer(torch.arange(time).float(), 10000.0 ** (-torch.arange(half).float() / half))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = (y.view(b, t, self.heads, -1).transpose(1, 2) for y in self.qkv_proj(x).chunk(3, dim=-1))
        q, k = rotate(q, self.cos, self.sin), rotate(k, self.cos, self.sin)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, d))


class SwiGlu(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.gate_proj = nn.Linear(width, hidden, bias=False)
        self.up_proj = nn.Linear(width, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, width, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


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
        self.conv1d = nn.Conv1d(inner, inner, kernel, groups=inner, padding=kernel - 1)
        self.x_proj = nn.Linear(inner, self.rank + 2 * state, bias=False)
        self.dt_proj = nn.Linear(self.rank, inner)
        self.A_log = nn.Parameter(torch.arange(1, state + 1).float().log().repeat(inner, 1))
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x):
        t = x.shape[1]
        u, z = self.in_proj(x).chunk(2, dim=-1)
        u = F.silu(self.conv1d(u.transpose(1, 2))[:, :, :t]).transpose(1, 2)
        dt, b, c = self.x_proj(u).split((self.rank, self.state, self.state), dim=-1)
        dt = F.softplus(self.dt_proj(dt))
        decay = torch.exp(dt.unsqueeze(-1) * -torch.exp(self.A_log))                       # (B, T, E, N)
        drive = (dt * u).unsqueeze(-1) * b.unsqueeze(2)
        h = Scan.apply(decay.transpose(1, 2).contiguous(), drive.transpose(1, 2).contiguous()).transpose(1, 2)
        y = (h @ c.unsqueeze(-1)).squeeze(-1) + self.D * u
        return self.out_proj(y * F.silu(z))


class Block(nn.Module):
    def __init__(self, args):
        super().__init__()
        self.norm = RmsNorm(args.width)
        transformer = args.model == "transformer"
        self.mixer = Attention(args.width, args.heads, args.time) if transformer else Mamba(args.width)
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
        self.layers = nn.ModuleList(Block(args) for _ in range(args.layers))
        self.norm_f = RmsNorm(args.width)

    def forward(self, ids):
        x = self.embeddings(ids)
        for layer in self.layers:
            x = layer(x)
        return self.norm_f(x) @ self.embeddings.weight.T


class Mamba2(nn.Module):
    def __init__(self, args):
        super().__init__()
        from transformers import Mamba2Config, Mamba2ForCausalLM
        self.model = Mamba2ForCausalLM(Mamba2Config(
            vocab_size=args.vocabulary, hidden_size=args.width, num_hidden_layers=args.layers, num_heads=8, head_dim=64, state_size=64, expand=2,
            n_groups=1, chunk_size=128, use_cache=False, tie_word_embeddings=True, pad_token_id=0, bos_token_id=0, eos_token_id=0))

    def forward(self, ids):
        return self.model(ids, use_cache=False).logits


def stored(path):
    """The tensors of a safetensors file: the length of a header, the header in JSON, numbers."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = bytearray(file.read())
    types = {"F32": torch.float32, "I32": torch.int32, "I64": torch.int64}
    return {name: torch.frombuffer(data[slice(*t["data_offsets"])], dtype=types[t["dtype"]]).reshape(t["shape"])
            for name, t in header.items() if name != "__metadata__"}


def take(model, tensors):
    """Gives a model the weights of ours, in which queries, keys and values are three matrices."""
    for name in [n for n in tensors if n.endswith(".q_proj.weight")]:
        parts = [name.replace(".q_proj.", "." + part + "_proj.") for part in "qkv"]
        tensors[name.replace(".q_proj.", ".qkv_proj.")] = torch.cat([tensors.pop(part) for part in parts])
    if isinstance(model, Mamba2):
        tensors = {"backbone." + name: x for name, x in tensors.items()}
        tensors["lm_head.weight"] = tensors["backbone.embeddings.weight"]
        model = model.model
    model.load_state_dict(tensors)


def decays(name, parameter):
    return parameter.ndim > 1 and not name.endswith("A_log")


DEFAULTS = dict(batch=4, time=1024, width=256, layers=6, heads=4, vocabulary=256, threads=2)


def training_step(args):
    """A function that trains one step on one batch of random tokens and returns the loss."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    model = Mamba2(args) if args.model == "mamba2" else Model(args)
    model.train()
    ids = torch.randint(args.vocabulary, (args.batch, args.time + 1))
    inputs, targets = ids[:, :-1], ids[:, 1:]
    if args.weights:
        tensors = stored(args.weights)
        inputs, targets = (tensors.pop(name).long() for name in ("inputs", "targets"))
        take(model, tensors)
    named = list(model.named_parameters())
    groups = [dict(params=[p for n, p in named if decays(n, p) == decay], weight_decay=0.1 * decay) for decay in (True, False)]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), eps=1e-8, fused=True)

    def loss_of(inputs, targets):
        with torch.autocast("cpu", torch.bfloat16, enabled=args.precision == "bf16"):
            return F.cross_entropy(model(inputs).reshape(-1, args.vocabulary), targets.reshape(-1))

    loss_of = torch.compile(loss_of) if args.compile else loss_of

    def step():
        loss = loss_of(inputs, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step


VARIANTS = {"": {}, "@compile": dict(compile=True), "@bf16": dict(precision="bf16"), "@bf16 compile": dict(compile=True, precision="bf16")}


def case(model, **fixed):
    """Makes steps of a kind of model from params: batch, time, threads, precision ("f32" or "bf16"), compile, weights (a file of ours: weights,
    inputs and targets); all may be missing."""
    def make(params):
        params = {**params, **fixed}
        sizes = {name: int(params.get(name, value)) for name, value in DEFAULTS.items()}
        return training_step(argparse.Namespace(model=model, precision=params.get("precision", "f32"),
                                                compile=params.get("compile", False), weights=params.get("weights"), **sizes))
    return make


CASES = {"step/" + model + variant: case(model, **fixed) for model in ("transformer", "mamba", "mamba2") for variant, fixed in VARIANTS.items()}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--model", choices=("transformer", "mamba", "mamba2"), required=True)
    for name, value in dict(DEFAULTS, warmup=1, steps=3).items():
        p.add_argument("--" + name, type=int, default=value)
    p.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--weights", help="a file of weights, inputs and targets (default: random ones)")
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
