"""Commits made from given contents, whatever lies in the working folder: all of it happens, or nothing."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ledger.commands import RunError, git, write

UNDER_WAY = {
    "MERGE_HEAD": "a merge",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "BISECT_LOG": "a bisection",
}


def check(root: Path, message: str) -> None:
    """Try everything that a commit will need, before hours of computing.

    Raises:
        RunError: this is no clone, a merge or the like is under way, no branch is checked out, Git does not
            know who commits, cannot sign though it is told to, or a hook refuses.
    """
    top = git("rev-parse", "--show-toplevel", root=root)
    if not Path(top).samefile(root):
        raise RunError(
            f"{root} is no clone of its own but a folder of {top}; clone the repository, and record there."
        )
    for name, what in UNDER_WAY.items():
        if (root / git("rev-parse", "--git-path", name, root=root)).exists():
            raise RunError(f"{what} is under way; finish it (`git status` says how), and record again.")
    if not git("branch", "--show-current", root=root):
        raise RunError(
            "no branch is checked out, so that none would keep the run's lines; `git switch main` first."
        )
    commit(root, git("rev-parse", "HEAD^{tree}", root=root), ["HEAD"], message)  # nothing points to it
    _hooks(root, message, None)


def commit(root: Path, tree: str, parents: Sequence[str], message: str) -> str:
    """Make a commit to which nothing points yet, signed where commit.gpgSign says so, and return its name."""
    signed = git("config", "--type=bool", "--default=false", "--get", "commit.gpgSign", root=root) == "true"
    named = [word for parent in parents for word in ("-p", git("rev-parse", parent, root=root))]
    return git("commit-tree", *(["-S"] if signed else []), *named, "-m", message, tree, root=root)


def tree(root: Path, base: str, put: Mapping[str, bytes], drop: Sequence[str], message: str) -> str:
    """Return the tree of a commit with some files replaced and others left out, once the hooks have agreed.

    Args:
        root: The repository.
        base: The commit.
        put: Contents by path.
        drop: Paths to leave out.
        message: Of the commit to come, for the hooks.
    """
    with tempfile.TemporaryDirectory() as folder:
        index = {**os.environ, "GIT_INDEX_FILE": str(Path(folder) / "index")}
        git("read-tree", base, root=root, env=index)
        if drop:
            git("update-index", "--force-remove", "--", *drop, root=root, env=index)
        for path, content in put.items():
            entry = f"100644,{_blob(root, content)},{path}"
            git("update-index", "--add", "--cacheinfo", entry, root=root, env=index)
        _hooks(root, message, index)
        return git("write-tree", root=root, env=index)


def tag(root: Path, name: str, commit: str, message: str) -> None:
    """Set an annotated, unsigned tag, without asking for an editor or a key, whatever Git's settings say."""
    tagger = git("var", "GIT_COMMITTER_IDENT", root=root)
    text = f"object {commit}\ntype commit\ntag {name}\ntagger {tagger}\n\n{message}\n"
    git("update-ref", f"refs/tags/{name}", git("mktag", root=root, text=text), "", root=root)


def advance(root: Path, commit: str, put: Mapping[str, bytes], drop: Sequence[str], message: str) -> None:
    """Make a commit the branch's newest, and the working folder and index agree with it where it differs.

    Files are written through links, such as a results folder on another disk. All of it happens, or nothing:
    where Git refuses, such as beside another one that holds its index, files and index are as before.
    """
    before, paths = git("rev-parse", "HEAD", root=root), [*put, *drop]
    former = {path: (root / path).read_bytes() for path in paths if (root / path).is_file()}
    none = "".join(f"0 {'0' * len(before)}\t{path}\0" for path in paths)
    staged = git("ls-files", "--stage", "-z", "--", *paths, root=root) if paths else ""
    new = "".join(f"100644 {_blob(root, content)}\t{path}\0" for path, content in put.items())
    stage = ("update-index", "-z", "--index-info")  # all at once
    git(*stage, root=root, text=none + new)
    try:
        _write(root, put, drop)
        git("update-ref", "-m", message, "HEAD", commit, before, root=root)
    except BaseException:  # an interruption, too
        git(*stage, root=root, text=none + staged)
        _write(root, former, [path for path in paths if path not in former])
        raise
    subprocess.run(["git", "update-index", "-q", "--refresh"], cwd=root, check=False, capture_output=True)


