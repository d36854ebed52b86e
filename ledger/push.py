"""Send a recorded run's files to DVC's remote again, such as after its address was corrected.

checks:   that the run is recorded.
changes:  the remote that .dvc/config names now, whichever it named when the run was recorded: `dvc push
          --all-tags` would send each run to the address of its own commit.
never:    a commit, a tag, a file of the repository.
"""

from __future__ import annotations

from pathlib import Path

from ledger import environments, remote, runs, workspace

PLACE = ".runs/.push"


def push(name: str, root: Path) -> None:
    """Send a recorded run's files to DVC's remote, or say that none is set.

    Args:
        name: Of the run.
        root: The repository.

    Raises:
        RunError: there is no such run, or its files did not all get there.
    """
    commit = runs.find(name, root)
    (root / PLACE).parent.mkdir(exist_ok=True)
    under_way = "another `push` is under way in this folder; wait for it."
    with (
        environments.locked(root / f"{PLACE}.lock", under_way),
        workspace.checked_out(root, commit, PLACE) as (tree, env),
    ):
        remote.push(name, tree, env, root)
