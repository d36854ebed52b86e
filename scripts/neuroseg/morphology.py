"""What one cell looks like, and what one image holds: the numbers that a biologist takes away.

Names and definitions are those of scikit-image's `regionprops_table`, so that they mean what its documentation says;
`centroid-0` and `centroid-1` are called `centroid_row` and `centroid_col`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from skimage.measure import regionprops
from tqdm import tqdm

from neuroseg import rle
from neuroseg.tables import DataError

PROPERTIES = (
    "area",
    "perimeter",
    "eccentricity",
    "solidity",
    "axis_major_length",
    "axis_minor_length",
    "orientation",
    "centroid_row",
    "centroid_col",
    "intensity_mean",
)
"""Of each cell, in pixels of the frame; orientation in radians from the row axis, intensity in the file's greys."""

LENGTHS = ("perimeter", "axis_major_length", "axis_minor_length")
"""Properties that are also given in µm, as `<name>_um`, beside `area_um2`."""

AVERAGED = ("area", "perimeter", "eccentricity", "solidity", "axis_major_length", "intensity_mean")
"""Properties whose mean over an image's cells stands in the summary, as `mean_<name>`."""


def measure(instances: pd.DataFrame, images: pd.DataFrame, read_image: Callable[[str], np.ndarray]) -> pd.DataFrame:
    """Measure every cell, each within its own box.

    Args:
        instances: an instances table; masks may overlap and lie in pieces.
        images: the images table that names them.
        read_image: returns the pixels of an image's path, shape (height, width); called once for each image with cells.

    Returns:
        One row per instance, in the order of `instances`: image_id, instance_id, cell_type, score, PROPERTIES, and
        area_um2 and the LENGTHS in µm, null where the image's pixel size is unknown.

    Raises:
        DataError: an instance of an unlisted image, or a file whose size is not the listed one.
    """
    rows = instances.groupby("image_id", sort=False).indices
    _refuse_unlisted(rows, images)
    values = np.full((len(instances), len(PROPERTIES)), np.nan)
    scale = np.full(len(instances), np.nan)
    with_cells = images[images["image_id"].isin(rows)]
    for image in tqdm(with_cells.itertuples(), total=len(with_cells), unit="image", disable=None):
        mine = rows[image.image_id]
        counts = instances["rle"].iloc[mine].tolist()
        values[mine] = _measure_image(counts, _pixels(image, read_image))
        scale[mine] = image.pixel_size_um
    cells = instances[["image_id", "instance_id", "cell_type", "score"]].reset_index(drop=True)
    cells = cells.assign(**dict(zip(PROPERTIES, values.T, strict=True)))
    cells["area"] = cells["area"].astype(np.int32)
    cells["area_um2"] = cells["area"] * scale**2
    return cells.assign(**{f"{name}_um": cells[name] * scale for name in LENGTHS})


def summarise(cells: pd.DataFrame, instances: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Describe every image by its cells.

    Args:
        cells: what `measure` returned.
        instances: the table it was measured on.
        images: the images table.

    Returns:
        One row per image, in the order of `images`: where it comes from (image_id, cell_type, group, plate, well, time,
        treatment), count, confluence (share of the frame under cells, overlaps counted once), median_area, the mean of
        each of AVERAGED, and, where the pixel size is known, median_area_um2 and density_per_mm2 (cells per mm² of
        frame). A cell_type that the source does not tell is the commonest among the image's cells. An image without
        cells counts 0, covers 0, and has no median and no means.
    """
    by_image = cells.groupby("image_id")
    summary = images[["image_id", "cell_type", "group", "plate", "well", "time", "treatment"]].reset_index(drop=True)
    told = summary["cell_type"].astype(object)
    summary["cell_type"] = told.where(told.notna(), summary["image_id"].map(_commonest_type(cells)))
    summary["count"] = summary["image_id"].map(by_image.size()).fillna(0).astype(np.int64)
    summary["confluence"] = _confluence(instances, images)
    averages = {"median_area": by_image["area"].median()}
    averages |= {f"mean_{name}": by_image[name].mean() for name in AVERAGED}
    averages |= {"median_area_um2": by_image["area_um2"].median()}
    summary = summary.assign(**{name: summary["image_id"].map(value) for name, value in averages.items()})
    frame_mm2 = images["height"] * images["width"] * images["pixel_size_um"] ** 2 / 1e6
    summary["density_per_mm2"] = summary["count"] / frame_mm2.to_numpy()
    return summary


def _measure_image(counts: list[bytes], pixels: np.ndarray) -> np.ndarray:
    """Return the PROPERTIES of an image's masks, shape (masks, properties)."""
    height, width = pixels.shape
    runs = rle.from_coco(counts, height, width)
    values = np.empty((len(runs), len(PROPERTIES)))
    for index in range(len(runs)):
        mask, left, top = rle.crop(runs, index, width)
        bottom, right = top + mask.shape[0], left + mask.shape[1]
        (region,) = regionprops(mask.astype(np.uint8), pixels[top:bottom, left:right], offset=(top, left))
        values[index] = (
            region.area,
            region.perimeter,
            region.eccentricity,
            region.solidity,
            region.axis_major_length,
            region.axis_minor_length,
            region.orientation,
            *region.centroid,
            region.intensity_mean,
        )
    return values


def _pixels(image: tuple, read_image: Callable[[str], np.ndarray]) -> np.ndarray:
    pixels = read_image(image.path)
    if pixels.shape != (image.height, image.width):
        found = " x ".join(str(side) for side in pixels.shape)
        raise DataError(
            f"image {image.image_id}: {image.path} has {found} pixels where the images table says "
            f"{image.height} x {image.width}; run validate again."
        )
    return pixels


def _refuse_unlisted(rows: dict[str, np.ndarray], images: pd.DataFrame) -> None:
    unlisted = sorted(set(rows) - set(images["image_id"]))
    if unlisted:
        raise DataError(
            f"image {unlisted[0]} has instances but is not in the images table ({len(unlisted)} such); "
            "give the images table that the instances were made from."
        )


def _commonest_type(cells: pd.DataFrame) -> pd.Series:
    """Return each image's commonest cell_type by image_id; of equals the first by name."""
    votes = cells.groupby(["image_id", "cell_type"], as_index=False).size()
    votes = votes.sort_values(["size", "cell_type"], ascending=[False, True])
    return votes.drop_duplicates("image_id").set_index("image_id")["cell_type"]


def _confluence(instances: pd.DataFrame, images: pd.DataFrame) -> np.ndarray:
    rows = instances.groupby("image_id", sort=False).indices
    shares = np.zeros(len(images))
    for at, image in enumerate(images.itertuples()):
        if image.image_id in rows:
            counts = instances["rle"].iloc[rows[image.image_id]].tolist()
            covered = rle.union_area(rle.from_coco(counts, image.height, image.width))
            shares[at] = covered / (image.height * image.width)
    return shares
