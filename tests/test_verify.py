"""`verify` compares the hashes of a run's files as they are kept, and computes nothing."""

import hashlib
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import repository_recorded
from ledger import verify
from repository_recorded import IMAGE, md5


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The repository, with a cache that keeps the run's files."""
    repository_recorded.settle(monkeypatch)
    root = repository_recorded.build(tmp_path / "neuroseg")
    cache = tmp_path / "cache"
    monkeypatch.setattr(verify, "dvc", lambda *arguments, root: str(cache))
    keep(cache, IMAGE, f"{IMAGE} 1", json.dumps([{"md5": md5(IMAGE), "relpath": "image.txt"}]))
    return root


def place(cache: Path, name: str) -> Path:
    return cache / "files" / "md5" / name[:2] / name[2:]


def keep(cache: Path, *texts: str) -> None:
    for text in texts:
        path = place(cache, md5(text) + (".dir" if text.startswith("[") else ""))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def last(capsys) -> str:
    return capsys.readouterr().out.rstrip().splitlines()[-1]


def test_a_run_whose_files_are_whole(root, capsys):
    assert verify.verify("first", root)
    assert last(capsys) == "run first: hashes equal, nothing computed: 4 files of 2 stages"
    assert not (root / ".runs").exists()


def test_a_damaged_object_is_named_with_its_stage_and_file(root, capsys):
    damaged = place(root.parent / "cache", md5(IMAGE))
    damaged.write_text("damaged")
    assert not verify.verify("first", root)
    said = capsys.readouterr().out
    assert f"data/demo/image.txt (stage draw): recorded {md5(IMAGE)}, kept {md5('damaged')}" in said
    assert "run first: 1 of 4 files are damaged, nothing computed; remove them from DVC's cache" in said


def test_a_damaged_list_of_a_folders_files_is_named(root, capsys):
    (listing,) = (root.parent / "cache").rglob("*.dir")
    listing.write_text("not a list")
    assert not verify.verify("first", root)
    assert "data/demo (stage draw): recorded" in capsys.readouterr().out


def test_files_that_are_not_here_are_named_with_the_ways_to_get_them(root, capsys):
    place(root.parent / "cache", md5(f"{IMAGE} 1")).unlink()
    assert not verify.verify("first", root)
    said = capsys.readouterr().out
    assert "not here: results/demo/submit/one.csv (stage score@one)" in said
    assert "`dvc fetch --all-commits` brings them, or `make reproduce RUN=first` computes them" in said


def test_metrics_that_git_keeps_and_dvc_recorded_otherwise_are_named(root, capsys):
    repository_recorded.write(root, repository_recorded.FILES)
    repository_recorded.record(root, "second")
    metrics = root / "results" / "demo" / "evaluate" / "one.json"
    metrics.write_text(json.dumps({"map": 0.9}))
    repository_recorded.git("commit", "--quiet", "--all", "--amend", "--no-edit", folder=root)
    repository_recorded.git("tag", "--force", "run/second", folder=root)
    assert not verify.verify("second", root)
    assert "results/demo/evaluate/one.json (stage score@one): recorded" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("recorded", "altered", "sentence"),
    [
        (",0.25,", ",0.9,", "one: the leaderboard says map 0.9, its evaluation 0.25"),
        (
            hashlib.sha256(f"{IMAGE} 1".encode()).hexdigest(),
            "0" * 64,
            "one: the submission is not the one whose SHA-256 the leaderboard keeps",
        ),
    ],
)
def test_a_leaderboard_that_says_something_else_is_named(root, capsys, recorded, altered, sentence):
    repository_recorded.write(root, repository_recorded.FILES)
    repository_recorded.record(root, "second")
    board = root / "results" / "leaderboard.csv"
    lines = board.read_text().splitlines()
    assert recorded in lines[-1]
    board.write_text("\n".join([*lines[:-1], lines[-1].replace(recorded, altered), ""]))
    repository_recorded.git("commit", "--quiet", "--all", "--amend", "--no-edit", folder=root)
    repository_recorded.git("tag", "--force", "run/second", folder=root)
    assert not verify.verify("second", root)
    said = capsys.readouterr().out
    assert sentence in said
    assert said.rstrip().endswith("the leaderboard's lines are not theirs; nothing computed")


def test_a_line_that_was_altered_since_the_run_is_named(root, capsys):
    board = root / "results" / "leaderboard.csv"
    board.write_text(board.read_text().replace(",0.25,", ",0.9,"))
    repository_recorded.git("commit", "--quiet", "--all", "--message", "Embellish", folder=root)
    assert not verify.verify("first", root)
    said = capsys.readouterr().out
    assert "one: the leaderboard of now says map 0.9, the run's commit 0.25" in said
    assert said.rstrip().endswith("the leaderboard's lines are not theirs; nothing computed")


def test_kaggles_scores_and_the_columns_of_later_runs_may_be_added_to_a_line(root):
    board = root / "results" / "leaderboard.csv"
    head, line = board.read_text().splitlines()
    board.write_text(f"{head},public,private,map_astro\n{line},0.3,0.31,\n")
    repository_recorded.git("commit", "--quiet", "--all", "--message", "Tell Kaggle's scores", folder=root)
    assert verify.verify("first", root)
