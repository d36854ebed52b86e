"""Fixtures that every test may ask for."""

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest

# The first call of a compiled kernel takes seconds, which no deadline should count; CI tries the same examples always.
hypothesis.settings.register_profile("neuroseg", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("neuroseg")

ROOT = Path(__file__).parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slurm", action="store_true", help="run the tests on a Slurm cluster of this machine's own, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what installs packages and starts daemons, unless it is asked for."""
    if not config.getoption("--slurm"):
        for item in items:
            if item.get_closest_marker("slurm"):
                item.add_marker(pytest.mark.skip(reason="starts a Slurm cluster: --slurm runs it"))


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
    if "NEUROSEG_DATA" not in os.environ:
        pytest.skip("NEUROSEG_DATA is unset: no real images here")
    return Path(os.environ["NEUROSEG_DATA"])
