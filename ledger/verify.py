"""Compare the hashes of a recorded run's files, without computing anything.

It checks that every file that the run's commit speaks of is whole where it is kept: DVC's cache on this
machine for what DVC keeps, the commit itself for what Git keeps; and that the leaderboard's lines, in the
run's commit and in the newest one, are those of these files.

It changes nothing, brings nothing from a remote, and never looks at the files of the checkout (`make sync`
does that). Whether the commit's code still gives these files, only `make reproduce` can tell.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ledger import lock, runs
from ledger.commands import dvc

SHOWN = 10
"""How many files of a kind are named."""

BY_HAND = ("public", "private")
"""The leaderboard's columns that are filled in after the run."""


def verify(name: str, root: Path) -> bool:
    """Compare the files of a recorded run, as they are kept, with their recorded hashes.

    Args:
        name: Of the run.
        root: The repository.

    Returns:
        Whether all of them are here, and whole.

    Raises:
        RunError: there is no such run.
    """
    commit = runs.find(name, root)
    chain = lock.stages(commit, root)
    cache = Path(dvc("cache", "dir", root=root)) / "files" / "md5"
    missing, damaged, n_files = [], [], 0
    for stage, entry in chain.items():
        for path, md5, content in _kept(entry, commit, root, cache):
            n_files += 1
            if content is None:
                missing.append(f"{path} (stage {stage})")
            elif content != md5:
                damaged.append(f"{path} (stage {stage}): recorded {md5}, kept {content}")
    wrong = [] if missing or damaged else _wrong_lines(name, commit, chain, root, cache)
    wrong += _altered_lines(name, commit, root)
    for sentence in (*damaged[:SHOWN], *wrong):
        print(sentence)
    if damaged:
        cure = (
            "remove them from DVC's cache, and `dvc fetch --all-commits` brings them again from a remote "
            "that has them"
        )
        print(f"run {name}: {len(damaged)} of {n_files} files are damaged, nothing computed; {cure}")
    elif missing:
        print(f"not here: {', '.join(missing[:SHOWN])}{', …' if len(missing) > SHOWN else ''}")
        print(
            f"run {name}: {len(missing)} of {n_files} files are not on this machine, so that their hashes "
            f"cannot be compared: `dvc fetch --all-commits` brings them, or `make reproduce RUN={name}` "
            "computes them"
        )
    elif wrong:
        print(
            f"run {name}: the files are whole, but the leaderboard's lines are not theirs; nothing computed"
        )
    else:
        print(f"run {name}: hashes equal, nothing computed: {n_files} files of {len(chain)} stages")
    return not (missing or damaged or wrong)


def _kept(
    entry: Mapping[str, Any], commit: str, root: Path, cache: Path
) -> Iterator[tuple[str, str, str | None]]:
    """Yield path, recorded hash and hash of the kept bytes (None: not here) of each file a stage made."""
    for out in entry.get("outs", []):
        path, md5 = out["path"], out["md5"]
        if (blob := _blob(commit, path, root)) is not None:
            yield path, md5, hashlib.md5(blob).hexdigest()
            continue
        listing = _object(cache, md5)
        yield path, md5.removesuffix(".dir"), lock.file_digest(listing) if listing.is_file() else None
        for part in _listed(cache, md5):
            place = _object(cache, part["md5"])
            now = lock.file_digest(place) if place.is_file() else None
            yield f"{path}/{part['relpath']}", part["md5"], now


def _wrong_lines(name: str, commit: str, chain: Mapping[str, dict], root: Path, cache: Path) -> list[str]:
    """Return a sentence for each line of the leaderboard that is not what the run's own files say."""
    files = {}
    for out in (out for entry in chain.values() for out in entry.get("outs", [])):
        files[out["path"]] = out["md5"]
        files |= {f"{out['path']}/{part['relpath']}": part["md5"] for part in _listed(cache, out["md5"])}
    wrong = []
    for line in (line for line in runs.lines_at(commit, root) if line["name"] == name):
        dataset, ensemble = line["dataset"], line["ensemble"]
        score = json.loads(_blob(commit, f"results/{dataset}/evaluate/{ensemble}.json", root) or "{}").get(
            "map"
        )
        if score is None or float(line["map"]) != score:
            wrong.append(f"{ensemble}: the leaderboard says map {line['map']}, its evaluation {score}")
        submission = files.get(f"results/{dataset}/submit/{ensemble}.csv", "")
        place = _object(cache, submission)
        if not place.is_file() or hashlib.sha256(place.read_bytes()).hexdigest() != line["submission"]:
            wrong.append(f"{ensemble}: the submission is not the one whose SHA-256 the leaderboard keeps")
    return wrong


def _altered_lines(name: str, commit: str, root: Path) -> list[str]:
    """Return a sentence for each line of a run that the leaderboard of now gives otherwise than its commit.

    Kaggle's scores are filled in by hand, and a cell type that a later run met adds an empty column.
    """
    then, now = (
        {line["ensemble"]: line for line in runs.lines_at(revision, root) if line["name"] == name}
        for revision in (commit, "HEAD")
    )
    sentences = [
        f"{each}: the leaderboard of now has this line, and the run's commit has not"
        for each in now
        if each not in then
    ]
    for ensemble in (each for each in now if each in then):
        before, after = then[ensemble], now[ensemble]
        keys = [key for key in {**before, **after} if key not in BY_HAND]
        sentences += [
            f"{ensemble}: the leaderboard of now says {key} {after.get(key)}, the run's commit "
            f"{before.get(key)}"
            for key in keys
            if (after.get(key) or "") != (before.get(key) or "")
        ]
    return sentences


def _listed(cache: Path, md5: str) -> list[dict[str, str]]:
    """Return the files that a folder's object lists; none if it is no folder's, not here, or unreadable."""
    place = _object(cache, md5)
    if not md5.endswith(".dir") or not place.is_file():
        return []
    try:
        return json.loads(place.read_bytes())
    except ValueError:
        return []


def _object(cache: Path, md5: str) -> Path:
    return cache / md5[:2] / md5[2:]


def _blob(commit: str, path: str, root: Path) -> bytes | None:
    """Return the bytes of a file in a commit; None where it has none."""
    command = ["git", "cat-file", "blob", f"{commit}:{path}"]
    done = subprocess.run(command, cwd=root, check=False, capture_output=True)
    return done.stdout if done.returncode == 0 else None