def _write(root: Path, put: Mapping[str, bytes], drop: Sequence[str]) -> None:
    for path, content in put.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if not (root / path).is_file() or (root / path).read_bytes() != content:
            write(root / path, content)
    for path in drop:
        (root / path).unlink(missing_ok=True)


def changes(root: Path, own: Collection[str]) -> list[str]:
    """Return the files that are not as committed, new ones too, without those named `own`.

    Git calls tracked files deleted that lie behind a link, such as a results folder on another disk: they are
    compared. So are those that it was told to take for unchanged (`git update-index --skip-worktree` or
    `--assume-unchanged`).
    """
    listed = git("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", root=root)
    found = [entry[3:] for entry in listed.split("\0") if entry]
    flagged = (entry for entry in git("ls-files", "-v", "-z", root=root).split("\0") if entry)
    unasked = [
        path for flag, path in (entry.split(" ", 1) for entry in flagged) if flag.islower() or flag == "S"
    ]
    found += [path for path in unasked if (root / path).is_file() and not _as_committed(path, root)]
    return [path for path in found if path not in own and not _same_behind_a_link(path, root)]


def _as_committed(path: str, root: Path) -> bool:
    return git("hash-object", "--", path, root=root) == git("rev-parse", f"HEAD:{path}", root=root)


def put_back(root: Path, paths: Sequence[str]) -> None:
    """Put tracked files back where a run wrote others, dated 1970: Snakemake computes them when wanted."""
    for path in paths:
        content = show(root, "HEAD", path)
        if content is not None and not ((root / path).is_file() and (root / path).read_bytes() == content):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            write(root / path, content)
            os.utime(root / path, (1, 1))
    subprocess.run(["git", "update-index", "-q", "--refresh"], cwd=root, check=False, capture_output=True)


def _same_behind_a_link(path: str, root: Path) -> bool:
    place = root / path
    linked = any((root / parent).is_symlink() for parent in list(Path(path).parents)[:-1])
    return linked and place.is_file() and place.read_bytes() == show(root, "HEAD", path)


def show(root: Path, commit: str, path: str) -> bytes | None:
    """Return a file's content in a commit, nothing where it has none."""
    done = subprocess.run(["git", "show", f"{commit}:{path}"], cwd=root, check=False, capture_output=True)
    return None if done.returncode else done.stdout


def _blob(root: Path, content: bytes) -> str:
    done = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=root, input=content, capture_output=True
    )
    if done.returncode:
        raise RunError(f"Git could not keep a file: {done.stderr.decode().strip()}")
    return done.stdout.decode().strip()


def _hooks(root: Path, message: str, index: Mapping[str, str] | None) -> None:
    """Ask the hooks that `git commit` would ask; with an index, about what it holds.

    Raises:
        RunError: one refused; what it said is told.
    """
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "COMMIT_EDITMSG"
        text.write_text(message + "\n")
        for name, arguments in (("pre-commit", []), ("commit-msg", [str(text)])):
            hook = root / git("rev-parse", "--git-path", f"hooks/{name}", root=root)
            if not os.access(hook, os.X_OK) or not hook.is_file():
                continue
            env = {**(index or os.environ), "GIT_EDITOR": ":"}
            done = _called(hook, arguments, root, env)
            if done.returncode:
                said = " ".join(f"{done.stdout} {done.stderr}".split())
                raise RunError(f"the hook {name} refuses the commit: {said or 'it says nothing'}.")


def _called(
    hook: Path, arguments: Sequence[str], root: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Call a hook; as Git does, by the shell where its first line names no program."""
    for command in ([hook], ["sh", hook]):
        try:
            return subprocess.run(
                [*command, *arguments],
                cwd=root,
                env=env,
                check=False,
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
            )
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise RunError(
                    f"the hook {hook} cannot be called ({error.strerror}); mend or remove it."
                ) from error
    raise RunError(f"the hook {hook} cannot be called; mend or remove it.")
