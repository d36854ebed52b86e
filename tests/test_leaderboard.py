"""The leaderboard is filled by hand, in spreadsheets too: their changes are read, or named with a cure."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import repository_recorded
from ledger import leaderboard, runs, verify
from ledger.commands import RunError

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
