"""`snakemake --use-conda` against a stand-in for conda (tests/stand_in_conda): its calls and their order.

No environment is solved or installed here; that needs conda and conda-forge (docs/cluster.md says what was
not run).
"""

import os
import re
import shutil
import sys
from pathlib import Path

import chain
import pytest
import yaml

ENVIRONMENTS = chain.ROOT / "envs"
STAND_INS = chain.ROOT / "tests" / "stand_in_conda"
SIMULATION = '''\
"""In place of scripts/simulate.py: says in which environment it runs."""
import os, sys
from pathlib import Path
folder = Path(sys.argv[sys.argv.index("--out") + 1])
folder.mkdir(parents=True)
(folder / "environment").write_text(os.environ["CONDA_PREFIX"])
'''


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory) -> Path:
    """A folder laid out as conda's, with the stand-ins in bin/; calls are noted in its file `calls`."""
    folder = tmp_path_factory.mktemp("conda")
    shutil.copytree(STAND_INS, folder / "bin")
    (folder / "calls").touch()
    return folder


@pytest.fixture(scope="module")
def run(stand_ins, tmp_path_factory) -> tuple[Path, list[str], list[str]]:
    """A copy of the repository; the calls that made its environments, and those of a job in one of them."""
    folder = chain.copy(tmp_path_factory.mktemp("run"))
    (folder / "scripts" / "simulate.py").write_text(SIMULATION)
    env = os.environ | {"PATH": f"{stand_ins}/bin:{os.environ['PATH']}"}
    env |= {"STAND_INS": str(stand_ins), "STAND_INS_PYTHON": sys.executable}

    def calls(*arguments: str) -> list[str]:
        (stand_ins / "calls").write_text("")
        chain.snakemake(*arguments, "--cores", "1", "--use-conda", folder=folder, env=env)
        return (stand_ins / "calls").read_text().splitlines()

    return folder, calls("--conda-create-envs-only"), calls("data/demo")


def made(calls: list[str]) -> dict[str, str]:
    """The environment file's content by the folder of the environment made of it."""
    create = r"conda env create --quiet --no-default-packages --file (\S+) --prefix (\S+)"
    return {found[2]: Path(found[1]).read_text() for call in calls if (found := re.fullmatch(create, call))}


@pytest.mark.slow
def test_conda_is_asked_who_it_is_before_anything_is_made(run):
    assert [call for call in run[1] if " env create " not in call][:3] == [
        "conda info --json",
        "conda --version",
        "conda config --get channel_priority --json",
    ]


@pytest.mark.slow
def test_an_environment_is_made_from_each_file_as_it_is_written(run):
    folder, creating, _ = run
    assert sorted(made(creating).values()) == sorted(
        (ENVIRONMENTS / f"{name}.yaml").read_text() for name in ("analysis", "mmdet")
    )
    assert all(Path(place).parent == folder / ".snakemake" / "conda" for place in made(creating))


@pytest.mark.slow
def test_the_post_deploy_script_adds_openmmlab_inside_the_environment_just_made(run):
    place = next(place for place, text in made(run[1]).items() if "pytorch-gpu" in text)
    at = run[1].index(f"activate {place}")
    assert any(call.endswith(f"--prefix {place}") for call in run[1][:at])
    assert re.fullmatch(
        r"python -m pip install --no-build-isolation --no-deps --no-cache-dir( [a-z0-9-]+==[\d.]+)+",
        run[1][at + 1],
    )
    assert "onedl-mmcv==" in run[1][at + 1]
    assert sum(call.startswith("activate ") for call in run[1]) == 1


@pytest.mark.slow
def test_a_job_runs_in_its_rules_environment_and_makes_none_anew(run):
    folder, creating, running = run
    place = next(place for place, text in made(creating).items() if "pytorch-gpu" not in text)
    assert (folder / "data" / "demo" / "environment").read_text() == place
    assert f"activate {place}" in running
    assert made(running) == {}


@pytest.mark.parametrize("name", ["analysis", "mmdet"])
def test_a_file_is_what_conda_reads(name):
    content = yaml.safe_load((ENVIRONMENTS / f"{name}.yaml").read_text())
    assert set(content) == {"channels", "dependencies"}
    assert content["channels"] == ["conda-forge", "nodefaults"]
    # name, version, build: each part as conda's own grammar has it
    assert all(re.fullmatch(r"[a-z0-9_.-]+(=[\d.]+(=[\w*]+)?)?", line) for line in content["dependencies"])
    names = [line.split("=")[0] for line in content["dependencies"]]
    assert len(names) == len(set(names))


def test_everything_is_pinned_but_what_conda_must_fit_to_pytorch():
    content = {
        name: yaml.safe_load((ENVIRONMENTS / f"{name}.yaml").read_text()) for name in ("analysis", "mmdet")
    }
    free = {name: [line for line in content[name]["dependencies"] if "=" not in line] for name in content}
    assert free == {"analysis": [], "mmdet": ["cxx-compiler", "cuda-nvcc", "cuda-libraries-dev", "pip"]}


def test_every_rule_with_a_command_names_an_environment_that_there_is():
    for rule, body in chain.rules().items():
        named = re.findall(r'conda:\n\s+"(.+)"\n', body)
        assert len(named) == ("shell:" in body), rule
        assert all((chain.ROOT / "workflow" / "rules" / name).is_file() for name in named), rule


def test_a_post_deploy_script_belongs_to_an_environment_and_is_sound_bash():
    for script in ENVIRONMENTS.glob("*.post-deploy.sh"):
        assert (ENVIRONMENTS / f"{script.name.removesuffix('.post-deploy.sh')}.yaml").is_file()
        assert script.read_text().startswith("#!/usr/bin/env bash\n")
        assert os.spawnlp(os.P_WAIT, "bash", "bash", "-n", str(script)) == 0
