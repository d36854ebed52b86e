"""A checkout for many working folders: results and data lie where Snakemake is called, code where cloned."""

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from chain import copy, snakemake
from PIL import Image

TABLE = "results/plate/validate/images.parquet"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    return copy(tmp_path_factory.mktemp("a checkout"))


@pytest.fixture
def working(tmp_path) -> Path:
    """A working folder, its path with a blank, with one image and a dataset file of its own."""
    folder = tmp_path / "my work"
    (folder / "configs" / "datasets").mkdir(parents=True)
    (folder / "images").mkdir()
    Image.fromarray(np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)).save(folder / "images" / "A1.png")
    dataset = {"format": "folder", "root": "images", "detectors": "demo"}
    (folder / "configs" / "datasets" / "plate.yaml").write_text(yaml.safe_dump(dataset))
    return folder


def files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if "__pycache__" not in path.parts
    }


def test_a_run_in_another_folder_writes_there_and_leaves_the_checkout_as_it_is(checkout, working):
    before = files(checkout)
    call = ("--snakefile", str(checkout / "Snakefile"), "--directory", str(working), "--cores", "1")
    snakemake(*call, "--config", "dataset=plate", "--", TABLE, folder=working.parent)
    assert (working / TABLE).is_file()
    assert files(checkout) == before
    again = snakemake(*call, "-n", "--config", "dataset=plate", "--", TABLE, folder=working.parent)
    assert "Nothing to be done" in again.stdout


def test_a_working_folders_own_configuration_stands_before_the_workflows(checkout, working):
    (working / "configs" / "pipeline.yaml").write_text("dataset: plate\nensembles: [mine]\n")
    (working / "configs" / "ensembles").mkdir()
    (working / "configs" / "ensembles" / "mine.yaml").write_text("members: {cascade_mask_rcnn_tiny: 1.0}\n")
    planned = snakemake("-n", "--snakefile", str(checkout / "Snakefile"), folder=working).stdout
    assert "results/plate/segment/mine.parquet" in planned
    assert "--recipe configs/ensembles/mine.yaml" in planned
    assert re.search(r"--model '.*a checkout.*/configs/models/cascade_mask_rcnn_tiny.py'", planned)


def test_the_workflow_runs_as_a_module_of_another(checkout, tmp_path):
    settings = {"simulate": {"train_images": 6, "test_images": 1}, "split": {"n_folds": 2}}
    lines = [
        "module neuroseg:",
        f"    snakefile: {str(checkout / 'Snakefile')!r}",
        f"    config: {settings!r}",
        "",
    ]
    (tmp_path / "Snakefile").write_text("\n".join([*lines, "use rule * from neuroseg as neuroseg_*", ""]))
    snakemake("--cores", "1", "--", "results/demo/split/folds.parquet", folder=tmp_path)
    assert (tmp_path / "results" / "demo" / "split" / "folds.parquet").is_file()


def test_the_workflow_is_fetched_as_a_module_from_github(checkout, tmp_path):
    """What snakedeploy writes, with a repository on this disk in GitHub's place."""
    (hub := tmp_path / "hub" / "owner" / "neuroseg").mkdir(parents=True)
    for command in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "A release"], ["tag", "v1"]):
        identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"]
        where = [f"--git-dir={hub}", f"--work-tree={checkout}"]
        subprocess.run(["git", *identity, *where, *command], check=True)
    (tmp_path / "gitconfig").write_text(f'[url "{tmp_path / "hub"}/"]\n    insteadOf = https://github.com/\n')
    (tmp_path / "Snakefile").write_text(
        "module neuroseg:\n"
        '    snakefile: github("owner/neuroseg", path="Snakefile", tag="v1")\n'
        '    config: {"simulate": {"train_images": 6, "test_images": 1}}\n'
        "use rule * from neuroseg\n"
    )
    env = os.environ | {
        "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    planned = snakemake("-n", "-p", "--", "results/demo/split/folds.parquet", folder=tmp_path, env=env).stdout
    scripts = re.findall(r"python (\S+/scripts/\w+\.py)", planned)
    assert {Path(script).name for script in scripts} == {"simulate.py", "validate.py", "split.py"}
    assert all((tmp_path / script).read_bytes() for script in scripts)
    assert "Cloning" not in snakemake("-n", folder=tmp_path, env=env).stdout
