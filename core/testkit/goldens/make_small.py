#!/usr/bin/env python3
"""Logits of many small configurations of the families, computed by Hugging Face transformers, as one JSON file.

Needs: torch, transformers, numpy (CPU is enough; written with torch 2.13, transformers 5.18).
Run:   python3 make_small.py OUT.json

Weights are not stored: value i of tensor k (in the order of "tensors") is base + scale * hash(i, k), in F32, see `values`. Models run in float64 on these
weights. Per variant:
  config     what config.json says; "ours" are keys that only Sequent reads
  tensors    [name, shape, base, scale] of every tensor of the checkpoint
  ids        one row of T token ids
  at, logits positions and their logits, of one forward pass, or of a prompt of `prompt` tokens and cached steps where "prompt" is given
  inverse, attention   rotary frequencies and attention factor of the forward pass (Llama only)
"""
import json, sys
import numpy as np
import torch
from transformers import (AutoConfig, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Mamba2Config, Mamba2ForCausalLM, MambaConfig,
                          MambaForCausalLM, MistralConfig, MistralForCausalLM)

V = 11


def values(k, n, base, scale):
    """Uniform in base +- scale: 20 bits of a hash of the element's and the tensor's number."""
    x = (np.arange(1, n + 1, dtype=np.uint64) * 2654435761 + (k + 1) * 2246822519) & 0xFFFFFFFF
    for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
        x = ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    x = x ^ (x >> np.uint64(15))
    u = (x >> np.uint64(12)).astype(np.float64) / 2**20
    return (base + scale * (2 * u - 1)).astype(np.float32)


def place(name, shape):
    """Base and scale of a tensor's values."""
    if name.endswith("A_log"):
        return 0.5, 0.5
    if name.endswith(".D"):
        return 1.0, 0.25
    if name.endswith("dt_proj.bias") or name.endswith("dt_bias"):
        return -1.0, 1.0
    if len(shape) == 1 and name.endswith("weight"):
        return 1.0, 0.25
    if len(shape) == 1:
        return 0.0, 0.25
    return 0.0, 0.5


def variant(name, cls, config, time=24, at=(0, 1, 7, 15, 16, 23), prompt=None, ours=None, drop=()):
    model = cls(config).eval()
    tied = getattr(config, "tie_word_embeddings", False)
    state = {k: v for k, v in sorted(model.state_dict().items()) if not (tied and k == "lm_head.weight")}
    tensors = []
    for k, (key, value) in enumerate(state.items()):
        base, scale = place(key, value.shape)
        tensors.append([key, list(value.shape), base, scale])
        value.copy_(torch.from_numpy(values(k, value.numel(), base, scale).reshape(tuple(value.shape))))
    model = model.double()
    ids = torch.tensor([[(7 * t * t + 3 * t + 1) % V for t in range(time)]])
    at = [t for t in at if t < time]
    with torch.no_grad():
        if prompt is None:
            logits = model(ids, use_cache=False).logits[0]
        else:
            out = model(ids[:, :prompt], use_cache=True)
            parts, cache = [out.logits[0]], out.past_key_values
            for t in range(prompt, time):
                out = model(ids[:, t:t + 1], past_key_values=cache, use_cache=True, position_ids=torch.tensor([[t]]))
                parts.append(out.logits[0])
                cache = out.past_key_values
            logits = torch.cat(parts)
    written = json.loads(config.to_json_string(use_diff=False))
    for key in drop:
        written.pop(key, None)
    keep = {k: v for k, v in written.items() if v is not None or k in ("sliding_window", "n_inner", "head_dim")}
    keep.update(ours or {})
    result = {"name": name, "config": keep, "tensors": tensors, "ids": ids[0].tolist(), "at": at,
              "logits": [[float(f"{x:.9g}") for x in logits[t].tolist()] for t in at]}
    if prompt is not None:
        result["prompt"] = prompt
    rotary = getattr(getattr(model, "model", None), "rotary_emb", None)
    if rotary is not None and prompt is None:
        result["inverse"] = [float(f"{x:.9g}") for x in rotary.inv_freq.double().tolist()]
        result["attention"] = float(rotary.attention_scaling)
    return result


def llama(name, rope=None, time=24, prompt=None, ours=None, config_class=LlamaConfig, cls=LlamaForCausalLM, drop=(), **more):
    options = dict(vocab_size=V, hidden_size=32, intermediate_size=20, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
                   max_position_embeddings=16)
    options.update(more)
    if rope is not None:
        options["rope_parameters"] = dict({"rope_theta": 10000.0}, **rope)
    return variant(name, cls, config_class(**options), time=time, prompt=prompt, ours=ours, drop=drop)


def fixed(rope, time=24):
    """The keys under which Sequent reads the length that a forward pass of Hugging Face takes by itself."""
    return {"rope_parameters": dict({"rope_theta": 10000.0}, **rope, sequence_length=time)}


SHORT = [1.0, 1.1, 1.2, 1.3, 1.5, 1.7, 2.0, 2.5]
LONG = [1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 16.0]
DYNAMIC = {"rope_type": "dynamic", "factor": 3.0}
LONGROPE = {"rope_type": "longrope", "short_factor": SHORT, "long_factor": LONG, "original_max_position_embeddings": 16, "factor": 4.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}


