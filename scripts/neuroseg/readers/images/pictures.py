"""The one place where Pillow opens a file: PNG, JPEG and BMP by their content, and nothing else.

Pillow knows some forty formats and goes by the first bytes, not the name. For PostScript it starts another
program, and an image that was made to do harm needs only one decoder with a fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from neuroseg.tables import MOST_PIXELS

FORMATS = ("PNG", "JPEG", "BMP")
"""What Pillow may open. TIFF is tifffile's."""

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How a TIFF or BigTIFF begins."""

_OTHERS = (
    (0, b"%!", "PostScript (EPS)"),
    (0, b"\xc5\xd0\xd3\xc6", "PostScript (EPS)"),
    (0, b"%PDF", "PDF"),
    (0, b"GIF8", "GIF"),
    (8, b"WEBP", "WebP"),
    (4, b"jP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftyphei", "HEIF"),
    (4, b"ftypmif1", "HEIF"),
    (0, b"8BPS", "Photoshop"),
    (0, b"\0\0\1\0", "an icon (ICO)"),
    (0, b"SIMPLE  =", "FITS"),
    (0, b"\x89HDF", "HDF5"),
    *((0, b"P%d%c" % (number, blank), "PPM or PGM") for number in range(1, 7) for blank in b" \t\r\n"),
)
"""Where bytes stand in files of other formats, the bytes, and what people call the format."""


def is_tiff(path: Path) -> bool:
    """Tell whether a file is a TIFF, by its first bytes.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return file.read(4) in TIFF


def is_deep_jpeg(content: bytes) -> bool:
    """Tell whether bytes are a JPEG of more than 8 bits or without loss, which Pillow does not know."""
    at = 2
    while content[:3] == b"\xff\xd8\xff" and content[at : at + 1] == b"\xff" and at + 10 <= len(content):
        kind, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4])
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):  # a frame's head
            height, width = (int.from_bytes(content[at + side : at + side + 2]) for side in (5, 7))
            return height * width <= MOST_PIXELS and (content[at + 4] > 8 or kind == 0xC3)
        at += 2 + length
    return False


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open a PNG, JPEG or BMP file of up to `MOST_PIXELS`, whatever its ending.

    Raises:
        ValueError: it is something else; the words say what, where its first bytes tell.
    """
    # Pillow takes mosaics of more pixels than its own limit for an attack on memory
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MOST_PIXELS
    try:
        with _identified(path) as image:
            yield image
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _identified(path: Path) -> Image.Image:
    try:
        return Image.open(path, formats=FORMATS)
    except UnidentifiedImageError:
        with path.open("rb") as file:
            head = file.read(26)
        found = [name for place, letters, name in _OTHERS if head[place:].startswith(letters)]
        raise ValueError(
            f"its content is {found[0]}, which is not read: save it as PNG or TIFF"
            if found
            else "its content is that of no PNG, TIFF, JPEG or BMP"
        ) from None
