"""A folder of one's own images: a name for each run, no run over another's, whatever the folder is called."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from chain import copy, environment, snakemake
from hypothesis import given
from hypothesis import strategies as st
from snakemake.cli import parse_config
from snakemake.exceptions import WorkflowError

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from workflow import configs, own_images, predict_folder, stopping  # noqa: E402

from neuroseg import readers  # noqa: E402

NAMES = [
    "My folder (plate 1)",
    "a;id",
    "Zellen für Übung",
    'O\'Brien "2"',
    "$HOME `id`",
    "x-1.2",
    "日本",
    "100 %",
    "-n",
]


@pytest.fixture(autouse=True)
def working(tmp_path, monkeypatch) -> Path:
    """An empty working folder: files are written there, and nothing read before is remembered."""
    folder = tmp_path / "working"
    folder.mkdir()
    monkeypatch.chdir(folder)
    configs.read.cache_clear()
    yield folder
    configs.read.cache_clear()


def images(folder: Path) -> Path:
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "docs" / "overlays.png", folder / "A1.png")
    return folder


@pytest.fixture
def called(monkeypatch) -> list[list[str]]:
    """The commands that a run would start; each succeeds."""
    commands = []

    def finish(command, lock):
        commands.append(command)
        return 0

    monkeypatch.setattr(predict_folder, "finish", finish)
    return commands


def predict(folder: Path | str, name: str = "", detectors: str = "", config: str = "") -> int:
    configs.read.cache_clear()
    return predict_folder.main(str(folder), name, detectors, config, "1")


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_any_name_is_a_data_set_that_snakemake_and_the_reader_take(
    name, tmp_path, called, working
):
    folder = images(tmp_path / name)
    assert predict(folder) == 0
    (setting,) = [part for part in called[0] if part.startswith("dataset=")]
    dataset = setting.removeprefix("dataset=")
    file = configs.OWN / f"{dataset}.yaml"
    content = readers.read_dataset(file)
    assert (content.root, content.title) == (folder, name)
    assert configs.title(dataset) == name
    assert [Path(path).name for path in readers.read(content).images["path"]] == ["A1.png"]
    assert yaml.safe_load(dataset) == dataset  # no number, no truth value


@given(st.text(min_size=1) | st.sampled_from(["INF", "nan", "Infinity", "on", "NULL", "1e5"]))
def test_every_name_becomes_a_word_that_paths_yaml_and_snakemake_keep(title):
    name = own_images.identifier(title)
    assert parse_config([f"dataset={name}"]) == {"dataset": name}
    assert own_images.re.fullmatch("[A-Za-z][A-Za-z0-9_.-]*", name)
    assert isinstance(yaml.safe_load(name), str)


def test_a_second_folder_of_the_same_name_is_refused_and_nothing_changes(tmp_path, called):
    first, second = images(tmp_path / "a" / "plate"), images(tmp_path / "b" / "plate")
    predict(first)
    before = (configs.OWN / "plate.yaml").read_text()
    with pytest.raises(WorkflowError, match=r"the name plate is taken: .* give this run another name"):
        predict(second)
    assert (configs.OWN / "plate.yaml").read_text() == before
    assert len(called) == 1
    predict(second, name="other plate")
    assert "dataset=other_plate" in called[1]


def test_names_of_the_workflows_own_data_sets_are_taken(tmp_path, called):
    with pytest.raises(WorkflowError, match=r"the name demo is taken: .* is about data/demo"):
        predict(images(tmp_path / "demo"))
    assert not called


def test_names_of_detectors_that_come_with_the_workflow_are_taken(tmp_path, called):
    with pytest.raises(WorkflowError, match=r"the name starter is that of detectors"):
        predict(images(tmp_path / "starter"))
    assert not configs.OWN.exists()
    assert not called


def test_a_second_call_keeps_what_was_written_into_the_data_sets_file(tmp_path, called):
    folder = images(tmp_path / "plate")
    predict(folder)
    file = configs.OWN / "plate.yaml"
    file.write_text(file.read_text().replace("# pixel_size_um", "pixel_size_um"))
    predict(folder)
    assert readers.read_dataset(file).pixel_size_um == 0.65
    assert called[0] == called[1]


def test_two_runs_of_one_name_at_once_are_refused_and_two_of_different_names_are_not(tmp_path, called):
    folder = images(tmp_path / "plate")
    with predict_folder.locked("plate"):
        with pytest.raises(WorkflowError, match="a run named plate is at work; wait for it"):
            predict(folder)
        assert not called
        predict(folder, name="other")
    predict(folder)
    assert len(called) == 2


def test_the_lock_outlives_a_killed_program_while_its_snakemake_works(tmp_path, monkeypatch, capfd):
    code = "import subprocess; print(subprocess.Popen(['sleep', '600'], close_fds=False).pid, flush=True)"
    left = [sys.executable, "-c", code]
    monkeypatch.setattr(predict_folder, "command", lambda *_: left)
    assert predict(images(tmp_path / "plate")) == 0
    with (predict_folder.LOCKS / "plate").open("w") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    (process,) = [int(line) for line in capfd.readouterr().out.splitlines() if line.isdecimal()]
    os.kill(process, signal.SIGKILL)


STAND_IN = """
import signal, sys, time
def tidy(number, frame):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    time.sleep(1)
    open("tidied", "w").write(signal.Signals(number).name)
    sys.exit(1)