def all_variants():
    yield llama("llama default", {"rope_type": "default"})
    yield llama("llama theta 500000", {"rope_type": "default", "rope_theta": 500000.0})
    yield llama("llama linear", {"rope_type": "linear", "factor": 4.0})
    yield llama("llama dynamic within its length", DYNAMIC, time=16)
    yield llama("llama dynamic beyond its length, one pass", DYNAMIC, ours=fixed(DYNAMIC))
    yield llama("llama dynamic beyond its length, cached steps", DYNAMIC, prompt=12)
    yield llama("llama yarn", YARN, max_position_embeddings=64)
    yield llama("llama yarn with betas", dict(YARN, beta_fast=4.0, beta_slow=0.5), max_position_embeddings=64)
    yield llama("llama yarn not truncated", dict(YARN, truncate=False, factor=8.0), max_position_embeddings=128)
    yield llama("llama yarn with attention factor", dict(YARN, attention_factor=0.7), max_position_embeddings=64)
    yield llama("llama yarn with mscale", dict(YARN, mscale=0.8, mscale_all_dim=0.4), max_position_embeddings=64)
    yield llama("llama longrope short", LONGROPE, time=16, max_position_embeddings=64)
    yield llama("llama longrope long", LONGROPE, max_position_embeddings=64, ours=fixed(LONGROPE))
    longrope = {k: v for k, v in LONGROPE.items() if k != "factor"}
    yield llama("llama longrope with implied factor", longrope, time=16, max_position_embeddings=128)
    yield llama("llama longrope with attention factor", dict(LONGROPE, attention_factor=1.25), time=16, max_position_embeddings=64)
    llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
    yield llama("llama llama3", llama3, max_position_embeddings=512)
    yield llama("llama llama3, keys of transformers 4", llama3, max_position_embeddings=512, drop=("rope_parameters",),
                ours={"rope_theta": 10000.0, "rope_scaling": llama3})
    yield llama("llama linear, key type", {"rope_type": "linear", "factor": 2.0}, drop=("rope_parameters",),
                ours={"rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 2.0}})
    yield llama("llama biases", attention_bias=True, mlp_bias=True)
    yield llama("llama tied, one key-value head", tie_word_embeddings=True, num_key_value_heads=1)
    yield llama("llama multi-head, narrow heads", num_key_value_heads=4, head_dim=6)
    yield llama("llama one layer, one head, odd inner width", num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1, head_dim=None,
                hidden_size=10, intermediate_size=7, rms_norm_eps=1e-3)
    yield llama("llama one token", time=1)
    yield llama("mistral window", config_class=MistralConfig, cls=MistralForCausalLM, sliding_window=5)
    yield llama("mistral without window", config_class=MistralConfig, cls=MistralForCausalLM, sliding_window=None, head_dim=None)
    gpt2 = dict(vocab_size=V, n_positions=32, n_embd=12, n_layer=2, n_head=3, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    yield variant("gpt2", GPT2LMHeadModel, GPT2Config(**gpt2))
    yield variant("gpt2 inner width, exact GELU", GPT2LMHeadModel, GPT2Config(**dict(gpt2, n_inner=17, activation_function="gelu")))
    yield variant("gpt2 untied, one head, one layer", GPT2LMHeadModel, GPT2Config(**dict(gpt2, n_head=1, n_layer=1, tie_word_embeddings=False)))
    yield variant("gpt2 epsilon, one token", GPT2LMHeadModel, GPT2Config(**dict(gpt2, layer_norm_epsilon=1e-2)), time=1)
    mamba = dict(vocab_size=V, hidden_size=12, state_size=4, num_hidden_layers=2)
    yield variant("mamba", MambaForCausalLM, MambaConfig(**mamba))
    yield variant("mamba odd sizes", MambaForCausalLM, MambaConfig(**dict(mamba, hidden_size=9, state_size=3, expand=3, conv_kernel=3, time_step_rank=2)))
    yield variant("mamba biases, untied", MambaForCausalLM, MambaConfig(**dict(mamba, use_bias=True, use_conv_bias=False, tie_word_embeddings=False)))
    yield variant("mamba one layer, one token", MambaForCausalLM, MambaConfig(**dict(mamba, num_hidden_layers=1, layer_norm_epsilon=1e-3)), time=1)
    mamba2 = dict(vocab_size=V, hidden_size=12, state_size=5, num_hidden_layers=2, num_heads=6, head_dim=4, expand=2, n_groups=1, chunk_size=8)
    yield variant("mamba2 chunks", Mamba2ForCausalLM, Mamba2Config(**mamba2))
    yield variant("mamba2 groups", Mamba2ForCausalLM, Mamba2Config(**dict(mamba2, n_groups=2)))
    yield variant("mamba2 biases, tied, one token", Mamba2ForCausalLM, Mamba2Config(**dict(mamba2, use_bias=True, use_conv_bias=False,
                                                                                   tie_word_embeddings=True)), time=1)
    yield variant("mamba2 limited steps", Mamba2ForCausalLM, Mamba2Config(**dict(mamba2, time_step_limit=(0.1, 0.5), conv_kernel=3)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    out = list(all_variants())
    with open(sys.argv[1], "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(v, sort_keys=True) for v in out) + "\n]\n")
    print(len(out), "variants")
