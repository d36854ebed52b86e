"""One image file to one grey plane, and what the file says about itself."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from PIL import Image
from tqdm import tqdm

from neuroseg.tables import DataError

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")

BACKGROUND = 128
"""Grey value of the background after `to_uint8`: where the Incucyte, which took Sartorius and LIVECell, puts it too."""

_PRINTED = 20.0
"""Pixels larger than this many micrometres are a printer's resolution (72 or 300 dots an inch), not a microscope's."""

_MICROMETRES = {
    "µm": 1.0,
    "μm": 1.0,
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
}


class ImageError(DataError):
    """An image file that gives no grey plane; `check` is the name under which `quality` reports it."""

    def __init__(self, check: str, reason: str, path: str | Path) -> None:
        super().__init__(f"{path}: the image {reason}.")
        self.check = check
        self.reason = reason


def read_image(path: str | Path) -> np.ndarray:
    """Return the grey plane of a PNG, TIFF, OME-TIFF or JPEG file, shape (height, width), uint8 or uint16 as stored.

    Colour whose channels are equal is grey; a TIFF whose zero is white is turned over.

    Raises:
        ImageError: the file is missing, damaged, truly in colour, a stack, or of another depth than 8 or 16 bit.
    """
    return _decode(Path(path))[0]


def read_uint8(path: str | Path) -> np.ndarray:
    """Return what `read_image` does as `to_uint8` makes it 8 bit: an image as detectors see it."""
    return to_uint8(read_image(path))


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Return a grey plane as 8 bit: 8 bit as it is, 16 bit scaled so that its median, the background, becomes 128.

    Phase contrast is a ratio to the background, and cameras fill 10, 12, 14 or all 16 of a file's bits: a fixed divisor
    leaves some images black, and a stretch between percentiles blows the noise of an empty image up to full contrast.
    Dividing by the background does neither, and lands where 8-bit images of these microscopes already are.
    """
    if image.dtype == np.uint8:
        return image
    background = float(np.median(image)) or float(image.max()) or 1.0
    scale = np.float32(BACKGROUND / background)
    return np.minimum(np.rint(image.astype(np.float32) * scale), 255).astype(np.uint8)


def survey(paths: Sequence[str]) -> pd.DataFrame:
    """Decode every image once and return, row by row, what its file is.

    Returns:
        Columns `fault` (a check's name, or null), `reason`, `height`, `width`, `depth` ("uint8"), `constant`, `digest`
        (of depth, size and pixels) and `pixel_size_um`; null where the file does not say.
    """
    rows = [_look(Path(path)) for path in tqdm(paths, desc="reading images", unit="image", disable=None)]
    names = ("fault", "reason", "height", "width", "depth", "constant", "digest", "pixel_size_um")
    return pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names})


def _look(path: Path) -> dict[str, object]:
    try:
        image, pixel_size = _decode(path)
    except ImageError as error:
        return {"fault": error.check, "reason": error.reason}
    digest = hashlib.blake2b(f"{image.dtype} {image.shape}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(image))
    return {
        "height": image.shape[0],
        "width": image.shape[1],
        "depth": str(image.dtype),
        "constant": bool(image.min() == image.max()),
        "digest": digest.hexdigest(),
        "pixel_size_um": pixel_size,
    }


def _decode(path: Path) -> tuple[np.ndarray, float | None]:
    """Return the grey plane and the pixel size in micrometres where the file gives one."""
    if not path.is_file():
        raise ImageError("image_missing", "is not there", path)
    try:
        image, pixel_size = _read_tiff(path) if path.suffix.lower() in (".tif", ".tiff") else (_read_pillow(path), None)
    except ImageError:
        raise
    except Exception as error:  # decoders meet broken bytes in a dozen ways: OSError, SyntaxError, struct.error, ...
        line = next(iter(str(error).splitlines()), type(error).__name__).replace(str(path), "the file")
        raise ImageError("image_unreadable", f"cannot be decoded ({line.rstrip('.')})", path) from error
    image = _grey(image, path)
    if image.dtype not in (np.uint8, np.uint16):
        raise ImageError("image_bit_depth", f"holds {image.dtype} samples, 8 or 16 bit without sign are read", path)
    return image, pixel_size


def _read_pillow(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise ImageError(
                "image_channels", f"is a stack of {image.n_frames} planes, save each as its own file", path
            )
        return np.asarray(image.convert("RGBA") if image.mode in ("P", "PA") else image)


def _read_tiff(path: Path) -> tuple[np.ndarray, float | None]:
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        if series.axes not in ("YX", "YXS", "SYX"):
            size = " x ".join(str(side) for side in series.shape)
            raise ImageError(
                "image_channels", f"is a stack ({series.axes}: {size}), save each plane as its own file", path
            )
        pixel_size = _pixel_size(file)
        try:
            image = series.asarray()
        except ValueError:  # a compression that tifffile leaves to a package of its own; Pillow knows LZW and JPEG
            return _read_pillow(path), pixel_size
        if file.pages[0].photometric == tifffile.PHOTOMETRIC.MINISWHITE and image.dtype.kind == "u":
            image = np.iinfo(image.dtype).max - image
        image = np.moveaxis(image, 0, 2) if series.axes == "SYX" else image
    return image.astype(image.dtype.newbyteorder("="), copy=False), pixel_size


def _grey(image: np.ndarray, path: Path) -> np.ndarray:
    image = image.astype(image.dtype.newbyteorder("="), copy=False)
    if image.ndim == 2:
        return image
    samples = image.shape[2]
    if samples in (2, 4) and (image[..., -1] != np.iinfo(image.dtype).max).any():
        raise ImageError("image_channels", "is partly transparent, save it without an alpha channel", path)
    colours = image[..., : samples - 1 if samples in (2, 4) else samples]
    if (colours != colours[..., :1]).any():
        raise ImageError("image_channels", "is in colour, save its grey plane", path)
    return np.ascontiguousarray(colours[..., 0])


def _pixel_size(file: tifffile.TiffFile) -> float | None:
    """Return micrometres per pixel from OME metadata, ImageJ's, or TIFF's own resolution, in that order."""
    if file.is_ome:
        sides = _ome_sides(file.ome_metadata)
    else:
        unit = (file.imagej_metadata or {}).get("unit") if file.is_imagej else None
        sides = _tiff_sides(file.pages[0], unit)
    if sides is None or not all(0 < side < _PRINTED for side in sides) or abs(sides[0] / sides[1] - 1) > 0.01:
        return None
    return round(sides[0], 9)


def _ome_sides(text: str) -> tuple[float, float] | None:
    try:
        pixels = next((node for node in ElementTree.fromstring(text).iter() if node.tag.endswith("}Pixels")), None)
        x, y = (
            float(pixels.get(f"PhysicalSize{axis}")) * _MICROMETRES[pixels.get(f"PhysicalSize{axis}Unit", "µm")]
            for axis in "XY"
        )
    except (ElementTree.ParseError, AttributeError, TypeError, ValueError, KeyError):
        return None
    return x, y


def _tiff_sides(page: tifffile.TiffPage, unit: str | None) -> tuple[float, float] | None:
    tags = [page.tags.get(name) for name in ("XResolution", "YResolution")]
    if None in tags or any(0 in tag.value for tag in tags):
        return None
    inch_or_cm = {2: 25_400.0, 3: 10_000.0}.get(int(page.tags.valueof("ResolutionUnit", 1)))
    micrometres = inch_or_cm if unit is None else _MICROMETRES.get(unit.replace("\\u00B5", "µ"))
    if micrometres is None:
        return None
    return tuple(micrometres * tag.value[1] / tag.value[0] for tag in tags)
