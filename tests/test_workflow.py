"""The chain: what Snakemake plans, what DVC lists, and what each agrees on with the scripts."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from chain import copy, rules, snakemake
from PIL import Image
from snakemake.exceptions import WorkflowError

ROOT = Path(__file__).parents[1]
STAGES = ["simulate", "validate", "split", "train", "predict", "ensemble", "tune", "segment"]
STAGES += ["evaluate", "submit", "quantify", "export", "report"]
STEPS = [*STAGES, "pseudo_label"]
"""What the rules run; pseudo-labels are part of DVC's stage train,
since a teacher and its student are both trained."""

sys.path.insert(0, str(ROOT))
from workflow import configs, digests, plan  # noqa: E402


@pytest.fixture(autouse=True)
def no_study():
    """No study is chosen before a test, nor left chosen after it."""
    configs.choose_study(None)
    yield
    configs.choose_study(None)


@pytest.fixture(scope="module")
def planned(tmp_path_factory) -> str:
    """What a dry run of the default config says in a fresh clone."""
    return snakemake("-n", "--cores", "8", folder=copy(tmp_path_factory.mktemp("plan"))).stdout


def test_a_fresh_clone_plans_every_stage(planned):
    counts = dict(re.findall(r"^([a-z]+) +(\d+)$", planned, re.MULTILINE))
    assert set(STAGES) <= set(counts)
    config = yaml.safe_load((ROOT / "configs" / "pipeline.yaml").read_text())
    jobs = len(plan.models(config["ensembles"])) * config["split"]["n_folds"]
    assert int(counts["train"]) == int(counts["predict"]) == jobs
    assert int(counts["ensemble"]) == int(counts["evaluate"]) == len(config["ensembles"])


def test_one_more_detector_a_model_learns_from_all_folds(tmp_path):
    (tmp_path / "full.yaml").write_text("train: {full: true}\n")
    planned = snakemake("-n", "--configfile", str(tmp_path / "full.yaml"), folder=copy(tmp_path)).stdout
    assert re.search(r"--fold all", planned)
    assert "predict/cascade_mask_rcnn_tiny/fold_all.parquet" in planned


def test_the_slurm_profile_asks_for_gpus_whatever_the_submitting_machine_has_and_changes_no_command(
    planned, tmp_path
):
    elsewhere = ("--cores", "8", "--profile", "profiles/slurm", "--config", "gpus=0")
    there = snakemake("-n", *elsewhere, folder=copy(tmp_path)).stdout
    for rule in ("train", "predict"):
        for resources in re.findall(rf"^rule {rule}:.*?resources: (.*?)$", there, re.MULTILINE | re.DOTALL):
            assert {"gpu=1", "mem_mb=16000"} <= set(resources.split(", "))
    commands = [sorted(re.findall(r"python scripts/.*", text)) for text in (planned, there)]
    assert commands[0]
    assert commands[0] == commands[1]


def test_a_chain_of_pretrainings_gives_each_data_set_its_own_iterations():
    given = {"livecell": 15000, "sartorius": 8000, "sartorius/large": 12000}
    asked = [("livecell", "large"), ("sartorius", "small"), ("sartorius", "large"), ("demo", "small")]
    assert [plan.iterations(*pair, given) for pair in asked] == [15000, 8000, 12000, None]
    assert plan.iterations("demo", "small", 160) == 160
    assert plan.iterations("demo", "small", None) is None


def test_a_run_takes_anothers_fitted_detectors_as_they_are_whatever_its_configuration_says(tmp_path):
    folder = copy(tmp_path)
    (folder / "plate").mkdir()
    Image.new("L", (64, 64), 128).save(folder / "plate" / "a.png")
    (folder / "configs/datasets/plate.yaml").write_text("{format: folder, root: plate, detectors: demo}")
    fitted = [f"results/demo/train/cascade_mask_rcnn_tiny/fold_{fold}/model.pth" for fold in (0, 1)]
    for path in (*fitted, "results/demo/tune/tiny_single.yaml"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    (folder / "plate.yaml").write_text("{dataset: plate, ensembles: [tiny_single], train: {iterations: 7}}")
    asked = ("-n", "--configfile", "plate.yaml")
    said = snakemake(*asked, folder=folder).stdout
    assert "rule predict:" in said
    assert not re.search(r"rule (train|tune):", said)
    (folder / fitted[1]).unlink()
    said = snakemake(*asked, folder=folder).stdout
    assert re.findall(r"results/demo/train/\w+/fold_\d/model.pth,", said).count(f"{fitted[1]},") > 0
    assert said.count("rule train:") == 1


def test_the_starters_chain_draws_cultures_learns_from_them_and_goes_on_with_real_cells(tmp_path):
    (tmp_path / "chain.yaml").write_text(
        "train: {init_from: {sartorius: demo}, together: {sartorius: {demo: 0.25}},"
        " iterations: {demo: 7}, half: true}\n"
    )
    there = (
        "--configfile",
        str(tmp_path / "chain.yaml"),
        "--config",
        "dataset=sartorius",
        "ensembles=[tiny_single]",
    )
    folder = copy(tmp_path)
    (folder / "data/sartorius").mkdir()
    (folder / "data/sartorius/train.csv").touch()
    commands = re.findall(
        r"scripts/train.py(.*?)2>&1", snakemake("-n", *there, folder=folder).stdout, re.DOTALL
    )
    first = [text for text in commands if "--images results/demo/validate" in text]
    assert len(first) == 1
    assert "--iterations 7" in first[0]
    assert all("--half" in text for text in commands)
    assert all(("--init-from results/demo" in text) != (text in first) for text in commands)
    assert all("--iterations" not in text for text in commands if text not in first)
    beside = "--further results/demo/validate 0.25 "
    assert all((beside in text) != (text in first) for text in commands)


ROUNDS = {"second": "first", "first": "teacher"}


def test_teachers_are_found_round_by_round_and_trained_once():
    assert plan.teachers("second", ROUNDS) == ["first", "teacher"]
    assert plan.teachers("teacher", ROUNDS) == []
    assert plan.trained(["second", "other", "teacher"], ROUNDS) == ["second", "first", "teacher", "other"]


def test_pseudo_labels_are_of_the_runs_own_data_set():
    assert plan.taught("demo", "second", ROUNDS, "demo")
    assert not plan.taught("livecell", "second", ROUNDS, "demo")
    assert not plan.taught("demo", "teacher", ROUNDS, "demo")


STUDENT = "cascade_mask_rcnn_tiny_student"
STUDENTS = f"""
study: recipe
ensembles: [tiny_student]
train:
  full: true
  pseudo_label:
    students: {{{STUDENT}: cascade_mask_rcnn_tiny}}
    images: [unlabelled, test]
    min_score: {{astro: 0.25}}
