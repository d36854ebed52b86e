"""A run is recorded as it was computed, or not at all: in a small repository with stand-in stages."""

import csv
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
import repository_to_record
import yaml
from ledger import arguments, commits, provenance, runs
from ledger.commands import RunError
from ledger.commands import run as call
from repository_to_record import git, ledger, state, status

pytestmark = pytest.mark.slow

METRICS = "results/demo/evaluate/one.json"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with the recorded run `first`."""
    return repository_to_record.recorded(tmp_path_factory.mktemp("recorded") / "neuroseg")


@pytest.fixture
def folder(recorded: Path, tmp_path: Path) -> Path:
    """A copy of it, results and all."""
    return shutil.copytree(recorded, tmp_path / "neuroseg", symlinks=True)


def leaderboard(folder: Path, commit: str = "HEAD") -> list[dict[str, str]]:
    text = git("show", f"{commit}:results/leaderboard.csv", folder=folder)
    return list(csv.DictReader(text.splitlines()))


def hook(folder: Path, name: str, text: str) -> Path:
    path = folder / ".git" / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


# ----------------------------------------------------------------------------------- what is recorded is true


def test_metrics_that_git_put_back_are_computed_again(folder):
    path = folder / METRICS
    path.write_text(path.read_text().replace("0.25", "0.75"))  # as `git checkout` and `git stash` do
    git("add", "--update", METRICS, folder=folder)
    done = ledger("record", "second", folder=folder)
    assert [line["map"] for line in leaderboard(folder)] == ["0.25", "0.25"]
    assert yaml.safe_load(git("show", f"run/second:{METRICS}", folder=folder))["map"] == 0.25
    assert "every result was computed for that commit, or equals a recorded run's" in done.stdout
    assert status(folder) == ""


def test_a_result_altered_after_its_job_is_refused_by_name(folder):
    with (folder / "results" / "demo" / "submit" / "one.csv").open("a") as file:
        file.write("one cell more\n")
    before = state(folder)
    refused = ledger("record", "second", folder=folder, check=False)
    assert refused.returncode == 1
    assert "changed after their jobs had written them: results/demo/submit/one.csv;" in refused.stderr
    assert state(folder) == before


def test_results_that_are_links_into_dvcs_cache_are_as_their_jobs_left_them_until_altered(folder):
    repository_to_record.call("dvc", "config", "--local", "cache.type", "symlink", folder=folder)
    repository_to_record.call("dvc", "checkout", "--relink", folder=folder)
    ledger("sync", folder=folder)
    made = ["results/demo/submit/one.csv", "data/demo"]
    assert all(path.is_symlink() for path in (folder / made[0], folder / made[1] / "images.txt"))
    assert provenance.altered(made, folder) == []
    for path in (folder / made[0], folder / made[1] / "images.txt"):
        path.resolve().chmod(0o644)
        path.write_text("altered")
    assert provenance.altered(made, folder) == made


def test_results_of_other_parameters_that_were_touched_are_refused(folder):
    path = folder / "configs" / "pipeline.yaml"
    path.write_text(path.read_text().replace("0.25", "0.5"))
    git("commit", "--quiet", "--all", "--message", "Ask for higher scores", folder=folder)
    repository_to_record.call("snakemake", "--touch", "--forceall", "--cores", "1", folder=folder)
    before = state(folder)
    refused = ledger("record", "second", folder=folder, check=False)
    assert refused.returncode == 1
    assert "called up to date by --touch, and of no recorded run: " in refused.stderr
    assert METRICS in refused.stderr
    assert state(folder) == before


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["-n"], "--dryrun"),
        (["--touch"], "--touch"),
        (["--unlock"], "--unlock"),
        (["--delete-all-output"], "--delete-all-output"),
        (["--tou"], "--touch"),
        (["--until", "predict"], "--until"),
        (["--rerun-triggers", "mtime"], "--rerun-triggers"),
        (["--config", "seed=1"], "--config"),
        (["--configfile", "configs/other.yaml"], "--configfile"),
        (["--profile", "profiles/mine"], "--config"),
        (["--ignore-incomplete"], "--ignore-incomplete"),
        (["all_simulate"], "--targets"),
    ],
)
def test_arguments_that_change_what_is_computed_are_refused_before_anything_runs(
    recorded, tmp_path, given, named
):
    shutil.copytree(recorded / "profiles", tmp_path / "profiles")
    (tmp_path / "profiles" / "mine").mkdir()
    (tmp_path / "profiles" / "mine" / "config.yaml").write_text("config:\n  - seed=1\n")
    shutil.copy(recorded / "Snakefile", tmp_path)
    with pytest.raises(
        RunError, match=f"^{named}, given to Snakemake or set in its profile: |does not take {given[0]}"
    ):
        arguments.check(given, tmp_path)


def test_arguments_that_say_how_it_is_computed_are_taken(recorded):
    assert arguments.check(["--cores", "3", "--keep-going", "--profile", "profiles/slurm"], recorded) == []
    assert arguments.check(["--use-conda"], recorded) == ["--software-deployment-method", "conda"]


# ----------------------------------------------------------------------------- a run of another configuration


@pytest.fixture(scope="module")
def beside(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with a second run, of configs/other.yaml."""
    folder = shutil.copytree(recorded, tmp_path_factory.mktemp("beside") / "neuroseg", symlinks=True)
    ledger("record", "--config", "configs/other.yaml", "other", folder=folder)
    return folder


