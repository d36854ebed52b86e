"""A recorded run's files sent to DVC's remote, from where another clone fetches them."""

from __future__ import annotations

from pathlib import Path

from ledger import stages
from ledger.commands import RunError, dvc, run


def push(tree: Path, env: dict[str, str], root: Path) -> None:
    """Send a recorded run's files to DVC's remote, or say what keeps a clone from getting them."""
    for path in stages.raw_data(tree):
        if not (root / f"{path}.dvc").is_file():
            print(f"{path} is in no .dvc file, so that a clone cannot fetch it: dvc add {path}")
    if not dvc("remote", "list", root=tree):
        print(
            "no DVC remote is set, so the files are on this machine only: "
            "dvc remote add --default store <address>"
        )
        return
    send(root=tree, env=env)
    print(
        "pushed to the DVC remote; `git pull --no-rebase && git push --follow-tags` shares the record itself"
    )


def send(*given: str, root: Path, env: dict[str, str] | None = None) -> None:
    """Push files to DVC's remote.

    Args:
        given: More arguments for `dvc push`.
        root: The repository or a worktree of it.
        env: Environment variables, those of this process where None.

    Raises:
        RunError: they did not all get there; the record stands.
    """
    try:
        run("dvc", "push", *given, root=root, env=env)
    except (RunError, KeyboardInterrupt) as error:
        reason = str(error) or "it was interrupted."
        raise RunError(
            f"the run is recorded, but not in the remote: `dvc push --all-tags` tries again; {reason}"
        ) from None
