"""The chain: what Snakemake plans, what DVC lists, and one real run from nothing to the report."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[1]
STAGES = ["simulate", "validate", "split", "train", "predict", "ensemble", "tune", "segment"]
STAGES += ["evaluate", "submit", "quantify", "report"]

sys.path.insert(0, str(ROOT))
from workflow import plan  # noqa: E402


def snakemake(*arguments: str, folder: Path = ROOT, check: bool = True) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "--nocolor", *arguments]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(arguments)}\n{done.stdout}\n{done.stderr}")
    return done


def copy(folder: Path) -> Path:
    """A clone's files without its history: what Git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("tests/", "results/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    shutil.copy(ROOT / "tests" / "quick.yaml", folder / "configs" / "quick.yaml")
    return folder


@pytest.fixture(scope="module")
def planned(tmp_path_factory) -> str:
    """What a dry run of the default config says in a fresh clone."""
    return snakemake("-n", "--cores", "8", folder=copy(tmp_path_factory.mktemp("plan"))).stdout


def test_a_fresh_clone_plans_every_stage(planned):
    counts = dict(re.findall(r"^([a-z]+) +(\d+)$", planned, re.MULTILINE))
    assert set(STAGES) <= set(counts)
    config = plan.load_configfile(str(ROOT / "configs" / "pipeline.yaml"))
    jobs = len(plan.models(config["ensembles"])) * config["split"]["n_folds"]
    assert int(counts["train"]) == int(counts["predict"]) == jobs
    assert int(counts["ensemble"]) == int(counts["evaluate"]) == len(config["ensembles"])


def rules() -> dict[str, str]:
    text = "".join(file.read_text() for file in sorted((ROOT / "workflow" / "rules").glob("*.smk")))
    return dict(re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("stage", STAGES)
def test_a_rule_states_its_needs(stage):
    body = rules()[stage]
    assert re.match(r'\s+"""[A-Z].+\."""', body)
    for key in ("output:", "log:", "conda:", "params:", "shell:"):
        assert key in body, key
    assert "2>&1 | tee {log}" in body


@pytest.mark.parametrize("stage", STAGES)
def test_a_rules_flags_are_its_scripts_arguments(stage, step):
    import inspect

    flags = set(re.findall(r"--([a-z-]+)", rules()[stage].split("shell:")[1]))
    flags |= set(re.findall(r'plan\.flag\("--([a-z-]+)"', rules()[stage]))
    arguments = inspect.signature(step(stage).main).parameters
    assert flags <= {name.replace("_", "-") for name in arguments}
    required = {n.replace("_", "-") for n, p in arguments.items() if p.default is inspect.Parameter.empty}
    assert required <= flags


def test_a_wrong_config_key_is_named_before_anything_runs(tmp_path):
    (tmp_path / "wrong.yaml").write_text("split: {n_fold: 3}\n")
    done = snakemake("-n", "--cores", "1", "--configfile", str(tmp_path / "wrong.yaml"), check=False)
    assert done.returncode == 1
    assert "n_fold" in done.stdout + done.stderr


def test_an_unknown_ensemble_is_named_with_those_there_are(tmp_path):
    done = snakemake("-n", "--cores", "1", "--config", "ensembles=[nothing]", folder=ROOT, check=False)
    assert done.returncode == 1
    assert "configs/ensembles/nothing.yaml does not exist; there are: " in done.stdout + done.stderr


@pytest.mark.parametrize("config", ["sartorius", "sartorius_cpu"])
def test_the_other_configs_are_valid_and_their_files_exist(config):
    content = plan.load_configfile(str(ROOT / "configs" / f"{config}.yaml"))
    plan.read("datasets", content["dataset"])
    for model in plan.models(content["ensembles"]):
        assert (ROOT / "configs" / "models" / f"{model}.py").is_file()


def test_the_digest_of_a_stage_changes_with_its_modules_and_with_no_other():
    metrics = {file.relative_to(ROOT / "scripts").as_posix() for file in plan.sources("evaluate")}
    assert {"evaluate.py", "neuroseg/tables.py", "neuroseg/rle.py"} <= metrics
    assert not any("figures" in name or "detector" in name for name in metrics)


def test_restoring_an_edited_script_restores_its_digest(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(plan, "SCRIPTS", tmp_path / "scripts")
    before = {stage: plan.code(stage) for stage in STAGES}
    module = tmp_path / "scripts" / "neuroseg" / "morphology.py"
    text = module.read_text()
    module.write_text(text + "\n# an edit\n")
    assert {stage for stage in STAGES if plan.code(stage) != before[stage]} == {"quantify"}
    module.write_text(text)
    assert {stage: plan.code(stage) for stage in STAGES} == before


def ledger() -> dict:
    return yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def test_dvc_lists_the_stages_in_the_chains_order():
    assert list(ledger()) == STAGES


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "train"])
def test_dvc_depends_on_the_code_that_snakemake_digests(stage):
    body = ledger()[stage]
    body = body.get("do", body)
    listed = {Path(dep) for dep in body["deps"] if dep.startswith("scripts/")}
    used = {file.relative_to(ROOT) for file in plan.sources(stage)}
    covered = {file for file in used for dep in listed if file == dep or dep in file.parents}
    assert covered == used
    assert all(any(file == dep or dep in file.parents for file in used) for dep in listed)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """One real run in a copy of the tree, from drawing the images to the report."""
    folder = copy(tmp_path_factory.mktemp("run"))
    snakemake("--cores", "2", "--configfile", "configs/quick.yaml", folder=folder)
    return folder


@pytest.mark.slow
def test_it_ends_in_a_report_and_a_submission_of_every_test_image(run):
    results = run / "results" / "demo"
    assert (results / "report" / "report.html").stat().st_size > 20_000
    images = pd.read_parquet(results / "validate" / "images.parquet")
    submission = pd.read_csv(results / "submit" / "tiny.csv", keep_default_na=False)
    assert set(submission["id"]) == set(images.loc[~images["annotated"], "image_id"])


@pytest.mark.slow
def test_the_score_stands_between_its_bounds(run):
    metrics = json.loads((run / "results" / "demo" / "evaluate" / "tiny.json").read_text())
    assert 0 <= metrics["map_low"] <= metrics["map"] <= metrics["map_high"] < 1


@pytest.mark.slow
def test_nothing_is_left_to_do(run):
    again = snakemake("-n", "--cores", "2", "--configfile", "configs/quick.yaml", folder=run)
    assert "Nothing to be done" in again.stdout + again.stderr


@pytest.mark.slow
def test_training_anew_gives_the_same_metrics_to_the_byte(run):
    files = [run / "results" / "demo" / "evaluate" / f"{name}.json" for name in ("tiny", "tiny_single")]
    before = [file.read_bytes() for file in files]
    snakemake("--cores", "2", "--configfile", "configs/quick.yaml", "--forcerun", "train", folder=run)
    assert [file.read_bytes() for file in files] == before


@pytest.mark.slow
def test_an_edited_script_reruns_its_stage_and_what_follows(run):
    script = run / "scripts" / "quantify.py"
    text = script.read_text()
    script.write_text(text + "\n# an edit\n")
    edited = snakemake("-n", "--cores", "2", "--configfile", "configs/quick.yaml", folder=run).stdout
    script.write_text(text)
    rerun = set(re.findall(r"^([a-z]+) +\d+$", edited, re.MULTILINE))
    assert {"quantify", "report"} <= rerun
    assert not {"validate", "train", "predict", "segment"} & rerun
