"""GPUs of one machine: no job shares one, and more jobs run at a time where more are offered."""

import json
import os
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path

import chain
import pytest

sys.path.insert(0, str(chain.ROOT))
from workflow import gpu

TRAINING = '''\
"""In place of scripts/train.py: notes when it ran and which GPUs it saw, and writes what training would."""
import json, os, sys, time
from pathlib import Path
flags = dict(zip(sys.argv[1::2], sys.argv[2::2]))
start = time.time()
time.sleep(0.5)
for flag in ("--checkpoint", "--config-out", "--scalars"):
    Path(flags[flag]).write_text("trained")
span = [os.environ["CUDA_VISIBLE_DEVICES"], start, time.time()]
Path(f"span_{flags['--fold']}.json").write_text(json.dumps(span))
'''


class TestOffered:
    def test_the_device_files_of_gpus_are_counted_and_no_others(self, tmp_path):
        for name in ("nvidia0", "nvidia1", "nvidia10", "nvidiactl", "nvidia-uvm", "null"):
            (tmp_path / name).touch()
        assert gpu.count(tmp_path) == 3

    @pytest.mark.parametrize(
        ("environ", "expected"),
        [
            ({}, ["0", "1", "2"]),
            ({"CUDA_VISIBLE_DEVICES": "4, 7"}, ["4", "7"]),
            ({"CUDA_VISIBLE_DEVICES": "GPU-ab12"}, ["GPU-ab12"]),
            ({"CUDA_VISIBLE_DEVICES": ""}, []),
            ({"CUDA_VISIBLE_DEVICES": "-1"}, []),
        ],
    )
    def test_what_the_environment_names_goes_before_what_the_machine_has(self, environ, expected):
        assert gpu.offered(environ, 3) == expected

    def test_each_slurm_job_has_locks_of_its_own_since_its_first_gpu_is_0_in_every_job(self, tmp_path):
        here = {"NEUROSEG_GPU_LOCKS": str(tmp_path)}
        folders = {gpu.lock_folder(here | job) for job in ({}, {"SLURM_JOB_ID": "1"}, {"SLURM_JOB_ID": "2"})}
        assert len(folders) == 3


class TestCommand:
    SHOW = (sys.executable, "-c", "import os; print(os.environ.get('CUDA_VISIBLE_DEVICES'))")

    @staticmethod
    def start(folder: Path, wanted: int, visible: str, *command: str, **more: str) -> subprocess.Popen:
        environment = {
            **os.environ,
            "NEUROSEG_GPU_LOCKS": str(folder),
            "CUDA_VISIBLE_DEVICES": visible,
            **more,
        }
        words = [sys.executable, chain.ROOT / "workflow" / "gpu.py", str(wanted), *command]
        pipe = subprocess.PIPE
        return subprocess.Popen(words, env=environment, stdout=pipe, stderr=pipe, stdin=pipe, text=True)

    @pytest.mark.parametrize(
        ("wanted", "visible", "seen"), [(1, "4,7", "4"), (2, "4,7,9", "4,7"), (0, "4,7", "4,7"), (1, "", "")]
    )
    def test_it_sees_as_many_gpus_as_it_wants_of_those_there_are(self, wanted, visible, seen, tmp_path):
        out, _ = self.start(tmp_path, wanted, visible, *self.SHOW).communicate(timeout=30)
        assert out.strip() == seen

    def test_more_than_there_are_is_refused_in_a_sentence(self, tmp_path):
        refused = self.start(tmp_path, 3, "4,7", *self.SHOW)
        assert refused.communicate(timeout=30)[1].startswith(
            "error: 3 GPUs are wanted, but only 4, 7 can be had"
        )
        assert refused.returncode == 1

    def test_waiting_for_a_gpu_may_be_interrupted(self, monkeypatch, capsys):
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(gpu, "take", interrupt)
        monkeypatch.setenv(gpu.VISIBLE, "0")
        with pytest.raises(SystemExit) as ended:
            gpu.main(1, self.SHOW)
        assert ended.value.code == 130
        assert capsys.readouterr().err == "error: interrupted while waiting for a GPU\n"

    def test_a_gpu_is_one_commands_whatever_its_tmpdir_and_free_again_when_that_is_killed(self, tmp_path):
        holder = self.start(tmp_path, 1, "0", sys.executable, "-c", "print('has it', flush=True); input()")
        assert holder.stdout.readline() == "has it\n"
        (tmp_path / "elsewhere").mkdir()
        waiting = self.start(tmp_path, 1, "0", *self.SHOW, TMPDIR=str(tmp_path / "elsewhere"))
        assert waiting.stderr.readline() == "waiting: of the GPUs 0 fewer than 1 are free\n"
        time.sleep(0.2)
        assert waiting.poll() is None
        holder.kill()
        holder.communicate(timeout=30)
        assert waiting.communicate(timeout=30)[0] == "0\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The repository with a training that only notes its time and GPU, and with the tables it is given."""
    folder = chain.copy(tmp_path_factory.mktemp("gpu"))
    (folder / "scripts" / "train.py").write_text(TRAINING)
    (folder / "configs" / "five.yaml").write_text("gpus: 1\nsplit: {n_folds: 5}\n")
    for name in ("validate/images.parquet", "validate/instances.parquet", "split/folds.parquet"):
        (folder / "results" / "demo" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "results" / "demo" / name).touch()
    return folder


def train(folder: Path, visible: str, *arguments: str) -> list[list]:
    """Five trainings by --cores 8: for each the GPUs it saw, its start and its end."""
    wanted = ["--configfile", "configs/five.yaml", "--allowed-rules", "train", "all_train", "--forceall"]
    env = {**os.environ, "NEUROSEG_GPU_LOCKS": str(folder), "CUDA_VISIBLE_DEVICES": visible}
    chain.snakemake("all_train", "--cores", "8", *wanted, *arguments, folder=folder, env=env)
    return [json.loads((folder / f"span_{fold}.json").read_text()) for fold in range(5)]


def together(spans: list[list]) -> list[tuple]:
    """The GPUs of each two trainings that ran at the same time."""
    return [
        (name, other)
        for (name, start, end), (other, start_2, end_2) in combinations(spans, 2)
        if start < end_2 and start_2 < end
    ]


@pytest.mark.slow
def test_eight_cores_start_one_gpu_job_at_a_time(folder):
    assert together(train(folder, "0,1,2")) == []


@pytest.mark.slow
def test_more_gpus_are_opened_by_a_resource_and_each_job_has_its_own(folder):
    spans = train(folder, "4,7,GPU-ab12", "--resources", "gpu=3")
    assert {name for name, *_ in spans} == {"4", "7", "GPU-ab12"}
    pairs = together(spans)
    assert pairs
    assert all(name != other for name, other in pairs)


@pytest.mark.slow
def test_a_gpu_has_one_job_even_where_other_resources_replace_the_profiles_cap(folder):
    assert together(train(folder, "0", "--resources", "mem_mb=999999")) == []
