"""The worktree of a reproduced run, .runs/NAME: its commit's files, byte for byte, and raw data beside."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ledger import lock
from ledger.commands import RunError, dvc, git

FOLDER = ".runs"
"""Where the worktrees lie; removing one is `git worktree remove --force .runs/NAME`."""

LITERAL = {
    "core.autocrlf": "false",
    "core.eol": "lf",
    "core.sparseCheckout": "false",
    "core.hooksPath": os.devnull,
}
"""Have Git write all of a commit's bytes as they are, and nothing else: other line ends are other code to DVC
and Snakemake, and a hook may bring files of an earlier computation (that of `dvc install` does)."""

READY = "neuroseg-ready"
"""Name of the file, among Git's own of the worktree, that says that all of the commit is written out."""


CACHE = ".dvc/tmp/cache"
"""The link to the repository's cache in a worktree, where Git does not look."""


def prepare(name: str, commit: str, root: Path) -> Path:
    """Return the worktree of a run with the files of its commit, made or mended as need be.

    Files that were edited in it by hand stay as they are. What an interrupted call left half made is made
    anew, and so is a worktree of another commit; one that was moved or copied with its repository is tied to
    it again.

    Raises:
        RunError: in the worktree's place lies something else that holds edits.
    """
    tree = root / FOLDER / name
    _tie(tree, root)  # before Git takes it for one whose folder is gone
    git("worktree", "prune", root=root)
    if tree.exists():
        if _is_ready(tree, commit, root):
            return tree
        own = ("results/", "dvc.lock")  # what an earlier call wrote
        if lost := [
            path
            for path in edited(tree, commit, root)
            if (tree / path).is_file() and not path.startswith(own)
        ]:
            raise RunError(
                f"{FOLDER}/{name} holds files that are not those of commit {commit[:12]} "
                f"({', '.join(lost[:5])}): save what you need of it, remove it (`git worktree remove --force "
                f"{FOLDER}/{name}`), and try again."
            )
        shutil.rmtree(tree)
    twice = ("--force", "--force")  # over one whose making was interrupted, which Git holds locked
    literal = [word for key, value in LITERAL.items() for word in ("-c", f"{key}={value}")]
    git(*literal, "worktree", "add", *twice, "--detach", str(tree), commit, root=root)
    folder = _git_folder(tree)
    if folder is None:
        raise RunError(
            f"{FOLDER}/{name}: Git has made no worktree there; look at what it printed, and try again."
        )
    (folder / READY).touch()
    return tree


