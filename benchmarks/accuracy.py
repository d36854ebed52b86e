"""What the recipe's parts are worth on held-out images: reads recorded runs, writes docs/accuracy.md's table.

    python -m benchmarks.accuracy --write        (make accuracy)

Nothing is run: each score comes out of the commit of its run. A difference is taken image by image, and its
interval over whole wells, since images of one well are no independent witnesses.
"""

from __future__ import annotations

import argparse
import io
import math
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import yaml
from ledger import leaderboard, runs
from ledger.commands import git

from benchmarks.measuring import ROOT, insert
from neuroseg import metrics

STUDY = ROOT / "studies" / "recipe" / "study.yaml"
PAGE = ROOT / "docs" / "accuracy.md"
DRAWS, SEED = 10_000, 0
"""Of the bootstrap."""


class Entry(NamedTuple):
    """One ensemble of a recorded run."""

    images: pd.DataFrame  # each held-out image's score, as `evaluate` wrote it
    train_cpu_s: float  # of the detectors of one fold; nan where unknown
    views: int  # models times views that each image is predicted in


def main() -> None:
    """Print the table; `--write` puts it into docs/accuracy.md as well."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", type=Path, default=STUDY, help="the pairs to compare")
    parser.add_argument("--write", action="store_true", help="write docs/accuracy.md")
    given = parser.parse_args()
    text = table(yaml.safe_load(given.study.read_text()))
    print(text)
    if given.write:
        insert(PAGE, text)


def table(study: dict[str, Any]) -> str:
    """Return the Markdown table of a study."""
    rows = [_row(study["run"], row) for row in study["rows"]]
    types = sorted({name for row in rows for name in row["types"]})
    head = ["trick", "mAP without", "with", "Δ mAP (95 %)", *types, "training", "views", "verdict", "default"]
    lines = [
        [
            row["trick"],
            *(f"{value:.3f}" for value in row["maps"]),
            row["delta"],
            *(row["types"].get(name, "") for name in types),
            *(row[key] for key in ("training", "views", "verdict", "default")),
        ]
        for row in rows
    ]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [head, ["---"] * len(head), *lines])


def _row(run: str, row: dict[str, Any]) -> dict[str, Any]:
    without, with_ = (_entry(*(row[side] if "/" in row[side] else f"{run}/{row[side]}").split("/"))
                      for side in ("without", "with"))  # fmt: skip
    before, after = (entry.images.set_index("image_id").sort_index() for entry in (without, with_))
    if not before.index.equals(after.index):
        raise SystemExit(
            f"{row['trick']}: {row['without']} and {row['with']} were scored on different images"
        )
    change = metrics.summarise(after.assign(ap=after["ap"] - before["ap"]).reset_index(), DRAWS, SEED)
    low, high = change["map_low"], change["map_high"]
    return {
        "trick": row["trick"],
        "maps": (before["ap"].mean(), after["ap"].mean()),
        "delta": f"{change['map']:+.3f} ({low:+.3f} to {high:+.3f})",
        "types": {name: f"{part['map']:+.3f}" for name, part in change["per_type"].items()},
        "training": row.get("training") or _times(without.train_cpu_s, with_.train_cpu_s),
        "views": f"{without.views} → {with_.views}" if without.views != with_.views else str(with_.views),
        "verdict": "gains" if low > 0 else "loses" if high < 0 else "within the noise",
        "default": "on" if row["default"] else "off",
    }


def _entry(run: str, ensemble: str) -> Entry:
    """Read an ensemble's scores out of the commit that recorded them."""
    commit = runs.find(run, ROOT)
    lines = leaderboard.read(git("show", f"{commit}:{leaderboard.FILE}", root=ROOT))
    found = [line for line in lines if (line["name"], line["ensemble"]) == (run, ensemble)]
    if not found:
        raise SystemExit(f"run {run} has no ensemble {ensemble}; the study names it")
    scores = f"{commit}:results/{found[0]['dataset']}/evaluate/{ensemble}.parquet"
    content = subprocess.run(["git", "show", scores], cwd=ROOT, check=True, capture_output=True).stdout
    config = yaml.safe_load(git("show", f"{commit}:configs/pipeline.yaml", root=ROOT))
    detectors = config["split"]["n_folds"] + bool(config["train"].get("full"))
    seconds = float(found[0].get("train_cpu_s") or "nan") / detectors
    return Entry(pd.read_parquet(io.BytesIO(content)), seconds, _views(commit, ensemble, config))


def _views(commit: str, ensemble: str, config: dict[str, Any]) -> int:
    """Return in how many views, of all models together, an image is predicted before fusion."""
    paths = git("ls-tree", "-r", "--name-only", commit, "--", "configs", "studies", root=ROOT).splitlines()
    (path,) = (path for path in paths if path.endswith(f"/ensembles/{ensemble}.yaml"))
    recipe = yaml.safe_load(git("show", f"{commit}:{path}", root=ROOT))
    return len(recipe["members"]) * len(recipe["fusion"].get("views") or config["predict"]["views"])


def _times(before: float, after: float) -> str:
    """Say how much longer the trainings took."""
    if math.isnan(before + after):
        return "unknown"
    return "same" if before == after else f"{after / before:.1f} times"


if __name__ == "__main__":
    main()
