"""One image file to one grey plane, and what the file says about itself."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from neuroseg.errors import DataError
from neuroseg.readers.images.ends import ends
from neuroseg.readers.images.grey import GreyError, inverted
from neuroseg.readers.images.numbered import is_numbered
from neuroseg.readers.images.planes import Decoded, decode
from neuroseg.readers.images.stacks import located, without_white
from neuroseg.readers.intensity.levels import shown, to_uint8, unlike

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".stk", ".btf", ".tf8", ".tf2")

_FEW = 100
"""Steps of grey between the ends of an image, below which its contrast was lost as numbers were spread."""


class ImageError(DataError):
    """An image file that gives no grey plane; `check` is the name under which `quality` reports it."""

    def __init__(self, check: str, reason: str, path: str | Path) -> None:
        super().__init__(f"{without_white(str(path))}: the image {reason}.")
        self.check = check
        self.reason = reason


def read_image(path: str | Path) -> np.ndarray:
    """Return the grey plane of a PNG, TIFF, JPEG or BMP, shape (height, width), uint8 or uint16 as stored.

    Of a file of several images, the path says which (`stacks.marked`).

    A TIFF whose zero is white is turned over, and so is what the path says is inverted; samples of other
    types and colours that are nearly grey are converted as `grey.grey` says.

    Raises:
        ImageError: the file is missing, damaged, truly in colour, of several planes, or holds no real
            numbers.
    """
    return _decode(Path(path)).grey


def read_uint8(path: str | Path) -> np.ndarray:
    """Return what `read_image` does as `to_uint8` makes it 8 bit: an image as detectors see it."""
    return to_uint8(read_image(path))


def survey(paths: Sequence[str]) -> pd.DataFrame:
    """Decode every image once and return, row by row, what its file is.

    Returns:
        Columns `fault` (a check's name, or null), `reason`, `height`, `width`, `depth` ("uint8"), `stored`
        (the type of the file's samples, such as "float32", which is not that of `depth` then), `constant`,
        `digest` (of depth, size and pixels as stored), `pixel_size_um`, null where the file does not say, and
        `pixel_note`: why what it says is not believed, `no_data`: how much of it is none, `squeezed`: why few
        grey levels are left, `numbered`: whether its pixels are a label image's, and `unlike`: what of it is
        unlike ordinary phase contrast in 8 bit, null if nothing.
    """
    rows = [_look(Path(path)) for path in tqdm(paths, desc="reading images", unit="image", disable=None)]
    names = (
        "fault",
        "reason",
        "height",
        "width",
        "depth",
        "stored",
        "constant",
        "digest",
        "pixel_size_um",
        "pixel_note",
        "no_data",
        "squeezed",
        "numbered",
        "unlike",
    )
    return pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names})


def pixel_digest(image_ids: Sequence[str], surveyed: pd.DataFrame, left_out: Collection[int] = ()) -> str:
    """Return one digest of all images' pixels: a table that carries it differs if an image was replaced.

    Pixels of images that are left out, by position, are not in it; one that cannot be read is, by its name.
    """
    digest = hashlib.blake2b(digest_size=16)
    for at, (image_id, pixels) in enumerate(zip(image_ids, surveyed["digest"], strict=True)):
        if at in left_out and pixels is not None:
            continue
        digest.update(f"{image_id}\0{pixels}\0".encode(errors="surrogatepass"))
    return digest.hexdigest()


def _look(path: Path) -> dict[str, object]:
    try:
        found = _decode(path)
    except ImageError as error:
        return {"fault": error.check, "reason": error.reason}
    image, scale = found.grey, found.scale
    digest = hashlib.blake2b(f"{image.dtype} {image.shape}".encode(), digest_size=16)
    if found.between is not None and not found.between.whole:
        digest.update(repr(found.between[:2]).encode())  # other values may be spread to the same ones
    digest.update(np.ascontiguousarray(image).data)
    return {
        "height": image.shape[0],
        "width": image.shape[1],
        "depth": str(image.dtype),
        "stored": found.stored or str(image.dtype),
        "constant": bool(image.min() == image.max()),
        "digest": digest.hexdigest(),
        "pixel_size_um": scale.micrometres,
        "pixel_note": scale.note,
        "no_data": _lost(found),
        "squeezed": _squeezed(found),
        "numbered": is_numbered(image),
        "unlike": unlike(shown(image)) or None,
    }


def _decode(path: Path) -> Decoded:
    """Return an image of a file, turned over where its path says so."""
    file, spec, white = located(path)
    if not file.is_file():
        raise ImageError("image_missing", "is not there", path)
    try:
        found = decode(file, spec, inverted=white is not None)
    except GreyError as error:
        raise ImageError(error.check, error.reason, path) from None
    except Exception as error:  # decoders fail on broken bytes in many ways: OSError, struct.error, ...
        line = next(iter(str(error).splitlines()), type(error).__name__).replace(str(file), "the file")
        raise ImageError("image_unreadable", f"cannot be decoded ({line.rstrip('.')})", path) from error
    if white is None:
        return found
    turned = inverted(found.grey, white)
    if found.missing is not None:
        turned[found.missing] = 0
    return found._replace(grey=turned)


def _squeezed(found: Decoded) -> str | None:
    """Return in words that few grey values are left of an image, since others of its file go far beyond."""
    there = found.grey if found.missing is None else found.grey[~found.missing]
    if found.between is None or found.between.whole or not there.size:
        return None
    low, high = ends(there)
    if not 0 < high - low < _FEW:
        return None
    return (
        f"has {high - low + 1:.0f} grey levels only, as the numbers in its file that are spread reach from "
        f"{found.between.low:.6g} to {found.between.high:.6g}: save it as a file of its own, or without these"
    )


def _lost(found: Decoded) -> str | None:
    """Return in words how much of an image is no data, None if nothing."""
    if found.missing is None or found.between is None:
        return None
    share = 100 * float(found.missing.mean())
    values = ", ".join(f"{value:.6g}" for value in found.between.no_data)
    return (
        f"has no data in {f'{share:.0f}' if share >= 1 else f'{share:.2g}'} % of its pixels "
        f"({values or 'not a number or infinite'}): they are shown as black, 0"
    )
