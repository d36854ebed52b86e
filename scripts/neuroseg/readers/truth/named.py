"""Where the images that a COCO file names lie, and how large they are."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from neuroseg.readers.images.pixels import ImageError, read_image
from neuroseg.readers.truth.ids import whole


def places(name: str, folder: Path, lying: dict[str, list[Path]]) -> list[Path]:
    """Return where an image may lie: as named, else by the longest common end; backslashes part folders.

    Names are compared in Unicode's composed form (NFC), since a Mac writes `ä` as two characters.

    Args:
        name: the image's name or path as the file has it.
        folder: where images lie.
        lying: the images below the folder by their names, as `composed` writes them.
    """
    if (folder / name).is_file():
        return [folder / name]
    parts = Path(name.replace("\\", "/")).parts
    direct = folder.joinpath(*parts)
    if direct.is_file():
        return [direct]
    end = composed(direct).parts
    for length in range(len(parts), 0, -1):
        found = [path for path in lying.get(end[-1], []) if composed(path).parts[-length:] == end[-length:]]
        if found:
            return found
    return [direct]


def composed(path: Path) -> Path:
    """Return a path with its letters in Unicode's composed form (NFC)."""
    return Path(unicodedata.normalize("NFC", str(path)))


def size(item: dict, path: Path) -> tuple[int, int] | None:
    """Return an image's height and width as stated, else as its file has them; None where neither tells."""
    stated = item.get("height"), item.get("width")
    if stated == (None, None):
        try:
            return read_image(path).shape
        except ImageError:
            return None
    height, width = (whole(side) for side in stated)
    if height is None or width is None:
        return None
    return (height, width) if 1 <= min(height, width) <= max(height, width) <= 2**15 else None
