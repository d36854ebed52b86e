"""A killed training goes on from its newest sound state, and from no other training's."""

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from discs import Culture, learn, same_weights

from neuroseg.detector import checkpoints, processes
from neuroseg.errors import DataError

ROOT = Path(__file__).parents[1]

KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np, pandas as pd, torch
from neuroseg import tables
from neuroseg.detector import checkpoints, train
write = checkpoints._save
def dying(state, path):
    if state["iteration"] < 4:
        return write(state, path)
    with checkpoints.replacing(path) as temporary:
        temporary.write_bytes(b"half of a state")
        os.kill(os.getpid(), signal.SIGKILL)
checkpoints._save = dying
model, tables, work = map(Path, sys.argv[1:])
frames = [pd.read_pickle(tables / name) for name in ("images", "instances", "folds")]
train(model, *frames, fold=0, seed=0, work_dir=work, load=np.load)
"""


@pytest.mark.slow
def test_a_training_killed_while_writing_goes_on_to_the_same_weights(
    culture, micro, trained, tmp_path, capsys
):
    for name in ("images", "instances", "folds"):
        getattr(culture, name).to_pickle(tmp_path / name)
    work = tmp_path / "work"
    command = [sys.executable, "-c", KILLED, str(micro), str(tmp_path), str(work)]
    assert subprocess.run(command, cwd=ROOT / "scripts", check=False).returncode == -signal.SIGKILL
    assert [path.name[:18] for path in work.glob("iteration_*")] == ["iteration_00000002"]
    assert list(work.glob(".*.part"))
    (state,) = work.glob("iteration_*")
    stopped = torch.load(state, weights_only=True)["cpu_s"]
    moved = work.rename(tmp_path / "moved")
    resumed = learn(culture, micro, moved)
    assert "from iteration 2" in capsys.readouterr().err
    assert same_weights(resumed, trained)
    assert resumed.scalars == trained.scalars
    assert not list(moved.glob(".*.part"))
    assert json.loads((moved / "cost.json").read_text())["cpu_s"] > stopped


def test_what_a_training_took_before_it_was_stopped_counts(culture, micro, tmp_path):
    learn(culture, micro, tmp_path)
    note, (state, *_) = tmp_path / "cost.json", sorted(tmp_path.glob("iteration_*6_*"))
    once = json.loads(note.read_text())["cpu_s"]
    kept = torch.load(state, weights_only=True)
    assert 0 < kept["cpu_s"] <= once + 0.1
    torch.save(kept | {"cpu_s": 1000.0}, state)
    learn(culture, micro, tmp_path)
    assert 1000 <= json.loads(note.read_text())["cpu_s"] < 1000 + once
    torch.save({key: value for key, value in kept.items() if key != "cpu_s"}, state)
    learn(culture, micro, tmp_path)
    assert not note.exists()  # an unknown part makes the whole unknown


def test_a_resumed_training_says_again_how_it_began_as_its_log_is_written_anew(
    culture, micro, tmp_path, capsys
):
    learn(culture, micro, tmp_path / "other", iterations=2)
    (kept, *_) = (tmp_path / "other").glob("iteration_*2_*")
    weights = torch.load(kept, weights_only=True)["model"]
    name, weight = next(item for item in weights.items() if item[0].endswith("weight"))
    torch.save({"state_dict": {name: weight}}, tmp_path / "begun.pth")
    said = []
    for _ in range(2):
        learn(culture, micro, tmp_path / "work", init_from=tmp_path / "begun.pth", iterations=2)
        lines = capsys.readouterr().err.splitlines()
        said.append([line for line in lines if line.startswith(("began with", "initialised anew"))])
    assert f"began with 1 of {len(weights)} weights from {tmp_path / 'begun.pth'}" in said[0]
    assert said[1] == said[0]


def test_a_finished_training_is_not_repeated(culture, micro, trained, tmp_path, capsys):
    learn(culture, micro, tmp_path)
    again = learn(culture, micro, tmp_path)
    assert "from iteration 6" in capsys.readouterr().err
    assert same_weights(again, trained)
    assert again.scalars == trained.scalars


def test_a_damaged_state_is_passed_over_for_the_one_before(culture, micro, trained, tmp_path, capsys):
    learn(culture, micro, tmp_path)
    before, newest = sorted(tmp_path.glob("iteration_*"))
    assert (before.name[:18], newest.name[:18]) == ("iteration_00000004", "iteration_00000006")
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    again = learn(culture, micro, tmp_path)
    said = capsys.readouterr().err
    assert f"passing over the damaged {newest.name}" in said
    assert "from iteration 4" in said
    assert same_weights(again, trained)


@pytest.mark.parametrize("change", [{"seed": 1}, {"fold": 1}, {"iterations": 7}, {"precision": "bf16"}])
def test_a_state_of_another_training_is_not_taken_up(culture, micro, tmp_path, capsys, change, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    learn(culture, micro, tmp_path / "work", iterations=2)
    capsys.readouterr()
    learn(culture, micro, tmp_path / "work", **({"iterations": 2} | change))
    said = capsys.readouterr().err
    assert "starting afresh" in said
    assert ", from iteration" not in said


def test_what_a_training_keeps_outlives_the_states_of_another(tmp_path):
    old, new = "0a" * 32, "0b" * 32
    for done in (2950, 3000):
        checkpoints.write_state(tmp_path, done, {"fingerprint": old, "iteration": done})
    assert checkpoints.newest_state(tmp_path, new) is None
    assert checkpoints.newest_state(tmp_path, old)["iteration"] == 3000
    for done in (50, 100, 150):
        checkpoints.write_state(tmp_path, done, {"fingerprint": new, "iteration": done})
        assert checkpoints.newest_state(tmp_path, new)["iteration"] == done
    assert checkpoints.newest_state(tmp_path, old)["iteration"] == 3000
    assert len(list(tmp_path.iterdir())) == 2 * checkpoints.KEPT


def test_a_training_whose_states_are_damaged_keeps_new_ones(tmp_path, capsys):
    own = "0a" * 32
    for done in (900, 950):
        checkpoints.write_state(tmp_path, done, {"fingerprint": own, "iteration": done})
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:100])
    assert checkpoints.newest_state(tmp_path, own) is None
    assert "none of this training's states can be read; starting afresh" in capsys.readouterr().err
    for done in (50, 100, 150, 200):
        checkpoints.write_state(tmp_path, done, {"fingerprint": own, "iteration": done})
    assert checkpoints.newest_state(tmp_path, own)["iteration"] == 200
    assert len(list(tmp_path.iterdir())) == 2 * checkpoints.KEPT


def test_a_short_training_that_ends_leaves_the_states_of_a_longer_one(tmp_path):
    long, short = "0a" * 32, "0b" * 32
    (tmp_path / "mmengine").mkdir()
    for mark, done in ((long, 20), (long, 3000), (short, 10), (short, 20)):
        checkpoints.write_state(tmp_path, done, {"fingerprint": mark, "iteration": done})
    checkpoints.remove_states(tmp_path, 20)
    assert sorted(path.name[:18] for path in tmp_path.iterdir()) == [
        "iteration_00000020",
        "iteration_00003000",
    ]
    checkpoints.remove_states(tmp_path, 3000)
    assert not tmp_path.exists()


def test_weights_that_a_training_begins_with_are_known_by_their_content(tmp_path):
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"one")
    before = checkpoints.identity(str(weights))
    weights.write_bytes(b"two")
    assert checkpoints.identity(str(weights)) != before
    for name in ("efficientnet_lite0", "https://example.org/weights.pth"):
        assert checkpoints.identity(name) == name


def test_other_pixels_make_another_training(culture, tmp_path):
    other = Culture(tmp_path)
    frames = other.images, other.instances
    assert checkpoints.fingerprint({}, *frames) == checkpoints.fingerprint({}, *frames)
    before = checkpoints.fingerprint({}, *frames)
    np.save(other.images["path"][0], np.zeros((128, 160), np.uint8))
    assert checkpoints.fingerprint({}, *frames) != before
    Path(other.images["path"][0]).unlink()
    with pytest.raises(DataError, match="there is no such file"):
        checkpoints.fingerprint({}, *frames)


def test_other_weights_to_begin_with_or_more_processes_make_another_training(
    culture, micro, checkpoint, tmp_path, monkeypatch
):
    marks, real = [], checkpoints.fingerprint

    def mark(*content, **settings):
        marks.append(real(*content, **settings))
        raise InterruptedError

    monkeypatch.setattr(checkpoints, "fingerprint", mark)
    for begun, count in ((None, 1), (None, 1), (checkpoint, 1), (None, 2)):
        monkeypatch.setattr(processes, "count", lambda count=count: count)
        with pytest.raises(InterruptedError):
            learn(culture, micro, tmp_path / "work", init_from=begun)
    assert marks[0] == marks[1]
    assert len(set(marks)) == 3


def test_a_state_that_the_disk_has_no_room_for_is_an_error_of_the_disk(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            checkpoints.write_state(tmp_path, 3, {"fingerprint": "0a" * 32, "weights": torch.rand(5000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
