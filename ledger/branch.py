"""What a recorded run changes of the branch: its next commit, or the run's lines of the leaderboard alone."""

from __future__ import annotations

from pathlib import Path

import yaml

from ledger import commits, configuration, environment, leaderboard, push, wholeness
from ledger.commands import RunError, git


def join(name: str, root: Path) -> None:
    """Bring a tagged run onto the branch: as next commit or, of another configuration, by its lines alone."""
    commit = git("rev-parse", f"run/{name}^{{commit}}", root=root)
    head, parent = git("rev-parse", "HEAD", root=root), git("rev-parse", f"{commit}^", root=root)
    own = commits.show(root, commit, configuration.FILE) == commits.show(root, head, configuration.FILE)
    if own and head == parent:
        changed = git("diff", "--name-only", "--no-renames", "-z", head, commit, root=root)
        listed = changed.strip("\0").split("\0")
        put = {path: content for path in listed if (content := commits.show(root, commit, path)) is not None}
        commits.advance(root, commit, put, [path for path in listed if path not in put], f"record run {name}")
    else:
        now = (commits.show(root, head, leaderboard.FILE) or b"").decode()
        lines = leaderboard.of(name, (commits.show(root, commit, leaderboard.FILE) or b"").decode())
        text = leaderboard.appended(now, lines).encode()
        message = f"Add run {name} to the leaderboard\n\nThe rest of run/{name} stays with that commit."
        tree = commits.tree(root, head, {leaderboard.FILE: text}, [], message)
        joined = commits.commit(root, tree, [head, commit], message)
        commits.advance(root, joined, {leaderboard.FILE: text}, [], f"add run {name} to the leaderboard")
        commits.put_back(root, written(root))
    git("reset", "--quiet", "--", *written(root), root=root)  # former metrics may have been staged
    scores = git("tag", "--list", "--format=%(contents:subject)", f"run/{name}", root=root)
    proof = "every result was computed for that commit, or equals a recorded run's of the same inputs"
    print(f"recorded as run/{name}, {scores}: {proof}")


def finish(name: str, config: Path | None, root: Path) -> None:
    """Bring a run onto the branch whose recording was interrupted after its tag, and send its files.

    Raises:
        RunError: the tag is of another commit's code or another configuration than what is asked for now,
            such as after the branch was set back to record anew.
    """
    asked = configuration.resolve(config, name, root).values
    ran = yaml.safe_load(commits.show(root, f"run/{name}", configuration.FILE) or b"")
    parent = git("rev-parse", f"run/{name}^{{commit}}^", root=root)
    if git("rev-parse", "HEAD", root=root) != parent or ran != asked:
        raise RunError(
            f"name {name}: the tag run/{name} is on no branch, and of other code or another configuration "
            f"than asked for; choose another name, or forget that run (`git tag -d run/{name}`) and record "
            "again."
        )
    own = {*written(root), *wholeness.beside(asked, root)}
    theirs = [path for path in commits.changes(root, own) if not _is_of(path, f"run/{name}", root)]
    if theirs:
        raise RunError(
            f"these files are not committed: {', '.join(theirs)}; put them aside (`git stash`), record "
            "again, and bring them back (`git stash pop`)."
        )
    print(
        f"run/{name} was recorded from this commit and configuration, and is brought onto the branch; "
        "nothing computed"
    )
    join(name, root)
    push.push(name, root)


def written(root: Path) -> list[str]:
    """Return the files that record writes, whatever they hold: the lock, the environment, tracked metrics."""
    tracked = git("ls-tree", "-r", "-z", "--name-only", "HEAD", "--", "results", root=root)
    metrics = tracked.strip("\0").split("\0")
    return ["dvc.lock", environment.FILE, *(path for path in metrics if path.split("/")[2:3] == ["evaluate"])]


def _is_of(path: str, revision: str, root: Path) -> bool:
    return (root / path).is_file() and (root / path).read_bytes() == commits.show(root, revision, path)
