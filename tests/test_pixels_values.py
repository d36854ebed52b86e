"""Grey values as writers meant them: depth, white as zero, other number types, inks, nearly grey colour."""

import os

import imagecodecs
import numpy as np
import pandas as pd
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import EpsImagePlugin, Image

from neuroseg import readers
from neuroseg.readers.images.common_ends import ends_of
from neuroseg.readers.images.grey import exchanged, from_inks, from_tint, whole
from neuroseg.readers.truth import labels

NOISE = np.random.default_rng(0).integers(90, 170, (64, 80)).astype(np.uint8)
DEEP = NOISE.astype(np.uint16) * 24 + 3
"""As a 12-bit camera gives it: 2163 to 4059."""


def coloured(plane: np.ndarray) -> np.ndarray:
    return np.stack([plane] * 3, axis=2)


def read(path) -> np.ndarray:
    return readers.read_image(path)


@pytest.mark.parametrize("compression", ["zstd", "lzw", "zlib", "lzma", "packbits"])
@pytest.mark.parametrize("samples", ["grey", "rgb"])
def test_a_compressed_tiff_keeps_its_depth(tmp_path, compression, samples):
    plane = DEEP if samples == "grey" else coloured(DEEP)
    tifffile.imwrite(
        tmp_path / "a.tif",
        plane,
        compression=compression,
        photometric="minisblack" if samples == "grey" else "rgb",
    )
    assert read(tmp_path / "a.tif").dtype == np.uint16
    assert (read(tmp_path / "a.tif") == DEEP).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_16_bit_png_keeps_its_depth(tmp_path, channels):
    opaque = np.full_like(DEEP, 65535)
    planes = {1: [DEEP], 2: [DEEP, opaque], 3: [DEEP] * 3, 4: [DEEP, DEEP, DEEP, opaque]}[channels]
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(np.stack(planes, axis=2).squeeze()))
    assert (read(tmp_path / "a.png") == DEEP).all()


@pytest.mark.parametrize(
    ("plane", "lossless"),
    [(DEEP, True), (DEEP, False), (coloured(DEEP), False)],
    ids=["exact", "grey", "rgb"],
)
def test_a_12_bit_jpeg_keeps_its_depth(tmp_path, plane, lossless):
    content = imagecodecs.jpeg_encode(plane, bitspersample=12, level=100, lossless=lossless)
    (tmp_path / "a.jpg").write_bytes(content)
    assert abs(read(tmp_path / "a.jpg").astype(int) - DEEP).max() <= (0 if lossless else 40)
    (tmp_path / "a.jpg").write_bytes(content[: len(content) * 9 // 10])
    with pytest.raises(readers.ImageError, match="truncated"):
        read(tmp_path / "a.jpg")


def test_twelve_bits_packed_into_bytes_are_read(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", DEEP, bitspersample=12, compression="none", rowsperstrip=64)
    assert (read(tmp_path / "a.tif") == DEEP).all()


@pytest.mark.parametrize("compression", ["none", "lzw", "zstd", "zlib"])
@pytest.mark.parametrize("plane", [NOISE, DEEP * 15], ids=["8 bit", "16 bit"])
def test_a_tiff_whose_zero_is_white_is_turned_over_under_every_compression(tmp_path, plane, compression):
    stored = np.iinfo(plane.dtype).max - plane
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite", compression=compression)
    assert (read(tmp_path / "a.tif") == plane).all()


def test_a_12_bit_camera_whose_zero_is_white_has_its_white_at_4095(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", 4095 - DEEP, photometric="miniswhite")
    assert (read(tmp_path / "a.tif") == DEEP).all()


@pytest.mark.parametrize(
    ("declared", "white"), [(4095, 4095), (65535, 65535), (500, 1023), (600, 1023), (0, 1023)]
)
def test_the_white_that_a_file_declares_counts_where_it_is_a_cameras(tmp_path, declared, white):
    stored = 600 - NOISE.astype(np.uint16)
    tag = [(281, "H", 1, declared, True)] if declared else []
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite", extratags=tag)
    assert (read(tmp_path / "a.tif") == white - stored).all()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.25, 0.5, 1.0]], np.float32), [65535, 49151, 16384]),
        (np.array([[np.nan, 0.5, 1.0]], np.float64), [0, 65535, 32768]),
        (np.array([[-32768, 0, 32767]], np.int16), [65535, 32767, 0]),
    ],
    ids=["share", "not finite", "signed"],
)
def test_numbers_without_a_fixed_white_are_turned_over_between_their_own_ends(tmp_path, values, expected):
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
    assert read(tmp_path / "a.tif").ravel().tolist() == expected


