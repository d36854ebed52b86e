"""A recorded run is computed again, all of it, in its own environment, by its commit; or refused in words."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import repository_recorded
from ledger import environment, environments, reproduction
from ledger.commands import RunError
from repository_recorded import IMAGE, git


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The repository, made once; each test has a copy."""
    with pytest.MonkeyPatch.context() as patch:
        repository_recorded.settle(patch)
        yield repository_recorded.build(tmp_path_factory.mktemp("made") / "origin")


@pytest.fixture
def root(made, tmp_path, monkeypatch):
    repository_recorded.settle(monkeypatch)
    return Path(shutil.copytree(made, tmp_path / "neuroseg", symlinks=True))


def result(root: Path) -> str:
    return (root / ".runs" / "first" / "data" / "demo" / "image.txt").read_text()


# ---------------------------------------------------------------------------------------- its own environment


def test_a_run_is_computed_by_its_own_pins_and_its_own_library_and_is_equal(root, capfd, monkeypatch):
    (root / "foreign").mkdir()
    (root / "foreign" / "library.py").write_text("NAME = 'another'")
    monkeypatch.setenv("PYTHONPATH", str(root / "foreign"))
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    assert reproduction.reproduce("first", root)
    assert result(root) == IMAGE
    said = capfd.readouterr().out
    assert said.rstrip().endswith("run first: recomputed and equal: every file of 2 stages, byte for byte")


def test_runs_with_the_same_pins_share_an_environment(root):
    repository_recorded.write(root, repository_recorded.FILES)
    repository_recorded.record(root, "second")
    assert reproduction.reproduce("first", root)
    (made,) = (root / ".runs" / ".environments").glob("*/.neuroseg")
    date = made.stat().st_mtime_ns
    assert reproduction.reproduce("second", root)
    assert [made] == list((root / ".runs" / ".environments").glob("*/.neuroseg"))
    assert made.stat().st_mtime_ns == date


def test_an_environment_that_cannot_be_made_is_refused_before_anything_is_computed(root):
    repository_recorded.write(root, repository_recorded.FILES | {"envs/pins.txt": "engine==404\n"})
    repository_recorded.record(root, "second")
    with pytest.raises(
        RunError, match=r"nothing was computed; the reason stands above.*--environment FOLDER"
    ):
        reproduction.reproduce("second", root)
    assert not (root / ".runs" / "second" / "data" / "demo").exists()


def test_an_environment_made_by_hand_is_used_and_what_differs_in_it_is_the_cause(root, capfd):
    command = [sys.executable, str(root / "envs" / "install.py"), "--venv", str(root / "mine")]
    subprocess.run(command, check=True)
    assert not reproduction.reproduce("first", root, root / "mine")
    last = capfd.readouterr().out.rstrip().splitlines()[-1]
    assert last == "run first: recomputed, and drifted first at draw (data/demo): environment: engine: 1 → 2"


def test_a_folder_that_is_no_environment_is_named(root):
    with pytest.raises(RunError, match=r"no-such: there is no environment of Python"):
        reproduction.reproduce("first", root, root / "no-such")


def test_a_python_that_is_not_here_is_named_before_anything_is_computed(root):
    recorded = root / "results" / "environment.json"
    recorded.write_text(json.dumps({"python": "3.99.1"}))
    with pytest.raises(RunError, match=r"computed by Python 3\.99\.1, and there is no python3\.99 here"):
        environments.prepare("first", "HEAD", root, json.loads(recorded.read_text()), root)


@pytest.mark.parametrize("what", ["processor", "instructions"])
def test_another_processor_is_the_cause_of_a_drift_that_has_no_other(root, capfd, what):
    repository_recorded.write(root, repository_recorded.FILES)
    repository_recorded.record(root, "second", image=f"{IMAGE}?", **{what: "abacus"})
    assert not reproduction.reproduce("second", root)
    last = capfd.readouterr().out.rstrip().splitlines()[-1]
    assert last.startswith(
        f"run second: recomputed, and drifted first at draw (data/demo): environment: {what}: abac"
    )


