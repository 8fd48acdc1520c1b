#!/usr/bin/env python3
"""Golden logits of further configurations, computed by Hugging Face transformers: odd sizes, groups, head counts, rope types, long sequences.

Needs: torch, transformers, safetensors, numpy (CPU is enough; written with torch 2.13, transformers 5.18).
Run:   python3 make_variants.py OUT_DIR           # writes OUT_DIR/<variant>/{config.json,golden.safetensors}

Weights are not stored: element i of the tensor called NAME in the checkpoint is the F32 number nearest to a + b v, with

  v = 2 floor(z / 2^40) / 2^24 - 1
  z = the mixing function of SplitMix64 applied to s + (i + 1) 0x9E3779B97F4A7C15, modulo 2^64
  s = the 64-bit FNV-1a hash of NAME

and a, b from NAME and shape by the function `scale` below. (dev.sequent.testkit.GoldenWeights is the same rule in Java.)

Where transformers computes parts of a model in F32 even if the model is F64 (norms, A, rotary angles, the router's softmax), this script makes it compute
them in F64, so that the golden is good to about 1e-13; and it fails if that changes a logit by more than rounding would.

golden.safetensors holds
  input_ids   I64 (B,T)
  logits      F64 (B,T,V)  of each row by itself, without padding
  generated   I64 (B,10)   greedy continuation of the first 1 token of row 0 and of the first 7 tokens of row 1, each by itself
and in its metadata the versions, whether logits depend on the length of the sequence (dynamic and longrope beyond the original length, where a
prefix by itself has other logits than in the whole, so that `generated` belongs to other frequencies than `logits`), the names and shapes of the weights, and how far transformers' own result for a left-padded batch is from that for
the rows by themselves (largest difference over largest logit).
"""
import json, os, sys, tempfile
import numpy as np
import torch
import transformers
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from transformers import (GPT2Config, GPT2LMHeadModel, JambaConfig, JambaForCausalLM, LlamaConfig, LlamaForCausalLM,
                          Mamba2Config, Mamba2ForCausalLM, MambaConfig, MambaForCausalLM)

PROMPTS = (1, 7)
NEW = 10
MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
WIDE = torch.float64
FLOAT, NARROW = torch.Tensor.float, torch.float32


def llama(**more):
    sizes = dict(vocab_size=19, hidden_size=20, intermediate_size=23, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2,
                 max_position_embeddings=128)
    return LlamaForCausalLM, lambda: LlamaConfig(**{**sizes, **more})


def rope(kind, positions=128, **more):
    return llama(max_position_embeddings=positions, rope_parameters={"rope_type": kind, "rope_theta": 1000.0, **more})


