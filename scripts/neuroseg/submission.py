"""The competition's submission file, and the checks that it must pass before it is written.

One row an instance, `id,predicted`; the runs are Kaggle's, row-major and 1-based. The competition refuses a
file in which masks of one image overlap, and scores only images that it knows; an image without cells is one
row with an empty field.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from neuroseg import rle, tables
from neuroseg.errors import DataError
from neuroseg.files import replacing

COLUMNS = ["id", "predicted"]

_FAULTS = {
    rle.SYNTAX: "is no list of 'start length' pairs",
    rle.ORDER: "is not in ascending order",
    rle.RANGE: "reaches past the frame",
    rle.OVERLAP: "names a pixel twice",
}


def wanted(images: pd.DataFrame) -> pd.DataFrame:
    """Return the images to submit: test images without annotation, else all without annotation, else all."""
    unannotated = ~images["annotated"].astype(bool)
    for chosen in (unannotated & (images["subset"] == "test"), unannotated):
        if chosen.any():
            return images[chosen]
    return images


def write(instances: pd.DataFrame, images: pd.DataFrame, path: str | Path) -> int:
    """Write the instances of `images`, in their order, once the text has passed the checks (see `read`).

    Returns:
        The number of instances.

    Raises:
        DataError: what the competition would refuse, a sentence for each; nothing is written.
    """
    rows = []
    found, none = dict(list(instances.groupby("image_id"))), instances.iloc[:0]
    for image in images.itertuples():
        runs = rle.of_image(found.get(image.image_id, none), image.image_id, image.height, image.width)
        rows += [(image.image_id, text) for text in rle.to_kaggle(runs) or [""]]
    with replacing(path) as temporary:
        pd.DataFrame(rows, columns=COLUMNS).to_csv(temporary, index=False, lineterminator="\n")
        return len(read(temporary, images, named=path))


def read(path: str | Path, images: pd.DataFrame, named: str | Path | None = None) -> pd.DataFrame:
    """Read a submission of exactly `images` as an instances table, without types and scores.

    Args:
        path: The file.
        images: The images table's rows that must be in it, and no others.
        named: What to call the file in errors, if not `path`.

    Raises:
        DataError: a sentence for each thing that the competition would refuse: columns, unknown or missing
            images, text of broken syntax, order, range or with repeated pixels, masks that overlap, empty
            rows beside others.
    """
    named = named or path
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"{named}: the submission cannot be read ({error}); write it again.") from error
    if list(table.columns) != COLUMNS:
        raise DataError(
            f"{named}: the columns are {', '.join(table.columns)}; they must be {', '.join(COLUMNS)}."
        )
    unknown = table["id"][~table["id"].isin(images["image_id"])].unique()
    missing = images["image_id"][~images["image_id"].isin(table["id"])]
    complaints = [f"{named}: image {image} is not one of those to submit; leave it out." for image in unknown]
    complaints += [
        f"{named}: image {image} has no row; give it one with an empty field." for image in missing
    ]

    parts = []
    rows_of = dict(list(table.groupby("id", sort=False)))
    for image in images[~images["image_id"].isin(missing)].itertuples():
        rows = rows_of[image.image_id]
        texts = rows["predicted"].tolist()
        if texts == [""]:
            continue
        runs, faults = rle.from_kaggle(texts, image.height, image.width)
        complaints += [
            f"{named}: line {rows.index[row] + 2}: a mask of image {image.image_id} {words}."
            for row in np.flatnonzero(faults)
            for fault, words in _FAULTS.items()
            if faults[row] & fault
        ]
        if rle.union_area(runs) != rle.areas(runs).sum():
            complaints.append(
                f"{named}: masks of image {image.image_id} overlap; give each pixel to one of them."
            )
        parts.append((image, runs))
    if complaints:
        raise DataError(*complaints)
    return pd.concat(
        [tables.empty("instances"), *(_instances(image, runs) for image, runs in parts)], ignore_index=True
    )


def _instances(image: tables.ImageRow, runs: rle.Runs) -> pd.DataFrame:
    corners = rle.boxes(runs, image.width).astype(np.float32)
    return pd.DataFrame(
        {
            "image_id": image.image_id,
            "instance_id": np.arange(len(runs), dtype=np.int32),
            "cell_type": pd.Series([None] * len(runs), dtype="str"),
            **dict(zip(("x1", "y1", "x2", "y2"), corners.T, strict=True)),
            "area": rle.areas(runs),
            "rle": tables.rle_column(rle.to_coco(runs, image.height, image.width)),
            "score": np.float32("nan"),
        }
    )