def test_a_run_of_another_configuration_changes_nothing_of_the_branch_but_the_leaderboard(beside):
    assert git("diff", "--name-only", "run/first", "main", folder=beside) == "results/leaderboard.csv"
    assert [line["name"] for line in leaderboard(beside)] == ["first", "other"]
    assert status(beside) == ""
    assert repository_to_record.nothing_to_do(beside)


def test_its_own_commit_holds_its_configuration_its_stages_and_its_metrics_and_no_others(beside):
    config = yaml.safe_load(git("show", "run/other:configs/pipeline.yaml", folder=beside))
    assert (config["dataset"], config["predict"]["min_score"], config["seed"]) == ("mine", 0.75, 0)
    lock = yaml.safe_load(git("show", "run/other:dvc.lock", folder=beside))
    outs = {out["path"] for stage in lock["stages"].values() for out in stage.get("outs", [])}
    assert {path for path in outs if path.startswith("results/demo")} == set()
    assert "results/mine/submit/one.csv" in outs
    tracked = git("ls-tree", "-r", "--name-only", "run/other", "results", folder=beside).splitlines()
    assert [path for path in tracked if "evaluate" in path] == [
        f"results/mine/evaluate/one.{n}" for n in ("json", "parquet")
    ]
    parent = git("rev-parse", "run/other^", folder=beside)
    assert (
        parent
        == git("rev-parse", "run/first^{commit}", folder=beside)
        != git("rev-parse", "main", folder=beside)
    )


def test_its_commit_is_in_the_history_of_the_branch_for_clones_that_come_without_tags(beside, tmp_path):
    git("clone", "--quiet", "--no-tags", f"file://{beside}", tmp_path / "clone", folder=tmp_path)
    runs.restore_tags(tmp_path / "clone")
    assert git("tag", folder=tmp_path / "clone").split() == ["run/first", "run/other"]


def test_checked_out_pulled_and_synchronised_it_is_clean_and_nothing_is_left_to_do(beside, tmp_path):
    clone = tmp_path / "clone"
    git("clone", "--quiet", beside, clone, folder=tmp_path)
    git("checkout", "--quiet", "run/other", folder=clone)
    shutil.copytree(beside / "data" / "mine", clone / "data" / "mine", dirs_exist_ok=True)
    shutil.copytree(beside / ".dvc" / "cache", clone / ".dvc" / "cache")
    repository_to_record.call("dvc", "checkout", folder=clone)
    done = ledger("sync", folder=clone)
    assert "hashes equal, nothing computed" in done.stdout
    assert status(clone) == ""
    assert repository_to_record.nothing_to_do(clone)


