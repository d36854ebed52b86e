"""Have Snakemake find the files of a checkout up to date, once DVC has vouched for every one of them.

After `dvc pull` or `dvc checkout` the files are the recorded ones but Snakemake, which goes by dates and by
its own notes, would compute them again.

checks:   the hash of every file that dvc.lock lists; each is read anew, whatever DVC remembers of its date.
changes:  when all are equal, and only then, the dates of these files and Snakemake's notes of them; and it
          sets the tags run/NAME of recorded runs that came without them.
never:    computes, changes or removes a result; touches the notes of files that dvc.lock does not list, such
          as those of other data sets.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ledger import provenance, runs, stages
from ledger.commands import TARGETS, RunError, run

TOUCH = ("--touch", "--forceall", "--cores", "1", "--quiet", "rules", "progress")


def sync(root: Path) -> None:
    """Compare every recorded file with its hash, then have Snakemake call them up to date.

    Raises:
        RunError: a file is not the recorded one; all are named, and nothing is changed. Or Snakemake could
            not do it, such as while another one is at work here.
    """
    with tempfile.TemporaryDirectory() as state:  # where DVC remembers no hash, it reads the file
        differing = stages.unrecorded(root, {**os.environ, "DVC_SITE_CACHE_DIR": state})
    if differing and all(
        line.startswith("not in cache: ") or line.endswith("(not in cache)") for line in differing
    ):
        raise RunError(
            *differing,
            "the files here are those of dvc.lock, but DVC's cache lacks them or holds damaged copies: `dvc "
            "commit --force` puts them there from here; do not check out before, which would remove them.",
        )
    if differing:
        cure = "remove them, and `dvc pull` brings the recorded ones, `snakemake` computes them again"
        raise RunError(*differing, f"the files are not those of dvc.lock: {cure}.")
    listed = stages.outputs((root / "dvc.lock").read_bytes())
    made = provenance.results(root)
    provenance.refuse_locked(made, root)
    with provenance.kept([path for path in made if not stages.within(path, listed)], root):
        run("snakemake", *TOUCH, "--", *TARGETS, root=root, env=provenance.plain())
    if left := provenance.pending(root):
        raise RunError(f"the files are the recorded ones, but Snakemake would still run: {', '.join(left)}.")
    runs.restore_tags(root)
    print("hashes equal, nothing computed: every file is the recorded one, and Snakemake has nothing to do")
