"""Someone's own folder: images below it, no annotation."""

from __future__ import annotations

import pandas as pd

from neuroseg import rle
from neuroseg.readers.dataset import Folder
from neuroseg.readers.experiment import describe
from neuroseg.readers.source import Source, identity, image_files, image_rows, notes_frame
from neuroseg.tables import DataError


def read(dataset: Folder) -> Source:
    """List every image below the folders; its id is its path below the folder, slashes as double underscores.

    Raises:
        DataError: a folder is missing, or holds no image.
    """
    rows, texts = [], []
    for name in dataset.images:
        folder = dataset.root / name
        files = image_files(folder, recursive=True)
        if not files:
            raise DataError(f"{folder}: there is no PNG, TIFF or JPEG image in this folder; correct root or images.")
        for path in files:
            parts = path.relative_to(folder).parts
            where = path.relative_to(dataset.root).as_posix()
            image_id = "__".join((*parts[:-1], identity(path)))
            rows.append({"image_id": image_id, "path": str(path), "where": where, "subset": "test", "annotated": False})
            texts.append(identity(path))
    images, notes = describe(image_rows(rows), texts, dataset)
    none = pd.DataFrame(
        {"image": pd.Series(dtype="int64"), "where": pd.Series(dtype=str), "cell_type": pd.Series(dtype=object)}
    )
    return Source(images, none, rle.concatenate([]), notes_frame(notes))
