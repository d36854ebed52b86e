"""Set the tags run/NAME of recorded runs in a clone that came without them.

checks:   which commits of the history recorded a run.
changes:  the tags that are missing.
never:    a tag that is there, a commit, a file.
"""

from __future__ import annotations

from pathlib import Path

from ledger import runs


def tags(root: Path) -> None:
    """Tag every recorded run of the history, and list the runs there are.

    Raises:
        RunError: the clone is shallow and lacks some of the runs; those that it has are tagged.
    """
    runs.restore_tags(root)
    runs.refuse_shallow(root)
    print("runs: " + (", ".join(runs.recorded(root)) or "none recorded in this history"))
