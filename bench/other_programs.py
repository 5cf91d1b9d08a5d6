"""What vitslim takes from other programs and what it gives to them, in two tables: how far both sides are apart, and how fast exports are.

    pip install torch timm safetensors onnx onnxruntime onnxscript
    cargo build --release
    python bench/other_programs.py

The numbers are those of the tests that compare, which cargo builds and runs: `tests/tests/weights`, `tests/tests/export` and
`vitslim selftest --only parity`. Each difference is over the largest logit. The speed is that of `bench/export.py`.
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
NUMBER = r"\d\S*e-?\d+|0e0"


def tested(target, name):
    """What the tests called `name` print."""
    command = ["cargo", "test", "--package", "vitslim-tests", "--test", target, name, "--", "--nocapture"]
    environment = {"VITSLIM_PYTHON": sys.executable, **os.environ}
    return subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout


def loaded(vitslim):
    found = defaultdict(float)
    for case, difference in re.findall(rf"^(?:test .* )?(\w+): ({NUMBER})$", tested("weights", "families"), re.MULTILINE):
        found[case] = max(found[case], float(difference))
    command = [vitslim, "selftest", "--only", "parity", "--device", "cpu", "--json"]
    checks = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)["checks"]
    for check in checks:
        if difference := re.search(NUMBER, check["told"]):
            found[f"selftest {check['group']}.{check['name']}"] = float(difference[0])
    print("| loaded | largest difference to its own program |\n| --- | --- |")
    for case, difference in sorted(found.items()):
        print(f"| {case} | {difference:.0e} |")


def exported():
    lines = re.findall(rf"^(\w+)(\.\w+) +(\w+) +({NUMBER}) ({NUMBER})$", tested("export", "onnxruntime"), re.MULTILINE)
    print("\n| exported | one image | seven images |\n| --- | --- | --- |")
    for network, suffix, of, one, all in lines:
        print(f"| {network}{suffix}, {of.removeprefix('of_')} | {one} | {all} |")


def main():
    args = export.arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    loaded(args.vitslim)
    exported()
    print()
    export.speed(args)


if __name__ == "__main__":
    main()
