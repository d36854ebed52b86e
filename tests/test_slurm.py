"""The chain on two real Slurm nodes, one of which dies while it trains, beside the chain on one machine."""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import chain
import pytest
import slurm_cluster

pytestmark = pytest.mark.slurm

METRICS = "results/demo/evaluate/short_only.json"
CONFIG = """\
ensembles: [short_only]
simulate: {train_images: 8, test_images: 1}
train: {iterations: 60}
predict: {views: [none]}
evaluate: {bootstrap: 100}
"""
ENSEMBLE = """\
members: {short: 1.0}
fusion: {method: wbf}
"""
MODEL = """\
# Learns next to nothing, in seconds, and keeps its state all the time.
_base_ = "./cascade_mask_rcnn_tiny.py"
model = dict(
    train_cfg=dict(rpn_proposal=dict(nms_pre=100, max_per_img=50)),
    test_cfg=dict(rpn=dict(nms_pre=200, max_per_img=100), rcnn=dict(max_per_img=50)),
)
train_pipeline = [dict(type="CropCells", size=96), dict(type="PackCells")]
train_dataloader = dict(batch_size=1)
default_hooks = dict(checkpoint=dict(interval=5))
"""


class Training(NamedTuple):
    """A training under way."""

    job: str
    node: str
    gpus: str


class Run(NamedTuple):
    """A run that is over."""

    folder: Path
    log: str
    hit: dict[int, Training]  # by fold, the trainings that were cut short
    records: list[dict[str, str]]  # Slurm's, one for each time that a job ran


def prepare(folder: Path) -> Path:
    chain.copy(folder)
    for name, text in {"short": CONFIG, "ensembles/short_only": ENSEMBLE}.items():
        (folder / "configs" / f"{name}.yaml").write_text(text)
    (folder / "configs" / "models" / "short.py").write_text(MODEL)
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[slurm_cluster.Cluster]:
    try:
        with slurm_cluster.running() as cluster:
            yield cluster
    except slurm_cluster.UnavailableError as error:
        pytest.skip(str(error))


@contextlib.contextmanager
def started(folder: Path, environment: Mapping[str, str], *arguments: str) -> Iterator[subprocess.Popen]:
    """Snakemake under way in a folder, its words in the file `log` there; it has ended with the block."""
    command = [*chain.COMMAND, METRICS, "--configfile", "configs/short.yaml", *arguments]
    with (folder / "log").open("w") as log:
        options = {"cwd": folder, "env": chain.environment(environment), "stdout": log, "stderr": log}
        snakemake = subprocess.Popen(command, **options)
    try:
        yield snakemake
    finally:
        snakemake.kill()
        # A job cut short may leave its own Snakemake behind, which no longer bears the cluster's mark.
        slurm_cluster.kill_commands(f"{folder}/Snakefile")
        snakemake.wait()