def test_a_run_recorded_without_the_processors_instructions_is_not_said_to_differ_in_them():
    before, after = {"processor": "one"}, {"processor": "one", "instructions": "avx2"}
    assert environment.changes(before, after) == []
    assert environment.changes(after, before) == ["instructions: avx2 → absent"]


# -------------------------------------------------------------------------------------------- always computed


def test_results_that_lie_about_are_computed_again(root, capfd):
    reproduction.reproduce("first", root)
    (root / ".runs" / "first" / "data" / "demo" / "image.txt").write_text("altered")
    capfd.readouterr()
    assert reproduction.reproduce("first", root)
    assert capfd.readouterr().out.count("$ python") == 2
    assert result(root) == IMAGE


def test_a_stage_that_computes_nothing_is_not_called_equal(root):
    lazy = repository_recorded.DRAW.replace("folder.mkdir(parents=True)", "raise SystemExit")
    repository_recorded.write(root, repository_recorded.FILES | {"scripts/draw.py": lazy})
    repository_recorded.record(root, "second")
    with pytest.raises(
        RunError, match=r"stage draw of run second: its command ended well and made no data/demo\."
    ):
        reproduction.reproduce("second", root)


def test_an_edit_by_hand_is_the_cause_of_the_drift_it_makes(root, capfd):
    reproduction.reproduce("first", root)
    config = root / ".runs" / "first" / "configs" / "pipeline.yaml"
    config.write_text(config.read_text().replace("seed: 7", "seed: 8"))
    assert not reproduction.reproduce("first", root)
    last = capfd.readouterr().out.rstrip().splitlines()[-1]
    assert last.endswith("drifted first at draw (data/demo): parameter: configs/pipeline.yaml: seed: 7 → 8")
    assert config.read_text().startswith("seed: 8")


def test_the_checkout_and_its_branches_and_tags_are_left_alone(root):
    git("tag", "--delete", "run/first", folder=root)
    before = git("for-each-ref", folder=root), git("status", "--porcelain", folder=root)
    reproduction.reproduce("first", root)
    assert (git("for-each-ref", folder=root), git("status", "--porcelain", folder=root)) == before


# ------------------------------------------------------------------------------------------------ interrupted


def test_a_call_that_was_interrupted_goes_on_after_its_last_whole_stage(root, capfd, monkeypatch):
    monkeypatch.setenv("STOP_AT", "score")
    with pytest.raises(RunError, match=r"stage score@one of run first: .* failed with exit status 1"):
        reproduction.reproduce("first", root)
    monkeypatch.delenv("STOP_AT")
    capfd.readouterr()
    assert reproduction.reproduce("first", root)
    said = capfd.readouterr().out
    assert "[1 of 2] draw: computed by the call that was interrupted" in said
    assert said.count("$ python") == 1


@pytest.mark.parametrize("altered", ["data/demo/image.txt", "configs/pipeline.yaml"])
def test_nothing_is_gone_on_with_that_was_altered_since(root, capfd, monkeypatch, altered):
    monkeypatch.setenv("STOP_AT", "score")
    with pytest.raises(RunError):
        reproduction.reproduce("first", root)
    monkeypatch.delenv("STOP_AT")
    capfd.readouterr()
    with (root / ".runs" / "first" / altered).open("a") as file:
        file.write("note: 1\n")
    reproduction.reproduce("first", root)
    assert capfd.readouterr().out.count("$ python") == 2


@pytest.mark.parametrize("half", ["folder", "locked worktree", "missing file"])
def test_a_worktree_that_was_left_half_made_is_made_anew(root, half):
    tree = root / ".runs" / "first"
    if half == "folder":
        tree.mkdir(parents=True)
    else:
        git("worktree", "add", "--detach", str(tree), "run/first", folder=root)
        (tree / "scripts" / "library.py").unlink()
    if half == "locked worktree":
        git("worktree", "lock", "--reason", "initializing", str(tree), folder=root)
    assert reproduction.reproduce("first", root)


