"""The chain: what Snakemake plans, what DVC lists, and what each agrees on with the scripts."""

import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from chain import copy, snakemake

ROOT = Path(__file__).parents[1]
STAGES = ["simulate", "validate", "split", "train", "predict", "ensemble", "tune", "segment"]
STAGES += ["evaluate", "submit", "quantify", "report"]

sys.path.insert(0, str(ROOT))
from workflow import plan  # noqa: E402


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


def test_one_more_detector_a_model_learns_from_all_folds(tmp_path):
    (tmp_path / "full.yaml").write_text("train: {full: true}\n")
    planned = snakemake("-n", "--configfile", str(tmp_path / "full.yaml"), folder=copy(tmp_path)).stdout
    assert re.search(r"--fold all", planned)
    assert "predict/cascade_mask_rcnn_tiny/fold_all.parquet" in planned


def test_the_slurm_profile_asks_for_gpus_whatever_the_submitting_machine_has_and_changes_no_command(planned, tmp_path):
    elsewhere = ("--cores", "8", "--profile", "profiles/slurm", "--config", "gpus=0")
    there = snakemake("-n", *elsewhere, folder=copy(tmp_path)).stdout
    for rule in ("train", "predict"):
        for resources in re.findall(rf"^rule {rule}:.*?resources: (.*?)$", there, re.MULTILINE | re.DOTALL):
            assert {"gpu=1", "mem_mb=16000"} <= set(resources.split(", "))
    commands = [sorted(re.findall(r"python scripts/.*", text)) for text in (planned, there)]
    assert commands[0]
    assert commands[0] == commands[1]


def rules() -> dict[str, str]:
    text = "".join(file.read_text() for file in sorted((ROOT / "workflow" / "rules").glob("*.smk")))
    return dict(re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("stage", STAGES)
def test_a_rule_states_its_needs(stage):
    body = rules()[stage]
    assert re.match(r'\s+"""[A-Z].+\."""', body)
    for key in ("output:", "log:", "conda:", "resources:", "mem_mb=", "runtime=", "params:", "shell:"):
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
    assert {"evaluate.py", "neuroseg/tables.py", "neuroseg/rle/runs.py"} <= metrics
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
