"""Dataset and ensemble files from anybody: planning reads them as data, and names faults in a sentence."""

import sys

import pytest
from chain import ROOT, copy, snakemake
from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(ROOT))

from ledger import configuration
from ledger.commands import RunError
from workflow import configs, mistakes

TEMPLATE = """\
__use_yte__: true
format: folder
root: data/demo
detectors: ?open("ran", "w").write("x") and "demo"
"""


def test_a_dry_run_runs_nothing_that_a_dataset_file_says(tmp_path):
    folder = copy(tmp_path)
    (folder / "configs" / "datasets" / "sent.yaml").write_text(TEMPLATE)
    done = snakemake("-n", "--cores", "1", "--config", "dataset=sent", folder=folder, check=False)
    assert done.returncode == 1
    assert "configs/datasets/sent.yaml: __use_yte__: templates run code" in done.stdout + done.stderr
    assert not (folder / "ran").exists()


SENT = {
    "a template": ("ensembles", "__use_yte__: true\nmembers: {a: 1}", "__use_yte__: templates run code"),
    "a Python object": (
        "ensembles",
        "members: !!python/object/apply:os.getcwd []",
        "could not determine a constructor",
    ),
    "a list": ("ensembles", "- a", "keys and values are missing"),
    "no members": ("ensembles", "members: [a]", "members is missing or of another kind"),
    "a command as a member": ("ensembles", "members: {a;id: 1}", "'a;id' is no name"),
    "a path as a member": ("ensembles", "members: {../../a: 1}", "'../../a' is no name"),
    "a number as a member": ("ensembles", "members: {1: 1}", "1 is no name"),
    "no root": ("datasets", "format: folder", "root is missing"),
    "a path as detectors": ("datasets", "{root: a, detectors: ../b}", "'../b' is no name"),
    "a command as detectors": ("datasets", "{root: a, detectors: $(id)}", "'$(id)' is no name"),
    "no format": ("datasets", "root: a", "format is missing or of another kind"),
    "a list of formats": ("datasets", "{root: a, format: [coco]}", "format is missing or of another kind"),
    "annotations without images": (
        "datasets",
        "{root: a, format: coco, annotations: [b.json]}",
        "annotations is missing",
    ),
    "images without annotations": (
        "datasets",
        "{root: a, format: coco, annotations: [{images: b}]}",
        "annotations is",
    ),
    "a number of images": (
        "datasets",
        "{root: a, format: coco, annotations: [{annotations: b, images: 3}]}",
        "annotat",
    ),
    "a number as annotations": (
        "datasets",
        "{root: a, format: coco, annotations: 7}",
        "annotations is missing",
    ),
    "a text as folders": (
        "datasets",
        "{root: a, format: folder, images: mine}",
        "images is missing or of another kind",
    ),
    "a list as a folder": (
        "datasets",
        "{root: a, format: folder, images: [[b]]}",
        "images is missing or of another",
    ),
    "a number as plate map": (
        "datasets",
        "{root: a, format: folder, plate_map: 5}",
        "plate_map is missing or of",
    ),
    "no path as root": ("datasets", '{root: "a\\0b", format: folder}', "root is missing or of another kind"),
    "Latin-1": ("datasets", "root: ä".encode("latin-1"), "is no YAML"),
    "an open bracket": ("datasets", "root: [", "is no YAML"),
    "a deep nest": ("datasets", "root: " + "[" * 50_000, "is no YAML"),
}


@pytest.mark.parametrize("name", SENT)
def test_a_file_that_planning_cannot_use_is_named(tmp_path, monkeypatch, name):
    kind, content, words = SENT[name]
    path = tmp_path / "configs" / kind / "sent_file.yaml"
    path.parent.mkdir(parents=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WorkflowError) as refused:
        configs.read.__wrapped__(kind, "sent_file")
    assert str(refused.value).startswith(f"configs/{kind}/sent_file.yaml")
    assert words in str(refused.value)


def test_a_template_is_not_taken_into_the_configuration_of_a_run(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "pipeline.yaml").write_text("dataset: demo\n")
    for content in ("__use_yte__: true\ndataset: other\n", "- dataset\n"):
        (tmp_path / "sent.yaml").write_text(content)
        with pytest.raises(RunError, match=r"sent\.yaml: "):
            configuration.resolve(tmp_path / "sent.yaml", "run", tmp_path)


UNREAD = {
    "a tab": b"predict:\n\tmin_score: 0.5\n",
    "a key twice": b"seed: 1\nseed: 2\n",
    "a Python object": b"seed: !!python/name:os.system x\n",
    "an alias of nothing": b"seed: *other\n",
    "no text": b"\0\1\2",
    "Latin-1": "title: ä\n".encode("latin-1"),
    "no date": b"seed: 2020-13-45\n",
    "a deep nest": b"seed: " + b"[" * 50_000,
}


@pytest.mark.parametrize("name", UNREAD)
def test_a_configuration_of_a_run_that_is_no_yaml_is_named(tmp_path, name):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "pipeline.yaml").write_text("dataset: demo\n")
    (tmp_path / "sent.yaml").write_bytes(UNREAD[name])
    with pytest.raises(RunError, match=r"sent\.yaml is no YAML \("):
        configuration.resolve(tmp_path / "sent.yaml", "run", tmp_path)


def test_a_default_configuration_that_is_no_yaml_is_named(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "pipeline.yaml").write_text("seed: [\n")
    with pytest.raises(RunError, match=r"configs/pipeline\.yaml is no YAML \("):
        configuration.resolve(None, "run", tmp_path)


def test_a_key_that_stands_twice_in_a_configuration_is_told_and_not_lost(tmp_path):
    (tmp_path / "sound.yaml").write_text(
        "base: &base {n_folds: 3}\nsplit: {<<: *base, n_folds: 2}\nseed: 1\n"
    )
    (tmp_path / "wrong.yaml").write_text("seed: 1\nsplit:\n  n_folds: 3\n  n_folds: 2\nseed: 2\n")
    with pytest.raises(SystemExit) as stopped:
        mistakes.stop_at_doubled_keys([tmp_path / "sound.yaml", tmp_path / "wrong.yaml"])
    assert sorted(str(stopped.value).splitlines()) == [
        f"error: {tmp_path}/wrong.yaml, line 4: split.n_folds stands in line 3 already; keep only one.",
        f"error: {tmp_path}/wrong.yaml, line 5: seed stands in line 1 already; keep only one.",
    ]


def test_a_key_that_stands_twice_in_a_configuration_in_json_is_told(tmp_path):
    (tmp_path / "wrong.json").write_text('{\n\t"seed": 1,\n\t"seed": 2\n}')
    with pytest.raises(SystemExit, match=r"wrong\.json, line 3: seed stands in line 2 already; keep only"):
        mistakes.stop_at_doubled_keys([tmp_path / "wrong.json"])


def test_a_key_that_stands_twice_ends_a_run_in_a_configfile_and_in_the_folders_own(tmp_path):
    (tmp_path / "wrong.yaml").write_text("seed: 1\nseed: 2\n")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "pipeline.yaml").write_text("train:\n  half: true\n  half: false\n")
    done = snakemake(
        *("-n", "--cores", "1", "--directory", str(tmp_path), "--configfile", str(tmp_path / "wrong.yaml")),
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.splitlines()[-2:] == [
        "error: wrong.yaml, line 2: seed stands in line 1 already; keep only one.",
        "error: configs/pipeline.yaml, line 3: train.half stands in line 2 already; keep only one.",
    ]
