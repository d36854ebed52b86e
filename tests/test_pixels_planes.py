"""Files of several images: one plane is read, smaller copies passed over, nothing cut to its first page."""

import uuid

import numpy as np
import pytest
import tifffile
from PIL import Image

from neuroseg import readers

PLANES = np.random.default_rng(0).integers(90, 170, (3, 64, 96)).astype(np.uint8)
PLANES[:, 8:40, 16:60] += 60


def smaller(image: np.ndarray, factor: int) -> np.ndarray:
    height, width = (side // factor for side in image.shape)
    return image.reshape(height, factor, width, factor).mean((1, 3)).astype(np.uint8)


def write_pages(path, images, **options) -> None:
    with tifffile.TiffWriter(path) as file:
        for image in images:
            file.write(image, photometric="minisblack", metadata=None, **options)


def refused(path, words: str) -> None:
    with pytest.raises(readers.ImageError, match=words) as caught:
        readers.read_image(path)
    assert caught.value.check == "image_channels"
    assert path.name in str(caught.value)


def test_series_of_one_ome_tiff_are_refused_by_their_number(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        for plane in PLANES:
            file.write(plane, metadata={"axes": "YX"})
    refused(tmp_path / "a.ome.tif", "stack of 3 planes .3 series")


WORDS = {
    "TYX": "TYX: 3 x 64 x 96",
    "ZYX": "3 depths: say with `z`",
    "CYX": "3 channels .* say with `channel`",
}


@pytest.mark.parametrize("axes", WORDS)
@pytest.mark.parametrize("form", ["ome", "imagej"])
def test_a_stack_is_refused_with_what_it_holds(tmp_path, axes, form):
    path = tmp_path / ("a.ome.tif" if form == "ome" else "a.tif")
    tifffile.imwrite(path, PLANES, imagej=form == "imagej", metadata={"axes": axes}, photometric="minisblack")
    refused(path, WORDS[axes])


def test_pages_of_unlike_sizes_are_refused(tmp_path):
    write_pages(tmp_path / "a.tif", [PLANES[0], PLANES[1][:40]])
    refused(tmp_path / "a.tif", "2 images of unlike pages")


def test_a_second_image_of_half_the_size_that_shows_something_else_is_refused(tmp_path):
    write_pages(tmp_path / "a.tif", [PLANES[0], smaller(PLANES[1][::-1, ::-1], 2)])
    refused(tmp_path / "a.tif", "2 images of unlike pages")


def test_pages_of_one_size_are_refused(tmp_path):
    write_pages(tmp_path / "a.tif", PLANES)
    refused(tmp_path / "a.tif", "3 x 64 x 96")


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_a_pyramid_of_pages_is_its_largest(tmp_path, name):
    write_pages(tmp_path / name, [PLANES[0], smaller(PLANES[0], 2), smaller(PLANES[0], 4)])
    assert (readers.read_image(tmp_path / name) == PLANES[0]).all()


def test_a_preview_marked_as_reduced_is_passed_over(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(PLANES[0], photometric="minisblack", metadata=None)
        file.write(PLANES[1][:16, :16], photometric="minisblack", metadata=None, subfiletype=1)
    assert (readers.read_image(tmp_path / "a.tif") == PLANES[0]).all()


def test_a_pyramid_of_sub_pages_is_its_largest(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as file:
        file.write(PLANES[0], subifds=1, metadata={"axes": "YX"})
        file.write(smaller(PLANES[0], 2), subfiletype=1)
    assert (readers.read_image(tmp_path / "a.ome.tif") == PLANES[0]).all()


def test_one_plane_files_of_a_set_whose_xml_lists_all_are_images_of_their_own(tmp_path):
    ids = [f"urn:uuid:{uuid.UUID(int=number + 1)}" for number in range(3)]
    parts = "".join(
        f'<TiffData FirstT="{at}" IFD="0" PlaneCount="1"><UUID FileName="t{at}.ome.tif">{name}</UUID>'
        "</TiffData>"
        for at, name in enumerate(ids)
    )
    for at, name in enumerate(ids):
        xml = (
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{name}">'
            '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="96" '
            f'SizeY="64" SizeC="1" SizeZ="1" SizeT="3">'
            f'<Channel ID="Channel:0:0" SamplesPerPixel="1"/>{parts}</Pixels></Image></OME>'
        )
        tifffile.imwrite(tmp_path / f"t{at}.ome.tif", PLANES[at], description=xml, metadata=None)
    for at in range(3):
        assert (readers.read_image(tmp_path / f"t{at}.ome.tif") == PLANES[at]).all()


def test_an_animated_png_is_refused(tmp_path):
    first, *others = [Image.fromarray(plane) for plane in PLANES]
    first.save(tmp_path / "a.png", save_all=True, append_images=others)
    refused(tmp_path / "a.png", "stack of 3 planes")


def test_a_stack_of_one_page_is_no_stack(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PLANES[:1], imagej=True, metadata={"axes": "TYX"})
    assert (readers.read_image(tmp_path / "a.tif") == PLANES[0]).all()