for each in (signal.SIGINT, signal.SIGTERM) if sys.argv[1] == "alone" else (signal.SIGINT,):
    signal.signal(each, tidy)
if sys.argv[1] != "alone":
    signal.signal(signal.SIGTERM, lambda *_: None)
print("at work", flush=True)
time.sleep(60)
"""
"""A Snakemake that takes its time to end, as the real one waits for its steps."""


@pytest.mark.parametrize(("whom", "told"), [("all", "SIGINT"), ("alone", "SIGTERM")])
def test_an_interrupted_run_waits_for_snakemake_and_says_that_it_goes_on(tmp_path, working, whom, told):
    script = ROOT / "workflow" / "predict_folder.py"
    (working / "stand_in.py").write_text(STAND_IN)
    code = "import runpy, signal, subprocess, sys; real = subprocess.Popen\n"
    code += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background ignores it
    code += f"sys.argv = ['', '--images', {str(images(tmp_path / 'plate'))!r}]\n"
    code += f"subprocess.Popen = lambda c, **k: real([c[0], 'stand_in.py', {whom!r}], **k)\n"
    code += f"runpy.run_path({str(script)!r}, run_name='__main__')"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=working,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as call:
        assert any(line == "at work\n" for line in iter(call.stdout.readline, ""))
        if whom == "all":
            os.killpg(call.pid, signal.SIGINT)
            os.killpg(call.pid, signal.SIGINT)  # `timeout` tells its command twice
        else:
            os.kill(call.pid, signal.SIGINT)
        said, complaint = call.communicate(timeout=30)
    assert (working / "tidied").read_text() == told
    assert call.returncode == 130
    assert not said
    assert complaint.splitlines() == [stopping.KEPT]


@pytest.mark.parametrize(
    ("folder", "sentence"),
    [
        ("", "^name the folder of your images: make predict IMAGES="),
        ("nothing here", "'nothing here' is no folder; name the folder of your images"),
        ("plate/A1.png", r"'plate/A1.png' is a file; name the folder that it is in: .*working/plate\"$"),
    ],
)
def test_what_is_no_folder_is_a_sentence(folder, sentence, working):
    images(working / "plate")
    with pytest.raises(WorkflowError, match=sentence):
        predict(folder)
    assert not configs.OWN.exists()


def test_a_folder_that_may_not_be_opened_is_a_sentence(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    folder = images(tmp_path / "plate")
    monkeypatch.setattr(os, "listdir", refuse)  # whoever tests as root may open all
    with pytest.raises(WorkflowError, match="plate: you have no right to open this folder; ask its owner"):
        predict(folder)
    assert not configs.OWN.exists()


def test_a_configuration_that_is_no_yaml_is_a_sentence_and_leaves_no_dataset_file(tmp_path, working):
    (working / "mine.yaml").write_text("predict: {views: [none")
    with pytest.raises(WorkflowError, match=r"mine\.yaml is no YAML"):
        predict(images(tmp_path / "plate"), config="mine.yaml")
    assert not configs.OWN.exists()


def test_long_names_are_cut_and_stay_apart(tmp_path, called):
    first, second = images(tmp_path / ("x" * 250)), images(tmp_path / ("x" * 251))
    assert predict(first) == predict(second) == 0
    names = sorted(file.stem for file in configs.OWN.glob("*.yaml"))
    assert len(names) == 2
    assert max(map(len, names)) < 120


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(28, "No space left on device"), "the disk is full, or your share of it; make room, and "),
        (PermissionError(13, "Permission denied", ".snakemake"), ".snakemake: Permission denied; give the "),
    ],
)
def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path, working, error, sentence):
    code = f"import runpy, sys; sys.argv = ['', '--images', {str(images(tmp_path / 'plate'))!r}]\n"
    code += "from pathlib import Path\ndef refuse(*_, **__): raise error\n"
    code += (
        f"error = OSError{error.args + ((error.filename,) if error.filename else ())}\nPath.mkdir = refuse\n"
    )
    code += f"runpy.run_path({str(ROOT / 'workflow' / 'predict_folder.py')!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=working, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {sentence}")
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_whose_name_is_latin_1_is_a_sentence(tmp_path):
    folder = os.fsencode(tmp_path) + b"/Z\xe4hlung"
    os.mkdir(folder)  # noqa: PTH102
    with pytest.raises(WorkflowError, match=r"Z\\udce4hlung: the path is not UTF-8.*rename the folder"):
        predict(os.fsdecode(folder))
    assert not configs.OWN.exists()


def test_a_folder_without_images_is_a_sentence(tmp_path):
    (tmp_path / "notes.txt").write_text("fed on Monday")
    with pytest.raises(WorkflowError, match="holds no image; PNG, TIFF and JPEG"):
        predict(tmp_path)
    assert not configs.OWN.exists()


def fitted(folder: Path, config: str) -> None:
    """Make the files that stand for a configuration's fitted detectors."""
    for file in own_images.fitted(own_images._config(ROOT / "configs" / f"{config}.yaml")):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