def edited(tree: Path, commit: str, root: Path) -> dict[str, str]:
    """Return a commit's files that are other or missing in its worktree, with the digest of what is there."""
    listed = git("ls-tree", "-r", "-z", "--full-tree", commit, root=root).split("\0")
    blobs = {}
    for line in filter(None, listed):
        facts, path = line.split("\t", 1)
        mode, kind, blob = facts.split()
        if kind == "blob" and mode != "120000":
            blobs[path] = blob
    there = [path for path in blobs if (tree / path).is_file() and "\n" not in path]
    done = subprocess.run(
        ["git", "hash-object", "--no-filters", "--stdin-paths"],
        input="".join(f"{(tree / path).absolute()}\n" for path in there),
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    now = dict(zip(there, done.stdout.split(), strict=True))
    return {path: now.get(path, "missing") for path, blob in blobs.items() if now.get(path) != blob}


def clean(tree: Path, chain: Mapping[str, dict]) -> None:
    """Remove what stages made in a worktree, their logs, and Snakemake's notes, to compute all anew."""
    for entry in (entry for stage in chain.values() for entry in stage.get("outs", [])):
        path = tree / entry["path"]
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    git("clean", "-ffdXq", "--", "results", "logs", ".snakemake", root=tree)  # what a pretraining made, too


def bring_inputs(entries: Mapping[str, dict], tree: Path, root: Path) -> None:
    """Have a run's raw data in its worktree: linked from the repository, or from DVC's cache or remote.

    Raises:
        RunError: they are not here, or they are not those that the run read.
    """
    for path, entry in entries.items():
        if lock.digest(tree / path) == entry.get("md5"):
            continue
        if git("ls-files", "--", path, root=tree):  # code, configuration: an edit shows when its stage drifts
            continue
        place = tree / path
        if place.is_symlink():
            place.unlink()
        if lock.digest(root / path) == entry.get("md5"):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to((root / path).resolve(), target_is_directory=(root / path).is_dir())
        elif (tree / f"{path}.dvc").is_file():
            _fetch(path, tree, root)
            _refuse_other(
                path, entry, place, "what DVC's cache holds is damaged: empty the cache, `dvc pull`"
            )
        elif (root / path).exists():
            _refuse_other(path, entry, root / path, "put the recorded files there")
        else:
            raise RunError(
                f"{path}: the run reads it, and neither DVC nor this clone has it; put it there, and try "
                "again."
            )


def _refuse_other(path: str, entry: Mapping[str, object], place: Path, cure: str) -> None:
    now = lock.digest(place)
    if now == entry.get("md5"):
        return
    count = f" ({entry['nfiles']} files then, {len(lock.files(place))} now)" if place.is_dir() else ""
    raise RunError(
        f"{path} is not what the run read: its digest was {entry.get('md5')} and is {now}{count}; {cure}, "
        "and try again."
    )


def _fetch(path: str, tree: Path, root: Path) -> None:
    """Have DVC write raw data into a worktree, from the repository's cache or its remote."""
    local = root / ".dvc" / "config.local"
    if local.is_file():  # what only this machine knows of its remotes
        (tree / ".dvc" / "config.local").write_bytes(local.read_bytes())
    share_cache(tree, root)
    remote = dvc("remote", "list", root=tree)
    dvc("pull" if remote else "checkout", "--force", f"{path}.dvc", root=tree)


def share_cache(tree: Path, root: Path) -> None:
    """Have DVC use the repository's cache in a worktree, by a link in it.

    DVC's settings hold no path with an umlaut, and a relative one leads elsewhere where .runs lies on another
    disk.
    """
    cache = root / dvc("cache", "dir", root=root)
    cache.mkdir(parents=True, exist_ok=True)
    link = tree / CACHE
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(cache.resolve(), target_is_directory=True)
    dvc("cache", "dir", "--local", CACHE, root=tree)


def _is_ready(tree: Path, commit: str, root: Path) -> bool:
    """Return whether a folder is this repository's worktree at a commit, wholly written out."""
    folder = _git_folder(tree)
    ready = folder is not None and _is_ours(tree, root) and (folder / READY).is_file()
    return ready and git("rev-parse", "HEAD", root=tree) == commit


def _is_ours(tree: Path, root: Path) -> bool:
    folder = _git_folder(tree)
    return folder is not None and folder.is_dir() and folder.parent == _worktrees(root)


def _git_folder(tree: Path) -> Path | None:
    """Return the folder that a worktree's file .git names, where Git keeps what is its own."""
    link = tree / ".git"
    if not link.is_file():
        return None
    return (tree / link.read_text().removeprefix("gitdir:").strip()).resolve()


def _worktrees(root: Path) -> Path:
    common = Path(git("rev-parse", "--git-common-dir", root=root))
    return (root / common).resolve() / "worktrees"


def _tie(tree: Path, root: Path) -> None:
    """Tie a worktree to its repository again, both moved or copied: each names the other's former place."""
    folder = _git_folder(tree)
    if folder is None or _is_ours(tree, root):
        return
    here = _worktrees(root) / folder.name
    if here.is_dir():
        (tree / ".git").write_text(f"gitdir: {here}\n")
        (here / "gitdir").write_text(f"{tree.absolute() / '.git'}\n")
