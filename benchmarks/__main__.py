"""Compare with peers and print the table; `--write` puts it into docs/benchmarks.md as well."""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path

from benchmarks import boxes, masks, measuring, scoring, starting, storage, texts, tuning, whole
from benchmarks.measuring import ROOT, Row

PARTS = {
    "score": scoring,
    "texts": texts,
    "fusion": boxes,
    "masks": masks,
    "tune": tuning,
    "storage": storage,
    "whole": whole,
    "start": starting,
}
PAGE = ROOT / "docs" / "benchmarks.md"


def main() -> None:
    """Run the parts asked for, one after another; stop where results differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="all of them where none is named")
    parser.add_argument("--images", type=int, default=606, help="of the synthetic sets (60 for a short run)")
    parser.add_argument("--rounds", type=int, default=5, help="of each pair of contenders")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    given = parser.parse_args()
    found: list[Row] = []
    for name in given.parts or PARTS:
        for row in PARTS[name].rows(given.images, given.rounds):
            print(measuring.table([row]).splitlines()[-1], flush=True)
            found.append(row)
    text = f"{measuring.table(found)}\n\n{machine()}\n"
    print(f"\n{text}")
    if given.write:
        measuring.insert(PAGE, text)


def machine() -> str:
    """Say what was measured on, and how busy it was."""
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.processor())  # fmt: skip
    load = f"load {os.getloadavg()[0]:.1f} at the end"
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, {load}."


if __name__ == "__main__":
    main()
