"""Fixtures that every test may ask for."""

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from discs import Culture

    from neuroseg.detector import Trained
    from neuroseg.report import Evidence

# Tests compare bits, which a GPU's kernels do not repeat: on a machine with a GPU they run on its CPU as
# well.
os.environ["CUDA_VISIBLE_DEVICES"] = ""

# The first call of a compiled kernel takes seconds, which no deadline should count; CI tries the same
# examples always.
hypothesis.settings.register_profile("neuroseg", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("neuroseg")

ROOT = Path(__file__).parents[1]


OPTIONS = {
    "slurm": "run the tests on a Slurm cluster of this machine, too: installs packages, starts daemons",
    "long": "run the tests of whole runs that take minutes each, too",
}
"""Flags of pytest, each for the marker of the same name."""


def pytest_addoption(parser: pytest.Parser) -> None:
    for name, meaning in OPTIONS.items():
        parser.addoption(f"--{name}", action="store_true", help=meaning)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with files of slow tests; leave out those that only a flag asks for.

    Side by side, each process takes the next file: a long one that came last would keep the others waiting.
    """
    first = {item.path for item in items if any(map(item.get_closest_marker, ("slow", *OPTIONS)))}
    items.sort(key=lambda item: item.path not in first)
    for name in OPTIONS:
        if not config.getoption(f"--{name}"):
            for item in items:
                if item.get_closest_marker(name):
                    item.add_marker(pytest.mark.skip(reason=f"--{name} runs it"))


@pytest.fixture
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture
def step() -> Callable[[str], ModuleType]:
    """A function that imports scripts/<name>.py as a module."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"step_{name}", ROOT / "scripts" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def real_data() -> Path:
    """The folder of real images, where the environment names one."""
    if not os.environ.get("NEUROSEG_DATA"):
        pytest.skip("NEUROSEG_DATA is unset: no real images here")
    return Path(os.environ["NEUROSEG_DATA"])


# -------------------------------------------------------------- what several files share, made once a process


@pytest.fixture(scope="session")
def culture(tmp_path_factory: pytest.TempPathFactory) -> "Culture":
    """Four images of discs of two types, in two folds."""
    from discs import Culture

    return Culture(tmp_path_factory.mktemp("culture"))


@pytest.fixture(scope="session")
def micro(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model file of a detector that learns in seconds."""
    from discs import MICRO

    path = tmp_path_factory.mktemp("models") / "micro.py"
    path.write_text(MICRO)
    return path


@pytest.fixture(scope="session")
def trained(culture: "Culture", micro: Path, tmp_path_factory: pytest.TempPathFactory) -> "Trained":
    """That detector, which has learnt fold 0 of the discs."""
    from discs import learn

    return learn(culture, micro, tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="session")
def checkpoint(trained: "Trained", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its file, beside those of its configuration and its losses."""
    from neuroseg.detector import save

    folder = tmp_path_factory.mktemp("out")
    save(trained, folder / "model.pth", folder / "config.py", folder / "scalars.json")
    return folder / "model.pth"


@pytest.fixture(scope="session")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> "Evidence":
    """What a report of discs is made of."""
    from report_cases import gathered

    return gathered(tmp_path_factory.mktemp("images"))
