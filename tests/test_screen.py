"""What a run leaves on the screen: a line a step, and what failed as the last thing."""

import logging
import os
import signal
import subprocess
import sys
import time

import pytest
from chain import copy, environment, snakemake
from snakemake.logging import LogEvent
from workflow import screen, stopping

SPLIT = "results/demo/split/folds.parquet"
FEW = "simulate: {train_images: 6, test_images: 1}\nsplit: {n_folds: %d}\n"


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return copy(tmp_path_factory.mktemp("clone"))


def run(clone, folds: int, check: bool = True, **environ: str):
    (clone / "few.yaml").write_text(FEW % folds)
    call = ("--cores", "1", "--configfile", "few.yaml", "--", SPLIT)
    return snakemake(*call, folder=clone, check=check, env=os.environ | environ)


def test_a_failed_steps_own_sentence_is_the_last_thing_on_the_screen(clone):
    failed = run(clone, 60, check=False)
    assert failed.returncode == 1
    last = failed.stderr.splitlines()[-1]
    assert last.startswith("error: split failed: 60 folds are asked of 3 groups, ")
    assert last.endswith("(all of it: logs/demo/split.log)")
    assert failed.stderr.count("60 folds are asked") == 1
    assert "Traceback" not in failed.stderr


def test_a_run_is_a_line_a_step_and_all_of_it_when_asked_for(clone):
    run(clone, 3)
    brief = run(clone, 2)
    steps = [line for line in brief.stderr.splitlines() if " step " in line]
    assert [line[8:] for line in steps] == [" step 1 of 1: split"]
    assert len(brief.stderr.splitlines()) <= 4
    assert brief.stdout == ""
    assert "2 folds of whole groups" in (clone / "logs" / "demo" / "split.log").read_text()
    whole = run(clone, 3, VERBOSE="1")
    assert "--n-folds 3" in whole.stderr
    assert "3 folds of whole groups" in whole.stdout


def test_a_step_is_named_with_its_model_and_fold_and_without_its_data_set():
    assert screen.named("train", {"dataset": "demo", "model": "tiny", "fold": "0"}) == "train tiny fold 0"


def test_the_last_line_that_tells_the_time_left_says_how_far_a_step_is(tmp_path):
    log = tmp_path / "train.log"
    log.write_text(
        "iteration 4/40, loss 1.000, 9 s left\niteration 8/40, loss 0.900, 8 s left\nwrote a state\n"
    )
    assert screen.how_far(str(log)) == "iteration 8/40, loss 0.900, 8 s left"
    assert screen.how_far(str(tmp_path / "none.log")) == ""


def test_what_a_step_notes_is_said_once(tmp_path):
    log = tmp_path / "step.log"
    log.write_text("note: no bf16 here\nreading\nnote: 2 of 3 images are dark\n")
    brief = screen.Brief(logging.StreamHandler())
    brief.running[7] = ("train fold 0", [str(log)])
    ended = logging.makeLogRecord({"event": LogEvent.JOB_FINISHED, "job_id": 7, "msg": ""})
    assert brief.format(ended).split("\n") == [
        "         train fold 0: note: no bf16 here",
        "         train fold 0: note: 2 of 3 images are dark",
    ]
    brief.said = ""  # what was said just before is not said again in any case
    log.write_text(log.read_text() + "note: no bf16 here\n")
    brief.running[7] = ("train fold 0", [str(log)])
    assert brief.format(ended) == ""


def test_what_a_failed_step_noted_stands_before_its_sentence(tmp_path):
    log = tmp_path / "train.log"
    log.write_text("note: of another architecture\nerror: the loss is nan\n")
    step = {"rule_name": "train", "jobid": 1, "log": [str(log)], "wildcards": {}, "msg": ""}
    brief = screen.Brief(logging.StreamHandler())
    brief.format(logging.makeLogRecord({"event": LogEvent.JOB_INFO, **step}))
    note, sentence = brief.format(logging.makeLogRecord({"event": LogEvent.JOB_ERROR, **step})).split("\n")
    assert note.strip() == "train: note: of another architecture"
    assert sentence.startswith("error: train failed: the loss is nan")


def test_notes_are_read_on_from_where_a_log_was_left(tmp_path):
    log = tmp_path / "step.log"
    assert screen.notes(str(log)) == ([], 0)
    log.write_bytes(b"note: a\nnote: b")
    assert screen.notes(str(log)) == (["note: a"], 8)
    log.write_bytes(b"note: a\nnote: b\n")
    assert screen.notes(str(log), 8) == (["note: b"], 16)
    log.write_bytes(b"note: c\n")
    assert screen.notes(str(log), 16) == (["note: c"], 8)
    log.write_bytes(b"x" * (screen.NOTED + 1) + b"\nnote: \x1b[2J\xff\n")
    told, read = screen.notes(str(log))
    assert (told, read) == ([], screen.NOTED)
    assert screen.notes(str(log), read) == (["note: ?[2J\ufffd"], log.stat().st_size)


