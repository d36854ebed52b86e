"""The leaderboard is filled by hand, in spreadsheets too: their changes are read, or named with a cure."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import repository_recorded
from ledger import leaderboard, runs, verify
from ledger.commands import RunError

TRAINED = ("small/fold_0", "small/fold_1", "teacher/fold_0")
HEAD = ",".join(leaderboard.COLUMNS)
LINE = "first,2026-01-01,abc,demo,one,0.25,0.0,1.0,,,5e5e,7"
TABLE = f"{HEAD}\n{LINE}\n"


@pytest.mark.parametrize(
    "text", [f"\ufeff{TABLE}", TABLE.replace("\n", "\r\n"), f"\ufeff{TABLE}".replace("\n", "\r\n")]
)
def test_a_byte_order_mark_and_other_line_ends_change_nothing(text):
    assert leaderboard.read(text) == leaderboard.read(TABLE)
    assert leaderboard.appended(text, []) == TABLE


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TABLE.replace(",", ";"), "lacks the column name, or its columns are not parted by commas; save it"),
        (TABLE.replace(",map,", ",score,"), "lacks the column map"),
        (TABLE.replace("7\n", "7,a note\n"), "run first, line 2: other cells than the head has"),
        (TABLE.replace(",5e5e,7", ""), "run first, line 2: other cells than the head has"),
        (TABLE.replace("5e5e,7", "5e5e,\udce4"), "is not UTF-8"),
        ("<<<<<<< HEAD\n" + TABLE, "lacks the column name"),
    ],
)
def test_a_table_that_lost_its_form_is_refused_with_the_cure(text, words):
    with pytest.raises(RunError, match=rf"results/leaderboard\.csv.*{words}.*commit it"):
        leaderboard.read(text)


def test_no_table_has_no_lines():
    assert leaderboard.read("") == []


def test_in_a_commit_it_is_refused_before_anything_is_done_with_it(tmp_path, monkeypatch):
    repository_recorded.settle(monkeypatch)
    root = repository_recorded.build(tmp_path / "neuroseg")
    board = root / "results" / "leaderboard.csv"
    whole = board.read_text()
    for content in (
        whole.replace(",", ";").encode(),
        whole.encode("utf-16"),
        whole.replace("today", "Märchen").encode("cp1252"),
    ):
        board.write_bytes(content)
        repository_recorded.git(
            "commit", "--quiet", "--all", "--message", "Tell Kaggle's scores", folder=root
        )
        for refused in (lambda: runs.refuse_known("second", root), lambda: verify.verify("first", root)):
            monkeypatch.setattr(verify, "dvc", lambda *arguments, root: str(tmp_path))
            with pytest.raises(RunError, match=r"results/leaderboard\.csv"):
                refused()


@pytest.mark.parametrize(
    ("version", "noted", "seconds"),
    [(1, {"small/fold_0": 10.4, "small/fold_1": 20, "teacher/fold_0": 5}, 35),
     (2, {"small/fold_0_version_2": 1, "small/fold_1_version_2": 2, "teacher/fold_0_version_2": 3}, 6),
     (2, {"small/fold_0": 10, "small/fold_1": 20, "teacher/fold_0": 5}, ""),
     (1, {"small/fold_0": 10, "teacher/fold_0": 5}, "")],
)  # fmt: skip
def test_a_line_tells_what_all_trainings_behind_it_took_or_nothing(tmp_path, version, noted, seconds):
    write = repository_recorded.write
    write(tmp_path, dict.fromkeys((f"results/demo/train/{at}/model.pth" for at in TRAINED), ""))
    write(tmp_path, {f"logs/demo/train/{at}/cost.json": json.dumps({"cpu_s": s}) for at, s in noted.items()})
    write(tmp_path, {
        "configs/ensembles/one.yaml": "members: {small: 1.0}",
        "results/demo/submit/one.csv": "id,predicted\n",
        "results/demo/evaluate/one.json": json.dumps(
            {"map": 0.5, "map_low": 0, "map_high": 1, "per_type": {"cort": {"map": 0.5}}}
        ),
    })  # fmt: skip
    train = {"version": version, "pseudo_label": {"students": {"small": "teacher"}}}
    line = leaderboard.line(tmp_path, "first", "0" * 40, {"dataset": "demo", "train": train}, "one")
    assert line["train_cpu_s"] == seconds
    assert line["map_cort"] == 0.5
