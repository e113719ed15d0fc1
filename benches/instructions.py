"""Instructions per document of the core's stages, and per instance of models, counted by valgrind: `make instructions`.

Wall times on a shared machine differ by tens of percent between runs; the number of instructions does not. A stage runs
once and three times, and half the difference is one run: reading the file and starting the process cancel out. The
counts are written to `instructions.json`, so that a later change can be compared without a clock.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
RECORD = HERE / "instructions.json"
STAGES = ("walk", "index", "decode", "table", "encode")
MODELS = ("embedded instance", "embedded document", "nested instance, read all", "nested document, read all")
"""Stages of model_instructions.py: instances of models, and lazy documents beside them."""


def run(*command: str) -> tuple[int, str]:
    """Return the instructions of a process, and its output."""
    callgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    # Sets and dicts in the same order each time; pymalloc asks for memory in the same steps.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run([*callgrind, *command], capture_output=True, text=True, env=environment)
    found = re.search(r"Collected\s*:\s*(\d+)", done.stderr)
    if done.returncode or not found:
        raise SystemExit(f"{' '.join(done.args)}:\n{done.stderr}")
    return int(found[1]), done.stdout


def count(binary: Path, file: Path, stage: str, times: int) -> int:
    """Count the instructions of a process that runs `stage` over `file` repeatedly."""
    return run(str(binary), str(file), stage, str(times))[0]


def count_models(before: dict[str, int]) -> dict[str, int]:
    """Count and print the instructions per instance and document."""
    counts = {}
    print(f"{'models':<28}{'each':>9}{'before':>9}")
    for stage in MODELS:
        program = [sys.executable, str(HERE / "model_instructions.py"), stage]
        (once, _), (thrice, of) = run(*program, "1"), run(*program, "3")
        counts[stage] = round((thrice - once) / 2 / int(of))
        print(f"{stage:<28}{counts[stage]:>9,}{before.get(stage, ''):>9}", flush=True)
    return counts


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("binary", type=Path, help="the program `instructions`")
    parser.add_argument("--shapes", nargs="+", help="some of the shapes, and `models`")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name}")
    options = parser.parse_args(arguments)
    before = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    after = dict(before)
    print(f"{'shape':<11}{'bytes':>7}" + "".join(f"{stage:>9}{'before':>9}{'x walk':>8}" for stage in STAGES))
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([sys.executable, str(HERE / "shapes.py"), directory], check=True, env=os.environ)
        for file in sorted(Path(directory).iterdir()):
            if options.shapes and file.stem not in options.shapes:
                continue
            contents = file.read_bytes()
            documents = at = 0
            while at < len(contents):
                at += int.from_bytes(contents[at : at + 4], "little")
                documents += 1
            line, counts = f"{file.stem:<11}{len(contents) // documents:>7}", {}
            for stage in STAGES:
                each = (count(options.binary, file, stage, 3) - count(options.binary, file, stage, 1)) / 2
                counts[stage] = round(each / documents)
                earlier = before.get(file.stem, {}).get(stage, "")
                line += f"{counts[stage]:>9,}{earlier:>9,}" if earlier else f"{counts[stage]:>9,}{'':>9}"
                line += f"{counts[stage] / counts['walk']:>7.1f}x"
            after[file.stem] = counts
            print(line, flush=True)
    if not options.shapes or "models" in options.shapes:
        after["models"] = count_models(before.get("models", {}))
    if options.record:
        RECORD.write_text(json.dumps(after, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
