"""Whether a run's commit and DVC's record can hold all of the run: code, settings, data and results."""

from __future__ import annotations

import os
from pathlib import Path

from ledger.commands import RunError, git


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