def bundle(folder: Path, monkeypatch) -> None:
    """Let a detector that comes with the workflow lie in `folder`."""
    (folder / "starter").mkdir(parents=True)
    (folder / "starter" / "model.pth").touch()
    (folder / "starter" / "thresholds.yaml").touch()
    (folder / "starter" / "ensemble.yaml").write_text("members: {starter: 1.0}\n")
    monkeypatch.setattr(configs, "BUNDLED", folder)


def test_detectors_of_real_images_are_taken_before_the_starters_and_those_before_the_demos(
    tmp_path, working, called, monkeypatch, capsys
):
    folder = images(tmp_path / "plate")
    if not configs.carried():
        predict(folder, name="first")
        assert "the detectors of demo are not trained yet: that comes first" in capsys.readouterr().out
        fitted(working, "pipeline")
        predict(folder, name="second")
        assert "by the detectors of demo\n" in capsys.readouterr().out
    bundle(tmp_path / "resources", monkeypatch)
    predict(folder, name="third")
    assert "by the detectors of starter\n" in capsys.readouterr().out
    fitted(working, "sartorius_cpu")
    predict(folder, name="fourth")
    assert "by the detectors of sartorius\n" in capsys.readouterr().out
    assert str(ROOT / "configs" / "sartorius_cpu.yaml") in called[-1]
    predict(folder, name="fifth", detectors="demo")
    assert "by the detectors of demo" in capsys.readouterr().out


def test_fitted_detectors_are_used_as_they_are_and_beside_other_runs(tmp_path, working, called):
    fitted(working, "pipeline")
    predict(images(tmp_path / "plate"), detectors="demo")
    (command,) = called
    rules = command[command.index("--allowed-rules") + 1 : command.index("--")]
    assert {
        "validate",
        "split",
        "predict",
        "ensemble",
        "segment",
        "quantify",
        "submit",
        "export",
        "report",
        "all",
    } <= set(rules)
    assert not {"train", "tune", "simulate", "pseudo_label"} & set(rules)
    assert "--nolock" in command


