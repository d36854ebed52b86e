"""The table of cells: where each is, and its measures, each taken within the cell's own box."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from skimage.measure import regionprops
from tqdm import tqdm

from neuroseg import readers, rle
from neuroseg.errors import DataError
from neuroseg.morphology.hull import hull_perimeter
from neuroseg.morphology.measures import COLUMNS, DECIMALS, MEASURES
from neuroseg.morphology.skeleton import skeleton
from neuroseg.morphology.surroundings import background, halo_contrast, nearest, touching, uncovered
from neuroseg.tables import ImageRow


def measure(
    instances: pd.DataFrame, images: pd.DataFrame, read_image: Callable[[str], np.ndarray]
) -> pd.DataFrame:
    """Measure every cell.

    Args:
        instances: an instances table; masks may overlap and lie in pieces.
        images: the images table that names them.
        read_image: returns the pixels of an image's path, shape (height, width); called once for each image
            with cells.

    Returns:
        One row per instance, in the order of `instances`, with the COLUMNS of cells; lengths in µm and areas
        in µm² are null where the image's pixel size is unknown, as is each measure that a cell does not have.

    Raises:
        DataError: an instance of an unlisted image, a mask that is empty or does not fit the frame, or a file
            whose size is not the listed one.
    """
    rows = instances.groupby("image_id", sort=False).indices
    _refuse_unlisted(rows, images)
    values = np.full((len(instances), len(MEASURES)), np.nan)
    with_cells = images[images["image_id"].isin(rows)]
    for image in tqdm(with_cells.itertuples(), total=len(with_cells), unit="image", disable=None):
        mine = rows[image.image_id]
        masks = rle.of_image(instances.iloc[mine], image.image_id, image.height, image.width)
        values[mine] = _measure_image(masks, _pixels(image, read_image))
    cells = instances[["image_id", "instance_id", "score"]].reset_index(drop=True)
    cells = cells.assign(label=cells["instance_id"] + 1, score=cells["score"].astype(float).round(DECIMALS))
    places = origin(images).set_index("image_id").reindex(cells["image_id"]).reset_index(drop=True)
    found = instances["cell_type"].reset_index(drop=True).astype(object)
    places["cell_type"] = found.where(found.notna(), places["cell_type"])
    scale = places["pixel_size_um"].to_numpy(float)
    cells = pd.concat([cells, places, pd.DataFrame(_scaled(values, scale))], axis=1)
    return cells[[column.name for column in COLUMNS["cells"]]]


def origin(images: pd.DataFrame) -> pd.DataFrame:
    """Return where images come from, in the images table's order: file, image_id, what is known of each."""
    places = images.rename(columns={"time": "time_h"}).reset_index(drop=True)
    places["file"] = readers.relative_files(str(readers.located(path).file) for path in images["path"])
    numbers = {name: places[name].astype(float).round(DECIMALS) for name in ("time_h", "pixel_size_um")}
    names = [
        "file",
        "image_id",
        "cell_type",
        "plate",
        "well",
        "field",
        "time_h",
        "treatment",
        "dose",
        "dose_unit",
    ]
    return places.assign(**numbers)[[*names, "group", "pixel_size_um"]]


def _scaled(values: np.ndarray, scale: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns of measures, rounded: in pixels, and in µm by the pixel sizes `scale`."""
    columns: dict[str, np.ndarray] = {}
    for number, measure in enumerate(MEASURES):
        first, *in_microns = measure.columns
        given = values[:, number]
        columns[first] = given.astype(np.int32) if measure.whole else given.round(DECIMALS)
        for name in in_microns:
            columns[name] = (given * scale ** (2 if measure.kind == "area" else 1)).round(DECIMALS)
    return columns


def _measure_image(masks: rle.Runs, pixels: np.ndarray) -> np.ndarray:
    """Return the MEASURES of an image's masks, shape (masks, measures)."""
    height, width = pixels.shape
    free = uncovered(masks, height, width)
    dark = background(pixels, free)
    columns: dict[str, list[float]] = {measure.name: [] for measure in MEASURES}
    for index in range(len(masks)):
        mask, left, top = rle.crop(masks, index, width)
        found = _shape(mask, left, top, pixels) | {
            "halo_contrast": halo_contrast(mask, left, top, pixels, free, dark)
        }
        for name, value in found.items():
            columns[name].append(value)
    centres = np.array([columns["centroid_row"], columns["centroid_col"]]).T
    columns |= {"nearest_neighbour_distance": list(nearest(centres))}
    columns |= {"touching_neighbours": list(touching(masks, width))}
    return np.array(list(columns.values())).T


def _shape(mask: np.ndarray, left: int, top: int, pixels: np.ndarray) -> dict[str, float]:
    """Return the measures of a mask that need no other cell."""
    window = pixels[top : top + mask.shape[0], left : left + mask.shape[1]]
    (region,) = regionprops(mask.astype(np.uint8), window, offset=(top, left))
    line = skeleton(mask)
    row, column = region.centroid
    around = region.perimeter  # 0 of a cell that is a pixel or a row of two
    return {
        "area": region.area,
        "perimeter": around,
        "axis_major_length": region.axis_major_length,
        "axis_minor_length": region.axis_minor_length,
        "orientation": region.orientation,
        "eccentricity": region.eccentricity,
        "solidity": region.solidity,
        "convexity": hull_perimeter(mask) / around if around else np.nan,
        "circularity": min(1.0, 4 * np.pi * region.area / around**2) if around else np.nan,
        "skeleton_length": line.length,
        "branch_points": line.branch_points,
        "end_points": line.end_points,
        "thickness": line.thickness,
        "thinness": line.length / line.thickness,
        "intensity_mean": region.intensity_mean,
        "centroid_row": row,
        "centroid_col": column,
    }


def _pixels(image: ImageRow, read_image: Callable[[str], np.ndarray]) -> np.ndarray:
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
