"""A recorded run's files sent to DVC's remote, from where another clone fetches them."""

from __future__ import annotations

import json
from pathlib import Path

from ledger import stages
from ledger.commands import RunError, dvc, run


def push(name: str, tree: Path, env: dict[str, str], root: Path) -> None:
    """Send a recorded run's files to DVC's remote, or say what keeps a clone from getting them.

    Args:
        name: Of the run.
        tree: A worktree that has the run's dvc.lock.
        env: Environment variables for DVC there.
        root: The repository.

    Raises:
        RunError: they did not all get there; the record stands.
    """
    for path in stages.raw_data(tree):
        if not (root / f"{path}.dvc").is_file():
            print(f"{path} is in no .dvc file, so that a clone cannot fetch it: dvc add {path}")
    if not dvc("remote", "list", root=tree):
        print(
            "no DVC remote is set, so the files are on this machine only: `dvc remote add --default store "
            f"<address>`, commit .dvc/config, and `python ledger push {name}` sends them"
        )
        return
    try:
        run("dvc", "push", root=tree, env=env)
    except (RunError, KeyboardInterrupt) as error:
        reason = str(error) or "it was interrupted."
        raise RunError(
            f"run {name} is recorded, but not all of its files are in the remote: `python ledger push "
            f"{name}` tries again, at the address that .dvc/config names then (`dvc remote modify <name> url "
            f"<address>` corrects it); {reason}"
        ) from None
    found = json.loads(dvc("status", "--cloud", "--json", root=tree, env=env) or "{}")
    if missing := sorted(path for path, state in found.items() if state in ("missing", "new")):
        raise RunError(
            f"run {name}: these files are not in the remote, and not all in DVC's cache here: "
            f"{', '.join(missing)}; call `python ledger push {name}` on the machine that recorded it."
        )
    print(
        "pushed to the DVC remote; `git pull --no-rebase && git push --follow-tags` shares the record itself"
    )
