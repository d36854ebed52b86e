"""Fractions, signed and large numbers as 16 bit: the ends they are spread between, outliers and no data."""

import numpy as np
import pandas as pd
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from pixels_cases import DEEP, NOISE, read

from neuroseg import readers
from neuroseg.readers.images.common_ends import ends_of
from neuroseg.readers.images.grey import exchanged, whole


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.25, 1.0]], np.float32), [0, 16384, 65535]),
        (np.array([[-1.0, 0.0, 1.0]], np.float64), [0, 32768, 65535]),
        (np.array([[-100, 0, 100]], np.int16), [0, 32768, 65535]),
        (np.array([[0, 65536, 131072]], np.uint32), [0, 32768, 65535]),
        (np.array([[1e6, 1e6 + 100, 1e6 + 200]], np.float64), [0, 32768, 65535]),
        (np.array([[70_000, 70_300, 70_600]], np.uint32), [0, 32768, 65535]),
        (np.array([[np.nan, 0.5, np.inf]], np.float32), [0, 65535, 0]),
        (np.array([[-3.5, np.nan, -3.5]], np.float32), [0, 0, 0]),
        (np.array([[True, False]]), [255, 0]),
    ],
    ids=["share", "centred", "signed", "large", "offset", "large offset", "not finite", "one value", "1 bit"],
)
def test_other_numbers_become_16_bit_by_the_stated_rule(values, expected):
    assert whole(values).ravel().tolist() == expected


BROAD = np.random.default_rng(2).normal(0.5, 0.1, (120, 90)).astype(np.float32)
"""A flat-fielded image of fractions, two samples of which may be outliers."""


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize(
    ("plane", "outliers"),
    [
        (BROAD, [1e6]),
        (BROAD, [1e30, 1e6]),
        (BROAD, [-1e6, 3e38]),
        (BROAD, [-3e38, -50, 1e9, 50]),
        (BROAD.astype(np.float64), [1e308, -1e308]),
        (DEEP.astype(np.float32), [1e6]),
        (NOISE.astype(np.int16), [-32768]),
        (DEEP.astype(np.uint32), [2**32 - 1]),
        (DEEP.astype(np.int64) - 3000, [2**62]),
        (BROAD, [1e6, np.inf, np.nan]),
    ],
    ids=lambda case: str(case.dtype) if isinstance(case, np.ndarray) else str(case),
)
def test_a_few_hot_or_dead_pixels_leave_all_others_as_they_were(tmp_path, photometric, plane, outliers):
    order = np.argsort(plane, axis=None)
    at = order[len(order) // 2 :][: len(outliers)]  # the lowest and the highest stay
    hot = plane.copy()
    hot.flat[at] = outliers
    for name, samples in {"plain": plane, "hot": hot}.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", samples, photometric=photometric)
    expected, found = read(tmp_path / "plain.tif"), read(tmp_path / "hot.tif")
    others = np.ones(plane.shape, bool)
    others.flat[at] = False
    assert len(np.unique(expected)) > 75
    assert (found[others] == expected[others]).all()
    for where, outlier in zip(at, outliers, strict=True):
        bright = (outlier > 0) == (photometric == "minisblack")
        end = expected.max() if bright else expected.min()
        assert found.flat[where] == (end if np.isfinite(outlier) else 0)


def test_hot_pixels_of_one_image_do_not_move_the_white_of_the_others(tmp_path):
    hot = BROAD.copy()
    hot[60, 45] = 1e6
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for plane in (BROAD, hot):
            file.write(plane, photometric="miniswhite", contiguous=False)
    first, second = (readers.read_image(f"{tmp_path}/a.tif::s{number},t1,c1,z1") for number in (1, 2))
    assert len(np.unique(first)) > 1000
    assert (first != second).sum() <= 1


def spread(values: np.ndarray) -> np.ndarray:
    """Return what numbers are from 0, or their lowest if negative or near the highest, to their highest."""
    low, high = float(values.min()), float(values.max())
    moved = values.astype(np.float64) - (low if 0 < high - low < 0.01 * high else min(low, 0))
    return np.rint(moved * (65535 / (moved.max() or 1))).astype(np.uint16)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["normal", "uniform", "lognormal", "exponential", "laplace"]),
    st.floats(-5, 5),
    st.floats(0.01, 100),
    st.sampled_from([np.float32, np.float64]),
    st.floats(0, 0.01),
    st.floats(1, 20),
)
def test_images_without_outliers_are_spread_between_their_very_ends(
    seed, law, offset, width, kind, share, brightness
):
    """Among them images of noise with a few bright cells, up to twenty times its range above it."""
    rng = np.random.default_rng(seed)
    noise = getattr(rng, law)(size=(60, 70))
    noise[rng.random(noise.shape) < share] += brightness * np.ptp(noise) / 2
    values = (offset + width * noise).astype(kind)
    assert (whole(values) == spread(values)).all()
    ends = ends_of(lambda: [values])
    expected = values.astype(np.float64).min() + values.astype(np.float64).max() - values
    assert (abs(exchanged(whole(values), ends) - spread(expected).astype(int)) <= 1).all()


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.where(np.arange(5000) == 7, 1e9, 0.5), id="one value and another"),
        pytest.param(np.where(np.arange(5000) % 1000 == 7, 1e9, np.arange(5000) / 7), id="too many"),
        pytest.param(np.where(np.arange(900) == 7, 1e9, np.arange(900) / 7), id="few samples"),
        pytest.param(np.where(np.arange(5000) == 7, 1e4, np.arange(5000) / 7), id="not far"),
    ],
)
def test_what_is_no_outlier_counts(values):
    assert (whole(values) == spread(values)).all()


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("corner", [False, True])
@pytest.mark.parametrize(
    ("plane", "surround"),
    [
        *(
            (BROAD, [value])
            for value in (-9999, -3.4028235e38, 3.4e38, np.nan, np.inf, -np.inf, -32768, 65535)
        ),
        (BROAD, [-9999, 9999]),
        (BROAD, [-3.4e38, 3.4e38]),
        (BROAD, [-9999, np.nan]),
        (BROAD, [-1e30, -9999]),
        (BROAD.astype(np.float64), [-1.7976931348623157e308]),
        (BROAD * 100 + 1000, [0]),
        (DEEP.astype(np.float32) + 0.5, [-9999]),
        (DEEP.astype(np.float32), [-9999]),
        (DEEP.astype(np.float32), [np.nan]),
        (DEEP.astype(np.int16), [-32768]),
        (DEEP.astype(np.int16), [-1]),
        (DEEP.astype(np.int32), [-(2**31)]),
        (DEEP.astype(np.uint32), [2**32 - 1]),
        (DEEP.astype(np.int64) - 3000, [2**62]),
    ],
    ids=lambda case: str(case.dtype) if isinstance(case, np.ndarray) else str(case),
)
def test_no_data_around_a_mosaic_leaves_the_others_as_they_were(
    tmp_path, plane, surround, corner, photometric
):
    tifffile.imwrite(tmp_path / "plain.tif", plane, photometric=photometric)
    framed = np.pad(plane, [(0, 3), (0, 0)] if corner else 30, mode="edge")
    inside = np.zeros(framed.shape, bool)
    inside[(slice(0, -3), slice(None)) if corner else (slice(30, -30), slice(30, -30))] = True
    outside = np.flatnonzero(~inside)
    for at, value in enumerate(surround):
        framed.flat[outside[at * len(outside) // len(surround) :]] = value
    tifffile.imwrite(tmp_path / "a.tif", framed, photometric=photometric)
    expected, found = read(tmp_path / "plain.tif"), read(tmp_path / "a.tif")
    assert len(np.unique(expected)) > 75
    assert (found[inside] == expected.ravel()).all()
    assert (found[~inside] == 0).all()
    (words,) = readers.survey([str(tmp_path / "a.tif")])["no_data"]
    assert f"has no data in {100 * (~inside).mean():.0f} % of its pixels" in words
    assert all(f"{value:.6g}" in words for value in surround if np.isfinite(value))


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.clip(BROAD - 0.5, 0, None), id="a ground that was taken off"),
        pytest.param(np.clip(BROAD, None, 0.6), id="a camera that was full"),
        pytest.param(np.where(BROAD > 0.5, 1.0, 0.5), id="two values"),
        pytest.param(np.where(np.arange(BROAD.size).reshape(BROAD.shape) < 15, -99, BROAD), id="few pixels"),
        pytest.param(np.where(BROAD > 0.8, -0.1, BROAD), id="near"),
    ],
)
def test_values_that_many_pixels_share_are_data_where_they_are_not_far_off(tmp_path, values):
    assert (whole(values) == spread(values)).all()
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    assert readers.survey([str(tmp_path / "a.tif")])["no_data"].tolist() == [None]


