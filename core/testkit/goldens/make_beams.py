#!/usr/bin/env python3
"""Beam searches by Hugging Face transformers on the tiny models of make_goldens.py, for comparison.

Needs: torch, transformers (CPU is enough; written with torch 2.13, transformers 5.18).
Run:   python3 make_beams.py GOLDENS_DIR OUT.json    # GOLDENS_DIR/<family>/{config.json,model.safetensors}

Every prompt is searched by itself, in float64 (transformers computes log-probabilities in float32). The file holds, for
each search, its settings and the best sequences with their scores, new tokens only, an end token included.
"""
import json, sys
import torch
import transformers
from transformers import AutoModelForCausalLM

PROMPTS = [[5, 17, 60, 3, 44, 9, 9, 71], [12], [80, 2, 33]]
SETTINGS = [dict(num_beams=3, length_penalty=1.0, early_stopping=False), dict(num_beams=4, length_penalty=0.0, early_stopping="never"),
            dict(num_beams=4, length_penalty=2.0, early_stopping=True), dict(num_beams=2, length_penalty=-0.5, early_stopping="never")]
NEW = 8
# grouped products of experts exist in float32 only
EAGER = dict(jamba=dict(experts_implementation="eager"))


def search(model, prompt, settings, eos):
    ids = torch.tensor([prompt])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, do_sample=False, eos_token_id=eos, pad_token_id=0,
                         num_return_sequences=settings["num_beams"], return_dict_in_generate=True, output_scores=True, **settings)
    sequences = []
    for tokens, score in zip(out.sequences[:, len(prompt):].tolist(), out.sequences_scores.tolist()):
        ends = [i + 1 for i, t in enumerate(tokens) if t in eos]
        sequences.append(dict(tokens=tokens[:ends[0]] if ends else tokens, score=score))
    return sequences


def main(goldens, target):
    torch.manual_seed(0)
    searches = []
    for family in ["gpt2", "llama", "mamba", "mamba2", "jamba"]:
        model = AutoModelForCausalLM.from_pretrained(f"{goldens}/{family}", dtype=torch.float64, **EAGER.get(family, {})).eval()
        model.generation_config = transformers.GenerationConfig()
        # tokens that the model likes, so that sequences do end
        liked = search(model, PROMPTS[0], dict(num_beams=4, length_penalty=1.0, early_stopping=False), [96])
        eos = sorted({liked[0]["tokens"][3], liked[-1]["tokens"][-1]})
        for settings in SETTINGS:
            for prompt in PROMPTS:
                searches.append(dict(family=family, prompt=prompt, eos=eos, new=NEW, **settings, best=search(model, prompt, settings, eos)))
    with open(target, "w") as f:
        f.write(json.dumps(dict(transformers=transformers.__version__, torch=torch.__version__, searches=[]))[:-2])
        f.write("\n" + ",\n".join(json.dumps(s) for s in searches) + "\n]}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
