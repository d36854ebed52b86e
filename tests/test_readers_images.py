"""Readers: image files to grey planes."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from readers_cases import DEEP, RAMP

from neuroseg import readers


@pytest.mark.parametrize("plane", [RAMP, DEEP], ids=["8 bit", "16 bit"])
@pytest.mark.parametrize(
    "name", ["a.png", "a.tif", "a.tiff", "a.ome.tif", "lzw.tif", "packed.tif", "big_endian.tif"]
)
def test_a_grey_plane_comes_back_as_stored(tmp_path, plane, name):
    path = tmp_path / name
    if name == "big_endian.tif":
        tifffile.imwrite(path, plane, byteorder=">")
    elif name == "packed.tif":
        tifffile.imwrite(path, plane, compression="zlib", predictor=2)
    elif name.endswith((".png", "lzw.tif")):
        Image.fromarray(plane).save(path, **({} if name.endswith("png") else {"compression": "tiff_lzw"}))
    else:
        tifffile.imwrite(path, plane)
    image = readers.read_image(path)
    assert image.dtype == plane.dtype
    assert (image == plane).all()


def test_a_tiff_whose_zero_is_white_is_turned_over(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", DEEP, photometric="miniswhite")
    assert (readers.read_image(tmp_path / "a.tif") == 65535 - DEEP.astype(int)).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "L"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_colour_of_equal_channels_is_grey(tmp_path, mode, suffix):
    if mode == "P" and suffix == "tif":
        suffix = "png"
    Image.fromarray(RAMP).convert(mode).save(tmp_path / f"a.{suffix}")
    assert (readers.read_image(tmp_path / f"a.{suffix}") == RAMP).all()


def test_a_planar_tiff_of_equal_channels_is_grey(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([DEEP] * 3), photometric="rgb", planarconfig="separate")
    assert (readers.read_image(tmp_path / "a.tif") == DEEP).all()


def _colour(path: Path) -> None:
    Image.fromarray(np.stack([RAMP, RAMP + 90, RAMP], axis=2)).save(path)


def _transparent(path: Path) -> None:
    Image.fromarray(np.stack([RAMP, RAMP, RAMP, RAMP], axis=2), "RGBA").save(path)


def _cut_short(path: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (200, 200), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:20_000])


BROKEN_IMAGES = {
    "missing": ("a.png", lambda path: None, "image_missing", "is not there"),
    "empty": ("a.png", lambda path: path.write_bytes(b""), "image_unreadable", "it is empty: copy it anew"),
    "text": ("a.png", lambda path: path.write_text("<html>"), "image_unreadable", "that of no PNG, TIFF"),
    "a head alone": (
        "a.tif",
        lambda path: path.write_bytes(b"II*\0\10\0\0\0"),
        "image_unreadable",
        "pages are missing",
    ),
    "cut short": ("a.png", _cut_short, "image_unreadable", "cannot be decoded"),
    "cut short tiff": ("a.tif", _cut_short, "image_unreadable", "cannot be decoded"),
    "complex": (
        "a.tif",
        lambda path: tifffile.imwrite(path, RAMP.astype(np.complex64)),
        "image_bit_depth",
        "complex64",
    ),
    "text as tiff": (
        "a.tif",
        lambda path: path.write_text("<html>"),
        "image_unreadable",
        "cannot be decoded",
    ),
    "colour": ("a.png", _colour, "image_channels", "is in colour .* or leave out .* `exclude`"),
    "colour tiff": ("a.tif", _colour, "image_channels", "is in colour .* or leave out .* `exclude`"),
    "transparent": ("a.png", _transparent, "image_channels", "transparent.* or leave out .* `exclude`"),
    "stack": (
        "a.tif",
        lambda path: tifffile.imwrite(path, np.stack([DEEP] * 5)),
        "image_channels",
        "is a stack",
    ),
    "animation": (
        "a.png",
        lambda path: Image.fromarray(RAMP).save(
            path, save_all=True, append_images=[Image.fromarray(RAMP + 1)]
        ),
        "image_channels",
        "stack of 2",
    ),
}


@pytest.mark.parametrize("name", BROKEN_IMAGES)
def test_a_broken_image_is_refused_under_its_checks_name(tmp_path, name):
    file, spoil, check, words = BROKEN_IMAGES[name]
    spoil(tmp_path / file)
    with pytest.raises(readers.ImageError, match=words) as caught:
        readers.read_image(tmp_path / file)
    assert caught.value.check == check
    assert str(tmp_path / file) in str(caught.value)


def test_eight_bit_of_an_ordinary_level_is_left_as_it_is():
    image = RAMP - np.uint8(np.median(RAMP)) + np.uint8(120)
    assert readers.to_uint8(image) is image


@pytest.mark.parametrize("background", [200, 2000, 32_000, 65_535])
def test_sixteen_bit_becomes_eight_with_the_background_at_128(background):
    image = np.full((9, 9), background, np.uint16)
    image[0, 0], image[0, 1] = background // 2, 0
    scaled = readers.to_uint8(image)
    assert scaled.dtype == np.uint8
    assert scaled[5, 5] == 128
    assert scaled[0, :2].tolist() == [64, 0]


def test_what_is_twice_as_bright_as_the_background_is_white():
    image = np.full((9, 9), 1000, np.uint16)
    image[0] = 60_000
    assert (readers.to_uint8(image)[0] == 255).all()


@pytest.mark.parametrize("value", [0, 500])
def test_a_black_or_mostly_black_image_stays_black(value):
    image = np.zeros((9, 9), np.uint16)
    image[0, 0] = value
    assert (readers.to_uint8(image).ravel()[1:] == 0).all()


def test_a_file_is_read_as_detectors_see_it(tmp_path):
    tifffile.imwrite(tmp_path / "deep.tif", np.full((9, 9), 4000, np.uint16))
    assert (readers.read_uint8(tmp_path / "deep.tif") == np.full((9, 9), 128, np.uint8)).all()


PIXEL_SIZES = {
    "ome": ("a.ome.tif", {"metadata": {"PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}}, 0.65),
    "ome in nm": (
        "a.ome.tif",
        {
            "metadata": {
                "PhysicalSizeX": 650,
                "PhysicalSizeXUnit": "nm",
                "PhysicalSizeY": 650,
                "PhysicalSizeYUnit": "nm",
            }
        },
        0.65,
    ),
    "ome without": ("a.ome.tif", {}, None),
    "imagej": ("a.tif", {"imagej": True, "resolution": (2.0, 2.0), "metadata": {"unit": "micron"}}, 0.5),
    "imagej without unit": ("a.tif", {"imagej": True, "resolution": (2.0, 2.0)}, None),
    "per cm": ("a.tif", {"resolution": (8000, 8000), "resolutionunit": "CENTIMETER"}, 1.25),
    "per inch": ("a.tif", {"resolution": (25_400, 25_400), "resolutionunit": "INCH"}, 1.0),
    "72 dpi": ("a.tif", {"resolution": (72, 72), "resolutionunit": "INCH"}, None),
    "not square": ("a.tif", {"resolution": (8000, 4000), "resolutionunit": "CENTIMETER"}, None),
    "no unit": ("a.tif", {"resolution": (8000, 8000), "resolutionunit": "NONE"}, None),
}


@pytest.mark.parametrize("name", PIXEL_SIZES)
def test_the_pixel_size_is_read_where_the_file_gives_a_microscopes(tmp_path, name):
    file, options, expected = PIXEL_SIZES[name]
    tifffile.imwrite(tmp_path / file, DEEP, **options)
    found = readers.survey([tmp_path / file])["pixel_size_um"][0]
    assert found == (expected if expected is None else pytest.approx(expected))


def test_a_survey_says_what_each_file_is(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "b.tif", RAMP)
    tifffile.imwrite(tmp_path / "c.tif", np.full((3, 4), 9, np.uint16))
    found = readers.survey([str(tmp_path / name) for name in ("a.png", "b.tif", "c.tif", "d.tif")])
    assert found["fault"].tolist() == [None, None, None, "image_missing"]
    assert found["height"].tolist()[:3] == [6, 6, 3]
    assert found["depth"].tolist()[:3] == ["uint8", "uint8", "uint16"]
    assert found["constant"].tolist()[:3] == [False, False, True]
    assert found["digest"][0] == found["digest"][1] != found["digest"][2]


def test_the_same_numbers_in_another_frame_are_another_image(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    Image.fromarray(RAMP.reshape(10, 6)).save(tmp_path / "b.png")
    found = readers.survey([tmp_path / "a.png", tmp_path / "b.png"])
    assert found["digest"][0] != found["digest"][1]