def test_pixels_at_full_scale_far_above_the_others_are_white(tmp_path):
    values = (BROAD * 0.3).astype(np.float32)
    patch = np.zeros(values.shape, bool)
    patch[40:48, 40:48] = True
    tifffile.imwrite(tmp_path / "a.tif", values)
    tifffile.imwrite(tmp_path / "b.tif", np.where(patch, np.float32(1), values))
    plain, found = read(tmp_path / "a.tif"), read(tmp_path / "b.tif")
    assert (found[patch] == 65535).all()
    assert np.abs(found[~patch].astype(int) - plain[~patch]).max() < 655
    assert readers.survey([str(tmp_path / "b.tif")])["no_data"].isna().all()


def test_no_data_is_a_row_of_the_problems(tmp_path, step):
    tifffile.imwrite(tmp_path / "a.tif", np.pad(BROAD, 30, constant_values=-9999), photometric="minisblack")
    (tmp_path / "d.yaml").write_text(f"format: folder\nroot: '{tmp_path}'\n")
    out = {name: tmp_path / f"{name}.parquet" for name in ("images", "instances")}
    step("validate").main(dataset=tmp_path / "d.yaml", problems=tmp_path / "p.csv", **out)
    found = pd.read_csv(tmp_path / "p.csv").set_index("check")["message"]
    assert "-9999): they are shown as black, 0" in found["no_data"]


def test_files_of_one_scene_at_another_brightness_are_not_the_same(tmp_path):
    for name, factor in (("a", 1), ("b", 2), ("c", 2)):
        tifffile.imwrite(tmp_path / f"{name}.tif", BROAD * factor, photometric="minisblack")
    a, b, c = readers.survey([str(tmp_path / f"{name}.tif") for name in "abc"])["digest"]
    assert a != b == c