"""


def test_a_students_teacher_is_trained_and_labels_fold_by_fold(tmp_path):
    (tmp_path / "students.yaml").write_text(STUDENTS)
    folder = copy(tmp_path / "neuroseg")
    planned = snakemake("-n", "--configfile", str(tmp_path / "students.yaml"), folder=folder).stdout
    counts = dict(re.findall(r"^([a-z_]+) +(\d+)$", planned, re.MULTILINE))
    assert (counts["train"], counts["pseudo_label"], counts["predict"]) == ("6", "3", "3")
    for fold in ("0", "1", "all"):
        (command,) = re.findall(rf"scripts/pseudo_label.py.*--fold {fold} .*", planned)
        assert f"--checkpoint results/demo/train/cascade_mask_rcnn_tiny/fold_{fold}/model.pth" in command
        assert "--kinds unlabelled test" in command
        assert {"astro 0.25", "default 0.5"} <= set(re.findall(r"(?:astro|default) [0-9.]+", command))
        (command,) = re.findall(rf"scripts/train.py.*{STUDENT}.py.*--fold {fold} .*", planned)
        assert f"--pseudo-instances results/demo/train/{STUDENT}/fold_{fold}/pseudo.parquet" in command
    assert planned.count("--pseudo-instances") == 3


@pytest.mark.parametrize(("version", "folder"), [(1, "fold_0"), (2, "fold_0_version_2")])
def test_another_version_of_the_trainings_code_keeps_its_states_apart(tmp_path, version, folder):
    (tmp_path / "version.yaml").write_text(f"train: {{version: {version}}}")
    model = "results/demo/train/cascade_mask_rcnn_tiny/fold_0/model.pth"
    call = ("-n", "--configfile", str(tmp_path / "version.yaml"), "--", model)
    planned = snakemake(*call, folder=copy(tmp_path)).stdout
    assert re.findall(r"--work-dir (\S+)", planned) == [f"logs/demo/train/cascade_mask_rcnn_tiny/{folder}"]


def test_the_ledgers_stage_train_holds_the_pseudo_labels(tmp_path):
    command = ledger()["train"]["cmd"]
    allowed = command.split(" -- ")[0].split()
    assert {"train", "pseudo_label", "all_train"} <= set(allowed)
    (tmp_path / "students.yaml").write_text(STUDENTS.replace("full: true", "full: false"))
    settings = ("--configfile", str(tmp_path / "students.yaml"))
    planned = snakemake("-n", *settings, "--", "all_train", "all_predict").stdout
    (made,) = re.findall(r"^rule all_train:\n    input: (.*)$", planned, re.MULTILINE)
    trained = {
        f"results/demo/train/{model}/fold_{k}/model.pth" for model in (STUDENT, STUDENT[:-8]) for k in (0, 1)
    }
    assert set(made.split(", ")) == trained
    (made,) = re.findall(r"^rule all_predict:\n    input: (.*)$", planned, re.MULTILINE)
    assert made.split(", ") == [f"results/demo/predict/{STUDENT}/fold_{fold}.parquet" for fold in (0, 1)]


def test_teachers_that_learn_from_their_students_are_refused(tmp_path):
    circle = STUDENTS.replace("tiny}", f"tiny, cascade_mask_rcnn_tiny: {STUDENT}}}")
    (tmp_path / "circle.yaml").write_text(circle)
    done = snakemake("-n", "--cores", "1", "--configfile", str(tmp_path / "circle.yaml"), check=False)
    assert done.returncode == 1
    assert f"{STUDENT} learns from cascade_mask_rcnn_tiny learns from {STUDENT}, which is a circle" in (
        done.stdout + done.stderr
    )


def test_truth_goes_into_an_ensemble_only_where_its_file_lists_weights_to_choose_from(tmp_path):
    folder = copy(tmp_path)
    outer = {"members": {"tiny_weighed": 1.0, "cascade_mask_rcnn_tiny": 1.0}}
    (folder / "configs" / "ensembles" / "outer.yaml").write_text(yaml.safe_dump(outer))
    planned = snakemake(
        "-n", "--cores", "8", "--config", "ensembles=[outer,tiny_pair]", "study=recipe", folder=folder
    ).stdout
    jobs = re.findall(r"^rule ensemble:\n(.*?)^\S", planned, re.MULTILINE | re.DOTALL)
    commands = re.findall(r"scripts/ensemble.py.*", re.sub(r"\\\n", " ", planned))
    assert len(jobs) == len(commands) == 3
    for job, command in zip(jobs, commands, strict=True):
        flags = set(re.findall(r"--(images|instances|folds|chosen) ", command))
        named = re.search(r"--name (\w+)", command)[1]
        assert flags == ({"images", "instances", "folds"} if named == "tiny_weighed" else set())
        assert ("validate/instances.parquet" in job) == (named == "tiny_weighed")
        assert f"--weights results/demo/ensemble/{named}.weights.yaml" in command


def test_a_data_set_without_truth_waits_for_the_weights_chosen_where_its_detectors_learnt(
    tmp_path, monkeypatch
):
    (tmp_path / "configs" / "datasets" / "own").mkdir(parents=True)
    own = {"format": "folder", "root": "images", "detectors": "sartorius"}
    (tmp_path / "configs" / "datasets" / "own" / "plate.yaml").write_text(yaml.safe_dump(own))
    monkeypatch.chdir(tmp_path)
    configs.choose_study("recipe")
    outputs = {
        "validate": {"seen": "{dataset}/seen", "instances": "{dataset}/instances"},
        "split": {"folds": "{dataset}/folds"},
        "ensemble": {"weights": "{dataset}/{ensemble}"},
    }
    rules = SimpleNamespace(
        **{rule: SimpleNamespace(output=SimpleNamespace(**files)) for rule, files in outputs.items()}
    )
    assert not any(plan.weighing(rules, "plate", "tiny_pair").values())
    assert plan.weighing(rules, "plate", "tiny_weighed") == {
        "images": [],
        "instances": [],
        "folds": ["plate/folds"],
        "chosen": ["sartorius/tiny_weighed"],
    }


def test_a_study_that_is_not_there_is_named_with_those_there_are(tmp_path):
    done = snakemake("-n", "--cores", "1", "--config", "study=nothing", folder=ROOT, check=False)
    assert done.returncode == 1
    assert "studies/nothing does not exist; there are: recipe." in done.stdout + done.stderr


def test_models_and_ensembles_of_a_study_are_found_when_the_run_names_it_only():
    with pytest.raises(WorkflowError, match=r"configs/ensembles/tiny_wide\.yaml does not exist"):
        plan.models(["tiny_wide"])
    configs.choose_study("recipe")
    assert plan.models(["tiny_wide"]) == ["cascade_mask_rcnn_tiny_wide"]
    assert plan.bases("cascade_mask_rcnn_tiny_wide") == [
        "configs/models/cascade_mask_rcnn_tiny.py",
        "configs/models/_base_.py",
    ]


def test_every_study_says_what_it_is_and_its_files_are_whole():
    for folder in sorted(path for path in (ROOT / "studies").iterdir() if path.is_dir()):
        configs.choose_study(folder.name)
        for ensemble in folder.glob("ensembles/*.yaml"):
            for model in plan.models([ensemble.stem]):
                assert configs.file("models", model, ".py")


@pytest.mark.parametrize("stage", STEPS)
def test_a_rule_states_its_needs(stage):
    body = rules()[stage]
    assert re.match(r'\s+"""[A-Z].+\."""', body)
    for key in ("output:", "log:", "conda:", "resources:", "mem_mb=", "runtime=", "params:", "shell:"):
        assert key in body, key
    assert "2>&1 | tee {log:q}" in body


@pytest.mark.parametrize(
    "stage", sorted(set(STEPS) - {"simulate", "validate", "split", "quantify", "report"})
)
def test_a_rule_names_images_and_folds_so_that_snakemake_asks_anew_whether_it_must_run(stage):
    """Snakemake asks anew only of a job that itself reads what the checkpoint wrote."""
    assert re.search(r"^ +\w+=rules\.split\.output\.folds,$", rules()[stage], re.MULTILINE)
    assert re.search(r"^ +\w+=rules\.validate\.output\.(seen|images),$", rules()[stage], re.MULTILINE)


@pytest.mark.parametrize("stage", STEPS)
def test_a_rule_quotes_every_path_and_name_for_the_shell(stage):
    shell = rules()[stage].split("shell:")[1]
    read = re.findall(r"\{((?:input|output|wildcards|log|params\.script|params\.gpus)[^}]*)\}", shell)
    assert len(read) >= 3
    assert all(field.endswith(":q") for field in read)


@pytest.mark.parametrize("stage", STEPS)
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
    assert "error: the configuration has no key split.n_fold; did you mean n_folds?\n" in done.stderr


def test_an_unknown_ensemble_is_named_with_those_there_are(tmp_path):
    done = snakemake("-n", "--cores", "1", "--config", "ensembles=[nothing]", folder=ROOT, check=False)
    assert done.returncode == 1
    assert "configs/ensembles/nothing.yaml does not exist; there are: " in done.stdout + done.stderr


@pytest.mark.parametrize("config", ["sartorius", "sartorius_cpu", "sartorius_patient"])
def test_the_other_configs_are_valid_and_their_files_exist(config):
    content = yaml.safe_load((ROOT / "configs" / f"{config}.yaml").read_text())
    plan.read("datasets", content["dataset"])
    for model in plan.models(content["ensembles"]):
        assert (ROOT / "configs" / "models" / f"{model}.py").is_file()


def test_the_digest_of_a_stage_changes_with_its_modules_and_with_no_other():
    metrics = {file.relative_to(ROOT / "scripts").as_posix() for file in plan.sources("evaluate")}
    assert {"evaluate.py", "neuroseg/tables.py", "neuroseg/rle/runs.py"} <= metrics
    assert not any("report" in name or "detector" in name for name in metrics)


def test_an_edit_of_what_trainings_alone_use_predicts_nothing_anew():
    used = {
        file.relative_to(ROOT / "scripts" / "neuroseg").as_posix()
        for file in plan.sources("predict")
        if "neuroseg" in file.parts
    }
    assert {
        "detector/inference.py",
        "detector/views.py",
        "detector/cpu/roi_align.py",
        "detector/heads.py",
    } <= used
    assert not {"detector/hooks.py", "detector/training.py", "detector/configuration.py"} & used


def test_restoring_an_edited_script_restores_its_digest(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(digests, "SCRIPTS", tmp_path / "scripts")
    before = {stage: plan.code(stage) for stage in STAGES}
    module = tmp_path / "scripts" / "neuroseg" / "morphology" / "cells.py"
    text = module.read_text()
    module.write_text(text + "\n# an edit\n")
    assert {stage for stage in STAGES if plan.code(stage) != before[stage]} == {"quantify"}
    module.write_text(text)
    assert {stage: plan.code(stage) for stage in STAGES} == before


def ledger() -> dict:
    return yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def test_dvc_takes_no_stages_of_the_tests_for_the_chains():
    nested = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("dvc.yaml")]
    assert nested
    ignored = subprocess.run(
        [sys.executable, "-m", "dvc", "check-ignore", *nested],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ignored.stdout.split() == nested


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
    folders = [ROOT / dep for dep in listed if (ROOT / dep).is_dir()]
    assert {file.relative_to(ROOT) for folder in folders for file in folder.rglob("*.py")} <= used
    assert all(any(file == dep or dep in file.parents for file in used) for dep in listed)
