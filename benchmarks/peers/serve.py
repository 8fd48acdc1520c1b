#!/usr/bin/env python3
"""Runs cases of the files beside it for `dev.sequent.benchmarks.peers.Compare`, which says when: one line of JSON in, one out.

Needs: torch (CPU is enough); transformers for some cases. Started by `mvn -q -Pcompare process-classes -Dargs="--python PYTHON"`.

A file has a dict CASES of name -> make, and make(params) returns a function of no argument that does one call. Names are those of our
side (`kernel/attention`, `step/mamba`); `NAME@variant` is a further peer of the same. params: time, pass (forward, or gradient: forward and
backward), threads, batch. A make that raises says by that why the case cannot be run. A call may return a number, such as a loss, which our side
compares with its own.

    out: {"name": "PyTorch 2.13.0", "cases": [...], "missing": {"file.py": "why"}}      or {"absent": "why"}
    in:  {"load": "kernel/attention", "params": {"time": 1024, "pass": "forward", "threads": 2}}
    out: {"ready": true}                                                                or {"unsupported": "why"}
    in:  {"run": 10}
    out: {"seconds": [...], "values": [numbers, or nulls where calls return none]}      or {"error": "why"}
    in:  {"quit": true}
"""
import importlib
import json
import os
import sys
import time

FILES = ("attention", "selective_scan", "mamba2", "train_step", "decode", "operations")

# Whatever a library prints goes to standard error, so that answers stand alone.
answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)


def answer(**members):
    answers.write(json.dumps(members) + "\n")
    answers.flush()


def reason(error):
    return f"{type(error).__name__}: {error}".splitlines()[0]


def known_cases():
    cases, missing = {}, {}
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    for name in FILES:
        if not os.path.exists(os.path.join(sys.path[0], name + ".py")):
            continue
        try:
            cases.update(getattr(importlib.import_module(name), "CASES", {}))
        except Exception as error:
            missing[name + ".py"] = reason(error)
    return cases, missing


def timed(call, count):
    seconds, values = [], []
    for _ in range(count):
        start = time.perf_counter()
        value = call()
        seconds.append(time.perf_counter() - start)
        values.append(value if isinstance(value, float) else None)
    return dict(seconds=seconds, values=values)


def main():
    try:
        import torch
    except ImportError as error:
        answer(absent=str(error))
        return
    cases, missing = known_cases()
    answer(name="PyTorch " + torch.__version__.split("+")[0], cases=list(cases), missing=missing)
    call = None
    for line in sys.stdin:
        question = json.loads(line)
        if "quit" in question:
            return
        try:
            if "load" in question:
                call = None  # frees what the last case held
                params = question["params"]
                torch.set_num_threads(params.get("threads", torch.get_num_threads()))
                torch.manual_seed(1)
                call = cases[question["load"]](params)
                answer(ready=True)
            else:
                answer(**timed(call, question["run"]))
        except Exception as error:
            import traceback
            traceback.print_exc()
            answer(**{"unsupported" if "load" in question else "error": reason(error)})


if __name__ == "__main__":
    main()