@pytest.mark.parametrize("kind", [np.uint32, np.uint64])
@pytest.mark.parametrize("declared", [0, 2**17 - 1, 2**32 - 1])
def test_white_as_zero_beyond_16_bit_exchanges_lowest_and_highest(tmp_path, kind, declared):
    stored = NOISE.astype(kind) * 700 + 1000
    tag = [(281, "I", 1, declared, True)] if declared else []
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite", extratags=tag)
    turned = (stored.max() - stored + stored.min()).astype(np.float64)
    assert abs(read(tmp_path / "a.tif") - turned / turned.max() * 65535).max() <= 1


def test_32_bits_declared_of_16_bit_values_are_no_white(tmp_path):
    tag = [(281, "I", 1, 2**32 - 1, True)]
    tifffile.imwrite(
        tmp_path / "a.tif", 4095 - DEEP.astype(np.uint32), photometric="miniswhite", extratags=tag
    )
    assert (read(tmp_path / "a.tif") == DEEP).all()


def test_a_bright_image_whose_zero_is_white_keeps_its_contrast(tmp_path):
    bright = NOISE.astype(np.uint16) * 90 + 49_152
    for kind in (np.uint16, np.uint32):
        tifffile.imwrite(tmp_path / "a.tif", (65535 - bright).astype(kind), photometric="miniswhite")
        found = read(tmp_path / "a.tif").astype(int)
        assert len(np.unique(bright - found)) == 1  # one offset


@pytest.mark.parametrize("kind", ["uint32", "int16", "int32", "float32", "float64", "uint64"])
def test_whole_numbers_keep_their_value_in_whatever_type(tmp_path, kind):
    tifffile.imwrite(tmp_path / "a.tif", DEEP.astype(kind))
    assert read(tmp_path / "a.tif").dtype == np.uint16
    assert (read(tmp_path / "a.tif") == DEEP).all()


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


def test_a_1_bit_png_is_black_and_white(tmp_path):
    Image.fromarray(NOISE > 120).save(tmp_path / "a.png")
    assert (read(tmp_path / "a.png") == np.where(NOISE > 120, 255, 0)).all()


def test_black_ink_alone_is_grey(tmp_path):
    inks = np.zeros((*NOISE.shape, 4), np.uint8)
    inks[..., 3] = 255 - NOISE
    tifffile.imwrite(tmp_path / "a.tif", inks, photometric="separated")
    Image.fromarray(inks, "CMYK").save(tmp_path / "b.jpg", quality=100)
    assert (from_inks(inks)[..., 1] == NOISE).all()
    assert (read(tmp_path / "a.tif") == NOISE).all()
    assert abs(read(tmp_path / "b.jpg").astype(int) - NOISE).max() <= 4


def test_the_noise_of_a_colour_jpeg_is_no_colour(tmp_path):
    rng = np.random.default_rng(1)
    noisy = np.clip(coloured(NOISE).astype(int) + rng.integers(-4, 5, (*NOISE.shape, 3)), 0, 255).astype(
        np.uint8
    )
    Image.fromarray(noisy).save(tmp_path / "a.png")
    assert abs(read(tmp_path / "a.png").astype(int) - NOISE).max() <= 4


def test_a_coloured_scale_bar_is_no_colour_image(tmp_path):
    image = coloured(NOISE)
    image[60:62, 60:78] = (255, 255, 0)
    Image.fromarray(image).save(tmp_path / "a.png")
    found = read(tmp_path / "a.png")
    assert (found[:60] == NOISE[:60]).all()
    assert (found[60:62, 60:78] == 170).all()


