"""Cells measured: squares and discs of arithmetic answers, and scikit-image's own table as the oracle."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import regionprops_table

from neuroseg import morphology, readers, rle, tables
from neuroseg.errors import DataError

HEIGHT, WIDTH = 60, 80


def square(top, left, side, height=HEIGHT, width=WIDTH):
    mask = np.zeros((height, width), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def disc(row, col, radius, height=HEIGHT, width=WIDTH):
    y, x = np.mgrid[:height, :width]
    return (y - row) ** 2 + (x - col) ** 2 <= radius**2


def images_of(*names, height=HEIGHT, width=WIDTH, **columns):
    frame = pd.DataFrame({"image_id": list(names), "path": [f"{name}.png" for name in names]})
    frame = frame.assign(
        height=height, width=width, cell_type=None, group=list(names), subset="train", annotated=True
    )
    frame = frame.assign(sample=None, plate=None, well=None, field=None, time=np.nan, treatment=None)
    frame = frame.assign(dose=None, dose_unit=None, pixel_size_um=np.nan)
    return frame.assign(**columns)


def instances_of(image_id, masks, cell_type="cort"):
    masks = np.stack(masks)
    runs = rle.from_masks(masks)
    frame = pd.DataFrame({"image_id": image_id, "instance_id": range(len(runs)), "cell_type": cell_type})
    frame[["x1", "y1", "x2", "y2"]] = rle.boxes(runs, masks.shape[2])
    frame["area"] = rle.areas(runs)
    return frame.assign(rle=tables.rle_column(rle.to_coco(runs, *masks.shape[1:])), score=0.5)


def flat(path):
    return np.full((HEIGHT, WIDTH), 7, np.uint8)


def measured(*masks, image=flat, **columns):
    return morphology.measure(instances_of("a", masks), images_of("a", **columns), image)


COLUMN = {
    **{name: f"{name}_px" for name in ("area", "perimeter", "axis_major_length", "axis_minor_length")},
    **{name: name for name in ("eccentricity", "solidity", "intensity_mean")},
    **{"orientation": "orientation_rad", "centroid-0": "centroid_row_px", "centroid-1": "centroid_col_px"},
}
"""The properties that scikit-image has as well, and our columns of them."""
PEERS = list(COLUMN.values())


def table_by_scikit_image(masks, pixels):
    names = [name for name in COLUMN if not name.startswith("centroid")]
    labels = np.zeros(masks[0].shape, np.int32)
    for label, mask in enumerate(masks, start=1):
        labels[mask] = label
    found = pd.DataFrame(regionprops_table(labels, pixels, properties=[*names, "centroid"]))
    return found.rename(columns=COLUMN)


def test_a_square_has_the_measures_of_a_square():
    cell = measured(square(20, 30, 10)).iloc[0]
    assert (cell["area_px"], cell["perimeter_px"], cell["solidity"], cell["eccentricity"]) == (100, 36, 1, 0)
    assert (cell["centroid_row_px"], cell["centroid_col_px"]) == (24.5, 34.5)
    assert cell["axis_major_length_px"] == pytest.approx(4 * math.sqrt((10**2 - 1) / 12))


def test_a_disc_is_round_and_as_long_as_wide():
    cell = measured(disc(30, 40, 20)).iloc[0]
    assert cell["area_px"] == pytest.approx(math.pi * 20**2, rel=0.01)
    assert cell["axis_major_length_px"] == pytest.approx(40, rel=0.01)
    assert cell["axis_minor_length_px"] == pytest.approx(40, rel=0.01)
    assert cell["eccentricity"] == pytest.approx(0, abs=0.01)
    assert cell["solidity"] > 0.95  # a digital disc has corners


def test_a_bar_along_a_row_lies_across_the_row_axis():
    bar = np.zeros((HEIGHT, WIDTH), bool)
    bar[10:13, 5:65] = True
    assert abs(measured(bar)["orientation_rad"].iloc[0]) == pytest.approx(math.pi / 2)


def test_intensity_is_the_mean_grey_of_the_cells_own_pixels():
    pixels = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH)
    mask = disc(20, 20, 6)
    assert measured(mask, image=lambda path: pixels)["intensity_mean"].iloc[0] == pixels[mask].mean()


@pytest.mark.parametrize(
    "mask",
    [square(0, 0, 1), square(HEIGHT - 1, WIDTH - 1, 1), square(5, 5, 2), np.eye(HEIGHT, WIDTH, dtype=bool)],
    ids=["a pixel in a corner", "a pixel in the last corner", "four pixels", "a diagonal line"],
)
def test_tiny_and_thin_masks_are_measured_without_a_warning_as_scikit_image_does(mask):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cells = measured(mask)
    expected = table_by_scikit_image([mask], flat("a"))
    pd.testing.assert_frame_equal(cells[PEERS], expected[PEERS], check_dtype=False, atol=1e-6)
    assert np.isfinite(cells[PEERS].to_numpy(float)).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
def test_measures_in_windows_equal_scikit_images_table_of_the_whole_frame(seed, count):
    rng = np.random.default_rng(seed)
    owner = rng.integers(0, count + 1, (6, 8)).repeat(10, axis=0).repeat(10, axis=1)
    owner[rng.random(owner.shape) < 0.3] = 0
    masks = [owner == label for label in range(1, count + 1) if (owner == label).any()]
    pixels = rng.integers(0, 65536, owner.shape).astype(np.uint16)
    if not masks:
        return
    cells = measured(*masks, image=lambda path: pixels)
    expected = table_by_scikit_image(masks, pixels)[PEERS]
    rounding = 0.6 * 10**-morphology.DECIMALS
    pd.testing.assert_frame_equal(cells[PEERS], expected, check_dtype=False, rtol=1e-9, atol=rounding)


def test_overlapping_cells_are_measured_each_for_itself():
    cells = measured(square(10, 10, 20), square(20, 20, 20))
    assert cells["area_px"].tolist() == [400, 400]
    assert cells["solidity"].tolist() == [1, 1]


def test_cells_come_in_the_order_of_the_instances_table():
    found = pd.concat(
        [instances_of("b", [square(0, 0, 3)]), instances_of("a", [square(0, 0, 5), square(9, 9, 4)])]
    )
    cells = morphology.measure(found.iloc[[2, 0, 1]], images_of("a", "b"), flat)
    assert cells["image_id"].tolist() == ["a", "b", "a"]
    assert cells["area_px"].tolist() == [16, 9, 25]


def test_microns_stand_beside_pixels_where_the_pixel_size_is_known():
    cell = measured(square(20, 30, 10), pixel_size_um=0.5).iloc[0]
    assert cell["area_um2"] == 25
    assert cell["perimeter_um"] == 18
    assert cell["axis_major_length_um"] == pytest.approx(cell["axis_major_length_px"] / 2, abs=1e-6)


def test_microns_are_null_where_the_pixel_size_is_unknown():
    assert (
        measured(square(20, 30, 10))[["area_um2", "perimeter_um", "skeleton_length_um"]].isna().all(axis=None)
    )


def test_only_images_with_cells_are_read():
    seen = []
    morphology.measure(
        instances_of("b", [square(0, 0, 3)]),
        images_of("a", "b"),
        lambda path: seen.append(path) or flat(path),
    )
    assert seen == ["b.png"]


def test_an_image_of_another_size_than_listed_is_refused():
    with pytest.raises(DataError, match=r"image a: a\.png has 10 x 12 pixels .* says 60 x 80"):
        measured(square(0, 0, 3), image=lambda path: np.zeros((10, 12), np.uint8))


def test_instances_of_an_unlisted_image_are_refused():
    with pytest.raises(DataError, match="image x has instances but is not in the images table"):
        morphology.measure(instances_of("x", [square(0, 0, 3)]), images_of("a"), flat)


def summarised(found, images):
    return morphology.of_images(morphology.measure(found, images, flat), found, images)


def test_an_image_without_cells_is_a_row_of_zero_count():
    summary = summarised(instances_of("a", [square(0, 0, 3)]), images_of("a", "b"))
    assert summary["image_id"].tolist() == ["a", "b"]
    assert summary["count"].tolist() == [1, 0]
    assert summary["confluence"].tolist() == [round(9 / (HEIGHT * WIDTH), 6), 0]
    assert np.isnan(summary["median_area_px"][1])


def test_confluence_counts_shared_pixels_once():
    summary = summarised(instances_of("a", [square(10, 10, 20), square(20, 20, 20)]), images_of("a"))
    assert summary["confluence"][0] == round(700 / (HEIGHT * WIDTH), 6)


def test_the_summary_gives_medians_and_means_of_the_images_cells():
    summary = summarised(
        instances_of("a", [square(0, 0, 2), square(10, 10, 3), square(20, 20, 10)]), images_of("a")
    )
    assert (summary["median_area_px"][0], summary["mean_area_px"][0]) == (
        9,
        pytest.approx((4 + 9 + 100) / 3, abs=1e-6),
    )


def test_density_is_cells_per_square_millimetre_of_frame():
    summary = summarised(
        instances_of("a", [square(0, 0, 2), square(9, 9, 3)]), images_of("a", pixel_size_um=2.0)
    )
    assert summary["density_per_mm2"][0] == pytest.approx(2 / (HEIGHT * WIDTH * 4 / 1e6), abs=1e-6)
    assert summary["median_area_um2"][0] == 6.5 * 4


def test_a_cell_type_that_the_source_does_not_tell_is_the_commonest():
    masks = [square(0, 0, 2), square(9, 9, 3), square(20, 20, 4)]
    found = instances_of("a", masks, ["astro", "cort", "cort"])
    assert summarised(found, images_of("a"))["cell_type"].tolist() == ["cort"]
    assert summarised(found, images_of("a", cell_type="shsy5y"))["cell_type"].tolist() == ["shsy5y"]


def test_without_any_cell_both_tables_keep_their_columns():
    nothing, images = tables.empty("instances"), images_of("a")
    cells = morphology.measure(nothing, images, flat)
    assert list(cells.columns) == list(measured(square(0, 0, 3)).columns)
    summary = morphology.of_images(cells, nothing, images)
    assert summary["count"].tolist() == [0]
    assert list(morphology.of_wells(cells, summary).columns) == [
        column.name for column in morphology.COLUMNS["wells"]
    ]


@pytest.mark.real
def test_true_cells_of_real_images_measure_as_scikit_image_does(real_data):
    folder = real_data / "sartorius"
    truth = pd.read_csv(folder / "train.csv")
    for cell_type, rows in truth.groupby("cell_type"):
        name = rows["id"].iloc[0]
        texts = rows.loc[rows["id"] == name, "annotation"].tolist()[:60]
        masks = rle.to_masks(rle.from_kaggle(texts, 520, 704)[0], 520, 704)
        pixels = readers.read_image(folder / "train" / f"{name}.png")
        images = images_of(name, height=520, width=704)
        cells = morphology.measure(
            instances_of(name, masks, cell_type), images, lambda path, seen=pixels: seen
        )
        one_by_one = pd.concat([table_by_scikit_image([mask], pixels) for mask in masks], ignore_index=True)
        pd.testing.assert_frame_equal(cells[PEERS], one_by_one[PEERS], check_dtype=False, atol=1e-6)


def test_measures_have_as_many_decimals_as_all_processors_agree_on():
    cells = measured(square(20, 30, 10) | square(24, 33, 11))
    lengths = cells[
        ["perimeter_px", "eccentricity", "convexity", "orientation_rad", "thinness", "halo_contrast"]
    ]
    assert (lengths == lengths.round(morphology.DECIMALS)).all(axis=None)
