"""Causal attention of 8 heads of 64 channels over one row: PyTorch's scaled_dot_product_attention.

Cases as dev.sequent.benchmarks.KernelSubject makes them. The windowed one needs a mask: PyTorch's CPU kernel has no window.
"""
import torch
from torch.nn.functional import scaled_dot_product_attention

HEADS = 8
WIDTH = 64
WINDOW = 512


def case(groups=HEADS, dtype=torch.float32, window=None):
    def make(params):
        torch.set_num_threads(params["threads"])
        generator = torch.Generator().manual_seed(20)
        time = params["time"]
        backward = params["pass"] == "gradient"

        def draw(heads):
            x = torch.rand(1, time, heads, WIDTH, generator=generator) * 2 - 1
            return x.to(dtype).transpose(1, 2).contiguous().requires_grad_(backward)

        q, k, v = draw(HEADS), draw(groups), draw(groups)
        cotangent = torch.ones_like(q)
        mask = None
        if window is not None:
            positions = torch.arange(time)
            mask = (positions[:, None] >= positions) & (positions > positions[:, None] - window)

        def attention():
            return scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, scale=0.125, enable_gqa=groups != HEADS)

        def forward():
            with torch.no_grad():
                attention()

        def gradient():
            torch.autograd.grad(attention(), (q, k, v), cotangent)

        return gradient if backward else forward

    return make


CASES = {
    "kernel/attention": case(),
    "kernel/attention_bf16": case(dtype=torch.bfloat16),
    "kernel/grouped_attention": case(groups=2),
    "kernel/windowed_attention": case(window=WINDOW),
}
