"""Why a stage gave other files than were recorded."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from ledger import drift, lock, stages, wholeness
from repository_recorded import md5

STAGE = {
    "cmd": "train",
    "deps": [{"path": "scripts/train.py", "md5": md5("code")}, {"path": "data/images", "md5": md5("images")}],
    "params": {"pipeline.yaml": {"train": {"lr": 1, "seed": 0}, "model.depth": 18}},
    "outs": [{"path": "model", "md5": "m"}],
}


@pytest.fixture
def tree(tmp_path):
    texts = {
        "scripts/train.py": "code",
        "data/images": "images",
        "pipeline.yaml": "train: {lr: 1, seed: 0}\nmodel: {depth: 18}\n",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "text", "cause"),
    [
        ("scripts/train.py", "other", "code: scripts/train.py is not the recorded one"),
        ("data/images", "other", "input: data/images is not the recorded one"),
        (
            "pipeline.yaml",
            "train: {lr: 2, seed: 0}\nmodel: {depth: 18}",
            "parameter: pipeline.yaml: train.lr: 1 → 2",
        ),
        ("pipeline.yaml", "train: {lr: 1, seed: 0}\n", "parameter: pipeline.yaml: model.depth: 18 → None"),
    ],
)
def test_what_a_stage_reads_is_its_cause_before_the_environment(tree, file, text, cause):
    (tree / file).write_text(text)
    assert drift.causes(STAGE, tree, ["scripts/other.py"], ["torch: 1 → 2"]) == [cause]


def test_code_that_dvc_does_not_watch_is_a_cause_before_the_environment(tree):
    causes = drift.causes(STAGE, tree, ["scripts/other.py"], ["torch: 1 → 2"])
    assert causes == ["code: scripts/other.py is not the recorded one"]


def test_the_environment_is_the_cause_when_nothing_else_is(tree):
    assert drift.causes(STAGE, tree, [], ["torch: 1 → 2"]) == ["environment: torch: 1 → 2"]


def test_a_drift_without_a_known_cause_says_so(tree):
    (cause,) = drift.causes(STAGE, tree, [], [])
    assert cause.startswith("no cause in input, code, parameters, versions")


def test_a_digest_is_that_of_dvc(tmp_path):
    # From dvc.lock of a stage whose output was a folder with these files, written by DVC 3.67.
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "__pycache__").mkdir()
    texts = {"a/z.txt": "one\r\n", "a/b/c.txt": "two", "a/b-c.txt": "three", "a/ä ö.txt": "four"}
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text.encode())
    (tmp_path / "a" / "__pycache__" / "z.pyc").write_text("compiled")
    assert lock.digest(tmp_path / "a") == "e315694ba53b33038829996a7ae3bb74.dir"
    assert lock.digest(tmp_path / "a" / "b" / "c.txt") == md5("two")
    assert lock.digest(tmp_path / "nothing") is None


def test_folders_that_are_links_are_passed_over_as_dvc_does(tmp_path):
    # DVC 3.67's own digest of such a folder.
    (tmp_path / "disk" / "train").mkdir(parents=True)
    (tmp_path / "disk" / "train" / "a.png").write_text("image")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "train.csv").write_text("table")
    (tmp_path / "raw" / "train").symlink_to(tmp_path / "disk" / "train", target_is_directory=True)
    assert lock.digest(tmp_path / "raw") == "316cde15c5955a33d610c825fafc38d3.dir"
    assert wholeness.links(tmp_path / "raw", tmp_path) == ["raw/train"]
    (tmp_path / "link").symlink_to(tmp_path / "disk", target_is_directory=True)
    assert wholeness.links(tmp_path / "link", tmp_path) == []


def test_a_stray_in_a_stages_folder_that_is_a_link_is_found(tmp_path):
    (tmp_path / "disk").mkdir()
    for name in ("one.csv", "former.csv"):
        (tmp_path / "disk" / name).touch()
    (tmp_path / "results" / "demo").mkdir(parents=True)
    (tmp_path / "results" / "demo" / "submit").symlink_to(tmp_path / "disk", target_is_directory=True)
    found = stages.strays(tmp_path / "results" / "demo", ["results/demo/submit/one.csv"], tmp_path)
    assert found == ["results/demo/submit/former.csv"]


def test_an_unordered_dvc_yaml_is_computed_in_order():
    entries = {
        "report": {"deps": [{"path": "results/split/folds.csv"}, {"path": "results/train"}]},
        "train": {"deps": [{"path": "results/split"}], "outs": [{"path": "results/train"}]},
        "split": {"outs": [{"path": "results/split"}]},
    }
    assert lock.ordered(entries) == ["split", "train", "report"]