# name: (class and configuration, T, options)
VARIANTS = {
    "gpt2-odd": ((GPT2LMHeadModel, lambda: GPT2Config(vocab_size=17, n_positions=80, n_embd=15, n_layer=3, n_head=3, n_inner=22, resid_pdrop=0.0,
                                                      embd_pdrop=0.0, attn_pdrop=0.0)), 63, {}),
    "gpt2-exact-gelu": ((GPT2LMHeadModel, lambda: GPT2Config(vocab_size=11, n_positions=40, n_embd=8, n_layer=1, n_head=1, activation_function="gelu",
                                                             resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)), 40, {}),
    "llama-one-kv-head": (llama(num_attention_heads=3, num_key_value_heads=1, head_dim=10, hidden_size=21, attention_bias=True, mlp_bias=True,
                                tie_word_embeddings=True, rms_norm_eps=1e-5), 75, {}),
    "llama-all-kv-heads": (llama(num_attention_heads=5, num_key_value_heads=5, hidden_size=30), 100, {}),
    "llama-long": (llama(vocab_size=7, num_attention_heads=4, num_key_value_heads=2, hidden_size=16, max_position_embeddings=512), 301, {}),
    "llama-rope-linear": (rope("linear", factor=2.5), 63, {}),
    "llama-rope-dynamic": (rope("dynamic", factor=2.0), 63, {}),
    "llama-rope-dynamic-long": (rope("dynamic", positions=32, factor=2.0), 63, {"depends_on_length": True}),
    "llama-rope-yarn": (rope("yarn", factor=4.0, original_max_position_embeddings=32), 63, {}),
    "llama-rope-longrope": (rope("longrope", factor=4.0, original_max_position_embeddings=32, short_factor=[1.0, 1.25, 1.5, 1.75, 2.0],
                                 long_factor=[1.0, 2.0, 3.5, 5.0, 7.0]), 63, {"depends_on_length": True}),
    "llama-rope-longrope-short": (rope("longrope", factor=4.0, original_max_position_embeddings=64, short_factor=[1.0, 1.25, 1.5, 1.75, 2.0],
                                       long_factor=[1.0, 2.0, 3.5, 5.0, 7.0]), 40, {}),
    "llama-rope-llama3": (rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32), 63, {}),
    "mamba-odd": ((MambaForCausalLM, lambda: MambaConfig(vocab_size=17, hidden_size=9, state_size=3, num_hidden_layers=3, expand=3, conv_kernel=3,
                                                         time_step_rank=2, use_bias=True, tie_word_embeddings=False)), 63, {}),
    "mamba-no-conv-bias": ((MambaForCausalLM, lambda: MambaConfig(vocab_size=13, hidden_size=33, state_size=5, num_hidden_layers=1, use_conv_bias=False)),
                           17, {}),
    "mamba-long": ((MambaForCausalLM, lambda: MambaConfig(vocab_size=7, hidden_size=8, state_size=16, num_hidden_layers=2,
                                                          tie_word_embeddings=False)), 301, {}),
    "mamba2-groups": ((Mamba2ForCausalLM, lambda: Mamba2Config(vocab_size=17, hidden_size=15, state_size=7, num_hidden_layers=2, num_heads=6, head_dim=5,
                                                               expand=2, n_groups=2, conv_kernel=3, chunk_size=16, use_bias=True)), 63, {}),
    "mamba2-limit": ((Mamba2ForCausalLM, lambda: Mamba2Config(vocab_size=17, hidden_size=12, state_size=4, num_hidden_layers=1, num_heads=3, head_dim=8,
                                                              expand=2, n_groups=3, chunk_size=8, time_step_limit=(0.1, 0.5), use_conv_bias=False,
                                                              tie_word_embeddings=True)), 41, {}),
    "mamba2-long": ((Mamba2ForCausalLM, lambda: Mamba2Config(vocab_size=7, hidden_size=8, state_size=5, num_hidden_layers=2, num_heads=4, head_dim=4,
                                                             expand=2, n_groups=1, chunk_size=64)), 301, {}),
    "jamba-odd": ((JambaForCausalLM, lambda: JambaConfig(vocab_size=17, hidden_size=15, intermediate_size=11, num_hidden_layers=5, num_attention_heads=3,
                                                         num_key_value_heads=1, attn_layer_period=3, attn_layer_offset=2, expert_layer_period=2,
                                                         expert_layer_offset=0, num_experts=5, num_experts_per_tok=1, mamba_d_state=3, mamba_d_conv=3,
                                                         mamba_expand=3, mamba_dt_rank=4, mamba_conv_bias=False, mamba_proj_bias=True,
                                                         use_mamba_kernels=False, tie_word_embeddings=True)), 63, {}),
    "jamba-dense": ((JambaForCausalLM, lambda: JambaConfig(vocab_size=13, hidden_size=12, intermediate_size=9, num_hidden_layers=3, num_attention_heads=2,
                                                           num_key_value_heads=2, attn_layer_period=2, attn_layer_offset=0, num_experts=1,
                                                           num_experts_per_tok=1, mamba_d_state=4, mamba_dt_rank=1, use_mamba_kernels=False)), 40, {}),
    "jamba-long": ((JambaForCausalLM, lambda: JambaConfig(vocab_size=7, hidden_size=8, intermediate_size=9, num_hidden_layers=4, num_attention_heads=2,
                                                          num_key_value_heads=1, attn_layer_period=4, attn_layer_offset=1, expert_layer_period=2,
                                                          expert_layer_offset=1, num_experts=3, num_experts_per_tok=2, mamba_d_state=4, mamba_dt_rank=2,
                                                          use_mamba_kernels=False)), 301, {}),
}


def scale(name, shape):
    last = name.rsplit(".", 1)[-1]
    if last == "A_log":
        return 0.5, 1.0
    if last == "D":
        return 1.0, 0.5
    if last == "dt_bias" or name.endswith("dt_proj.bias"):
        return -1.0, 1.5
    if last == "bias":
        return 0.0, 0.25
    if len(shape) == 1:
        return 1.0, 0.5
    if "embed" in name or "wte" in name or "wpe" in name:
        return 0.0, 1.0
    return 0.0, float(np.sqrt(np.float64(3.0) / np.float64(int(np.prod(shape[1:])))))


def weight(name, shape):
    s = 0xCBF29CE484222325
    for byte in name.encode():
        s = (s ^ byte) * 0x100000001B3 % 2**64
    z = np.uint64(s) + np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ z >> np.uint64(30)) * MIX[0]
    z = (z ^ z >> np.uint64(27)) * MIX[1]
    z = z ^ z >> np.uint64(31)
    v = 2 * ((z >> np.uint64(40)).astype(np.float64) / 2.0**24) - 1
    a, b = scale(name, shape)
    return (a + b * v).astype(np.float32).reshape(shape)


