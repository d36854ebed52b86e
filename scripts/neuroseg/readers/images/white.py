"""The lowest and highest samples of a TIFF: one white for all images of a file whose zero is white."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import tifffile

from neuroseg.readers.images.ends import ends


def ends_of_file(path: Path) -> tuple[float, float]:
    """Return the lowest and the highest finite sample of all of a TIFF's pages whose zero is white."""
    state = path.stat()
    return _ends(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=256)
def _ends(path: Path, mtime_ns: int, size: int) -> tuple[float, float]:
    """Return the ends of a file as it is at a time: its images are read one by one, each of them asks."""
    with tifffile.TiffFile(path) as file:
        found = [ends(samples) for samples in _pages(file)]
    return min(low for low, _ in found), max(high for _, high in found)


def _pages(file: tifffile.TiffFile) -> Iterator[np.ndarray]:
    first = file.pages.first
    behind = (file.imagej_metadata or {}).get("images", 1) if len(file.pages) == 1 else 1
    if behind > 1 and first.is_contiguous:  # ImageJ's large stacks have one page and all samples behind it
        stored = np.dtype(f"{file.byteorder}{np.dtype(first.dtype).char}")
        yield from np.memmap(file.filehandle.path, stored, "r", first.dataoffsets[0], (behind, *first.shape))
        return
    for page in file.pages:
        whole = page.aspage()
        if whole.photometric == tifffile.PHOTOMETRIC.MINISWHITE and not whole.is_reduced:
            yield whole.asarray()
