"""Someone's own folder: images below it, no annotation."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd

from neuroseg import rle
from neuroseg.errors import DataError
from neuroseg.readers.dataset import Folder
from neuroseg.readers.found import images
from neuroseg.readers.images.planes import images_of
from neuroseg.readers.images.stacks import Choice, Part, marked
from neuroseg.readers.source import (
    Listed,
    Note,
    Source,
    folded,
    image_rows,
    name_texts,
    notes_frame,
    passed_over,
)
from neuroseg.readers.words import identity


def read(dataset: Folder) -> Listed:
    """List every image below the folders; its id is its path below the folder, slashes as double underscores.

    Of a file of several images, time points and positions are images of their own, `stacks` says how.

    Previews, earlier results and formats that are not read are passed over, with a note each.

    Where two folders hold images of one name, their ids are their paths below the root. A file that lies in
    both, because one is in the other, is an image of the first.

    Raises:
        DataError: a folder is missing, or holds no image.
    """
    rows, longer, texts, frames = [], [], [], []
    passed: dict[Path, Note] = {}
    taken: set[Path] = set()
    choice = Choice(dataset.z, dataset.channel, dataset.pages)
    for name in dataset.images:
        folder = dataset.root / name
        if not folder.is_dir():
            raise DataError(
                f"{folder}: there is no such folder of images; correct root or images in the dataset file."
            )
        files, others = images(folder, dataset.include, dataset.exclude)
        for path, reason in others:
            passed.setdefault(path.resolve(), passed_over(path, dataset.root, reason))
        if not files:
            raise DataError(
                f"{folder}: there is no PNG, TIFF or JPEG image in this folder; correct root or images.",
                *folded([f"{path}: {reason}." for path, reason in others]),
            )
        files = [path for path in files if path.resolve() not in taken]
        taken.update(path.resolve() for path in files)
        for path in files:
            below, where = path.relative_to(folder), path.relative_to(dataset.root)
            for part in _within(path, choice):
                ids = [
                    "__".join((*each.parts[:-1], identity(path), *filter(None, [part.label])))
                    for each in (below, where)
                ]
                row = {
                    "image_id": ids[0],
                    "path": marked(path, part.spec),
                    "subset": "test",
                    "annotated": False,
                }
                rows.append(row | {"where": f"{where.as_posix()} {part.label}".strip(), "time": part.hours})
                longer.append(ids[1])
                frames.append(part.frames)
                texts.append((*filter(None, [part.series]), *name_texts(where)))
    number = Counter(row["image_id"] for row in rows)
    for row, image_id in zip(rows, longer, strict=True):
        if number[row["image_id"]] > 1 and len(dataset.images) > 1:
            row["image_id"] = image_id
    none = pd.DataFrame(
        {
            "image": pd.Series(dtype="int64"),
            "where": pd.Series(dtype=str),
            "cell_type": pd.Series(dtype=object),
        }
    )
    source = Source(image_rows(rows), none, rle.concatenate([]), notes_frame(passed.values()))
    return Listed(source, texts, frames)


def _within(path: Path, choice: Choice) -> list[Part]:
    """Return a file's images; one of its own kind if it is one, or if reading it will say what is wrong."""
    alone = [Part(None, "", "", None)]
    try:
        return images_of(path, choice) or alone
    except DataError:
        raise
    except Exception:  # decoders fail on broken bytes in a dozen ways; the survey says how
        return alone
