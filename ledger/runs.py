"""Recorded runs, by name: each is a commit that bears the tag run/NAME."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

from ledger import leaderboard
from ledger.commands import RunError, git

UNSHALLOW = "this clone is shallow: `git fetch --unshallow`, and try again"


def recorded(root: Path) -> dict[str, str]:
    """Return recorded runs by name: the tag of each or, in a clone with history but no tag, the commit."""
    tags = git("for-each-ref", "--format=%(refname:lstrip=2)", "refs/tags/run/", root=root).splitlines()
    return _in_history(root) | {tag.removeprefix("run/"): tag for tag in tags}


def find(name: str, root: Path) -> str:
    """Return the commit that records a run, which is the one that added its lines to the leaderboard.

    Its tag is asked first, then the history: a clone may have come without tags, and a tag may have been
    moved.

    Raises:
        RunError: there is no such run, or this clone lacks its commit; the sentence says how to get it.
    """
    need_repository(root)
    known, shallow = recorded(root), _is_shallow(root)
    tagged = known.get(name) == f"run/{name}"
    if tagged and _records(f"run/{name}", name, root):
        return git("rev-parse", f"run/{name}^{{commit}}", root=root)
    commit = _in_history(root).get(name)
    if commit and _records(commit, name, root):
        if tagged:
            print(
                f"the tag run/{name} is not on the commit that records it, {commit[:12]}, which is used here"
            )
        return commit
    if tagged:
        at = git("rev-parse", "--short=12", f"run/{name}^{{commit}}", root=root)
        cure = UNSHALLOW if shallow else f"remove it (`git tag -d run/{name}`) or fetch the right one"
        raise RunError(f"run {name}: its tag is on commit {at}, which records no run of that name; {cure}.")
    if name in {line["name"] for line in lines_at("HEAD", root)}:
        cure = (
            UNSHALLOW
            if shallow
            else "fetch the branch that it is on (`git fetch --all --tags`), and try again"
        )
        raise RunError(f"run {name}: the leaderboard lists it, but its commit is not in this clone; {cure}.")
    more = f" ({UNSHALLOW})" if shallow else ""
    raise RunError(f"run {name}: none is recorded; there are: {', '.join(sorted(known)) or 'none'}{more}.")


def refuse_shallow(root: Path) -> None:
    """Refuse a shallow clone that lacks commits of runs which the leaderboard lists.

    Raises:
        RunError: it is one; the sentence names these runs and says how to get them.
    """
    if not _is_shallow(root):
        return
    known = recorded(root)
    if lacking := sorted({line["name"] for line in lines_at("HEAD", root)} - known.keys()):
        raise RunError(
            f"runs {', '.join(lacking)}: the leaderboard lists them, but their commits are not in this "
            f"clone; {UNSHALLOW}."
        )


def refuse_known(name: str, root: Path) -> None:
    """Refuse a name that a run has: by tag, commit or, in a shallow clone too, a line of the leaderboard.

    Capitals make no other name: on disks that do not tell them apart, one tag would take the other's place.

    Raises:
        RunError: there is one.
    """
    for known, at in recorded(root).items():
        if known.lower() == name.lower():
            raise RunError(f"name {name}: there is a run {known} already (`git show {at}`); choose another.")
    for line in lines_at("HEAD", root):
        if line["name"].lower() == name.lower():
            raise RunError(
                f"name {name}: {leaderboard.FILE} has a run {line['name']} already; choose another."
            )


def unfinished(name: str, root: Path) -> bool:
    """Tell whether a recording was interrupted between tag and branch: it then only has to be joined."""
    tag = f"refs/tags/run/{name}"
    if not git("for-each-ref", tag, root=root) or name in {line["name"] for line in lines_at("HEAD", root)}:
        return False
    kept = git("for-each-ref", f"--contains={tag}", "refs/heads", "refs/remotes", root=root)
    base = subprocess.run(
        ["git", "merge-base", "--is-ancestor", f"{tag}^", "HEAD"], cwd=root, capture_output=True
    )
    return not kept and base.returncode == 0 and _records(tag, name, root)


def restore_tags(root: Path) -> None:
    """Tag every recorded run in the history of a clone that came without its tag."""
    missing = {f"run/{name}": commit for name, commit in recorded(root).items() if commit != f"run/{name}"}
    for tag, commit in missing.items():
        git("tag", "--no-sign", tag, commit, root=root)
        print(f"tagged anew, from the history: {tag}")


def lines_at(revision: str, root: Path) -> list[dict[str, Any]]:
    """Return the leaderboard's lines in a commit; none where it has no leaderboard."""
    if not git("ls-tree", "--name-only", revision, "--", leaderboard.FILE, root=root):
        return []
    return leaderboard.read(git("show", f"{revision}:{leaderboard.FILE}", root=root))


def need_repository(root: Path) -> None:
    """Raise a RunError if the folder is no Git repository itself, such as an archive unpacked in another."""
    if not (root / ".git").exists():
        raise RunError(
            f"{root} is not a Git clone, and runs are commits: `git clone` the repository, and work there."
        )


def _is_shallow(root: Path) -> bool:
    return git("rev-parse", "--is-shallow-repository", root=root) == "true"


def _in_history(root: Path) -> dict[str, str]:
    command = ("log", "--all", "--reverse", "--no-show-signature", "--format=%H %s", "--grep=^Record run ")
    found = (
        re.fullmatch(r"(\w+) Record run ([^:\s]+): .*", line)
        for line in git(*command, root=root).splitlines()
    )
    return {match[2]: match[1] for match in found if match}


def _records(revision: str, name: str, root: Path) -> bool:
    """Return whether a commit, unlike its parents, has lines of a run in its leaderboard."""
    parents = git("rev-parse", f"{revision}^{{commit}}^@", root=root).split()
    before, now = (
        {line["name"] for commit in commits for line in lines_at(commit, root)}
        for commits in (parents, [revision])
    )
    return name in now - before
