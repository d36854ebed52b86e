"""What a script is made of, and the digest by which Snakemake notices an edit of it."""

import ast
import functools
import hashlib
from pathlib import Path

from workflow.configs import ROOT

SCRIPTS = ROOT / "scripts"


def sources(script: str) -> list[Path]:
    """Return the files a script is made of: itself, and all our modules that it uses, directly or not."""
    files: set[Path] = set()
    pending = [SCRIPTS / f"{script}.py"]
    while pending:
        file = pending.pop()
        if file not in files:
            files.add(file)
            pending += _imports(file) if file.suffix == ".py" else []
    return sorted(files)


def code(script: str) -> str:
    """Return a digest of a script's sources: an edit reruns its stage, restoring the old text does not."""
    digest = hashlib.sha256()
    for path in sources(script):
        digest.update(path.relative_to(SCRIPTS).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _imports(file: Path) -> list[Path]:
    """Return the files of neuroseg that a file imports: a module alone, or all of a package taken whole."""
    names: set[str] = set()
    for module, taken in _imported(file.read_bytes()):
        names |= {name if _files(name) else module for name in taken}
    return [path for name in names for path in _files(name)]


@functools.cache  # scripts share most modules, and Snakemake asks for all digests whenever it starts
def _imported(source: bytes) -> list[tuple[str, list[str]]]:
    """Return each module of neuroseg that a source imports, and the full names of what is taken."""
    found: list[tuple[str, list[str]]] = []
    pending: list[ast.AST] = [ast.parse(source)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found += [(alias.name, [alias.name]) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, [f"{node.module}.{alias.name}" for alias in node.names]))
        elif not isinstance(node, ast.expr):  # an expression holds no statement, and is most of the tree
            pending += ast.iter_child_nodes(node)
    return [(module, taken) for module, taken in found if module.split(".")[0] == "neuroseg"]


def _files(name: str) -> list[Path]:
    """Return the files behind a dotted name of neuroseg: a module's, all of a package's, or none."""
    if not name.startswith("neuroseg."):
        return []
    module = SCRIPTS.joinpath(*name.split("."))
    candidates = [module.with_suffix(".py"), *module.rglob("*")]
    return [path for path in candidates if path.is_file() and "__pycache__" not in path.parts]