def test_a_step_that_is_tried_again_is_counted_once_and_its_new_log_read_from_the_beginning(tmp_path):
    log = tmp_path / "train.log"
    log.write_text("note: first\n")
    step = {"rule_name": "train", "jobid": 1, "log": [str(log)], "wildcards": {}, "msg": ""}
    brief = screen.Brief(logging.StreamHandler())
    begun, failed = (
        logging.makeLogRecord({"event": event, **step}) for event in (LogEvent.JOB_INFO, LogEvent.JOB_ERROR)
    )
    assert brief.format(begun).endswith(" step 1 of 1: train")
    assert "note: first" in brief.format(failed)
    log.write_text("note: second, of a longer log\n" + "line\n" * 50)
    assert brief.format(begun).endswith(" once more: train")
    assert "note: second, of a longer log" in brief.format(failed)


@pytest.mark.parametrize("sign", "\x1b\x9b\u061c\u200e\u200f\u2028\u202e\u2066\u2069")
def test_what_steers_a_terminal_or_turns_the_direction_of_writing_is_masked(sign):
    assert screen.plain(f"note: {sign}gnp.exe, Größe 3 µm") == "note: ?gnp.exe, Größe 3 µm"


def test_of_a_usage_error_the_words_are_said_and_not_the_frame(tmp_path):
    log = tmp_path / "step.log"
    log.write_text("╭─ Error ─────╮\n│ no seed 1e3 │\n╰─────────────╯\n")
    assert screen.last_sentence(str(log)) == "no seed 1e3"


def test_a_failed_steps_sentence_is_its_error_else_its_last_line(tmp_path):
    log = tmp_path / "step.log"
    log.write_text("reading\nerror: no image\nslurmstepd: exit 1\n")
    assert screen.last_sentence(str(log)) == "no image"
    log.write_text("Traceback …\nMemoryError: 3 GB\n\n")
    assert screen.last_sentence(str(log)) == "MemoryError: 3 GB"


@pytest.mark.parametrize("last", ["iteration 13/200, 11 min left", "initialised anew: neck.a, neck.b"])
def test_a_step_that_was_killed_is_said_to_have_been_stopped(tmp_path, last):
    log = tmp_path / "step.log"
    log.write_text(f"reading\n{last}\n")
    stopped = f"it was stopped from outside, or ran out of memory, after: {last}"
    assert screen.last_sentence(str(log)) == stopped


def having(folder, simulate: str):
    """Return a clone whose first step is `simulate`, a program."""
    clone = copy(folder)
    (clone / "few.yaml").write_text(FEW % 3)
    (clone / "scripts" / "simulate.py").write_text(simulate)
    return clone


