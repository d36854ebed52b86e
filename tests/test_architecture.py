"""The layers of docs and design, held by reading the syntax trees: who imports whom, and who may open which door."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import neuroseg

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "scripts"
LIBRARY = SCRIPTS / "neuroseg"

WORDS = {"tables", "rle", "threads"}
STEPS = sorted(SCRIPTS.glob("*.py"))
MODULES = sorted(LIBRARY.rglob("*.py"))
DOORS = {
    "torch": "detector",
    "mmengine": "detector",
    "mmcv": "detector",
    "mmdet": "detector",
    "pycocotools": "rle",
    "sklearn": "folds",
    "skimage": "morphology",
    "matplotlib": "figures",
    "tyro": "command",
}
SLOW = (set(DOORS) - {"tyro"}) | {"numba", "numpy", "pandas", "PIL", "pyarrow", "pydantic", "scipy", "tifffile", "yaml"}
"""What takes long to import; a list of flags needs none of it."""
LONG = {
    "rle/columns.py": "loops that call one another share a file: numba looks no further for what it must compile anew",
    "tables.py": "what a table is and how it is read and written are one promise, which every stage relies on",
}
"""Modules of more than 250 lines, each with its reason."""


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


def room(file: Path) -> str:
    """The module or package of the library that a file belongs to."""
    return file.relative_to(LIBRARY).with_suffix("").parts[0]


def rooms_used(file: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(file) if name.startswith("neuroseg.")}


def test_there_is_a_step_for_every_rule_and_a_rule_for_every_step():
    rules = {
        line.split()[1].rstrip(":")
        for file in (ROOT / "workflow" / "rules").glob("*.smk")
        for line in file.read_text().splitlines()
        if line.startswith("rule ")
    }
    assert rules == {step.stem for step in STEPS}


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(LIBRARY)))
def test_science_imports_words_and_itself_only(file):
    allowed = WORDS | {room(file)} if room(file) not in WORDS else {"tables", "rle"} if room(file) == "rle" else set()
    if room(file) == "command":
        allowed = {"tables"}
    assert rooms_used(file) <= allowed


@pytest.mark.parametrize("file", STEPS, ids=lambda file: file.name)
def test_steps_do_not_import_each_other(file):
    assert not {name.split(".")[0] for name in imports(file)} & {step.stem for step in STEPS}


def test_what_steps_walk_into_is_run_when_it_is_used():
    assert set().union(*map(rooms_used, STEPS)) == {*neuroseg.ROOMS, "command"}


def test_a_room_that_is_not_there_is_an_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = neuroseg.nothing


@pytest.mark.parametrize("file", STEPS, ids=lambda file: file.name)
def test_help_waits_for_no_library(file):
    command = [sys.executable, "-X", "importtime", str(file), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "tyro" in imported
    assert not imported & SLOW


@pytest.mark.parametrize("file", STEPS, ids=lambda file: file.name)
def test_a_step_hands_over_functions_of_rooms_that_are_run(file):
    """Not its own, which would be the first to use a room, perhaps in a thread."""
    tree = ast.parse(file.read_text())
    assert [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)] == ["main"]
    assert not any(isinstance(node, ast.Lambda) for node in ast.walk(tree))


@pytest.mark.parametrize("file", [*STEPS, *MODULES], ids=lambda file: str(file.relative_to(SCRIPTS)))
def test_each_heavy_library_has_one_door(file):
    here = room(file) if LIBRARY in file.parents else "a step"
    used = {name.split(".")[0] for name in imports(file)} & set(DOORS)
    assert {library for library in used if DOORS[library] != here} == set()


def test_the_chain_imports_snakemake_and_the_standard_library_only():
    tree = ast.parse((ROOT / "workflow" / "plan.py").read_text())
    used = {alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    used |= {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert used - set(sys.stdlib_module_names) == {"snakemake"}


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
    files |= {f"workflow/{file.name}": file for file in (ROOT / "workflow").glob("*.py")}
    long = {name for name, file in files.items() if len(file.read_text().splitlines()) > 260}
    assert long == set(LONG)


def test_no_file_names_a_package_index_or_this_machine():
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in files:
        path = ROOT / name
        if path.suffix in {".png", ".parquet"} or not path.is_file() or path == Path(__file__):
            continue
        text = path.read_text(errors="ignore")
        words = ("-index-url", "files.python" + "hosted", "/root" + "/", str(ROOT))
        assert not any(word in text for word in words), name
