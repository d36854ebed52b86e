"""A worktree where DVC records a run or sends its files: a commit with the repository's cache and remotes."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.commands import RunError, dvc, git, run
from ledger.configuration import FILE
from ledger.stages import unrecorded
from ledger.worktrees import share_cache

PLACE = ".runs/.record"


@contextmanager
def checked_out(root: Path, commit: str, place: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """Yield a worktree of a commit, gone afterwards, where DVC uses the repository's cache and remotes.

    Args:
        root: The repository.
        commit: What is checked out.
        place: The worktree's folder, from the repository's; what an earlier call left there is removed.

    Yields:
        The worktree, and the environment variables for calls of DVC in it: it then remembers nothing of
        earlier calls, neither hashes of files nor what a remote has.
    """
    tree = root / place
    _remove(root, tree)
    local = ("-c", "core.autocrlf=false", "-c", "core.hooksPath=")  # hashes must be those of every machine
    git(*local, "worktree", "add", "--quiet", "--detach", "--force", str(tree), commit, root=root)
    try:
        _configure(root, tree)
        with tempfile.TemporaryDirectory() as state:
            yield tree, {**os.environ, "DVC_SITE_CACHE_DIR": state}
    finally:
        _remove(root, tree)


@contextmanager
def recorded(
    root: Path, commit: str, config: bytes | None, dataset: str, metrics: Collection[str]
) -> Iterator[tuple[Path, dict[str, str]]]:
    """Put a run's files into DVC's cache and yield the worktree for its dvc.lock, gone afterwards.

    dvc.lock begins empty, so that it holds this run's stages and no others. Every file is hashed anew.

    Args:
        root: The repository.
        commit: Whose code and configuration ran.
        config: What configs/pipeline.yaml says instead, if anything.
        dataset: Of the run.
        metrics: The files of its stage evaluate, by path.

    Yields:
        The worktree, and the variables of the environment for more calls of DVC in it.

    Raises:
        RunError: DVC failed, or some file is not as it was recorded a moment ago.
    """
    with checked_out(root, commit, PLACE) as (tree, env):
        if config is not None:
            (tree / FILE).write_bytes(config)
        (tree / "dvc.lock").unlink(missing_ok=True)
        _link(root, tree, dataset, metrics)
        run("dvc", "commit", "--force", "--no-relink", root=tree, env=env)
        if changed := git("diff", "--name-only", "--", "*.dvc", root=tree).splitlines():
            names = ", ".join(path.removesuffix(".dvc") for path in changed)
            raise RunError(
                f"{names}: other files than its .dvc file lists; `dvc add` them, commit, and record again."
            )
        if differing := unrecorded(tree, env):
            raise RunError(*(f"{line}; the run is not recorded: run it again." for line in differing))
        yield tree, env


def _link(root: Path, tree: Path, dataset: str, metrics: Collection[str]) -> None:
    """Show the worktree the repository's data and results; of metrics, which Git keeps, this run's alone."""
    shutil.rmtree(tree / "results" / dataset, ignore_errors=True)
    for folder in ("data", f"results/{dataset}"):
        (tree / folder).mkdir(parents=True, exist_ok=True)
        for source in sorted((root / folder).iterdir()):
            place = tree / folder / source.name
            if source.name != "evaluate" and not place.exists():
                place.symlink_to(source.resolve(), target_is_directory=source.is_dir())
    for path in metrics:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / path, tree / path)


def _configure(root: Path, tree: Path) -> None:
    """Have DVC use the repository's cache and remotes, and leave Git alone: linked folders are outside it.

    The remotes are those that the repository's folder names now, for an address may have been corrected since
    the commit.
    """
    for name in ("config", "config.local"):
        if (root / ".dvc" / name).is_file():
            shutil.copy2(root / ".dvc" / name, tree / ".dvc" / name)
    share_cache(tree, root)
    dvc("config", "--local", "core.no_scm", "true", root=tree)
    there = _addresses(tree)
    for name, address in _addresses(root).items():
        if there[name] != address:  # a relative path, which leads elsewhere from here
            path = os.path.relpath(address, tree.resolve())
            dvc("remote", "modify", "--local", name, "url", path, root=tree)


def _addresses(folder: Path) -> dict[str, str]:
    """Return the addresses of DVC's remotes by name, relative paths as absolute ones."""
    return dict(re.findall(r"^remote\.(.+)\.url=(.*)$", dvc("config", "--list", root=folder), re.MULTILINE))


def _remove(root: Path, tree: Path) -> None:
    if tree.exists():
        shutil.rmtree(tree)  # follows no link
    git("worktree", "prune", root=root)
