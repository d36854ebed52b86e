"""The configuration of a run: configs/pipeline.yaml, with the keys of another file in place of its own."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from snakemake.utils import update_config

from ledger.commands import RunError

FILE = "configs/pipeline.yaml"


class Configuration(NamedTuple):
    """What a run is asked for."""

    values: dict[str, Any]
    text: bytes | None  # what configs/pipeline.yaml says in the run's commit; None where it stays as it is


def resolve(source: Path | None, name: str, root: Path) -> Configuration:
    """Return what a run is asked for, its comments kept.

    Args:
        source: A file of the keys that differ, such as configs/sartorius.yaml; None for configs/pipeline.yaml
            itself.
        name: Of the run, for the head of the file.
        root: The repository.

    Raises:
        RunError: there is no such file, it is no YAML, no mapping, or a template.
    """
    default = (root / FILE).read_bytes()
    if source is None:
        with _named(Path(FILE)):
            return Configuration(yaml.safe_load(default), None)
    if not source.is_file():
        known = ", ".join(path.name for path in sorted((root / "configs").glob("*.yaml")))
        raise RunError(f"{source}: there is no such file; in configs/ there are: {known}.")
    editor = YAML()
    with _named(Path(FILE)):
        config = editor.load(default)
    with _named(source):
        changes = editor.load(source)
        yaml.safe_load(source.read_bytes())  # as Snakemake will, which takes no tag
    if not isinstance(changes, dict):
        raise RunError(f"{source}: a configuration is a mapping of keys to values, and this is none.")
    if "__use_yte__" in changes:  # Snakemake would run the Python in it
        raise RunError(
            f"{source}: __use_yte__: templates run code and are not taken; write the values out instead."
        )
    update_config(config, changes)  # as Snakemake does with a --configfile
    text = io.StringIO()
    config.yaml_set_start_comment(
        f"The configuration of run {name}: the default one, with the keys of {source.name}."
    )
    editor.dump(config, text)
    values = yaml.safe_load(text.getvalue())
    same = values == yaml.safe_load(default)
    return Configuration(values, None if same else text.getvalue().encode())


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn what a YAML parser complains of into a RunError that names the file."""
    try:
        yield
    except (YAMLError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise RunError(f"{path} is no YAML ({' '.join(str(error).split())[:300]}); mend it.") from error
