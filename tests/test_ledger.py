"""Recorded runs: real, small, from drawing images to a tagged commit, a clone, and back to the same bytes."""

import csv
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml
from chain import copy, environment, keep, lend
from ledger import configuration

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.long


def call(*command: object, folder: Path, check: bool = True) -> subprocess.CompletedProcess:
    """Run a command in a folder, as somebody on a machine without any settings of Git would."""
    settings = {
        f"GIT_{role}_{what}": "tester@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    settings |= {"GIT_CONFIG_GLOBAL": os.devnull, "PYTHONPATH": ""}
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=environment(os.environ | settings),
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode:
        raise AssertionError(f"{command}\n{done.stdout}\n{done.stderr}")
    return done


def ledger(*arguments: str, folder: Path, check: bool = True) -> subprocess.CompletedProcess:
    return call(sys.executable, "-m", "ledger", *arguments, folder=folder, check=check)


def configure(folder: Path, **changes: object) -> None:
    """Have a clone's pipeline.yaml ask for another run, and commit that."""
    wanted = folder.parent / f"{folder.name}.yaml"
    wanted.write_text(yaml.safe_dump(changes))
    (folder / "configs" / "pipeline.yaml").write_bytes(configuration.resolve(wanted, "another", folder).text)
    call("git", "commit", "--quiet", "--all", "--message", "Ask for another run", folder=folder)


def nothing_to_do(folder: Path) -> bool:
    """Whether Snakemake and DVC both find everything up to date."""
    planned = call("snakemake", "-n", "--", "all", "all_simulate", folder=folder)
    recorded = call("dvc", "repro", "--dry", folder=folder)
    return "Nothing to be done" in planned.stdout + planned.stderr and "Running stage" not in recorded.stdout


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two recorded runs: one view of a model, then two; and a folder as DVC's remote."""
    folder = tmp_path_factory.mktemp("origin")
    copy(folder)
    (folder / "dvc.lock").unlink(missing_ok=True)
    call("git", "init", "--quiet", "--initial-branch", "main", folder=folder)
    call("dvc", "remote", "add", "--default", "store", tmp_path_factory.mktemp("store"), folder=folder)
    call("git", "add", "--all", folder=folder)
    configure(
        folder, **yaml.safe_load((ROOT / "tests" / "quick.yaml").read_text()), ensembles=["tiny_single"]
    )
    ledger("record", "one-view", folder=folder)
    keep(folder)
    configure(folder, ensembles=["tiny", "tiny_single"])
    ledger("record", "two-views", folder=folder)
    return folder


@pytest.fixture(scope="module")
def clone(origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone of it, with the files that DVC's remote keeps."""
    folder = tmp_path_factory.mktemp("clone") / "neuroseg"
    call("git", "clone", "--quiet", origin, folder, folder=origin)
    call("dvc", "pull", "--quiet", folder=folder)
    lend(folder)
    return folder


def test_a_run_ends_in_a_report_and_a_submission_of_every_test_image(origin):
    results = origin / "results" / "demo"
    assert (results / "report" / "report.html").stat().st_size > 20_000
    images = pd.read_parquet(results / "validate" / "images.parquet")
    submission = pd.read_csv(results / "submit" / "tiny.csv", keep_default_na=False)
    assert set(submission["id"]) == set(images.loc[~images["annotated"], "image_id"])


def test_a_run_is_a_tagged_commit_with_a_line_for_each_ensemble(origin):
    with (origin / "results" / "leaderboard.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["name"], line["ensemble"]) for line in lines] == [
        ("one-view", "tiny_single"),
        ("two-views", "tiny"),
        ("two-views", "tiny_single"),
    ]
    for line in lines:
        recorded = json.loads(
            call(
                "git",
                "show",
                f"run/{line['name']}:results/demo/evaluate/{line['ensemble']}.json",
                folder=origin,
            ).stdout
        )
        assert float(line["map"]) == recorded["map"]
        assert float(line["map_cort"]) == recorded["per_type"]["cort"]["map"]
        parent = call("git", "rev-parse", f"run/{line['name']}^", folder=origin).stdout
        assert parent.startswith(line["parent"])
    assert call("git", "status", "--porcelain", folder=origin).stdout == ""


def test_nothing_is_left_to_do_after_a_recording(origin):
    assert nothing_to_do(origin)


def test_a_clone_pulls_and_agrees(clone):
    assert "Snakemake has nothing to do" in ledger("sync", folder=clone).stdout
    assert nothing_to_do(clone)


def test_a_file_altered_under_its_old_date_is_refused_by_name_and_healed(clone):
    path = clone / "results" / "demo" / "submit" / "tiny.csv"
    before = path.stat()
    content = path.read_bytes()
    path.write_bytes(content[:-2] + b"7" + content[-1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    refused = ledger("sync", folder=clone, check=False)
    assert refused.returncode == 1
    assert "results/demo/submit" in refused.stderr
    assert "tiny.csv" in refused.stderr
    assert "remove them, and `dvc pull` brings the recorded ones" in refused.stderr
    path.unlink()  # DVC itself takes a file of the same size and date for the one it knows
    call("dvc", "pull", "--quiet", folder=clone)
    ledger("sync", folder=clone)
    assert path.read_bytes() == content


def test_dvc_recomputes_the_same_bytes_as_were_recorded_through_snakemake(clone):
    recorded = (clone / "dvc.lock").read_bytes()
    call("dvc", "repro", "--force", "--no-run-cache", folder=clone)
    assert (clone / "dvc.lock").read_bytes() == recorded
    assert call("git", "status", "--porcelain", folder=clone).stdout == ""
    ledger("sync", folder=clone)
    assert nothing_to_do(clone)


def test_the_older_run_is_verified_and_reproduced(clone):
    call("dvc", "fetch", "--all-commits", "--quiet", folder=clone)
    assert "run one-view: hashes equal, nothing computed" in ledger("verify", "one-view", folder=clone).stdout
    same = ledger("reproduce", "one-view", "--environment", sys.prefix, folder=clone).stdout
    assert "tiny_single: submission equal; map 0." in same
    assert "run one-view: recomputed and equal: every file of 13 stages, byte for byte" in same
    assert call("git", "status", "--porcelain", folder=clone).stdout == ""


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["two-views"], "there is a run two-views already"),
        (["a name"], "use letters"),
        (
            ["third", "--configfile", "other.yaml"],
            "takes its configuration from configs/pipeline.yaml and CONFIG alone",
        ),
    ],
)
def test_a_run_that_would_be_no_record_is_refused(origin, arguments, complaint):
    refused = ledger("record", *arguments, folder=origin, check=False)
    assert refused.returncode == 1
    assert complaint in refused.stderr


def test_uncommitted_edits_are_refused_by_name(origin):
    readme = origin / "README.md"
    content = readme.read_text()
    readme.write_text(content + "an edit\n")
    refused = ledger("record", "third", folder=origin, check=False)
    readme.write_text(content)
    assert refused.returncode == 1
    assert "README.md" in refused.stderr


def test_results_of_another_configuration_are_refused_by_name(origin):
    stray = origin / "results" / "demo" / "ensemble" / "old.parquet"
    stray.write_text("of an ensemble that is no more")
    refused = ledger("record", "third", folder=origin, check=False)
    stray.unlink()
    assert refused.returncode == 1
    assert "remove results/demo/ensemble/old.parquet." in refused.stderr


def test_a_clone_that_came_without_tags_knows_its_runs_and_gets_their_tags_back(clone):
    call("git", "tag", "--delete", "run/one-view", "run/two-views", folder=clone)
    refused = ledger("record", "one-view", folder=clone, check=False)
    assert "there is a run one-view already" in refused.stderr
    ledger("sync", folder=clone)
    assert call("git", "tag", folder=clone).stdout.split() == ["run/one-view", "run/two-views"]
    for name in ("one-view", "two-views"):
        subject = call("git", "log", "-1", "--format=%s", f"run/{name}", folder=clone).stdout
        assert subject.startswith(f"Record run {name}: map 0.")


def test_tags_come_back_without_any_file_of_the_runs(clone):
    call("git", "tag", "--delete", "run/one-view", folder=clone)
    assert "tagged anew, from the history: run/one-view" in ledger("tags", folder=clone).stdout
    assert "runs: one-view, two-views" in ledger("tags", folder=clone).stdout


def test_an_unknown_run_is_named_with_those_there_are(clone):
    refused = ledger("reproduce", "nothing", folder=clone, check=False)
    assert refused.returncode == 1
    assert "one-view, two-views" in refused.stderr


def test_runs_are_compared_by_dvcs_own_commands(origin):
    metrics = call("dvc", "metrics", "diff", "run/one-view", "run/two-views", "--json", folder=origin).stdout
    assert "results/demo/evaluate/tiny.json" in json.loads(metrics)
    params = json.loads(
        call("dvc", "params", "diff", "run/one-view", "run/two-views", "--json", folder=origin).stdout
    )
    assert set(params["configs/pipeline.yaml"]) == {"ensembles"}


def test_an_experiment_changes_one_parameter(origin):
    done = call(
        "dvc", "exp", "run", "--set-param", "configs/pipeline.yaml:evaluate.bootstrap=100", folder=origin
    )
    call("git", "reset", "--hard", "--quiet", folder=origin)
    call("dvc", "checkout", "--force", "--quiet", folder=origin)
    assert "Stage 'segment' didn't change, skipping" in done.stdout
    assert "Running stage 'evaluate@tiny'" in done.stdout


def test_raw_data_that_were_added_come_back(clone):
    folder = clone / "data" / "mine"
    folder.mkdir()
    (folder / "image.txt").write_text("pixels")
    call("dvc", "add", "data/mine", folder=clone)
    assert call("git", "status", "--porcelain", folder=clone).stdout == "?? data/mine.dvc\n"
    (folder / "image.txt").unlink()
    folder.rmdir()
    call("dvc", "checkout", folder=clone)  # of everything: DVC passes over folders that Git ignores
    assert (folder / "image.txt").read_text() == "pixels"
    (clone / "data" / "mine.dvc").unlink()


def test_an_edited_script_reruns_its_stage_and_what_follows_and_a_restored_one_nothing(clone):
    ledger("sync", folder=clone)
    script = clone / "scripts" / "quantify.py"
    text = script.read_text()
    script.write_text(text + "\n# an edit\n")
    planned = call("snakemake", "-n", folder=clone).stdout
    script.write_text(text)
    rerun = set(re.findall(r"^([a-z]+) +\d+$", planned, re.MULTILINE))
    assert {"quantify", "report"} <= rerun
    assert not {"validate", "train", "predict", "segment"} & rerun
    assert nothing_to_do(clone)


def test_an_edit_of_what_trains_costs_no_training_until_a_person_says_so(clone):
    ledger("sync", folder=clone)
    script = clone / "scripts" / "train.py"
    text = script.read_text()
    script.write_text(text + "\n# an edit\n")
    assert nothing_to_do(clone)
    assert call("dvc", "status", "train", "--json", folder=clone).stdout.strip() == "{}"
    script.write_text(text)
    config = clone / "configs" / "pipeline.yaml"
    content = config.read_text()
    config.write_text(content.replace("  version: 1", "  version: 2"))
    planned = call("snakemake", "-n", folder=clone).stdout
    stale = call("dvc", "status", "train", folder=clone).stdout
    config.write_text(content)
    assert re.search(r"^train +2$", planned, re.MULTILINE)
    assert "configs/pipeline.yaml" in stale


# --------------------------------------------------------------------------------------------------------- S3


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """An S3 server on loopback with an empty bucket: its address."""
    pytest.importorskip("dvc_s3")
    from moto.server import ThreadedMotoServer

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    import boto3

    address = f"http://127.0.0.1:{port}"
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=address, **keys).create_bucket(Bucket="cells")
    yield address
    server.stop()