# --------------------------------------------------------------------------------------------- all or nothing


def refuse(folder: Path, *given: str, **settings: str) -> str:
    """Record in vain, before anything is computed, and with nothing changed; return what is said."""
    before = state(folder)
    refused = ledger("record", *(given or ("second",)), folder=folder, check=False, **settings)
    assert refused.returncode == 1
    assert "$ snakemake" not in refused.stdout
    assert state(folder) == before
    return refused.stderr


def test_git_that_does_not_know_who_commits_is_told_before_anything_runs(folder):
    git("config", "user.useConfigOnly", "true", folder=folder)
    nobody = dict.fromkeys(
        ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
    )
    assert "git config --global user.email" in refuse(folder, EMAIL=None, **nobody)


def test_a_signature_that_cannot_be_made_is_told_before_anything_runs(folder):
    git("config", "commit.gpgSign", "true", folder=folder)
    git("config", "gpg.program", "false", folder=folder)
    assert "gpg failed to sign the data" in refuse(folder)


def test_a_hook_that_refuses_is_told_before_anything_runs(folder):
    hook(folder, "pre-commit", "echo too late in the week; exit 1")
    assert "the hook pre-commit refuses the commit: too late in the week." in refuse(folder)


def test_a_recording_that_is_refused_or_killed_leaves_everything_as_before_and_is_simply_called_again(folder):
    path = hook(
        folder, "pre-commit", '[ -z "$GIT_INDEX_FILE" ] || { git diff --cached --name-only; exit 1; }'
    )
    before = state(folder)
    refused = ledger("record", "second", folder=folder, check=False)
    assert refused.returncode == 1
    assert "the hook pre-commit refuses the commit: " in refused.stderr
    assert "results/leaderboard.csv" in refused.stderr
    assert state(folder) == before
    hook(folder, "pre-commit", '[ -z "$GIT_INDEX_FILE" ] || kill -9 $PPID')
    assert ledger("record", "second", folder=folder, check=False).returncode == -9
    path.unlink()
    assert status(folder) == ""
    ledger("record", "second", folder=folder)
    assert [line["name"] for line in leaderboard(folder)] == ["first", "second"]
    assert status(folder) == ""


def test_a_run_whose_recording_was_killed_after_its_tag_is_brought_onto_the_branch(folder):
    git("reset", "--quiet", "--hard", "run/first^", folder=folder)
    done = ledger("record", "first", folder=folder)
    assert "$ snakemake" not in done.stdout
    assert git("rev-parse", "main", folder=folder) == git("rev-parse", "run/first^{commit}", folder=folder)
    assert status(folder) == ""


@pytest.mark.parametrize("asked", ["a commit more", "another configuration"])
def test_a_tag_of_another_commit_or_configuration_is_not_taken_for_the_run_that_is_asked_for(folder, asked):
    git("reset", "--quiet", "--hard", "run/first^", folder=folder)
    if asked == "a commit more":
        git("commit", "--quiet", "--allow-empty", "--message", "Go on", folder=folder)
    given = ("first",) if asked == "a commit more" else ("--config", "configs/other.yaml", "first")
    assert "the tag run/first is on no branch, and of other code or another configuration" in refuse(
        folder, *given
    )


def test_the_lock_of_a_run_that_was_killed_is_told_in_a_sentence_whose_cure_works(folder):
    (folder / METRICS).unlink()
    path = folder / "Snakefile"
    text = path.read_text()
    path.write_text(text.replace("cp -v {input} {output.images}", "kill -9 $(cat snakemake.pid); cp"))
    killed = "snakemake --cores 1 & echo $! > snakemake.pid; wait"
    repository_to_record.call("sh", "-c", killed, folder=folder)
    (folder / "snakemake.pid").unlink()
    path.write_text(text)
    said = refuse(folder)
    assert said.count("\n") == 1
    assert "`snakemake --unlock` removes it if no other Snakemake works here" in said
    repository_to_record.call("snakemake", "--unlock", folder=folder)
    ledger("record", "second", folder=folder)
    assert [line["map"] for line in leaderboard(folder)] == ["0.25", "0.25"]