def test_a_tinted_image_and_few_bright_cells_on_black_are_colour(tmp_path):
    tinted = np.stack([NOISE, NOISE, NOISE // 2], axis=2)
    stained = np.zeros((*NOISE.shape, 3), np.uint8)
    stained[5:7, 5:9, 1] = 200
    for name, image in {"tinted": tinted, "stained": stained}.items():
        Image.fromarray(image).save(tmp_path / f"{name}.png")
        with pytest.raises(readers.ImageError, match="is in colour"):
            read(tmp_path / f"{name}.png")


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_colour_is_told_by_the_range_in_use_whatever_the_container(tmp_path, bits, name):
    def write(samples: np.ndarray) -> None:
        if name == "a.tif":
            tifffile.imwrite(tmp_path / name, samples, photometric="rgb")
        else:
            (tmp_path / name).write_bytes(imagecodecs.png_encode(samples))

    plane = NOISE.astype(np.uint16) << (bits - 8)
    write(np.stack([plane, plane // 4, plane // 8], axis=2))
    with pytest.raises(readers.ImageError, match=r"is in colour \(100 % of its pixels"):
        read(tmp_path / name)
    nearly = coloured(plane)
    nearly[..., 1] += 8 << (bits - 8)
    nearly[60:62, 60:78] = (65535, 65535, 0)  # a scale bar, brighter than the camera's white
    write(nearly)
    assert (read(tmp_path / name)[:60] == np.rint(nearly[:60].mean(2))).all()


def test_a_palette_that_tints_grey_values_leaves_them_and_one_of_greys_is_followed(tmp_path):
    ramp = np.arange(256, dtype=np.uint16) * 257
    tint = np.stack([np.zeros(256, np.uint16), ramp, np.zeros(256, np.uint16)])
    tifffile.imwrite(tmp_path / "tint.tif", NOISE, photometric="palette", colormap=tint)
    tifffile.imwrite(
        tmp_path / "turned.tif", NOISE, photometric="palette", colormap=np.stack([ramp[::-1]] * 3)
    )
    assert (read(tmp_path / "tint.tif") == NOISE).all()
    assert (read(tmp_path / "turned.tif") == 255 - NOISE).all()


@pytest.mark.parametrize("entries", [255, 65535], ids=["8 bit", "16 bit"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_palettes_values_may_have_8_bits(tmp_path, entries, turned):
    ramp = (np.arange(256) * (entries // 255)).astype(np.uint16)
    ramp = ramp[::-1] if turned else ramp
    tifffile.imwrite(tmp_path / "a.tif", NOISE, photometric="palette", colormap=np.stack([ramp] * 3))
    assert (read(tmp_path / "a.tif") == (255 - NOISE if turned else NOISE)).all()


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_brightness_with_tints_is_grey_if_the_tints_are_none(tmp_path, compression):
    flat = NOISE // 12 + 120  # near enough to the middle to be taken for one plane of three
    Image.fromarray(coloured(flat)).convert("YCbCr").save(tmp_path / "a.tif", compression=compression)
    assert (read(tmp_path / "a.tif") == flat).all()
    tinted = np.stack([NOISE, NOISE, NOISE // 2], axis=2)
    Image.fromarray(tinted).convert("YCbCr").save(tmp_path / "a.tif", compression=compression)
    with pytest.raises(readers.ImageError, match="is in colour"):
        read(tmp_path / "a.tif")


def test_a_jpeg_within_a_tiff_is_grey_too(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        coloured(NOISE),
        photometric="rgb",
        compression="jpeg",
        compressionargs={"level": 100},
    )
    assert abs(read(tmp_path / "a.tif").astype(int) - NOISE).max() <= 4


def test_tints_become_colours_between_the_ends_that_a_file_states():
    pure = np.array([[[76, 85, 255], [150, 44, 21], [29, 255, 107]]], np.uint8)
    assert abs(from_tint(pure, 8).astype(int) - np.eye(3, dtype=int) * 255).max() <= 1
    studio = (16, 235, 128, 240, 128, 240)
    ends = np.array([[[16, 128, 128], [235, 128, 128]]], np.uint8)
    assert from_tint(ends, 8, (), studio)[0].tolist() == [[0] * 3, [255] * 3]


TWO, THREE = (0,), (0, 0)


@pytest.mark.parametrize(
    ("photometric", "planes", "extra", "words"),
    [
        ("minisblack", [NOISE, 255 - NOISE], TWO, "holds 2 channels"),
        ("minisblack", [NOISE, 255 - NOISE, NOISE], THREE, "holds 3 channels"),
        ("minisblack", [NOISE] * 3 + [NOISE // 2], (0, 0, 0), "holds 4 channels"),
        ("rgb", [NOISE] * 3 + [NOISE // 2], TWO, "holds 4 channels"),
        ("minisblack", [NOISE, NOISE], (2,), "partly transparent"),
        ("rgb", [NOISE] * 4, (2,), "partly transparent"),
    ],
)
def test_extra_samples_are_called_what_they_are(tmp_path, photometric, planes, extra, words):
    samples = np.stack(planes, axis=2)
    how = {"photometric": photometric, "planarconfig": "contig"}
    tifffile.imwrite(tmp_path / "a.tif", samples, extrasamples=extra, **how)
    with pytest.raises(readers.ImageError, match=words):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize(
    ("planes", "extra"),
    [
        ([NOISE, np.full_like(NOISE, 255)], (0,)),
        ([NOISE, np.full_like(NOISE, 255)], (2,)),
        ([NOISE] * 2, TWO),
    ],
    ids=["unnamed and full", "opaque", "a copy"],
)
def test_extra_samples_that_show_nothing_more_are_left_out(tmp_path, photometric, planes, extra):
    samples = np.stack(planes, axis=2)
    how = {"photometric": photometric, "planarconfig": "contig"}
    tifffile.imwrite(tmp_path / "a.tif", samples, extrasamples=extra, **how)
    assert (read(tmp_path / "a.tif") == (255 - NOISE if photometric == "miniswhite" else NOISE)).all()


@pytest.mark.parametrize("suffix", ["tif", "jpg"])
def test_a_png_under_another_ending_is_read_by_its_content(tmp_path, suffix):
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / f"a.{suffix}")
    assert (read(tmp_path / f"a.{suffix}") == NOISE).all()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("EPS", "PostScript"),
        ("PDF", "PDF"),
        ("GIF", "GIF"),
        ("WEBP", "WebP"),
        ("PPM", "PPM or PGM"),
        ("JPEG2000", "JPEG 2000"),
        ("AVIF", "AVIF"),
        ("ICO", "an icon"),
        ("TGA", "that of no PNG, TIFF, JPEG or BMP"),
    ],
)
def test_no_other_format_is_opened_whatever_its_name(tmp_path, monkeypatch, kind, name):
    called = tmp_path / "called"
    for program in ("gs", "gswin64c"):
        (tmp_path / program).write_text(f"#!/bin/sh\ntouch '{called}'\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # looked for anew
    Image.fromarray(NOISE).save(tmp_path / "a.jpg", format=kind)
    with pytest.raises(readers.ImageError, match=f"content is {name}") as caught:
        read(tmp_path / "a.jpg")
    assert caught.value.check == "image_unreadable"
    (tmp_path / "a.jpg").rename(tmp_path / "a_masks.png")
    faults = labels.decode(tmp_path / "a_masks.png", *NOISE.shape).faults
    assert f"content is {name}" in faults[0][1]
    assert not called.exists()


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_label_images_are_read_by_their_content_and_at_any_size(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    numbered = np.zeros((8, 8), np.uint8)
    numbered[1:4, 1:4] = 7
    for kind in ("PNG", "TIFF"):
        Image.fromarray(numbered).save(tmp_path / f"a.{suffix}", format=kind)
        found = labels.decode(tmp_path / f"a.{suffix}", 8, 8)
        assert (found.cells, found.faults) == ([("label 7", None)], [])


def test_an_image_larger_than_pillow_trusts_is_read_and_pillows_own_limit_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    plane = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(plane).save(tmp_path / "mosaic.png")
    assert np.array_equal(readers.read_image(tmp_path / "mosaic.png"), plane)
    assert Image.MAX_IMAGE_PIXELS == 10
