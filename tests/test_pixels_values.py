"""Grey values as writers meant them: depth, white as zero, inks, nearly grey colour, by a file's content."""

import os

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import EpsImagePlugin, Image
from pixels_cases import DEEP, NOISE, read

from neuroseg import readers
from neuroseg.readers.images.grey import from_inks, from_tint
from neuroseg.readers.truth import labels


def coloured(plane: np.ndarray) -> np.ndarray:
    return np.stack([plane] * 3, axis=2)


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
        with pytest.raises(readers.ImageError, match=r"is in colour.* `exclude`"):
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
    with pytest.raises(readers.ImageError, match=r"is in colour.* `exclude`"):
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
        ("minisblack", [NOISE, NOISE], (2,), "partly transparent.* `exclude`"),
        ("rgb", [NOISE] * 4, (2,), "partly transparent.* `exclude`"),
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