def build(cls, config, directory):
    """A model whose checkpoint has the rule's weights; its configuration is in the directory."""
    cls(config).save_pretrained(directory)
    path = os.path.join(directory, "model.safetensors")
    shapes = {k: list(v.shape) for k, v in load_file(path).items()}
    save_file({k: weight(k, s) for k, s in shapes.items()}, path, metadata={"format": "pt"})
    model = cls.from_pretrained(directory, dtype=WIDE, experts_implementation="eager", attn_implementation="eager").eval()
    return model, shapes


class Wide:
    """While this is open, what asks for F32 gets F64."""

    def __enter__(self):
        torch.float32 = torch.float = WIDE
        torch.Tensor.float = torch.Tensor.double

    def __exit__(self, *_):
        torch.float32 = torch.float = NARROW
        torch.Tensor.float = FLOAT


def logits(model, ids, mask=None):
    with torch.no_grad():
        return model(ids, attention_mask=mask, use_cache=False).logits.double()


def rotate_widely(model):
    """Rotary frequencies are made with the model, in F32: makes them again."""
    for module in model.modules():
        if hasattr(module, "rotary_emb"):
            module.rotary_emb = type(module.rotary_emb)(model.config)


def relative(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def greedy(model, row, n):
    """Fails when the choice is too close to be the same in F32."""
    ids = row[None, :n]
    for _ in range(NEW):
        last = logits(model, ids)[0, -1]
        best = last.topk(2).values
        if (best[0] - best[1]) / last.abs().max() < 1e-3:
            return None
        ids = torch.cat([ids, last.argmax()[None, None]], 1)
    return ids[0, n:]


def variant(name, cls, config, time, out_dir, options):
    directory = tempfile.mkdtemp()
    model, shapes = build(cls, config, directory)
    for seed in range(100):
        g = torch.Generator().manual_seed(seed)
        ids = torch.randint(0, config.vocab_size, (2, time), generator=g)
        if seed == 0:
            narrow = torch.cat([logits(model, ids[b:b + 1]) for b in range(2)])
            first = ids
        with Wide():
            rotate_widely(model)
            wide = torch.cat([logits(model, ids[b:b + 1]) for b in range(2)])
            rows = [greedy(model, ids[b], PROMPTS[b]) for b in range(2)]
        if all(r is not None for r in rows):
            break
    with Wide():
        difference = relative(narrow, torch.cat([logits(model, first[b:b + 1]) for b in range(2)]))
    if not difference < 1e-4:
        raise SystemExit(f"{name}: F32 and F64 parts differ by {difference}")
    # transformers' own left padding, for information: row 1 keeps its first tokens only
    short = time // 3
    padded = ids.clone()
    padded[1] = torch.cat([torch.zeros(time - short, dtype=torch.int64), ids[1, :short]])
    mask = torch.ones_like(ids)
    mask[1, :time - short] = 0
    with Wide():
        own = relative(logits(model, padded, mask)[1, time - short:], wide[1, :short])
    path = os.path.join(out_dir, name)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(directory, "config.json")) as f, open(os.path.join(path, "config.json"), "w") as to:
        values = json.load(f)
        if options:
            values["rope_parameters"]["sequence_length"] = time   # Sequent's key for the length that chooses the frequencies
        to.write(json.dumps(values, indent=2) + "\n")
    metadata = {"torch": torch.__version__, "transformers": transformers.__version__, "weights": json.dumps(shapes), "seed": str(seed),
                "f32_parts_change_logits_by": f"{difference:.1e}", "left_padding_of_transformers_is_off_by": f"{own:.1e}",
                **{k: json.dumps(v) for k, v in options.items()}}
    save_file({"input_ids": ids.numpy(), "logits": wide.numpy(), "generated": torch.stack(rows).numpy()},
              os.path.join(path, "golden.safetensors"), metadata=metadata)
    size = os.path.getsize(os.path.join(path, "golden.safetensors"))
    print(f"{name}: seed {seed}, {size} bytes, largest logit {wide.abs().max():.3g}, F32 parts {difference:.1e}, left padding {own:.1e}, {[r.tolist() for r in rows]}",
          flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    chosen = sys.argv[2:] or list(VARIANTS)
    for name in chosen:
        (cls, config), time, options = VARIANTS[name]
        variant(name, cls, config(), time, sys.argv[1], options)
