"""A dataset file's `invert`: black and white of its images are exchanged wherever they are read."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from pydantic import ValidationError

from neuroseg import readers, rle
from neuroseg.detector import checkpoints
from neuroseg.readers.dataset import Folder
from neuroseg.readers.images.stacks import Spec, located, marked

PLANE = np.random.default_rng(0).integers(90, 170, (24, 32)).astype(np.uint8)


def source(folder: Path, **settings) -> readers.Source:
    return readers.read(Folder.model_validate({"format": "folder", "root": folder, **settings}))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("spec", [None, Spec(1, 2, 1, "max")])
def test_a_place_that_is_turned_over_is_read_as_it_is_written(name, spec):
    assert located(marked(Path(name), spec) + "::inverted") == (Path(name), spec, 0)
    assert located(marked(Path(name), spec) + "::inverted4095") == (Path(name), spec, 4095)


def test_a_file_that_really_bears_that_name_is_itself(tmp_path):
    path = tmp_path / "a.tif::inverted"
    tifffile.imwrite(path, PLANE, photometric="minisblack")
    assert located(path) == (path, None, None)
    assert (readers.read_image(path) == PLANE).all()


@pytest.mark.parametrize(
    ("stored", "white"),
    [
        (PLANE, 255),
        (PLANE.astype(np.uint16) * 257, 65535),
        (PLANE.astype(np.uint16), 65535),  # whatever the image's own highest value is
        (PLANE.astype(np.uint16) * 16, 4095),
    ],
)
def test_black_and_white_are_exchanged_at_any_depth(tmp_path, stored, white):
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack")
    path = source(tmp_path, invert=4095 if white == 4095 else True).images["path"].item()
    found = readers.read_image(path)
    assert found.dtype == stored.dtype
    assert (found == white - stored.astype(int)).all()
    assert (readers.read_image(source(tmp_path).images["path"].item()) == stored).all()


def test_images_of_a_stack_and_a_file_whose_zero_is_white_are_turned_over_too(tmp_path):
    two = np.stack([PLANE, PLANE + 1])
    tifffile.imwrite(tmp_path / "a.tif", two, imagej=True, metadata={"axes": "TYX"})
    tifffile.imwrite(tmp_path / "b.tif", PLANE, photometric="miniswhite")
    paths = source(tmp_path, invert=True).images.set_index("image_id")["path"]
    assert (readers.read_image(paths["a__t2"]) == 255 - two[1]).all()
    assert (readers.read_image(paths["b"]) == PLANE).all()


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_the_highest_of_all_depths_is_that_of_the_image_turned_over(tmp_path, photometric):
    depths = np.stack([PLANE, PLANE[::-1], PLANE[:, ::-1]])
    tifffile.imwrite(tmp_path / "a.ome.tif", depths, metadata={"axes": "ZYX"}, photometric=photometric)
    for invert in (False, True):
        path = source(tmp_path, z="max", invert=invert).images["path"].item()
        dark = (photometric == "miniswhite") != invert
        assert (readers.read_image(path) == (255 - depths if dark else depths).max(0)).all()


def test_what_lies_beyond_the_white_stated_is_black(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((20, 20), 5000, np.uint16), photometric="minisblack")
    assert not readers.read_image(source(tmp_path, invert=4095).images["path"].item()).any()


@pytest.mark.parametrize("word", ["maybe", None, 1, -4095, 65536, 0.5, "yes"])
def test_a_word_that_is_no_white_is_named(tmp_path, word):
    with pytest.raises(ValidationError, match="is neither true nor false nor the value of white"):
        source(tmp_path, invert=word)


def test_label_images_beside_them_are_not_turned_over(tmp_path):
    labels = np.zeros(PLANE.shape, np.uint8)
    labels[5:9, 5:9] = 3
    tifffile.imwrite(tmp_path / "a.tif", PLANE, photometric="minisblack")
    tifffile.imwrite(tmp_path / "a_masks.tif", labels, photometric="minisblack")
    (tmp_path / "d.yaml").write_text(f"format: labels\nroot: '{tmp_path}'\ninvert: true\n")
    found = readers.read(readers.read_dataset(tmp_path / "d.yaml"))
    assert rle.areas(found.masks).tolist() == [16]
    assert (readers.read_image(found.images["path"].item()) == 255 - PLANE).all()


def test_a_missing_image_is_named_without_a_stack_of_calls(tmp_path):
    with pytest.raises(readers.ImageError, match=r"none\.tif: the image is not there"):
        readers.read_image(f"{tmp_path}/none.tif::inverted4095")


def test_a_training_begins_anew_when_its_images_are_turned_over(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PLANE, photometric="minisblack")
    none = pd.DataFrame({"image_id": [], "cell_type": [], "rle": []})
    digests = {
        checkpoints.fingerprint({}, source(tmp_path, invert=turned).images, none) for turned in (False, True)
    }
    assert len(digests) == 2
