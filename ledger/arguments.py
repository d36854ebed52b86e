"""The arguments that a user adds for Snakemake: they may say how the chain is run, never what it computes."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from snakemake.cli import get_argument_parser, parse_args
from snakemake.exceptions import WorkflowError

from ledger.commands import RunError

_CONFIGURED = "a recorded run takes its configuration from configs/pipeline.yaml and CONFIG alone"

REFUSED = {
    "config": _CONFIGURED,
    "configfile": _CONFIGURED,
    "replace_workflow_config": _CONFIGURED,
    "touch": "it calls old results new",
    "dryrun": "it computes nothing",
    "unlock": "it computes nothing",
    "delete_all_output": "it computes nothing, and removes results",
    "until": "it computes a part of the run only",
    "omit_from": "it computes a part of the run only",
    "batch": "it computes a part of the run only",
    "allowed_rules": "it computes a part of the run only",
    "rerun_triggers": "it leaves results of other parameters or code as they are",
    "consider_ancient": "it leaves results of other inputs as they are",
    "ignore_incomplete": "it takes half-written files for whole ones",
    "drop_metadata": "it keeps no note of what was computed from what",
    "cleanup_metadata": "it removes the notes of what was computed from what",
    "persistence_backend": "the notes of what was computed from what are read from .snakemake/metadata",
    "snakefile": "a run is of this repository's Snakefile",
    "directory": "a run is of this repository's folder",
    "targets": "a recorded run computes everything that dvc.yaml lists",
    "target_jobs": "a recorded run computes everything that dvc.yaml lists",
}
"""Snakemake's arguments, by its parser's names for them, that a recorded run cannot be given."""


def check(arguments: Sequence[str], root: Path) -> list[str]:
    """Refuse arguments, and settings of the profiles they name, that change what is computed.

    Args:
        arguments: More arguments for Snakemake, such as `--profile profiles/slurm`.
        root: The repository.

    Returns:
        Those of the arguments that a later call must repeat to find the same results up to date: Snakemake
        notes with each result in which kind of environment (conda, container) it was computed.

    Raises:
        RunError: an argument or a profile's setting would make the record untrue, or Snakemake does not know
            it.
    """
    said = io.StringIO()
    try:
        with _inside(root), contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            _, given = parse_args(list(arguments))
    except SystemExit:
        words = said.getvalue().strip().splitlines()
        raise RunError(
            f"Snakemake does not take {' '.join(arguments)}: {words[-1] if words else 'it ends'}"
        ) from None
    except WorkflowError as error:
        raise RunError(f"Snakemake does not take {' '.join(arguments)}: {error}") from None
    parser = get_argument_parser()
    wrong = [
        f"--{name.replace('_', '-')}, given to Snakemake or set in its profile: {why}; leave it out."
        for name, why in REFUSED.items()
        if _set(getattr(given, name, None), parser.get_default(name))
    ]
    if wrong:
        raise RunError(*wrong)
    return ["--software-deployment-method", *_deployment(given)] if _deployment(given) else []


def _set(value: object, default: object) -> bool:
    return bool(value) and value != default


def _deployment(given: object) -> list[str]:
    named = {str(method) for method in getattr(given, "software_deployment_method", None) or ()}
    flags = {"use_conda": "conda", "use_apptainer": "apptainer", "use_envmodules": "env-modules"}
    return sorted(named | {method for flag, method in flags.items() if getattr(given, flag, False)})


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Find profiles where Snakemake will."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
