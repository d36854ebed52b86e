"""The ends between which all planes of one channel of a file are shown: its images keep their differences."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import tifffile

from neuroseg.readers.images.common_ends import Ends, ends_of
from neuroseg.readers.images.grey import GreyError
from neuroseg.readers.images.photometric import own_samples
from neuroseg.readers.images.series import page_of, planes, series_of


def channel_ends(path: Path, channel: int, pages: str | None, kind: np.dtype) -> Ends:
    """Return the ends of all planes of a TIFF's channel, in all series of one type of samples.

    Planes that cannot be read do not count. They are looked at one after the other.

    Args:
        path: the file.
        channel: the number of the channel, counted from 0.
        pages: what the pages of a file are that does not say it.
        kind: the type of samples.
    """
    state = path.stat()
    return _ends(path, channel, pages, kind, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)
def _ends(path: Path, channel: int, pages: str | None, kind: np.dtype, mtime_ns: int, size: int) -> Ends:
    """Return the ends of a file as it is at a time: its images are read one by one, each of them asks."""
    with tifffile.TiffFile(path) as file:
        return ends_of(lambda: _planes(file, path, channel, pages, kind))


def _planes(
    file: tifffile.TiffFile, path: Path, channel: int, pages: str | None, kind: np.dtype
) -> Iterator[np.ndarray]:
    for series in series_of(file, path, pages):
        numbers = [number for place, number in series.pages.items() if place.channel == channel]
        if not numbers:
            continue
        page, axes = page_of(file, series, numbers[0])
        if page.dtype != kind:
            continue
        for samples in planes(file, series, numbers, broken=True):
            try:
                own = own_samples(samples, axes, page)
            except GreyError:  # of another series, or the image is refused for it later
                continue
            yield own
