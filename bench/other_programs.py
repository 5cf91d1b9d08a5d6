"""What vitslim takes from other programs and what it gives to them: how far both sides are apart, and how fast its exports are.

    pip install torch timm safetensors onnx onnxruntime onnxscript
    cargo build --release
    python bench/other_programs.py

The differences are those of the tests that compare, which cargo builds and runs: `tests/tests/weights`, `tests/tests/export` and
`vitslim selftest --only parity`. Each is over the largest logit; of exports to ONNX and PyTorch, over the largest
value of the output that is furthest off, be it the logits or what comes out of a module. If `VITSLIM_PUBLISHED` names the folder of `bench/published.py`, its
network is among them. The speed is that of `bench/export.py`, whose options this takes.
"""

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import export

ROOT = Path(__file__).parent.parent
NUMBER = r"\d\S*e[-+]?\d+"
# Checks of the selftest that load a network; its others compare what becomes of it.
LOADING = {"dense_logits": "vit_slim", **{name: f"timm_{name}_masked_and_sliced" for name in ("vit", "deit_distilled", "swin", "convnext")}}
PROGRAMS = {"onnxruntime": ["of_onnx"], "PyTorch": ["of_pytorch", "of_trained", "of_compiled", "of_exported"], "timm": ["of_timm"]}


def tested(target, name):
    """What the tests called `name` print."""
    command = ["cargo", "test", "--package", "vitslim-tests", "--test", target, name, "--", "--nocapture"]
    environment = {"VITSLIM_PYTHON": sys.executable, **os.environ}
    return subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout


def loaded(vitslim):
    """The largest difference to the program that each network is from."""
    found = defaultdict(float)
    for case, difference in re.findall(rf"(\w+): ({NUMBER})$", tested("weights", "families"), re.MULTILINE):
        found[case] = max(found[case], float(difference))
    command = [vitslim, "selftest", "--only", "parity", "--device", "cpu", "--json"]
    for check in json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)["checks"]:
        if case := LOADING.get(check["name"]):
            found[case] = float(re.search(NUMBER, check["told"])[0])
    print("| loaded | largest difference |\n| --- | --- |")
    for case, difference in sorted(found.items()):
        print(f"| {case} | {difference:.0e} |")


def exported():
    """The largest difference of each export, of one image and of seven."""
    found = defaultdict(dict)
    for network, of, *differences in re.findall(
        rf"^(\w+)\.\w+ +(\w+) +({NUMBER}) ({NUMBER})$", tested("export", "onnxruntime"), re.MULTILINE
    ):
        found[network][of] = [float(difference) for difference in differences]
    if not found:
        needed = "torch, timm, safetensors, onnx, onnxruntime and onnxscript"
        sys.exit(f"the test of exports was skipped: it takes a Python with {needed}, and `VITSLIM_PYTHON` names another one")
    print(f"\n| exported | {' | '.join(PROGRAMS)} |\n| --- |{' --- |' * len(PROGRAMS)}")
    for network, differences in found.items():
        cells = []
        for names in PROGRAMS.values():
            pairs = [differences[of] for of in names if of in differences]
            cells.append(" / ".join(f"{max(column):.0e}" for column in zip(*pairs)))
        print(f"| {network} | {' | '.join(cells)} |")


def main():
    args = export.arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    loaded(args.vitslim)
    exported()
    print()
    export.speed(args)


if __name__ == "__main__":
    main()
