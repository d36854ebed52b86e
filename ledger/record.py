"""Run the chain, and record the run as a tagged commit and as lines of the leaderboard.

checks:   before anything runs: that every file is committed (code and settings that Git ignores, too; not
          images of your own in the clone that the run does not read), that no folder is a link within one
          that DVC records whole, the name is free, Git can commit (who, signature, hooks), and that the
          arguments for Snakemake change nothing of what is computed. After the run: that nothing is left to
          compute for exactly this commit and configuration, that no result was altered or put back since its
          job wrote it, and that results which were only called up to date, by --touch or `make sync`, are
          those that a recorded run had from the same inputs.
changes:  results/, logs/ and data/demo, by running the chain; DVC's cache, and its remote where one is set;
          in Git, a commit with the tag run/NAME, and the branch. A run of configs/pipeline.yaml is the
          branch's next commit. With --config, the run's commit stands beside the branch: its
          configs/pipeline.yaml, dvc.lock and metrics are the run's own, and the branch takes over the lines
          of the leaderboard and nothing else.
never:    touches another run, configs/pipeline.yaml of the branch, or a file that you have not committed;
          when anything fails, no commit, tag or line is left, and what was computed is found up to date by
          the next call.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ledger import (
    arguments,
    branch,
    commits,
    configuration,
    environment,
    leaderboard,
    provenance,
    remote,
    runs,
    stages,
    wholeness,
    workspace,
)
from ledger.commands import TARGETS, RunError, git, run, write
from ledger.configuration import Configuration

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9_-])?")
GIVEN = ".runs/.record.yaml"
"""The configuration of the run under way, for Snakemake and its jobs on a cluster."""


def record(name: str, config: Path | None, snakemake: Sequence[str], root: Path) -> None:
    """Run the chain, record every stage's files with DVC, and make the run's commit, tag and lines.

    Args:
        name: Of the run; its tag is run/NAME.
        config: A file of the keys in which the run differs from configs/pipeline.yaml, if it does.
        snakemake: More arguments for Snakemake, such as `--profile profiles/slurm`: how the chain is run.
        root: The repository.

    Raises:
        RunError: the run cannot be recorded, or not truly. Git is as before then.
    """
    if not NAME.fullmatch(name) or ".." in name or name.endswith(".lock"):
        raise RunError(
            f"name {name!r}: use letters, digits, '.', '_' and '-', and begin with a letter or digit."
        )
    with _alone(root):
        if runs.unfinished(name, root):
            branch.finish(name, config, root)
            return
        runs.refuse_known(name, root)
        repeat = arguments.check(snakemake, root)
        commits.check(root, f"Record run {name}")
        asked = configuration.resolve(config, name, root)
        wholeness.refuse_uncommitted(_changed(asked, root), root)
        wholeness.refuse_ignored(asked.values, root)
        environment.now()  # a package that cannot be named is refused before the run, not after it
        parent = git("rev-parse", "HEAD", root=root)
        made = _compute(asked, snakemake, repeat, root)
        if git("rev-parse", "HEAD", root=root) != parent:
            raise RunError("another commit was checked out or made while the chain ran; record again.")
        if changed := _changed(asked, root):
            raise RunError(
                f"edited while the chain ran: {', '.join(changed)}; restore or commit, and record again."
            )
        metrics = [path for path in made if path.startswith(f"results/{asked.values['dataset']}/evaluate/")]
        with workspace.recorded(root, parent, asked.text, asked.values["dataset"], metrics) as (tree, env):
            lock = (tree / "dvc.lock").read_bytes()
            _refuse_unproved(made, lock, root)
            _commit(name, asked, parent, lock, metrics, root)
            try:
                branch.join(name, root)
            except RunError:
                if name not in {line["name"] for line in runs.lines_at("HEAD", root)}:
                    git("update-ref", "-d", f"refs/tags/run/{name}", root=root)
                raise
            remote.push(name, tree, env, root)


def _changed(asked: Configuration, root: Path) -> list[str]:
    return commits.changes(root, {*branch.written(root), *wholeness.beside(asked.values, root)})


def _compute(asked: Configuration, snakemake: Sequence[str], repeat: Sequence[str], root: Path) -> list[str]:
    """Run the chain until nothing is left to compute, and return the paths of all results.

    Metrics that Git put back, or that another run left, are computed again.
    """
    flags = []
    if asked.text is not None:
        write(root / GIVEN, asked.text)
        flags = ["--configfile", GIVEN]
    made, results = provenance.results(root, flags), f"results/{asked.values['dataset']}"
    provenance.refuse_locked(made, root)
    wholeness.refuse_links(root / "data" / asked.values["dataset"], root / results, root)
    found = stages.strays(root / results, made, root)
    if others := [path for path in found if not path.startswith(f"{results}/evaluate/")]:
        raise RunError(
            f"DVC records whole folders, and these files are of another run: remove {', '.join(others)}."
        )
    stale = provenance.altered([path for path in made if path.startswith(f"{results}/evaluate/")], root)
    run(
        "snakemake", *snakemake, *flags, *(["--forcerun", *stale] if stale else []), "--", *TARGETS, root=root
    )
    if left := provenance.pending(root, [*repeat, *flags]):
        raise RunError(
            f"the run is not complete, so that nothing is recorded; left to compute: {', '.join(left)}."
        )
    if altered := provenance.altered(made, root):
        raise RunError(
            f"changed after their jobs had written them: {', '.join(altered)}; remove them, and "
            "`dvc checkout && make sync` brings back recorded ones, `snakemake` computes them again."
        )
    return made


def _refuse_unproved(made: Sequence[str], lock: bytes, root: Path) -> None:
    """Refuse results only called up to date, unless a recorded run had them from the same inputs."""
    recorded = (commits.show(root, commit, "dvc.lock") for commit in ("HEAD", *runs.recorded(root).values()))
    vouched = stages.vouched(lock, [text for text in recorded if text])
    doubtful = [
        path
        for path in provenance.touched(made, root)
        if stages.within(path, stages.outputs(lock)) and not stages.within(path, vouched)
    ]
    if doubtful:
        raise RunError(
            f"called up to date by --touch, and of no recorded run: {', '.join(doubtful)}; "
            "`snakemake --forcerun` with these names computes them."
        )


def _commit(
    name: str, asked: Configuration, parent: str, lock: bytes, metrics: Sequence[str], root: Path
) -> None:
    """Make the run's commit and its tag; neither the branch nor the working folder is touched."""
    lines = [
        leaderboard.line(root, name, parent[:12], asked.values, each) for each in asked.values["ensembles"]
    ]
    before = (commits.show(root, parent, leaderboard.FILE) or b"").decode()
    put = {
        "dvc.lock": lock,
        leaderboard.FILE: leaderboard.appended(before, lines).encode(),
        environment.FILE: environment.text().encode(),
        **({configuration.FILE: asked.text} if asked.text is not None else {}),
        **{path: (root / path).read_bytes() for path in metrics},
    }
    drop = [path for path in branch.written(root) if path.startswith("results/") and path not in put]
    scores = ", ".join(f"{line['ensemble']} {float(line['map']):.4f}" for line in lines)
    best = max(lines, key=lambda line: float(line["map"]))
    message = f"Record run {name}: map {float(best['map']):.4f} ({best['ensemble']})\n\n{scores}"
    tree = commits.tree(root, parent, put, drop, message)
    commits.tag(root, f"run/{name}", commits.commit(root, tree, [parent], message), f"map {scores}")


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Keep a second recording out of the same folder.

    Raises:
        RunError: one is under way.
    """
    place = root / ".runs" / ".lock"
    place.parent.mkdir(exist_ok=True)
    with place.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError("another `record` is under way in this folder; wait for it.") from None
        yield
