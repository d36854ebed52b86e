"""A TIFF's series: which page is which time, depth and channel, by OME, ImageJ, MetaMorph or the user."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile

from neuroseg.readers.images import ome
from neuroseg.readers.images.grey import GreyError
from neuroseg.readers.images.ome import Place

PLANE = ("YX", "YXS", "SYX")
"""Axes of one plane: rows, columns, samples of a pixel."""

AXES = {"time": "T", "z": "Z", "channel": "C"}
"""What the pages of a stack may be said to be (`pages` in the dataset file), and the axis that it is."""

_SECONDS = {
    **dict.fromkeys(("s", "sec", "second", "seconds", ""), 1.0),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("ms", "msec"), 1e-3),
}
"""Seconds of the units that ImageJ's frame interval is given in."""


class Series(NamedTuple):
    """A series with its pages; where they are no pages of the file, `whole` is the series itself."""

    name: str
    channels: list[str]
    pages: dict[Place, int]
    hours: dict[int, float]
    whole: tifffile.TiffPageSeries | None


def series_of(file: tifffile.TiffFile, path: Path, pages: str | None) -> list[Series]:
    """Return the series of a file; pages that it does not name are what `pages` says: time, z or channel.

    Raises:
        GreyError: nothing says what its pages are.
    """
    if file.is_ome:
        return _ome_series(file, path)
    return [_plain_series(file, series, pages) for series in file.series]


def _ome_series(file: tifffile.TiffFile, path: Path) -> list[Series]:
    try:
        kept = ome.main_images(file.ome_metadata or "", path)
    except ValueError as error:
        raise GreyError(
            "image_channels", f"is a stack, and {error}, save each plane as its own file"
        ) from error
    number = len(file.pages)
    if not kept or any(page >= number for image in kept for page in image.pages.values()):
        raise GreyError(
            "image_channels",
            "is a stack whose OME-XML names pages that it has not, save each plane as its own file",
        )
    return [Series(image.name, image.channels, image.pages, image.hours, None) for image in kept]


def _plain_series(file: tifffile.TiffFile, series: tifffile.TiffPageSeries, pages: str | None) -> Series:
    outer = [(axis, size) for axis, size in zip(series.axes, series.shape, strict=True) if axis not in "YXS"]
    if inner_axes(series) not in PLANE:
        raise GreyError(
            "image_channels", f"has the axes {series.axes}, of which Y and X are no plane, save it anew"
        )
    unnamed = [axis for axis, size in outer if axis not in "TZC" and size > 1]
    said = f"({sizes(series)})"
    if unnamed and (pages is None or len(unnamed) > 1):
        raise GreyError(
            "image_channels",
            f"is a stack {said} whose pages are not said to be time, depth or channels: "
            "say which with `pages` (time, z or channel) in the dataset file, and of depths also with "
            "`z` how they become one image, or save each as its own file",
        )
    named = {axis: AXES[pages] if pages and axis in unnamed else axis for axis, _ in outer}
    if len(set(named.values())) < len(named):
        raise GreyError(
            "image_channels", f"is a stack {said} of which no axis is {pages}, save each as its own file"
        )
    found = {}
    for number, place in enumerate(product(*(range(size) for _, size in outer))):
        at = dict(zip((named[axis] for axis, _ in outer), place, strict=True))
        found[Place(at.get("T", 0), at.get("Z", 0), at.get("C", 0))] = number
    times = len({place.time for place in found})
    return Series(series.name or "", [], found, _hours(file, times), series)


def _hours(file: tifffile.TiffFile, times: int) -> dict[int, float]:
    told = file.imagej_metadata or {}
    step, unit = told.get("finterval"), _SECONDS.get(str(told.get("tunit", "")).strip().lower().rstrip("."))
    if isinstance(step, int | float) and step > 0 and unit is not None:
        return {at: at * step * unit / 3600 for at in range(times)}
    created = np.asarray((file.stk_metadata or {}).get("DatetimeCreated", []))
    if file.is_stk and times > 1 and len(created) == times and created[-1] != created[0]:
        return {
            at: float((moment - created[0]) / np.timedelta64(1, "h")) for at, moment in enumerate(created)
        }
    return {}


def sizes(image: tifffile.TiffPage | tifffile.TiffPageSeries) -> str:
    """Return the axes of an image or a stack and how long each is: TYX: 3 x 100 x 200."""
    return f"{image.axes}: {' x '.join(map(str, image.shape))}"


def inner_axes(series: tifffile.TiffPageSeries) -> str:
    """Return the axes of one plane of a series, as they follow one another: YX, YXS or SYX."""
    return "".join(axis for axis in series.axes if axis in "YXS")


def page_of(file: tifffile.TiffFile, series: Series, number: int) -> tuple[tifffile.TiffPage, str]:
    """Return the page that tells what a series' samples mean, and the axes of its planes.

    Args:
        file: the file, open.
        series: one of its series.
        number: the number of any of its pages.
    """
    if series.whole is not None:
        return series.whole.keyframe.aspage(), inner_axes(series.whole)
    page = file.pages[number].aspage()
    return page, page.axes


def planes(
    file: tifffile.TiffFile, series: Series, numbers: Sequence[int], broken: bool = False
) -> Iterator[np.ndarray]:
    """Yield the samples of a series' pages, one after the other; with `broken`, without those that fail."""
    whole = series.whole
    stored = None
    if whole is not None:
        outer = [at for at, axis in enumerate(whole.axes) if axis not in "YXS"]
        inner = tuple(size for axis, size in zip(whole.axes, whole.shape, strict=True) if axis in "YXS")
        paged = outer == list(range(len(outer))) and whole.keyframe.shape == inner
        if not paged or (len(whole.pages) != len(series.pages) and whole.dataoffset is None):
            stored = np.moveaxis(whole.asarray(), outer, range(len(outer))).reshape(-1, *inner)
    for number in numbers:
        try:
            plane = _plane(file, whole, number, len(series.pages)) if stored is None else stored[number]
        except Exception:  # decoders fail on broken bytes in many ways
            if broken:
                continue
            raise
        yield plane


def _plane(
    file: tifffile.TiffFile, whole: tifffile.TiffPageSeries | None, number: int, count: int
) -> np.ndarray:
    if whole is None:
        return file.pages[number].asarray()
    page = whole.pages[number] if len(whole.pages) == count else None
    if page is not None:
        return page.asarray()
    if whole.dataoffset is not None:  # ImageJ's large stacks have one page and all samples behind it
        shape = whole.keyframe.shape
        stored = np.dtype(f"{file.byteorder}{whole.dtype.char}")
        offset = whole.dataoffset + number * int(np.prod(shape)) * stored.itemsize
        return np.memmap(file.filehandle.path, stored, "r", offset, shape).astype(whole.dtype)
    return whole.asarray().reshape(-1, *whole.keyframe.shape)[number]
