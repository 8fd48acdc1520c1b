"""Mamba-2 in PyTorch: transformers' model, trained, and its chunked form of the state-space dual, in tensor operations.

`step/mamba2`: 6 layers, width 256, 8 heads of 64, 64 states, chunks of 128, vocabulary 256, tied head; forward, backward and AdamW, F32, eager.
`kernel/state_space_dual` and `kernel/state_space_dual_128`: 24 heads of 64 with 64 and 128 states and one pair of B and C, chunks of 64.
"""
import torch

HEADS, HEAD_WIDTH, KERNEL_CHUNK = 24, 64, 64
WIDTH, VOCABULARY, STEP_HEADS, STEP_STATES, STEP_CHUNK = 256, 256, 8, 64, 128


def segment_sums(x):
    """Row i, column j: the sum of x over j + 1 .. i; minus infinity above the diagonal."""
    size = x.shape[-1]
    ones = torch.ones(size, size, dtype=torch.bool)
    sums = x.unsqueeze(-1).expand(*x.shape, size).masked_fill(~ones.tril(-1), 0).cumsum(-2)
    return sums.masked_fill(~ones.tril(), -torch.inf)


def chunked(x, dt, a, b, c, skip):
    """Dao and Gu 2024, listing 1, for one group: x (B, T, H, P), dt (B, T, H), a and skip (H), b and c (B, T, N)."""
    batch, time, heads, width = x.shape
    residual = x * skip.unsqueeze(-1)
    x = (x * dt.unsqueeze(-1)).view(batch, -1, KERNEL_CHUNK, heads, width)
    rate = (dt * a).view(batch, -1, KERNEL_CHUNK, heads).permute(0, 3, 1, 2)
    b, c = (y.view(batch, -1, KERNEL_CHUNK, y.shape[-1]) for y in (b, c))
    total = rate.cumsum(-1)
    scores = torch.einsum("bcln,bcsn->bcls", c, b)
    within = torch.einsum("bcls,bhcls,bcshp->bclhp", scores, segment_sums(rate).exp(), x)
    added = torch.einsum("bcln,bhcl,bclhp->bchpn", b, (total[..., -1:] - total).exp(), x)
    added = torch.cat((torch.zeros_like(added[:, :1]), added), dim=1)
    decay = segment_sums(torch.nn.functional.pad(total[..., -1], (1, 0))).exp()
    states = torch.einsum("bhzc,bchpn->bzhpn", decay, added)[:, :-1]
    carried = torch.einsum("bcln,bchpn,bhcl->bclhp", c, states, total.exp())
    return (within + carried).reshape(batch, time, heads, width) + residual


def kernel(states):
    def make(params):
        time = params["time"]
        if time % KERNEL_CHUNK != 0:
            raise ValueError(f"takes multiples of {KERNEL_CHUNK} tokens, given {time}")
        draw = lambda *shape: torch.rand(shape) * 2 - 1
        inputs = [draw(1, time, HEADS, HEAD_WIDTH), (draw(1, time, HEADS) + 1.01) * 0.05, (draw(HEADS) + 1.01) * -4, draw(1, time, states),
                  draw(1, time, states), draw(HEADS)]
        gradient = params["pass"] == "gradient"
        for x in inputs:
            x.requires_grad_(gradient)
        ones = torch.ones_like(inputs[0])

        def forward():
            with torch.no_grad():
                chunked(*inputs)

        return (lambda: torch.autograd.grad(chunked(*inputs), inputs, ones)) if gradient else forward

    return make


def step(params):
    from transformers import Mamba2Config, Mamba2ForCausalLM

    batch, time = params.get("batch", 1), params["time"]
    config = Mamba2Config(vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=6, num_heads=STEP_HEADS, head_dim=HEAD_WIDTH,
                          state_size=STEP_STATES, n_groups=1, expand=2, conv_kernel=4, chunk_size=STEP_CHUNK, use_cache=False,
                          tie_word_embeddings=True)
    model = Mamba2ForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    ids = torch.randint(0, VOCABULARY, (batch, time))

    def call():
        optimizer.zero_grad(set_to_none=True)
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()

    return call


CASES = {"step/mamba2": step, "kernel/state_space_dual": kernel(64), "kernel/state_space_dual_128": kernel(128)}
