"""Where the images that a COCO file names lie, and how large they are."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from neuroseg.readers.images.pixels import ImageError, read_image
from neuroseg.readers.source import image_files
from neuroseg.readers.truth.ids import whole
from neuroseg.readers.words import composed

_UPLOAD = re.compile(r"[0-9a-f]{4,12}-(?=.)")
"""What Label Studio puts before the name of a file that is uploaded."""

_SERVED = "?d="
"""What stands before a path that Label Studio serves from a folder of its computer."""

_URL = re.compile(r"[a-z][a-z\d+.-]+://[^/]*/+", re.IGNORECASE)
"""The beginning of an address, up to the path in it."""


class Lying:
    """The images below a folder, found by the names that a file of annotations has for them."""

    def __init__(self, folder: Path, listed: Iterable[object]) -> None:
        """List the images below the folder.

        Args:
            folder: where images lie.
            listed: all names that the file of annotations has.

        Raises:
            DataError: there is no such folder.
        """
        names = {name for name in listed if isinstance(name, str)}
        self._uploads = Counter(map(_uploaded, names))
        self._bare = Counter(map(_bare, names))
        self._folder = folder
        self._named: dict[str, list[Path]] = defaultdict(list)
        self._plain: dict[str, list[Path]] = defaultdict(list)
        for path in image_files(folder, recursive=True):
            name = composed(path.name)
            self._named[name].append(path)
            self._plain[_plain(name)].append(path)

    def places(self, name: str) -> list[Path]:
        """Return where an image may lie: as named, else by the longest common end; backslashes part folders.

        A name that fits no file is tried with its URL escapes (`%20`) as letters; then without its query
        (`a.png?version=1`), where one image alone is listed under what is left; then without the prefix of
        an upload to Label Studio (`8f3c12ab-a_b.png` for `a b.png`), where one file alone has such a name
        and one image alone is listed under it. An address that fits no file is its path below the folder.
        Names are compared in Unicode's composed form (NFC), since a Mac writes `ä` as two characters.

        Args:
            name: the image's name or path as the file has it.

        Raises:
            OSError: it can be no file's name.
        """
        written, bare = name.split(_SERVED)[-1], _bare(name)
        sole = [bare, unquote(bare)] if self._bare[bare] == 1 else []
        wrong = None
        for each in dict.fromkeys((name, written, unquote(name), unquote(written), *sole)):
            try:
                found = self._found(each)
            except OSError as error:  # the query of an address makes it too long for a name
                wrong = wrong or error
                continue
            if found:
                return found
        upload = _uploaded(name)
        own = self._plain.get(upload, []) if upload and self._uploads[upload] == 1 else []
        if len(own) == 1:
            return own
        if sole and _URL.match(name):
            return [self._folder.joinpath(*Path(unquote(bare)).parts)]
        if wrong:
            raise wrong
        return [self._folder.joinpath(*Path(name.replace("\\", "/")).parts)]

    def _found(self, name: str) -> list[Path]:
        if (self._folder / name).is_file():
            return [self._folder / name]
        parts = Path(name.replace("\\", "/")).parts
        direct = self._folder.joinpath(*parts)
        if direct.is_file():
            return [direct]
        end = _parts(direct)
        for length in range(len(parts), 0, -1):
            lying = self._named.get(end[-1], [])
            found = [path for path in lying if _parts(path)[-length:] == end[-length:]]
            if found:
                return found
        return []


def _bare(name: str) -> str:
    """Return a name without what stands behind ?, and of an address the path in it."""
    address = _URL.match(name)
    path = name[address.end() :].partition("#")[0] if address else name
    return path.partition("?")[0]


def _uploaded(name: str) -> str:
    """Return the name that a file had before its upload, as `_plain` has it; nothing of another file."""
    last = re.split(r"[/\\]", unquote(_bare(name)))[-1]
    prefix = _UPLOAD.match(last)
    return _plain(last[prefix.end() :]) if prefix else ""


def _plain(name: str) -> str:
    """Return a file's name as an upload changes it: blanks as underscores, signs left out."""
    return re.sub(r"[^-\w.]", "", composed(name).strip().replace(" ", "_"))


def _parts(path: Path) -> tuple[str, ...]:
    return tuple(map(composed, path.parts))


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
