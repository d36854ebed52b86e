"""Snakemake's notes change only where DVC vouched for every file: in a repository with stand-in stages."""

import os
import shutil
from pathlib import Path

import pytest
import repository_to_record
from repository_to_record import ledger, status

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with a recorded run, and results of another data set that no run holds."""
    folder = repository_to_record.recorded(tmp_path_factory.mktemp("recorded") / "neuroseg")
    repository_to_record.call(
        "snakemake", "--cores", "1", "--configfile", "configs/other.yaml", folder=folder
    )
    return folder


@pytest.fixture
def folder(recorded: Path, tmp_path: Path) -> Path:
    return shutil.copytree(recorded, tmp_path / "neuroseg", symlinks=True)


def notes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / ".snakemake" / "metadata").iterdir()}


def refuse(folder: Path) -> str:
    """Synchronise in vain, with no note changed."""
    before = notes(folder)
    refused = ledger("sync", folder=folder, check=False)
    assert refused.returncode == 1
    assert notes(folder) == before
    assert len(before) > 6
    return refused.stderr


def test_a_file_altered_under_its_old_date_is_named_and_no_note_changes(folder):
    path = folder / "results" / "demo" / "submit" / "one.csv"
    before = path.stat()
    path.write_bytes(path.read_bytes()[:-2] + b"7\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "results/demo/submit/one.csv" in refuse(folder)


@pytest.mark.parametrize("fate", ["lost", "damaged"])
def test_files_that_dvcs_cache_has_no_more_are_not_called_others_and_the_cure_puts_them_there(folder, fate):
    if fate == "lost":
        shutil.rmtree(folder / ".dvc" / "cache")
    else:
        path = next(
            each for each in sorted((folder / ".dvc" / "cache" / "files").rglob("*")) if each.is_file()
        )
        path.chmod(0o644)
        path.write_text("damaged")
    said = refuse(folder)
    assert "the files here are those of dvc.lock, but DVC's cache lacks them" in said
    assert "dvc checkout" not in said
    repository_to_record.call("dvc", "commit", "--force", folder=folder)
    assert "hashes equal, nothing computed" in ledger("sync", folder=folder).stdout
    assert status(folder) == ""


def test_a_profile_that_the_environment_names_does_not_bring_another_configuration(folder, tmp_path):
    (tmp_path / "profile").mkdir()
    (tmp_path / "profile" / "config.yaml").write_text("config:\n  - seed=5\n")
    done = ledger("sync", folder=folder, SNAKEMAKE_PROFILE=str(tmp_path / "profile"))
    assert "hashes equal, nothing computed" in done.stdout
    assert repository_to_record.nothing_to_do(folder)


def test_beside_a_run_under_way_no_note_changes_and_its_lock_is_told(folder):
    (folder / ".snakemake" / "locks").mkdir(exist_ok=True)
    (folder / ".snakemake" / "locks" / "0.output.lock").write_text("results/demo/submit/one.csv\n")
    said = refuse(folder)
    assert "`snakemake --unlock` removes it if no other Snakemake works here" in said


def test_what_dvc_brings_back_needs_no_computing_and_other_data_sets_keep_their_notes(folder):
    shutil.rmtree(folder / "results" / "demo" / "submit")
    shutil.rmtree(folder / "results" / "demo" / "predict")
    repository_to_record.call("dvc", "checkout", folder=folder)
    before = notes(folder)
    assert "hashes equal, nothing computed" in ledger("sync", folder=folder).stdout
    assert repository_to_record.nothing_to_do(folder)
    after = notes(folder)
    changed = {name for name in before if before[name] != after[name]}
    assert len(changed) == 5  # the demo's images, and its four files of results
    assert repository_to_record.nothing_to_do(folder, "--configfile", "configs/other.yaml")
