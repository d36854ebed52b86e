"""Run the chain, and record the run as a tagged commit and as lines of the leaderboard.

checks:   before anything runs: that every file is committed (code and settings that Git ignores, too), that
          no folder is a link within one that DVC records whole, the name is free, Git can commit (who,
          signature, hooks), and that the arguments for Snakemake change nothing of what is computed. After
          the run: that nothing is left to compute for exactly this commit and configuration, that no result
          was altered or put back since its job wrote it, and that results which were only called up to date,
          by --touch or `make sync`, are those that a recorded run had from the same inputs.
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

import yaml

from ledger import (
    arguments,
    commits,
    configuration,
    environment,
    leaderboard,
    provenance,
    runs,
    stages,
    wholeness,
    workspace,
)
from ledger.commands import TARGETS, RunError, dvc, git, run, write
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
            _finish(name, config, root)
            return
        runs.refuse_known(name, root)
        repeat = arguments.check(snakemake, root)
        commits.check(root, f"Record run {name}")
        asked = configuration.resolve(config, name, root)
        if changed := commits.changes(root, _own(root)):
            raise RunError(
                f"these files are not committed: {', '.join(changed)}; commit or stash them: a run is a "
                "commit."
            )
        wholeness.refuse_ignored(asked.values, root)
        parent = git("rev-parse", "HEAD", root=root)
        made = _compute(asked, snakemake, repeat, root)
        if git("rev-parse", "HEAD", root=root) != parent:
            raise RunError("another commit was checked out or made while the chain ran; record again.")
        if changed := commits.changes(root, _own(root)):
            raise RunError(
                f"edited while the chain ran: {', '.join(changed)}; restore or commit, and record again."
            )
        metrics = [path for path in made if path.startswith(f"results/{asked.values['dataset']}/evaluate/")]
        with workspace.recorded(root, parent, asked.text, asked.values["dataset"], metrics) as (tree, env):
            lock = (tree / "dvc.lock").read_bytes()
            _refuse_unproved(made, lock, root)
            _commit(name, asked, parent, lock, metrics, root)
            try:
                _join(name, root)
            except RunError:
                if name not in {line["name"] for line in runs.lines_at("HEAD", root)}:
                    git("update-ref", "-d", f"refs/tags/run/{name}", root=root)
                raise
            _push(tree, env, root)


def _compute(asked: Configuration, snakemake: Sequence[str], repeat: Sequence[str], root: Path) -> list[str]:
    """Run the chain until nothing is left to compute, and return the paths of all results.

    Metrics that Git put back, or that another run left, are computed again.
    """
    flags = []
    if asked.text is not None:
        write(root / GIVEN, asked.text)
        flags = ["--configfile", GIVEN]
    made, results = provenance.results(root, flags), f"results/{asked.values['dataset']}"
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
    drop = [path for path in _own(root) if path.startswith("results/") and path not in put]
    scores = ", ".join(f"{line['ensemble']} {float(line['map']):.4f}" for line in lines)
    best = max(lines, key=lambda line: float(line["map"]))
    message = f"Record run {name}: map {float(best['map']):.4f} ({best['ensemble']})\n\n{scores}"
    tree = commits.tree(root, parent, put, drop, message)
    commits.tag(root, f"run/{name}", commits.commit(root, tree, [parent], message), f"map {scores}")


def _join(name: str, root: Path) -> None:
    """Bring a tagged run onto the branch: as next commit or, of another configuration, by its lines alone."""
    commit = git("rev-parse", f"run/{name}^{{commit}}", root=root)
    head, parent = git("rev-parse", "HEAD", root=root), git("rev-parse", f"{commit}^", root=root)
    own = commits.show(root, commit, configuration.FILE) == commits.show(root, head, configuration.FILE)
    if own and head == parent:
        listed = (
            git("diff", "--name-only", "--no-renames", "-z", head, commit, root=root).strip("\0").split("\0")
        )
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
        commits.put_back(root, _own(root))
    git("reset", "--quiet", "--", *_own(root), root=root)  # former metrics may have been staged
    scores = git("tag", "--list", "--format=%(contents:subject)", f"run/{name}", root=root)
    proof = "every result was computed for that commit, or equals a recorded run's of the same inputs"
    print(f"recorded as run/{name}, {scores}: {proof}")


def _finish(name: str, config: Path | None, root: Path) -> None:
    """Bring a run onto the branch whose recording was interrupted after its tag, and send its files.

    Raises:
        RunError: the tag is of another commit's code or another configuration than what is asked for now,
            such as after the branch was set back to record anew.
    """
    asked = configuration.resolve(config, name, root).values
    ran = yaml.safe_load(commits.show(root, f"run/{name}", configuration.FILE) or b"")
    if (
        git("rev-parse", "HEAD", root=root) != git("rev-parse", f"run/{name}^{{commit}}^", root=root)
        or ran != asked
    ):
        raise RunError(
            f"name {name}: the tag run/{name} is on no branch, and of other code or another configuration "
            "than "
            f"asked for; choose another name, or forget that run (`git tag -d run/{name}`) and record again."
        )
    theirs = [path for path in commits.changes(root, _own(root)) if not _is_of(path, f"run/{name}", root)]
    if theirs:
        raise RunError(
            f"these files are not committed: {', '.join(theirs)}; put them aside (`git stash`), record "
            "again, and "
            "bring them back (`git stash pop`)."
        )
    print(
        f"run/{name} was recorded from this commit and configuration, and is brought onto the branch; "
        "nothing computed"
    )
    _join(name, root)
    if dvc("remote", "list", root=root):
        _send("--all-tags", root=root)


def _is_of(path: str, revision: str, root: Path) -> bool:
    return (root / path).is_file() and (root / path).read_bytes() == commits.show(root, revision, path)


def _push(tree: Path, env: dict[str, str], root: Path) -> None:
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
    _send(root=tree, env=env)
    print(
        "pushed to the DVC remote; `git pull --no-rebase && git push --follow-tags` shares the record itself"
    )


def _send(*given: str, root: Path, env: dict[str, str] | None = None) -> None:
    try:
        run("dvc", "push", *given, root=root, env=env)
    except (RunError, KeyboardInterrupt) as error:
        reason = str(error) or "it was interrupted."
        raise RunError(
            f"the run is recorded, but not in the remote: `dvc push --all-tags` tries again; {reason}"
        ) from None


def _own(root: Path) -> list[str]:
    """Return the files that record writes, whatever they hold: the lock, the environment, tracked metrics."""
    metrics = (
        git("ls-tree", "-r", "-z", "--name-only", "HEAD", "--", "results", root=root).strip("\0").split("\0")
    )
    return ["dvc.lock", environment.FILE, *(path for path in metrics if path.split("/")[2:3] == ["evaluate"])]


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