def test_detectors_that_are_not_trained_are_a_sentence(tmp_path, called):
    with pytest.raises(
        WorkflowError, match=r"plate.yaml: the detectors of sartorius are not trained; train them"
    ):
        predict(images(tmp_path / "plate"), detectors="sartorius")
    assert not called


@pytest.mark.parametrize("detectors", ["best", "../starter", "starter\ntitle: other", "starter # x", "."])
def test_unknown_detectors_are_a_sentence_and_no_dataset_file_keeps_them(detectors, tmp_path, called):
    with pytest.raises(WorkflowError, match="there are no detectors '"):
        predict(images(tmp_path / "plate"), detectors=detectors)
    assert not configs.OWN.exists()
    assert not called


def test_unknown_detectors_of_a_dataset_file_are_a_sentence(tmp_path, called):
    folder = images(tmp_path / "plate")
    predict(folder)
    file = configs.OWN / "plate.yaml"
    file.write_text(re.sub("\ndetectors: .*", "\ndetectors: best", file.read_text()))
    with pytest.raises(WorkflowError, match="detectors: best is neither a data set nor"):
        predict(folder)


@pytest.mark.parametrize(
    "given_", [{"config": "nothing.yaml"}, {"cores": "two"}, {"cores": "0"}, {"cores": "1; id"}]
)
def test_a_configuration_or_a_number_of_cores_that_is_none_is_a_sentence(given_, tmp_path, called):
    folder = images(tmp_path / "plate")
    with pytest.raises(WorkflowError, match=r"is no file; name a configuration|is no number of cores"):
        predict_folder.main(str(folder), "", "", **{"config": "", "cores": "1", **given_})
    assert not configs.OWN.exists()
    assert not called


def test_snakemake_plans_a_folder_with_blanks_and_quotes_by_the_detectors_that_are_there(tmp_path):
    clone = copy(tmp_path / "clone")
    fitted(clone, "pipeline")
    folder = images(tmp_path / "O'Brien (plate 1)")
    script = clone / "workflow" / "predict_folder.py"
    call = [sys.executable, str(script), "--images", str(folder), "--detectors", "demo", "--cores", "1"]
    code = f"import sys; sys.argv = {call[1:]!r}; import runpy, subprocess; real = subprocess.Popen\n"
    code += "subprocess.Popen = lambda c, **k: real([*c[:2], '-n', *c[2:]], **k)\n"
    code += f"runpy.run_path({str(script)!r}, run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=clone,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "results/O_Brien_plate_1/report/report.html" in done.stdout
    assert "rule train" not in done.stdout
    assert "--dataset-name 'O'\"'\"'Brien (plate 1)'" in done.stdout


def test_make_hands_a_folders_name_on_as_it_was_typed(tmp_path):
    (tmp_path / "workflow").mkdir()
    program = "import json, sys; json.dump(sys.argv[1:], open('given.json', 'w'))"
    (tmp_path / "workflow" / "predict_folder.py").write_text(program)
    shutil.copy(ROOT / "Makefile", tmp_path / "Makefile")
    for name in [*NAMES, "a  b", "50$ (x)", "#1"]:
        command = ["make", "-o", "setup", "predict", f"IMAGES={name}", f"NAME={name}"]
        subprocess.run(command, cwd=tmp_path, env=environment(), check=True, capture_output=True)
        given_ = json.loads((tmp_path / "given.json").read_text())
        assert given_[:2] == [f"--images={name}", f"--name={name}"]


def test_a_failed_run_leaves_no_page_that_looks_like_its_own(tmp_path):
    clone = copy(tmp_path / "clone")
    fitted(clone, "pipeline")
    (clone / "configs" / "datasets" / "own.yaml").write_text(
        "format: folder\nroot: data/own\ndetectors: demo\n"
    )
    images(clone / "data" / "own").joinpath("A1.png").write_bytes(b"no image")
    page = clone / "results" / "own" / "report" / "report.html"
    page.parent.mkdir(parents=True)
    page.write_text("cells of yesterday")
    failed = snakemake("--cores", "1", "--config", "dataset=own", folder=clone, check=False)
    assert failed.returncode == 1
    assert not page.exists()
    assert page.with_name("report.earlier.html").read_text() == "cells of yesterday"
