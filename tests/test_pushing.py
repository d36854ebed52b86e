"""The files of a recorded run get to DVC's remote, or it is said that they have not."""

import re
import shutil
import sys
from pathlib import Path

import pytest
import repository_to_record
from ledger import remote
from ledger.commands import RunError
from repository_to_record import git, ledger, state

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with the recorded run `first`."""
    return repository_to_record.recorded(tmp_path_factory.mktemp("recorded") / "neuroseg")


@pytest.fixture
def folder(recorded: Path, tmp_path: Path) -> Path:
    """A copy of it, results and all."""
    return shutil.copytree(recorded, tmp_path / "neuroseg", symlinks=True)


def test_a_push_that_is_interrupted_says_that_the_run_is_recorded_and_how_its_files_are_sent(
    tmp_path, monkeypatch
):
    def interrupt(*command: str, root: Path, env: dict[str, str] | None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(remote, "run", interrupt)
    monkeypatch.setattr(remote, "dvc", lambda *arguments, root: "store")
    monkeypatch.setattr(remote.stages, "raw_data", lambda root: [])
    with pytest.raises(
        RunError,
        match=r"run first is recorded, but .* `python ledger push first` tries again, .*; it was int",
    ):
        remote.push("first", tmp_path, {}, tmp_path)


def assert_fetched(folder: Path, store: Path, tmp_path: Path) -> None:
    """A clone of what is checked out gets every file of its results from a remote."""
    clone = tmp_path / "clone"
    git("clone", "--quiet", folder, clone, folder=folder)
    shutil.copytree(folder / "data" / "mine", clone / "data" / "mine", dirs_exist_ok=True)
    repository_to_record.call("dvc", "remote", "add", "--force", "--default", "store", store, folder=clone)
    repository_to_record.call("dvc", "pull", folder=clone)
    assert len(list((clone / "results").glob("*/submit/one.csv"))) == 1


def test_the_files_of_a_run_get_to_the_remote_by_the_advice_that_is_given_once_its_address_is_corrected(
    folder, tmp_path
):
    (tmp_path / "file").touch()
    wrong, right = tmp_path / "file" / "store", tmp_path / "store"
    repository_to_record.call("dvc", "remote", "add", "--default", "store", wrong, folder=folder)
    git("commit", "--quiet", "--all", "--message", "Name a remote", folder=folder)
    refused = ledger("record", "--config", "configs/other.yaml", "other", folder=folder, check=False)
    assert refused.returncode == 1
    command = re.search(r"`python (ledger push other)` tries again", refused.stderr)[1].split()
    again = repository_to_record.call(sys.executable, *command, folder=folder, check=False)
    assert again.returncode == 1
    assert "run other is recorded, but not all of its files are in the remote" in again.stderr
    repository_to_record.call("dvc", "remote", "modify", "store", "url", right, folder=folder)
    git("commit", "--quiet", "--all", "--message", "Correct the remote", folder=folder)
    before = state(folder)
    repository_to_record.call(sys.executable, *command, folder=folder)
    assert state(folder) == before
    git("checkout", "--quiet", "run/other", folder=folder)
    assert_fetched(folder, right, tmp_path)


def test_a_run_that_is_brought_onto_the_branch_is_sent_where_an_older_run_names_a_wrong_address(
    folder, tmp_path
):
    (tmp_path / "file").touch()
    for name, address in {"second": tmp_path / "file" / "store", "third": tmp_path / "store"}.items():
        repository_to_record.call(
            "dvc", "remote", "add", "--force", "--default", "store", address, folder=folder
        )
        git("commit", "--quiet", "--all", "--message", "Name a remote", folder=folder)
        ledger("record", name, folder=folder, check=False)
    shutil.rmtree(tmp_path / "store")
    git("reset", "--quiet", "--hard", "run/third^", folder=folder)
    done = ledger("record", "third", folder=folder)
    assert "nothing computed" in done.stdout
    assert "$ snakemake" not in done.stdout
    assert_fetched(folder, tmp_path / "store", tmp_path)


def test_files_that_dvcs_cache_lacks_are_not_called_sent(folder, tmp_path):
    repository_to_record.call("dvc", "remote", "add", "--default", "store", tmp_path / "store", folder=folder)
    shutil.rmtree(folder / ".dvc" / "cache")
    refused = ledger("push", "first", folder=folder, check=False)
    assert refused.returncode == 1
    assert "not in the remote" in refused.stderr
    assert "results/demo/" in refused.stderr
    assert "pushed to" not in refused.stdout


@pytest.mark.parametrize("runs_folder", ["here", "on another disk"])
def test_a_remote_that_is_a_relative_path_is_found_from_the_repositorys_folder(folder, tmp_path, runs_folder):
    if runs_folder != "here":
        (tmp_path / "disk" / "more").mkdir(parents=True)
        shutil.move(folder / ".runs", tmp_path / "disk" / "more" / "runs")
        (folder / ".runs").symlink_to(tmp_path / "disk" / "more" / "runs")
    repository_to_record.call("dvc", "remote", "add", "--default", "store", "../store", folder=folder)
    git("commit", "--quiet", "--all", "--message", "Name a remote", folder=folder)
    ledger("push", "first", folder=folder)
    assert_fetched(folder, tmp_path / "store", tmp_path)
