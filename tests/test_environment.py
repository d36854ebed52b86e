"""One list of versions for pip and conda, and nothing listed in vain."""

import ast
import importlib.metadata
import re
import sys
from functools import cache
from pathlib import Path

import chain
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "envs"))

import install  # noqa: E402
import render  # noqa: E402

REQUIREMENTS = install.read_requirements()
GROUPS = REQUIREMENTS["groups"]
ALONE = REQUIREMENTS["without_dependencies"]
PINS = install.read_pins()
LISTED = {name for group in (*GROUPS.values(), *ALONE.values()) for name in group}
CUDA_ONLY = {name for name in PINS if name.startswith(("nvidia-", "cuda-")) or name == "triton"}


def required_by(name: str) -> set[str]:
    """What an installed distribution declares that it needs on this machine, without extras."""
    found = map(Requirement, importlib.metadata.requires(name) or [])
    return {
        canonicalize_name(requirement.name)
        for requirement in found
        if not requirement.marker or requirement.marker.evaluate({"extra": ""})
    }


@cache
def distributions() -> dict[str, str]:
    """The distribution that each installed top-level module belongs to."""
    owners = importlib.metadata.packages_distributions()
    return {module: canonicalize_name(names[0]) for module, names in owners.items()}


@cache
def modules_of(file: Path) -> frozenset[str]:
    """The full names of the modules that a file imports, wherever in it."""
    package = file.relative_to(ROOT).with_suffix("").parts[1:-1]
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            stem = ".".join((*package[: len(package) - node.level + 1], *filter(None, [node.module])))
            base = stem if node.level else node.module
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def outside(names: set[str] | frozenset[str]) -> set[str]:
    """The distributions behind `names` that are neither the standard library's nor this repository's."""
    tops = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names)
    ours = {path.stem for folder in ("scripts", "envs", ".", "tests") for path in (ROOT / folder).iterdir()}
    return {distributions()[top] for top in tops - ours}


def reached(step: Path) -> set[Path]:
    """A step and every file of the library that it imports, directly or not; a package counts as a whole."""
    found, waiting = set(), {step}
    while waiting:
        file = waiting.pop()
        found.add(file)
        packages = {name.split(".")[1] for name in modules_of(file) if name.startswith("neuroseg.")}
        for package in packages:
            path = ROOT / "scripts" / "neuroseg" / package
            files = set(path.rglob("*.py")) if path.is_dir() else {path.with_suffix(".py")}
            waiting |= {file for file in files if file.is_file()} - found
    return found


def conda_environments() -> dict[str, dict[str, str]]:
    """The version of each package, by conda's name, for each conda file by its stem."""
    found = {}
    for path in (ROOT / "envs").glob("*.yaml"):
        lines = [line.split("=") for line in yaml.safe_load(path.read_text())["dependencies"]]
        found[path.stem] = {name: version[0] if version else "" for name, *version in lines}
    return found


class TestPins:
    def test_every_listed_package_is_pinned(self):
        assert set(PINS) >= LISTED

    def test_the_environment_holds_the_pinned_versions(self):
        held = {
            name: importlib.metadata.version(name).split("+")[0] for name in sorted(set(PINS) - CUDA_ONLY)
        }
        assert held == {name: PINS[name] for name in held}

    def test_everything_that_a_listed_package_brings_is_pinned_and_nothing_else_is(self):
        alone = {name for group in ALONE.values() for name in group}
        found, waiting = set(alone), LISTED - alone
        while waiting:
            found |= waiting
            waiting = {name for parent in waiting for name in required_by(parent)} - found
        assert found | {"pip"} | CUDA_ONLY == set(PINS) | CUDA_ONLY

    def test_pins_are_sorted_and_written_in_normal_form(self):
        names = [name for name in PINS if name not in CUDA_ONLY]
        assert names == sorted(map(canonicalize_name, names))

    def test_a_package_installed_alone_finds_what_it_needs_but_for_the_reasons_given(self):
        refused = {"opencv-python"}  # the headless build stands in for it
        for name in (name for group in ALONE.values() for name in group):
            assert required_by(name) - refused <= set(PINS), name


