"""How outputs come to be: under a temporary name, then renamed, so that a reader sees a whole file or none.

What stages hand on holds a checksum that its reader compares: a YAML file in its last line, a JSON file under
a key of its own, a Parquet table between its data and its footer, where the format leaves room and other
programs do not look.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from neuroseg.errors import DataError

CHECKSUM = "checksum"
"""Key of a JSON file's checksum; a list, as DVC takes a text or a number for a metric."""

_MARK = b"CRC1"
_CHECKSUM = re.compile(rb"# sha256: ([0-9a-f]{64})\n?\Z")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes its place if the block ends well and vanishes if not.

    Never opening the target in place is also what keeps a hard-linked DVC cache whole.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes a file private, an output is not
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`, which replaces it whole if the block ends well."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part"))
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o777 & ~umask)
    try:
        yield temporary
        if target.is_dir():
            shutil.rmtree(target)
        temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sealed(text: str) -> str:
    """Return a text whose comments begin with #, such as YAML, with a last line that holds its checksum."""
    return f"{text}# sha256: {hashlib.sha256(text.encode()).hexdigest()}\n"


def verify(data: bytes, path: str | Path, cure: str) -> None:
    """Refuse a text that its last line's checksum does not fit. One without such a line is somebody's own.

    Args:
        data: All of the file.
        path: The file, as an error names it.
        cure: How to mend it, such as `run the stage tune again`.

    Raises:
        DataError: the text was altered.
    """
    checksum = _CHECKSUM.search(data)
    if checksum and hashlib.sha256(data[: checksum.start()]).hexdigest().encode() != checksum[1]:
        raise DataError(
            f"{path}: it was altered after a stage wrote it, as its checksum tells; "
            f"{cure}, or delete its last line if the change is meant."
        )


def write_json(content: dict, path: str | Path) -> None:
    """Write a JSON file of keys and values with its checksum."""
    content = json.loads(json.dumps(content))  # as it will be read: keys are texts, tuples lists
    with replacing(path) as temporary:
        text = json.dumps({**content, CHECKSUM: [_digest(content)]}, indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path) -> dict:
    """Read a JSON file of keys and values, and compare its checksum where it has one.

    Raises:
        DataError: it cannot be read, or was altered.
    """
    cure = "run the stage that writes it again"
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise DataError(f"{path}: the file cannot be read ({reason}); {cure}.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: the file must hold keys and values; {cure}.")
    # the key may be damaged
    sums = [key for key, value in content.items() if key == CHECKSUM or _is_checksum(value)]
    known = [content.pop(key) for key in sums]
    if known not in ([], [[_digest(content)]]):
        raise DataError(f"{path}: it was altered after a stage wrote it, as its checksum tells; {cure}.")
    return content


def _is_checksum(value: object) -> bool:
    return isinstance(value, list) and len(value) == 1 and str(value[0]).startswith("sha256 ")


def _digest(content: dict) -> str:
    return f"sha256 {hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()}"


def seal_parquet(path: Path) -> None:
    """Put the CRC-32 of a Parquet file before its footer: Parquet's own checksums cover the data alone."""
    with path.open("r+b") as file:
        start = _footer(file)
        checksum = _crc(file, 0, start)
        footer = file.read()
        file.seek(start)
        file.write(_MARK + zlib.crc32(footer, checksum).to_bytes(4, "little") + footer)


def verify_parquet(path: str | Path) -> None:
    """Compare a Parquet file with its checksum. One without, of another program, is read as it stands.

    Raises:
        DataError: the file is damaged.
    """
    with Path(path).open("rb") as file:
        start = _footer(file) - len(_MARK) - 4
        checksum = _crc(file, 0, start)
        mark, known = file.read(len(_MARK)), file.read(4)
        if mark == _MARK and zlib.crc32(file.read(), checksum) != int.from_bytes(known, "little"):
            raise DataError(
                f"{path}: the file is damaged, as its checksum tells; run the stage that writes it again."
            )


def _footer(file: BinaryIO) -> int:
    """Return where the footer of a Parquet file begins, 8 where it cannot be anywhere."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - 8, 0))
    return max(size - 8 - int.from_bytes(file.read(4), "little"), 8)


def _crc(file: BinaryIO, begin: int, end: int) -> int:
    """Return the CRC-32 of a file's bytes from `begin` to `end`, and leave it there."""
    checksum = 0
    file.seek(begin)
    while begin < end and (piece := file.read(min(1 << 20, end - begin))):
        checksum, begin = zlib.crc32(piece, checksum), begin + len(piece)
    return checksum
