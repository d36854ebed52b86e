"""Where a run drifted, and why."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from workflow.reproduction import find_drift


def lock(**stages: dict) -> dict:
    return {"stages": {name: {"cmd": name, "outs": [], **content} for name, content in stages.items()}}


def entry(path: str, md5: str) -> dict:
    return {"path": path, "md5": md5}


CODE, OTHER_CODE = entry("scripts/split.py", "a"), entry("scripts/split.py", "b")
INPUT = entry("images", "i")
BEFORE = lock(
    split={"outs": [entry("folds", "1")], "deps": [CODE, INPUT]},
    train={"outs": [entry("model", "2")], "deps": [entry("folds", "1")], "params": {"p.yaml": {"train": {"lr": 1}}}},
)


@pytest.mark.parametrize(
    ("changes", "edited", "environment", "stage", "cause"),
    [
        (
            {"split": {"deps": [OTHER_CODE, INPUT]}},
            [],
            [],
            "split",
            "code: scripts/split.py",
        ),
        (
            {"split": {"deps": [CODE, entry("images", "j")]}},
            [],
            [],
            "split",
            "input: images is",
        ),
        (
            {"train": {"params": {"p.yaml": {"train": {"lr": 2}}}}},
            [],
            [],
            "train",
            "parameter: p.yaml: train.lr: 1 → 2",
        ),
        ({"train": {"cmd": "other"}}, [], [], "train", "command: train → other"),
        ({"train": {}}, ["scripts/train.py"], ["torch: 1 → 2"], "train", "code: scripts/train.py is not"),
        ({"train": {}}, [], ["torch: 1 → 2"], "train", "environment: torch: 1 → 2"),
        ({"train": {}}, [], [], "train", "no cause"),
    ],
)
def test_the_first_drift_and_its_cause(changes, edited, environment, stage, cause):
    after = {"stages": {name: dict(content) for name, content in BEFORE["stages"].items()}}
    for name, change in changes.items():
        out = after["stages"][name]["outs"][0]
        after["stages"][name] |= {**change, "outs": [entry(out["path"], "other")]}
    if stage == "split":  # what follows drifts with it, and is not the first
        after["stages"]["train"]["outs"] = [entry("model", "other")]
    drift = find_drift(BEFORE, after, edited, environment)
    assert drift.stage == stage
    assert drift.causes[0].startswith(cause)


def test_no_drift():
    assert find_drift(BEFORE, BEFORE, ["scripts/train.py"], ["torch: 1 → 2"]) is None
