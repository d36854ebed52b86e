"""Which model files a model is made of, each read as data: nothing in them is run."""

import ast
import os
from pathlib import Path

from snakemake.exceptions import WorkflowError

from workflow.configs import file

BASE = "_base_"
"""The name by which a model file says what it builds on."""


def bases(model: str) -> list[str]:
    """Return the model files of ours that a model's file builds on, the nearest first.

    Raises:
        WorkflowError: one of them is missing, is no Python, names something else than files as its `_base_`,
            or builds on itself.
    """
    first = Path(file("models", model, ".py"))
    found: list[Path] = []
    pending: list[tuple[Path, tuple[Path, ...]]] = [(first, (first,))]
    while pending:
        path, line = pending.pop()
        found.append(path)
        for named in _named(path):
            if named in line:
                circle = " builds on ".join(map(str, (*line[line.index(named) :], named)))
                raise WorkflowError(f"{circle}, which is a circle; name another file as {BASE} of {path}.")
            if not named.is_file():
                raise WorkflowError(
                    f"{path}: {BASE}: there is no file {named}; correct its path, or write mmdet::… for one "
                    "of MMDetection's own."
                )
            pending.append((named, (*line, named)))
    return [path.as_posix() for path in found[1:]]


def _named(path: Path) -> list[Path]:
    """Return the files of ours that a model file names as its `_base_`, found by their names."""
    if path.suffix != ".py":  # MMDetection takes YAML and JSON as well, and will say what it makes of others
        return []
    for node in _parsed(path).body:  # the first counts, as it does for MMDetection
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == BASE:
            names = _written_out(node.value)
            if names is None:
                raise WorkflowError(
                    f"{path}, line {node.lineno}: {BASE} must be a path in quotes or a list of such, written "
                    'out, such as "./_base_.py".'
                )
            # mmdet::… is MMDetection's own.
            return [Path(os.path.normpath(path.parent / name)) for name in names if "::" not in name]
    return []


def _written_out(value: ast.expr) -> list[str] | None:
    """Return the names that stand at a `_base_`; None where it is no text and no list of texts."""
    try:
        given = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    names = given if isinstance(given, list) else [given]
    return names if all(isinstance(name, str) and name and "\0" not in name for name in names) else None


def _parsed(path: Path) -> ast.Module:
    """Return a model file's syntax tree.

    Raises:
        WorkflowError: the file cannot be read, or is no Python.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if "\0" in text:  # which releases of Python refuse by different errors
            line = text[: text.index("\0")].count("\n") + 1
            raise WorkflowError(
                f"{path}, line {line}: this is no Python (a null byte); mend or restore the file."
            )
        return ast.parse(text)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise WorkflowError(
            f"{path}, line {line}: its bytes are no text in UTF-8; save the file as text in UTF-8."
        ) from error
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        raise WorkflowError(
            f"{path}{where}: this is no Python ({error.msg}); mend or restore the file."
        ) from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "it is nested too deeply"
        raise WorkflowError(f"{path}: this model file cannot be read ({reason}); restore it.") from error