def test_a_worktree_of_unknown_origin_that_holds_edits_is_not_removed(root):
    tree = root / ".runs" / "first"
    git("worktree", "add", "--detach", str(tree), "run/first", folder=root)
    (tree / "scripts" / "draw.py").write_text("my own work")
    with pytest.raises(RunError, match=r"holds files that are not those of commit .*\(scripts/draw\.py\)"):
        reproduction.reproduce("first", root)
    assert (tree / "scripts" / "draw.py").read_text() == "my own work"


def test_a_second_call_for_the_same_run_is_refused_even_if_only_a_command_of_the_first_is_left(root):
    (root / ".runs").mkdir()
    with environments.locked(root / ".runs" / ".first.lock", "") as held:
        left = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(held,))
    with left, pytest.raises(RunError, match="run first is being reproduced by another call"):
        reproduction.reproduce("first", root)
    assert reproduction.reproduce("first", root)


def test_what_a_user_interrupts_is_said_to_go_on(root):
    slow = repository_recorded.SCORE.replace(
        'raise SystemExit("stopped by hand")', "import time; time.sleep(60)"
    )
    repository_recorded.write(root, repository_recorded.FILES | {"scripts/score.py": slow})
    repository_recorded.record(root, "second")
    text = (  # a shell's jobs in the background ignore interrupts
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"from ledger import __main__ as m; m.ROOT = m.Path({str(root)!r}); m.sys.exit(m.main(['reproduce', "
        "'second']))"
    )
    env = os.environ | {"STOP_AT": "score", "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-u", "-c", text]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=env, text=True, start_new_session=True, **pipes) as call:
        assert any("$ python scripts/score.py" in line for line in iter(call.stdout.readline, ""))
        time.sleep(0.5)
        os.killpg(call.pid, signal.SIGINT)
        said = call.communicate()[1]
    assert call.returncode == 130
    assert said.rstrip().endswith(
        "error: interrupted: the same command goes on after the last whole stage of run second."
    )


def test_a_command_that_is_interrupted_is_waited_for_and_its_last_words_are_shown(tmp_path):
    tidy = (
        "import signal, time\n"
        "def tidy(*_): time.sleep(1); print('tidied', flush=True); raise SystemExit(1)\n"
        "signal.signal(signal.SIGINT, tidy); print('at work', flush=True); time.sleep(60)"
    )
    text = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import sys; "
        "from ledger import __main__ as m, commands; "
        f"m.record.record = lambda *_: commands.run(sys.executable, '-c', {tidy!r}, root=m.Path('.')); "
        "sys.exit(m.main(['record', 'second']))"
    )
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-u", "-c", text]
    with subprocess.Popen(command, env=env, text=True, start_new_session=True, **pipes) as call:
        assert any(line == "at work\n" for line in iter(call.stdout.readline, ""))
        os.killpg(call.pid, signal.SIGINT)
        shown, said = call.communicate(timeout=30)
    assert (call.returncode, shown) == (130, "tidied\n")
    assert said == "error: interrupted; the same call goes on from here.\n"


# --------------------------------------------------------------------------------------------------- raw data


def test_raw_data_that_are_not_here_are_named_before_anything_is_computed(root):
    shutil.rmtree(root / "data" / "raw")
    with pytest.raises(RunError, match="data/raw: the run reads it, and neither DVC nor this clone has it"):
        reproduction.reproduce("first", root)


def test_raw_data_that_are_not_the_recorded_ones_are_named_before_anything_is_computed(root):
    image = root / "data" / "raw" / "image.txt"
    date = image.stat().st_mtime_ns
    image.write_text("Pixels")
    os.utime(image, ns=(date, date))  # the same size and date: only the bytes tell
    with pytest.raises(RunError, match=r"data/raw is not what the run read: .*\(1 files then, 1 now\)"):
        reproduction.reproduce("first", root)
    assert not (root / ".runs" / "first" / "data" / "demo").exists()