@pytest.mark.parametrize("verbose", ["", "1"])
def test_ctrl_c_however_often_is_two_sentences_and_130(tmp_path, verbose):
    clone = having(tmp_path, "import pathlib, time; pathlib.Path('at_work').touch(); time.sleep(60)")
    code = "import signal, runpy; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "runpy.run_module('snakemake', run_name='__main__')"  # a job in the background ignores Ctrl-C
    call = [sys.executable, "-c", code, "--nocolor", "--cores", "1", "--configfile", "few.yaml", "--", SPLIT]
    with subprocess.Popen(
        call,
        cwd=clone,
        env=environment(os.environ | {"VERBOSE": verbose}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        while not (clone / "at_work").exists():
            assert process.poll() is None
            time.sleep(0.1)
        for _ in range(3):
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.05)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "Traceback" not in said
    assert said.splitlines().count(stopping.KEPT) == 1
    if not verbose:
        assert {*said.splitlines()[-2:]} == {stopping.KEPT, "waiting for the end of simulate"}
        assert "failed" not in said


def test_a_step_that_is_killed_is_a_sentence_that_names_the_step_and_the_likely_reason(tmp_path):
    clone = having(tmp_path, "import os; os.kill(os.getpid(), 9)")
    steps, last = run(clone, 3, check=False).stderr.splitlines()[-2:]
    assert " step 1 of 3: simulate" in steps
    assert last.startswith(
        "error: simulate failed: it was killed, most likely because this computer's memory ran out (all of it"
    )


@pytest.mark.parametrize(
    ("ending", "log", "sentence"),
    [
        (
            "returned non-zero exit status 137.",
            "",
            "it was killed, most likely because this computer's memory ",
        ),
        ("returned non-zero exit status 143.", "", "it was stopped from outside (signal SIGTERM) ("),
        (
            "returned non-zero exit status 143.",
            "8/40, 9 s left\n",
            "it was stopped from outside (signal SIGTERM), after: 8/40, 9 s left (",
        ),
        ("returned non-zero exit status 139.", "", "it crashed (SIGSEGV) ("),
        ("returned non-zero exit status 1.", "error: no image\n", "no image ("),
        ("returned non-zero exit status 255.", "", "it crashed (signal 127) ("),
    ],
)
def test_what_a_step_ended_with_is_said(tmp_path, ending, log, sentence):
    file = tmp_path / "split.log"
    file.write_text(log)
    step = {"rule_name": "split", "jobid": 1, "log": [str(file)], "wildcards": {}}
    told = f"RuleException:\nCalledProcessError in file rules.smk:\nCommand 'x | tee {file}' {ending}"
    brief = screen.Brief(logging.StreamHandler())
    records = ({"event": LogEvent.JOB_INFO, **step}, {"msg": told}, {"event": LogEvent.JOB_ERROR, **step})
    _, nothing, said = (brief.format(logging.makeLogRecord({"msg": "", **record})) for record in records)
    assert not nothing
    assert said.startswith(f"error: split failed: {sentence}")


def test_a_snakemake_that_is_told_to_end_says_what_it_waits_for():
    step = {"rule_name": "export", "jobid": 1, "log": [], "wildcards": {}}
    brief = screen.Brief(logging.StreamHandler())
    brief.format(logging.makeLogRecord({"msg": "", "event": LogEvent.JOB_INFO, **step}))
    told = {"msg": "Will exit after finishing currently running jobs (scheduler)."}
    assert brief.format(logging.makeLogRecord(told)) == "waiting for the end of export"


def test_steps_that_end_because_the_run_was_interrupted_have_not_failed(monkeypatch):
    monkeypatch.setattr(stopping, "_asked", [time.monotonic()])
    step = {"rule_name": "export", "jobid": 1, "log": [], "wildcards": {}}
    brief = screen.Brief(logging.StreamHandler())
    said = [
        brief.format(logging.makeLogRecord(record))
        for record in (
            {"msg": "", "event": LogEvent.JOB_INFO, **step},
            {"msg": "Terminating processes on user request, this might take some time."},
            {"msg": "", "event": LogEvent.JOB_ERROR, **step},
            {"msg": "At least one job did not complete successfully."},
        )
    ]
    assert [bool(text) for text in said] == [True, True, False, False]


@pytest.mark.parametrize("asked", [True, False])
def test_a_step_that_ctrl_c_reaches_before_the_run_has_not_failed(tmp_path, monkeypatch, asked):
    monkeypatch.setattr(stopping, "_asked", [])
    (log := tmp_path / "export.log").touch()
    step = {"rule_name": "export", "jobid": 1, "log": [str(log)], "wildcards": {}}
    told = f"RuleException:\nCalledProcessError in x.smk:\n'x {log}' returned non-zero exit status 130."
    brief = screen.Brief(logging.StreamHandler())
    brief.format(logging.makeLogRecord({"msg": "", "event": LogEvent.JOB_INFO, **step}))
    brief.format(logging.makeLogRecord({"msg": told}))
    assert not brief.format(logging.makeLogRecord({"msg": "", "event": LogEvent.JOB_ERROR, **step}))
    if asked:
        stopping._asked.append(time.monotonic())
    last = brief.format(logging.makeLogRecord({"msg": "At least one job did not complete successfully."}))
    assert last.startswith("" if asked else "error: export failed: it was interrupted from outside (signal")
    assert bool(last) is not asked


def test_what_the_cluster_says_of_a_failed_job_stands_beside_the_steps_own_words(tmp_path):
    log = tmp_path / "train.log"
    log.write_text("iteration 4/40, loss 1.000, 9 s left\n")
    step = {"rule_name": "train", "jobid": 1, "log": [str(log)]}
    said = [
        {"event": LogEvent.JOB_INFO, "wildcards": {"dataset": "demo", "model": "tiny", "fold": "0"}, **step},
        {
            "event": LogEvent.JOB_ERROR,
            "rule_msg": "SLURM-job '7' failed, SLURM status is: 'TIMEOUT'.",
            **step,
        },
        {
            "event": LogEvent.JOB_ERROR,
            "rule_msg": "SLURM-job '8' failed, SLURM status is: 'TIMEOUT'.",
            **step,
        },
    ]
    brief = screen.Brief(logging.StreamHandler())
    _, first, second = (brief.format(logging.makeLogRecord({"msg": "", **record})) for record in said)
    assert first.startswith(
        "error: train tiny fold 0 failed: SLURM-job '7' failed, SLURM status is: 'TIMEOUT'; "
    )
    assert "iteration 4/40" in first
    assert "SLURM-job '8'" in second
