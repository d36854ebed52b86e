"""Whether a run's commit and DVC's record can hold all of the run: code, settings, data and results."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import yaml

from ledger.commands import RunError, git

REMOTES = ".dvc/config"
"""Where DVC keeps the addresses of remotes that clones are to know."""

READ = (".py", ".smk", ".so", ".yaml", ".yml", ".pth", ".pt", ".ckpt", ".pkl")
"""Endings of code, settings and weights, which a run may read wherever they lie."""

NAMED = 5
"""Files that a refusal names; of more it says how many."""


def refuse_uncommitted(changed: Sequence[str], root: Path) -> None:
    """Refuse files that are not as committed.

    Raises:
        RunError: there are some; of each kind it says what to do.
    """
    others = set(_new(root))
    edited = [path for path in changed if path not in others and path != REMOTES]
    new = [path for path in changed if path in others]
    sentences = []
    if edited:
        sentences.append(
            f"these files are not committed: {_some(edited)}; commit or stash them: a run is a commit."
        )
    if new:
        sentences.append(
            f"these files are new to Git: {_some(new)}; `git add` and commit what the run needs, and move "
            "the rest out of the clone or list it in .git/info/exclude."
        )
    if REMOTES in changed:
        sentences.append(
            f"{REMOTES} is not committed, so that clones would not know its remote; "
            f'`git commit --message "Name the remote" {REMOTES}` does it.'
        )
    if sentences:
        raise RunError(*sentences)


def beside(values: object, root: Path) -> list[str]:
    """Return the new files that no run reads, such as images of your own that lie in the clone.

    They lie in a folder right in the clone that holds nothing of the commit and to which neither the run's
    configuration nor a dataset file leads, and are neither code nor settings nor weights. Of the dataset
    files that `make predict` writes, the run's own alone counts.
    """
    own = set(git("ls-tree", "--name-only", "-z", "HEAD", root=root).split("\0"))
    own |= {place.parts[0] for place in _places(values, root) if place.parts}
    return [
        path
        for path in _new(root)
        if "/" in path
        and not path.startswith(".")
        and path.split("/")[0] not in own
        and not path.lower().endswith(READ)
    ]


def _new(root: Path) -> list[str]:
    return git("ls-files", "--others", "--exclude-standard", "-z", root=root).split("\0")


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return ", ".join(paths[:NAMED]) + more


def _places(values: object, root: Path) -> Iterator[Path]:
    """Yield, from the clone, all places in it that the configuration and the dataset files may name."""
    dataset = values.get("dataset") if isinstance(values, dict) else None
    folder, contents = root / "configs" / "datasets", [values]
    for file in (*folder.glob("*.yaml"), folder / "own" / f"{dataset}.yaml"):
        with suppress(OSError, ValueError, yaml.YAMLError):  # Snakemake refuses it where it is read
            contents.append(yaml.safe_load(file.read_text(encoding="utf-8")))
    for content in contents:
        start = content.get("root") if isinstance(content, dict) else None
        for text in _texts(content):
            for base in (root, _within(root, str(start or "."))):
                place = Path(os.path.relpath(_within(base, text), root))
                if place.parts[:1] != ("..",):
                    yield place


def _within(base: Path, text: str) -> Path:
    return base / os.path.expanduser(text)  # noqa: PTH111 - Path's refuses a user that is not there


def _texts(content: object) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict | list):
        for each in content.values() if isinstance(content, dict) else content:
            yield from _texts(each)


def refuse_ignored(values: object, root: Path) -> None:
    """Refuse code and settings that Git ignores, for the run may read them, and its commit would lack them.

    Of the dataset files that `make predict` writes, which Git is meant to ignore, the run's own alone counts.

    Raises:
        RunError: there are some.
    """
    dataset = values.get("dataset") if isinstance(values, dict) else None
    listed = git(
        *("ls-files", "--others", "--ignored", "--exclude-standard", "-z"),
        *("--", "configs", "studies", "scripts", "workflow", "Snakefile"),
        root=root,
    )
    found = [
        path
        for path in map(Path, filter(None, listed.split("\0")))
        if path.suffix in (".py", ".smk", ".yaml")
    ]
    if lacking := [str(path) for path in found if path.parent.name != "own" or path.stem == dataset]:
        raise RunError(
            f"Git ignores these files, so that the run's commit would lack them: {', '.join(lacking)}; add "
            "them (`git add --force`) and commit, or remove them."
        )


def refuse_links(data: Path, results: Path, root: Path) -> None:
    """Refuse links to folders within those that DVC records whole: the record would lack their files.

    Raises:
        RunError: there are some.
    """
    recorded = [data, *(sorted(results.iterdir()) if results.is_dir() else [])]
    found = [path for folder in recorded for path in links(folder, root)]
    if found:
        raise RunError(
            f"{', '.join(found)}: DVC follows no link to a folder within one that it records; move the files "
            "there, or make the outermost folder the link (data, results, or a folder right in data/ or of "
            "a stage)."
        )


def links(folder: Path, root: Path) -> list[str]:
    """Return the folders below one that are links: DVC would pass over them and record nothing within."""
    places = (Path(place, name) for place, names, _ in os.walk(folder) for name in names)
    return sorted(path.relative_to(root).as_posix() for path in places if path.is_symlink())
