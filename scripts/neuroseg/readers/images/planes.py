"""The one plane of an image: decoders by content; a file of several images must be told which one."""

from __future__ import annotations

import struct
from functools import partial
from pathlib import Path
from typing import NamedTuple

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from neuroseg.readers.images import ome
from neuroseg.readers.images.channels import channel_ends
from neuroseg.readers.images.common_ends import Ends
from neuroseg.readers.images.depths import projected
from neuroseg.readers.images.grey import GreyError, from_inks, grey
from neuroseg.readers.images.photometric import as_meant, own_samples
from neuroseg.readers.images.pictures import TIFF, is_deep_jpeg, is_tiff, opened
from neuroseg.readers.images.scale import Scale, tiff_scale
from neuroseg.readers.images.series import PLANE, sizes
from neuroseg.readers.images.stacks import Choice, Part, Spec, depths_of, parts
from neuroseg.readers.words import some

_GRID = 16

_BEHIND = 1024
"""Some programs leave so many bytes behind a JPEG's end."""


class Decoded(NamedTuple):
    """One image of a file.

    Attributes:
        grey: its plane, (height, width), uint8 or uint16.
        scale: what is said of its scale.
        between: the ends between which its samples were spread or moved, None where they keep their value.
        missing: which of its pixels are no data or not finite, at all depths; None where none is.
        stored: the type of a TIFF's samples, such as float32; empty of other files.
    """

    grey: np.ndarray
    scale: Scale = Scale(None, None)
    between: Ends | None = None
    missing: np.ndarray | None = None
    stored: str = ""


def decode(path: Path, spec: Spec | None = None, inverted: bool = False) -> Decoded:
    """Return an image of a file.

    What a file is stands in its first bytes, whatever its ending.

    Args:
        path: the file.
        spec: which of a TIFF's images it is; None where the file is one image.
        inverted: whether the caller will turn the image over, see `stacks.depths_of`.

    Raises:
        GreyError: the file holds several images and `spec` is None, or no such image; or no grey plane.
    """
    with path.open("rb") as file:
        head = file.read(26)
    if not head:
        raise ValueError("it is empty: copy it anew")
    if head[:4] in TIFF:
        return _read_tiff(path, spec, inverted)
    # Pillow reads 16-bit colour as 8 bit
    if head[:4] == b"\x89PNG" and head[24:26] in (b"\x10\x02", b"\x10\x04", b"\x10\x06"):
        return Decoded(grey(imagecodecs.png_decode(path.read_bytes())))
    if head[:3] == b"\xff\xd8\xff" and is_deep_jpeg(content := path.read_bytes()):
        if b"\xff\xd9" not in content[-_BEHIND:]:  # the decoder fills up what is missing
            raise ValueError("image file is truncated")
        return Decoded(grey(imagecodecs.jpeg_decode(content)))
    return Decoded(grey(_read_pillow(path)))


def _read_pillow(path: Path) -> np.ndarray:
    with opened(path) as image:
        planes = getattr(image, "n_frames", 1)
        if planes > 1:
            raise GreyError("image_channels", f"is a stack of {planes} planes, save each as its own file")
        if image.mode == "CMYK":
            return from_inks(np.asarray(image))
        return np.asarray(image.convert("RGBA") if image.mode in ("P", "PA") else image)


def images_of(path: Path, choice: Choice) -> list[Part]:
    """Return the images of a file that holds several, or whose time is known; none if one image, or no TIFF.

    Raises:
        GreyError: the file is a stack of which the dataset file does not say what to do.
        DataError: the dataset file names a channel or depth that is not there.
    """
    if not is_tiff(path):
        return []
    with tifffile.TiffFile(path) as file:
        _refuse_cut_off(file)
        try:
            _one_image(file)
        except GreyError:
            if not file.is_ome and len(_distinct(file)) > 1:
                raise  # unlike pages
            return parts(file, path, choice)
        return _part_of_a_set(file, path)


def _part_of_a_set(file: tifffile.TiffFile, path: Path) -> list[Part]:
    """Return a file's only image with its time, where it is one of a set whose XML lists all."""
    try:
        images = ome.images(file.ome_metadata or "", path) if file.is_ome else []
    except ValueError:
        return []
    places = [place for image in images for place in image.pages]
    if len(places) != 1 or len(images[0].hours) < 2:
        return []
    return [Part(None, "", "", images[0].hours.get(places[0].time))]


def _read_tiff(path: Path, spec: Spec | None, inverted: bool) -> Decoded:
    with tifffile.TiffFile(path) as file:
        _refuse_cut_off(file)
        scale = tiff_scale(file, path, spec.series if spec else 1)
        if spec is None:
            found = _single(file, path)
            page = found if isinstance(found, tifffile.TiffPage) else found.keyframe
            kind = np.dtype(page.dtype)
            meant = as_meant(own_samples(found.asarray(), found.axes, page), page, None)
        else:
            depths = depths_of(file, path, spec, inverted)
            kind = np.dtype(depths.page.dtype)
            of_all = partial(channel_ends, path, spec.channel - 1, spec.pages or None, kind)
            meant = projected(
                (
                    as_meant(own_samples(samples, depths.axes, depths.page), depths.page, of_all)
                    for samples in depths.planes
                ),
                depths.how,
            )
    return Decoded(meant.grey, scale, meant.between, meant.missing, kind.name)


