"""Where a run is reproduced: any kind of clone, at any place; and which commit is taken for a run's."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import repository_recorded
from ledger import reproduction, runs, tags
from ledger.commands import RunError
from repository_recorded import IMAGE, git


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        repository_recorded.settle(patch)
        yield repository_recorded.build(tmp_path_factory.mktemp("made") / "origin")


@pytest.fixture(autouse=True)
def _settled(monkeypatch):
    repository_recorded.settle(monkeypatch)


def clone(origin: Path, folder: Path, *arguments: str) -> Path:
    """A clone with the raw data, which Git does not keep."""
    git("clone", "--quiet", *arguments, origin.as_uri(), str(folder), folder=origin)
    shutil.copytree(origin / "data" / "raw", folder / "data" / "raw")
    return folder


def result(root: Path) -> str:
    return (root / ".runs" / "first" / "data" / "demo" / "image.txt").read_text()


# ----------------------------------------------------------------------------------------------------- places


def test_a_path_with_a_blank_and_an_umlaut(origin, tmp_path):
    root = clone(origin, tmp_path / "Zellen zählen")
    assert reproduction.reproduce("first", root)


def test_a_path_with_an_umlaut_where_the_language_is_not_set(origin, tmp_path):
    root = clone(origin, tmp_path / "zählen")
    text = f"from ledger.reproduction import *; print(reproduce('first', Path({str(root)!r})))"
    command = [sys.executable, "-c", text]
    env = {**os.environ, "LC_ALL": "C", "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("True\n"), done.stderr


def test_inside_another_repository(origin, tmp_path):
    git("init", "--quiet", str(tmp_path), folder=tmp_path)
    root = clone(origin, tmp_path / "vendor" / "neuroseg")
    assert reproduction.reproduce("first", root)
    assert git("worktree", "list", "--porcelain", folder=tmp_path).count("worktree ") == 1


def test_an_unpacked_archive_inside_another_repository_is_no_clone(origin, tmp_path):
    git("init", "--quiet", str(tmp_path), folder=tmp_path)
    root = clone(origin, tmp_path / "neuroseg")
    shutil.rmtree(root / ".git")
    with pytest.raises(RunError, match="neuroseg is not a Git clone, and runs are commits: `git clone`"):
        reproduction.reproduce("first", root)


@pytest.mark.parametrize("how", ["moved", "copied"])
def test_a_checkout_that_was_moved_or_copied_with_its_runs_in_it(origin, tmp_path, how):
    root, there = clone(origin, tmp_path / "here"), tmp_path / "there"
    reproduction.reproduce("first", root)
    edited = root / ".runs" / "first" / "scripts" / "score.py"
    edited.write_text(edited.read_text() + "# my own work\n")
    shutil.copytree(root, there, symlinks=True)
    if how == "moved":
        shutil.rmtree(root)
    assert reproduction.reproduce("first", there)  # the edit changes no byte of the results
    assert (there / ".runs" / "first" / "scripts" / "score.py").read_text().endswith("# my own work\n")
    if how == "copied":
        listed = git("worktree", "list", "--porcelain", folder=root)
        assert f"worktree {root}/.runs/first" in listed
        assert str(there) not in listed
        assert f"worktree {there}/.runs/first" in git("worktree", "list", "--porcelain", folder=there)


def test_a_checkout_with_other_line_ends_computes_from_the_commits_own_bytes(origin, tmp_path):
    root = clone(origin, tmp_path / "windows", "--config", "core.autocrlf=true")
    assert b"\r\n" in (root / "scripts" / "draw.py").read_bytes()
    assert reproduction.reproduce("first", root)
    assert b"\r\n" not in (root / ".runs" / "first" / "scripts" / "draw.py").read_bytes()


def test_a_clone_without_a_remote(origin, tmp_path):
    root = clone(origin, tmp_path / "alone")
    git("remote", "remove", "origin", folder=root)
    assert reproduction.reproduce("first", root)
    assert result(root) == IMAGE


# --------------------------------------------------------------------------------------------- a run's commit


def test_a_clone_without_tags_finds_a_run_by_its_history(origin, tmp_path):
    root = clone(origin, tmp_path / "untagged", "--no-tags")
    assert git("tag", folder=root) == ""
    assert reproduction.reproduce("first", root)


def test_a_shallow_clone_says_how_to_get_a_run_that_it_lacks(origin, tmp_path):
    root = clone(origin, tmp_path / "shallow", "--depth", "1")
    with pytest.raises(RunError, match=r"the leaderboard lists it.*`git fetch --unshallow`"):
        reproduction.reproduce("first", root)
    git("fetch", "--quiet", "--unshallow", folder=root)
    assert reproduction.reproduce("first", root)


def test_the_tags_of_a_shallow_clone_are_not_said_to_be_all_there_are(origin, tmp_path, capsys):
    root = clone(origin, tmp_path / "shallow", "--depth", "1", "--no-tags")
    with pytest.raises(RunError, match=r"^runs first.*: the leaderboard lists them.*`git fetch --unshallow`"):
        tags.tags(root)
    git("fetch", "--quiet", "--unshallow", folder=root)
    tags.tags(root)
    assert "runs: first" in capsys.readouterr().out


def test_a_shallow_clone_that_lists_no_run_has_none(origin, tmp_path, capsys):
    root = clone(origin, tmp_path / "shallow", "--depth", "1", "--no-tags")
    git("rm", "--quiet", "results/leaderboard.csv", folder=root)
    git("commit", "--quiet", "--message", "List no run", folder=root)
    tags.tags(root)
    assert "runs: none recorded in this history" in capsys.readouterr().out


def test_a_clone_of_another_branch_says_how_to_get_a_run_that_it_lacks(origin, tmp_path):
    root = clone(origin, tmp_path / "other")
    git("checkout", "--quiet", "--orphan", "other", folder=root)
    git("commit", "--quiet", "--message", "Begin anew", folder=root)
    git("branch", "--quiet", "--delete", "--force", "main", folder=root)
    git("tag", "--delete", "run/first", folder=root)
    git("update-ref", "-d", "refs/remotes/origin/HEAD", folder=root)
    git("update-ref", "-d", "refs/remotes/origin/main", folder=root)
    with pytest.raises(RunError, match=r"its commit is not in this clone; .*`git fetch --all --tags`"):
        reproduction.reproduce("first", root)


def test_a_tag_that_was_moved_gives_way_to_the_commit_that_records_the_run(origin, tmp_path, capsys):
    root = clone(origin, tmp_path / "moved")
    right = git("rev-parse", "run/first^{commit}", folder=root)
    git("tag", "--force", "run/first", "HEAD", folder=root)
    assert runs.find("first", root) == right
    assert f"the tag run/first is not on the commit that records it, {right[:12]}" in capsys.readouterr().out


def test_a_tag_on_a_commit_without_that_run_is_refused(origin, tmp_path):
    root = clone(origin, tmp_path / "wrong")
    git("tag", "run/never", "HEAD", folder=root)
    at = git("rev-parse", "--short=12", "HEAD", folder=root)
    with pytest.raises(
        RunError, match=rf"its tag is on commit {at}, which records no run of that name; remove it"
    ):
        reproduction.reproduce("never", root)


def test_an_unknown_run_is_named_with_those_there_are(origin, tmp_path):
    with pytest.raises(RunError, match=r"run second: none is recorded; there are: first\."):
        reproduction.reproduce("second", clone(origin, tmp_path / "clone"))


def test_settings_of_git_that_change_what_it_prints_are_of_no_consequence(origin, tmp_path):
    root = clone(origin, tmp_path / "settings")
    for key, value in {
        "column.ui": "always",
        "color.ui": "always",
        "log.showSignature": "true",
        "log.decorate": "full",
        "core.quotePath": "true",
        "status.short": "true",
    }.items():
        git("config", key, value, folder=root)
    assert runs.recorded(root) == {"first": "run/first"}
    assert reproduction.reproduce("first", root)


def test_a_hook_of_git_and_a_sparse_checkout_are_of_no_consequence(origin, tmp_path):
    root = clone(origin, tmp_path / "hooks")
    hook = root / ".git" / "hooks" / "post-checkout"
    hook.write_text("#!/bin/sh\nmkdir -p data/demo\nexit 1\n")
    hook.chmod(0o755)
    git("sparse-checkout", "set", "configs", folder=root)
    assert not (root / "scripts").exists()
    assert reproduction.reproduce("first", root)


def test_a_commit_whose_record_lacks_a_stage_is_refused(origin, tmp_path):
    root = clone(origin, tmp_path / "incomplete")
    text = repository_recorded.PIPELINE + "  more:\n    cmd: 'true'\n    outs: [more]\n"
    repository_recorded.write(root, repository_recorded.FILES | {"dvc.yaml": text})
    repository_recorded.record(root, "second")
    with pytest.raises(RunError, match=r"its dvc\.lock has no record of more"):
        reproduction.reproduce("second", root)


# ------------------------------------------------------------------------------------ raw data in a .dvc file


@pytest.fixture
def kept(tmp_path):
    """A repository whose run `second` reads raw data that only DVC's cache keeps; and the image's object."""
    root = repository_recorded.build(tmp_path / "Zellen zählen")
    folder = repository_recorded.of_folder(image_txt="pixels")
    text = f"outs:\n- md5: {folder}\n  nfiles: 1\n  hash: md5\n  path: raw\n"
    ignored = repository_recorded.FILES[".gitignore"] + "!/data/raw.dvc\n"
    repository_recorded.write(root, repository_recorded.FILES | {".gitignore": ignored, "data/raw.dvc": text})
    repository_recorded.record(root, "second")
    shutil.rmtree(root / "data" / "raw")
    listing = json.dumps([{"md5": repository_recorded.md5("pixels"), "relpath": "image.txt"}])
    cache = root / ".dvc" / "cache" / "files" / "md5"
    objects = {folder: listing, repository_recorded.md5("pixels"): "pixels"}
    repository_recorded.write(cache, {f"{md5[:2]}/{md5[2:]}": content for md5, content in objects.items()})
    return root, cache / repository_recorded.md5("pixels")[:2] / repository_recorded.md5("pixels")[2:]


def test_raw_data_come_from_dvcs_cache(kept):
    root, _ = kept
    assert reproduction.reproduce("second", root)


def test_raw_data_come_from_dvcs_cache_where_worktrees_lie_on_another_disk(kept, tmp_path):
    root, _ = kept
    disk = tmp_path / "andere Größe" / "runs"
    disk.mkdir(parents=True)
    (root / ".runs").symlink_to(disk, target_is_directory=True)
    repository_recorded.write(root, {".git/info/exclude": "/.runs\n"})
    assert reproduction.reproduce("second", root)


def test_raw_data_whose_copy_in_dvcs_cache_is_damaged_are_refused(kept):
    root, image = kept
    image.write_text("Pixels")
    with pytest.raises(
        RunError, match=r"data/raw is not what the run read: .* what DVC's cache holds is damaged"
    ):
        reproduction.reproduce("second", root)
    assert not (root / ".runs" / "second" / "data" / "demo").exists()
