"""`pip install .`: the library as a package of its own, for notebooks and other people's programs."""

import subprocess
import sys
import zipfile
from pathlib import Path

import chain
import pytest


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel that pip builds of a clone, with the build tools that are installed."""
    folder = chain.copy(tmp_path_factory.mktemp("clone"))
    out = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(out),
    ]
    subprocess.run([*command, str(folder)], check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def test_a_wheel_holds_every_file_of_the_library_and_nothing_else(wheel):
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    library = chain.ROOT / "scripts" / "neuroseg"
    files = {path for path in library.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert packed == {f"neuroseg/{path.relative_to(library).as_posix()}" for path in files}
    assert "neuroseg/py.typed" in packed


def test_a_wheel_asks_for_the_packages_of_the_one_list(wheel):
    with zipfile.ZipFile(wheel) as packed:
        (metadata,) = (name for name in packed.namelist() if name.endswith("METADATA"))
        lines = packed.read(metadata).decode().splitlines()
    needed = {line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist")}
    for name, condition in (("library", ""), ("detector", '; extra == "detector"')):
        listed = (chain.ROOT / "envs" / f"{name}.txt").read_text().splitlines()
        assert {f"{line}{condition}" for line in listed if not line.startswith("#")} <= needed


def test_the_installed_library_imports_from_anywhere(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = "import neuroseg, neuroseg.metrics, neuroseg.report as r; print(r.__file__)"
    environment = {**chain.environment(), "PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(tmp_path / "site")