def _refuse_cut_off(file: tifffile.TiffFile) -> None:
    """Raise where a page, or ImageJ's samples behind its only page, would lie beyond the end of the file."""
    number, handle = len(file.pages), file.filehandle
    if not number:
        raise ValueError("its pages are missing: copy it anew")
    page = file.pages.first
    told = (file.imagej_metadata or {}).get("images", 1) if number == 1 and page.is_contiguous else 1
    behind = (handle.size - page.dataoffsets[0]) // max(page.nbytes, 1) if told > 1 else told
    if _next_page(file) >= handle.size or 1 < behind < told:
        place = f"{behind} of {told} images" if told > 1 else f"page {number}"
        raise GreyError("image_unreadable", f"is cut off after {place}, copy it anew")


def _next_page(file: tifffile.TiffFile) -> int:
    """Return where the page after the last that was found should begin, 0 if none should."""
    place = file.pages.next_page_offset
    if place is None:
        return 0
    file.filehandle.seek(place)
    return int(struct.unpack(file.tiff.offsetformat, file.filehandle.read(file.tiff.offsetsize))[0])


def _single(file: tifffile.TiffFile, path: Path) -> tifffile.TiffPage | tifffile.TiffPageSeries:
    """Return a file's only image; the refusal says what a dataset file may say of the others."""
    try:
        return _one_image(file)
    except GreyError:
        if file.is_ome or len(_distinct(file)) == 1:
            parts(file, path, Choice())  # refuses channels, depths and pages of which nothing is said
        raise


def _one_image(file: tifffile.TiffFile) -> tifffile.TiffPage | tifffile.TiffPageSeries:
    return _only_page(file) if file.is_ome else _only_series(file)


def _only_page(file: tifffile.TiffFile) -> tifffile.TiffPage:
    """Return an OME-TIFF's only plane: its XML may list the files of a set, which are images of their own."""
    pages = [page for page in (page.aspage() for page in file.pages) if not page.is_reduced]
    pages = pages if len({page.shape for page in pages}) == 1 else _without_levels(pages)
    if len(pages) > 1 or pages[0].axes not in PLANE:
        series = file.series
        axes = " and ".join(dict.fromkeys(sizes(item) for item in series[:3]))
        number = f"{len(series)} series, each {axes}" if len(series) > 1 else axes
        raise GreyError(
            "image_channels", f"is a stack of {len(pages)} planes ({number}), save each plane as its own file"
        )
    return pages[0]


def _only_series(file: tifffile.TiffFile) -> tifffile.TiffPageSeries:
    """Return the only image of a TIFF, previews and smaller copies of it left out."""
    series = _distinct(file)
    odd = next((item for item in series if item.axes not in PLANE), None)
    if odd is not None:
        raise GreyError("image_channels", f"is a stack ({sizes(odd)}), save each plane as its own file")
    series = _without_levels(series)
    if len(series) > 1:
        raise GreyError(
            "image_channels",
            f"holds {len(series)} images of unlike pages ({some(map(sizes, series))}), "
            "save each as its own file",
        )
    return series[0]


def _distinct(file: tifffile.TiffFile) -> list[tifffile.TiffPageSeries]:
    """Return a TIFF's series without those marked as reduced."""
    # tifffile takes pages of falling size for levels of one image, whatever they show
    every = [level for item in file.series for level in item.levels if not level.keyframe.is_subifd]
    return [item for item in every if not item.keyframe.is_reduced] or every[:1]


def _without_levels(images: list) -> list:
    """Leave out those after the first that are the first at lower resolution: they show the same, smaller."""
    first = images[0]
    if len(images) == 1:
        return images
    large, coarse = first.shape, _coarse(first)
    return [first, *(item for item in images[1:] if not _is_level(item, large, coarse))]


def _is_level(
    item: tifffile.TiffPage | tifffile.TiffPageSeries, large: tuple[int, ...], coarse: np.ndarray
) -> bool:
    small = item.shape
    if len(small) != len(large) or item.axes not in PLANE or min(*small, _GRID) == 0:
        return False
    shrunk = [a / b for a, b in zip(large, small, strict=True) if a != b]
    if len(shrunk) != 2 or min(shrunk) < 1.5 or abs(shrunk[0] / shrunk[1] - 1) > 0.05:
        return False
    return float(np.corrcoef(coarse.ravel(), _coarse(item).ravel())[0, 1]) > 0.9


def _coarse(item: tifffile.TiffPage | tifffile.TiffPageSeries) -> np.ndarray:
    """Return the means of 16 x 16 parts, which an image and its smaller copies have in common."""
    image = item.asarray().astype(np.float32)
    if image.ndim == 3:
        image = image.mean(0 if item.axes == "SYX" else 2)
    return np.asarray(Image.fromarray(image).resize((_GRID, _GRID), Image.Resampling.BOX))