@pytest.fixture(scope="module")
def runs(cluster, tmp_path_factory) -> tuple[Path, Run]:
    """The folder of a run on this machine alone, and meanwhile a run on the cluster that meets accidents.

    The node of fold 0's training crashes, fold 1's training is cancelled by scancel.
    """
    here, there = (prepare(tmp_path_factory.mktemp(name)) for name in ("local", "slurm"))
    # Its states are asked for sooner than the profile says, for the jobs are short.
    remote = ("--profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "2")
    with (
        started(here, os.environ, "--cores", "2") as local,
        started(there, cluster.environment, *remote) as snakemake,
    ):
        hit = cut_short(cluster, there, snakemake)
        for folder, process in ((there, snakemake), (here, local)):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(600)
            assert process.returncode == 0, report(folder, cluster)
    return here, Run(there, (there / "log").read_text(), hit, cluster.records())


@pytest.fixture
def local(runs) -> Path:
    return runs[0]


@pytest.fixture
def run(runs) -> Run:
    return runs[1]


def cut_short(
    cluster: slurm_cluster.Cluster, folder: Path, snakemake: subprocess.Popen
) -> dict[int, Training]:
    """Crash the node of fold 0's training, and cancel fold 1's, each as soon as it has kept a state."""
    hit: dict[int, Training] = {}

    def look() -> bool:
        assert snakemake.poll() is None, report(folder, cluster)
        for fold in {0, 1} - hit.keys():
            states = folder / "logs" / "demo" / "train" / "short" / f"fold_{fold}"
            kept = any(states.glob("iteration_*.pth"))
            if kept and (training := find(folder, fold)):
                hit[fold] = training
                cluster.kill_node(training.node) if fold == 0 else cluster.ask("scancel", training.job)
        return len(hit) == 2

    slurm_cluster.wait(600, look, "both trainings under way")
    node = hit[0].node
    slurm_cluster.wait(
        60, lambda: "down" in cluster.ask("sinfo", "-h", "-n", node, "-o", "%T"), f"{node} given up"
    )
    cluster.start_node(node)
    return hit


def report(folder: Path, cluster: slurm_cluster.Cluster) -> str:
    """What to know of a run that failed or hangs: its log, the queue, what Slurm and the trainings say."""
    files = [
        folder / "log",
        *sorted(cluster.folder.glob("*.log")),
        *sorted(folder.glob("logs/demo/train/*.log")),
    ]
    queue = "".join(f"{command}\n{cluster.ask(command)}\n" for command in ("squeue", "sinfo"))
    return queue + "".join(f"--- {path}\n{path.read_text()[-6000:]}\n" for path in files)


def find(folder: Path, fold: int) -> Training | None:
    """The training of a fold in `folder`, if it is under way."""
    for pid in slurm_cluster.processes():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            here = Path(f"/proc/{pid}/cwd").samefile(folder)
        except OSError:
            continue
        if here and words[1:2] == ["scripts/train.py"] and words[words.index("--fold") + 1] == str(fold):
            found = slurm_cluster.environment_of(pid)
            return Training(found["SLURM_JOB_ID"], found["SLURMD_NODENAME"], found["CUDA_VISIBLE_DEVICES"])
    return None


def jobs(run: Run, rule: str) -> set[str]:
    """The numbers of the Slurm jobs that Snakemake submitted for a rule."""
    return set(re.findall(rf"SLURM jobid (\d+) \(log: \S*/rule_{rule}/", run.log))


def test_the_metrics_are_those_of_a_local_run_to_the_byte(local, run):
    assert (run.folder / METRICS).read_bytes() == (local / METRICS).read_bytes()


@pytest.mark.parametrize("fold", [0, 1])
def test_a_training_cut_short_ends_with_the_weights_of_one_that_was_not(fold, local, run):
    checkpoint = f"results/demo/train/short/fold_{fold}/model.pth"
    assert (run.folder / checkpoint).read_bytes() == (local / checkpoint).read_bytes()


@pytest.mark.parametrize("fold", [0, 1])
def test_it_went_on_from_its_newest_checkpoint(fold, run):
    log = (run.folder / "logs" / "demo" / "train" / f"short_fold_{fold}.log").read_text()
    assert int(re.search(r"on 1 cpu in fp32, from iteration (\d+)", log)[1]) >= 5


def test_slurm_itself_starts_the_job_of_a_dead_node_again(run):
    states = [record["JobState"] for record in run.records if record["JobId"] == run.hit[0].job]
    assert states == ["NODE_FAIL", "COMPLETED"]


def test_snakemake_submits_a_cancelled_job_again(run):
    assert re.search(rf"SLURM-job '{run.hit[1].job}' failed, SLURM status is: 'CANCELLED'", run.log)
    submitted = re.findall(r"SLURM jobid (\d+) \(log: \S*/rule_train/demo_short_1/", run.log)
    assert submitted[0] == run.hit[1].job
    assert len(submitted) == 2


def test_every_job_was_on_the_cluster_with_the_memory_time_and_cores_of_its_rule(run):
    asked = {record["JobId"]: (record["TimeLimit"], record["Tres"]) for record in run.records}
    for rule in ("simulate", "validate", "split", "ensemble", "tune", "segment", "evaluate"):
        assert len(jobs(run, rule)) == 1
    for job in jobs(run, "train"):
        assert asked[job] == ("1440", "cpu=8,mem=16000M,node=1,billing=8")
    for job in jobs(run, "predict"):
        assert asked[job] == ("240", "cpu=2,mem=16000M,node=1,billing=2")


def test_a_training_sees_the_gpu_that_slurm_gave_it(run):
    assert {training.gpus for training in run.hit.values()} == {"0"}
    assert {training.node for training in run.hit.values()} == set(slurm_cluster.NODES)


def test_a_gpu_has_one_job_at_a_time(run):
    spans = [
        (record["NodeList"], *(datetime.fromisoformat(record[key]) for key in ("StartTime", "EndTime")))
        for record in run.records
        if record["JobId"] in jobs(run, "train") | jobs(run, "predict")
    ]
    assert len(spans) >= 6
    for (node, start, end), (other, start_2, end_2) in combinations(spans, 2):
        assert node != other or end <= start_2 or end_2 <= start