class TestConda:
    def test_the_files_are_what_render_writes(self):
        for name, text in render.render(REQUIREMENTS, PINS).items():
            assert (ROOT / "envs" / name).read_text() == text, f"{name} is out of date: make conda-files"

    def test_conda_and_pip_agree_on_every_version(self):
        pip_names = {
            "pytorch-gpu": "torch",
            "matplotlib-base": "matplotlib",
            "py-opencv": "opencv-python-headless",
        }
        for versions in conda_environments().values():
            for name, version in versions.items():
                if version and name != "python":
                    assert f"{PINS[pip_names.get(name, name)]}.".startswith(f"{version}.")

    def test_a_changed_pin_changes_the_conda_file(self):
        text = render.render(REQUIREMENTS, PINS | {"numpy": "9.9.9"})["analysis.yaml"]
        assert "  - numpy=9.9.9\n" in text

    def test_no_version_is_repeated_outside_the_pins_and_what_is_written_from_them(self):
        written = {"pins.txt", *render.render(REQUIREMENTS, PINS)}
        for path in [
            *(ROOT / "envs").iterdir(),
            ROOT / "Makefile",
            ROOT / ".ci" / "run",
            ROOT / "pyproject.toml",
        ]:
            if path.is_file() and path.name not in written:
                assert not re.search(r"[a-z]==\d", path.read_text()), path

    def test_no_file_names_a_package_index(self):
        for path in [
            *(ROOT / "envs").iterdir(),
            ROOT / "Makefile",
            ROOT / ".ci" / "run",
            ROOT / "pyproject.toml",
        ]:
            if path.is_file():
                assert not re.search(r"https?://|index-url|find-links|--find", path.read_text()), path


class TestImports:
    @pytest.mark.parametrize("step", sorted((ROOT / "scripts").glob("*.py")), ids=lambda path: path.stem)
    def test_the_conda_environment_of_a_step_lists_what_the_step_imports(self, step):
        files = reached(step)
        mmdet = any("detector" in file.relative_to(ROOT).parts for file in files)
        listed = {*GROUPS["steps"], *(GROUPS["mmdet"] if mmdet else GROUPS["analysis"])}
        listed |= {*ALONE["mmdet"], *ALONE["operators"]} if mmdet else set()
        needed = set().union(*(outside(modules_of(file)) for file in files))
        assert needed <= listed

    def test_the_rules_of_steps_that_need_mmdet_and_of_no_others_name_its_environment(self):
        bodies = chain.rules().items()
        named = {rule: found[1] for rule, body in bodies if (found := re.search(r"envs/(\w+)\.yaml", body))}
        steps = {path.stem: path for path in (ROOT / "scripts").glob("*.py")}
        expected = {
            name: "mmdet"
            if any("detector" in file.relative_to(ROOT).parts for file in reached(path))
            else "analysis"
            for name, path in steps.items()
        }
        assert {name: named.get(name) for name in steps} == expected

    def test_what_the_tests_and_the_workflow_import_is_listed(self):
        files = [
            path
            for folder in ("tests", "workflow", "ledger", "benchmarks")
            for path in (ROOT / folder).rglob("*.py")
        ]
        assert set().union(*(outside(modules_of(path)) for path in files)) <= LISTED

    def test_nothing_is_listed_in_vain(self):
        imported = set().union(
            *(
                outside(modules_of(path))
                for folder in ("scripts", "tests", "workflow", "ledger", "benchmarks")
                for path in (ROOT / folder).rglob("*.py")
            )
        )
        called = " ".join((ROOT / name).read_text() for name in ("Makefile", "dvc.yaml"))
        commands = {
            canonicalize_name(point.dist.name)
            for point in importlib.metadata.entry_points(group="console_scripts")
            if re.search(rf"\b{re.escape(point.name)}\b", called)
        } | {name for name in ["ruff"] if name in called}  # a program without an entry point
        plugins = {
            canonicalize_name(point.dist.name) for point in importlib.metadata.entry_points(group="pytest11")
        }
        needed = set().union(*(required_by(name) for group in ALONE.values() for name in group))
        by_name = {
            "pygments": "snakemake --report",
            "dvc-s3": "s3://",
            "types-pyyaml": "mypy",
            "types-tqdm": "the same",
            "flask": "moto's server",
            "flask-cors": "the same",
        } | dict.fromkeys(GROUPS["build"], "the build of mmcv's operators")
        alone = {name for group in ALONE.values() for name in group}
        assert LISTED - alone - imported - commands - plugins - needed - set(by_name) == set()