def test_a_lock_of_other_results_keeps_no_run_waiting(folder):
    (folder / ".snakemake" / "locks").mkdir(exist_ok=True)
    (folder / ".snakemake" / "locks" / "0.output.lock").write_text("results/mine/submit/one.csv\n")
    ledger("record", "second", folder=folder)


def test_a_name_that_differs_in_capitals_alone_is_refused(folder):
    assert "there is a run first already" in refuse(folder, "First")


@pytest.mark.parametrize(
    "place", ["configs/models/mine.py", "configs/datasets/own/demo.yaml", "scripts/extra.py"]
)
def test_code_and_settings_that_git_ignores_are_named_before_anything_runs(folder, place):
    (folder / ".git" / "info").mkdir(exist_ok=True)
    (folder / ".git" / "info" / "exclude").write_text("mine.py\nextra.py\n")
    for name in (place, "configs/datasets/own/other.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert f"Git ignores these files, so that the run's commit would lack them: {place};" in refuse(folder)


def test_images_of_your_own_in_the_clone_keep_no_run_from_being_recorded(folder):
    (folder / "My folder (plate 1)" / "day 1").mkdir(parents=True)
    for name in ("a.tif", "day 1/Zählung.json"):
        (folder / "My folder (plate 1)" / name).touch()
    ledger("record", "second", folder=folder)
    assert [line["name"] for line in leaderboard(folder)] == ["first", "second"]
    assert status(folder) == '?? "My folder (plate 1)/"'


def test_a_remote_that_is_not_committed_is_told_with_the_command_that_commits_it(folder):
    repository_to_record.call("dvc", "remote", "add", "--default", "store", "/tmp/store", folder=folder)
    said = refuse(folder)
    assert said.count("\n") == 1
    command = re.search(r'`(git commit --message "Name the remote" \.dvc/config)`', said)[1]
    repository_to_record.call(*shlex.split(command), folder=folder)
    assert status(folder) == ""


@pytest.mark.parametrize("text", [None, "Name: engine\n"])
def test_a_package_that_does_not_say_its_name_and_version_is_named_before_anything_runs(
    folder, tmp_path, text
):
    left = tmp_path / "packages" / "engine-2.0.dist-info"
    left.mkdir(parents=True)
    if text:
        (left / "METADATA").write_text(text)
    said = refuse(folder, "second", PYTHONPATH=str(left.parent))
    assert f"error: {left}: a package without name and version, as a killed pip leaves it" in said


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
def test_an_edit_that_git_was_told_to_overlook_is_not_committed(folder, flag):
    git("update-index", flag, "configs/pipeline.yaml", folder=folder)
    assert commits.changes(folder, []) == []
    (folder / "configs" / "pipeline.yaml").write_text("dataset: other\n")
    assert commits.changes(folder, []) == ["configs/pipeline.yaml"]


def test_a_disk_that_is_full_leaves_everything_as_before(folder, tmp_path):
    full = 'case "$1" in commit) echo "ERROR: No space left on device"; exit 255;; esac'
    (tmp_path / "dvc").write_text(f'#!/bin/sh\n{full}\nexec {shutil.which("dvc")} "$@"\n')
    (tmp_path / "dvc").chmod(0o755)
    before = state(folder)
    path = f"PATH={tmp_path}:{os.environ['PATH']}"
    refused = repository_to_record.call(
        "env", path, "python", "ledger", "record", "second", folder=folder, check=False
    )
    assert refused.returncode == 1
    assert "No space left on device" in refused.stderr
    assert state(folder) == before


def test_a_name_of_the_leaderboard_is_refused_in_a_shallow_clone_without_tags(folder, tmp_path):
    git("commit", "--quiet", "--allow-empty", "--message", "Go on", folder=folder)
    git(
        "clone",
        "--quiet",
        "--depth",
        "1",
        "--no-tags",
        f"file://{folder}",
        tmp_path / "clone",
        folder=tmp_path,
    )
    assert "results/leaderboard.csv has a run first already" in refuse(tmp_path / "clone", "first")


def test_a_tag_is_set_without_an_editor_or_a_key_where_gits_settings_ask_for_a_signature(folder):
    for key, value in {"tag.gpgSign": "true", "gpg.program": "false", "core.editor": "sleep 600"}.items():
        git("config", key, value, folder=folder)
    git("config", "user.name", "tester", folder=folder)
    git("config", "user.email", "tester@example.org", folder=folder)
    git("tag", "--delete", "run/first", folder=folder)
    runs.restore_tags(folder)
    commits.tag(folder, "run/other", git("rev-parse", "HEAD", folder=folder), "map one 0.25")
    assert git("tag", folder=folder).split() == ["run/first", "run/other"]


# --------------------------------------------------------------------------------------- where it is recorded


def test_without_a_branch_or_amid_a_merge_nothing_is_computed(folder):
    git("checkout", "--quiet", "--detach", folder=folder)
    assert "no branch is checked out" in refuse(folder)
    git("switch", "--quiet", "main", folder=folder)
    (folder / ".git" / "MERGE_HEAD").write_text(git("rev-parse", "HEAD", folder=folder) + "\n")
    assert "a merge is under way" in refuse(folder)


def test_folders_that_lie_on_another_disk_are_linked_and_stay_so(folder, tmp_path):
    for name in ("results", "logs", ".snakemake"):
        (folder / name).mkdir(exist_ok=True)
        shutil.move(folder / name, tmp_path / f"disk_{name}")
        (folder / name).symlink_to(tmp_path / f"disk_{name}")
    ledger("record", "second", folder=folder)
    assert [line["name"] for line in leaderboard(folder)] == ["first", "second"]
    assert "second" in (tmp_path / "disk_results" / "leaderboard.csv").read_text()
    assert all((folder / name).is_symlink() for name in ("results", "logs", ".snakemake"))


@pytest.mark.parametrize("place", ["data/demo/day1", "results/demo/predict/model"])
def test_a_link_to_a_folder_whose_files_dvc_would_pass_over_is_refused(folder, tmp_path, place):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.png").touch()
    (folder / place).symlink_to(tmp_path / "disk", target_is_directory=True)
    assert f"error: {place}: DVC follows no link to a folder within one that it records" in refuse(folder)


@pytest.mark.parametrize("kind", ["worktree", "submodule"])
def test_a_worktree_and_a_submodule_whose_path_has_a_blank_and_an_umlaut_record_as_a_clone_does(
    folder, tmp_path, kind
):
    place = tmp_path / "Zellen zählen" / "neuroseg"
    if kind == "worktree":
        git("worktree", "add", "--quiet", "-b", "more", place, folder=folder)
    else:
        place.parent.mkdir()
        git("init", "--quiet", folder=place.parent)
        git(
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "--quiet",
            "add",
            folder,
            "neuroseg",
            folder=place.parent,
        )
    shutil.copytree(folder / "data" / "mine", place / "data" / "mine", dirs_exist_ok=True)
    ledger("record", "second", folder=place)
    assert [line["name"] for line in leaderboard(place)] == ["first", "second"]
    assert status(place) == ""


def test_text_ends_its_lines_alike_in_every_clone(folder, tmp_path):
    git("-c", "core.autocrlf=true", "clone", "--quiet", folder, tmp_path / "clone", folder=tmp_path)
    text = [*(tmp_path / "clone" / "ledger").glob("*.py"), tmp_path / "clone" / "dvc.yaml"]
    assert not [path.name for path in text if b"\r\n" in path.read_bytes()]


def test_the_last_lines_of_a_command_that_fails_are_told(tmp_path, capfd):
    with pytest.raises(RunError, match="failed with exit status 3; it said:\n  a lock is held"):
        call("sh", "-c", "echo a lock is held >&2; exit 3", root=tmp_path)
    assert "a lock is held" in capfd.readouterr().out