def test_s3_keeps_and_returns_the_files(origin, bucket, tmp_path):
    for folder in (origin, tmp_path / "neuroseg"):
        if folder != origin:
            call("git", "clone", "--quiet", origin, folder, folder=tmp_path)
        call("dvc", "remote", "add", "--local", "--default", "cloud", "s3://cells/neuroseg", folder=folder)
        settings = {
            "endpointurl": bucket,
            "access_key_id": "testing",
            "secret_access_key": "testing",
            "region": "us-east-1",
        }
        for key, value in settings.items():
            call("dvc", "remote", "modify", "--local", "cloud", key, value, folder=folder)
        call("dvc", "push" if folder == origin else "pull", "--quiet", folder=folder)
    ledger("sync", folder=tmp_path / "neuroseg")
    (origin / ".dvc" / "config.local").unlink()


# ----------------------------------------------------------------------------------- a run of fewer ensembles


def test_a_run_of_fewer_ensembles_names_the_others_files_first_and_takes_their_metrics_out_of_git(
    origin,
):
    configure(origin, ensembles=["tiny_single"])
    refused = ledger("record", "fewer", folder=origin, check=False)
    assert refused.returncode == 1
    assert "$ snakemake" not in refused.stdout
    named = re.search(r"these files are of another run: remove (.*)\.$", refused.stderr.strip())[1].split(
        ", "
    )
    assert "results/demo/ensemble/tiny.parquet" in named
    assert not [name for name in named if name.startswith("results/demo/evaluate/")]
    for name in named:
        (origin / name).unlink()
    ledger("record", "fewer", folder=origin)
    kept = call("git", "ls-files", "results/demo/evaluate", folder=origin).stdout.split()
    assert kept == [f"results/demo/evaluate/tiny_single.{kind}" for kind in ("json", "parquet")]
    assert call("git", "status", "--porcelain", folder=origin).stdout == ""
    assert nothing_to_do(origin)
