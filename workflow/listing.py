"""Which raw files a dataset has, by content: a change of any is noticed, a change of its date alone is not.

A dataset's listing is a file of one line, a digest of the names and contents of its raw files, and an input
of the rule `validate`. It is brought up to date whenever Snakemake plans that rule. Beside it lies what the
digest was made of, so that only files whose size, dates or place on the disk differ from the last time are
read again.
"""

import contextlib
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FOLDER = Path(".snakemake/listings")
"""Where the listings lie, below the working folder."""

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".stk", ".btf", ".tf8", ".tf2")
"""Endings of the files that are images; the readers' own list, which this module is too light to import."""

BESIDE = (".npy", ".zip", ".roi", ".geojson", ".json")
"""Endings of the files that hold one image's outlines, beside it or in a folder of their own."""

INDICES = ("Index.idx.xml", "Index.ref.xml", "Index.xml")
"""An Operetta's indices, which tell the size of a pixel: beside the images, or in the folder above."""

READERS = 8
"""Files read at a time: reading waits for the disk, and the digest leaves Python's lock alone."""

State = tuple[int, int, int, int]
"""A file's size, the times of its content and of its entry (mtime and ctime, nanoseconds), and its inode."""


def update(
    dataset: str, root: str | Path, folders: Iterable[str], named: Iterable[str], drawn: bool = False
) -> str:
    """Bring a dataset's listing up to date and return its path.

    The first listing is as old as the latest change below `folders`, so that tables written after that
    change, such as DVC's, are not made anew; a file that brings its old date along still has the time at
    which it came (ctime). Later ones are dated when the change is noticed: it may have come while a job was
    at work that had read the image before.

    Args:
        dataset: the dataset's name.
        root: where its raw files lie. While there are none, as on a disk that is away, the listing stays as
            it was, and with it the tables; without one, nothing is listed.
        folders: folders of images below `root`, searched with all that lies below them.
        named: further files below `root`, by name: annotations, a plate map.
        drawn: whether the chain draws the files itself, before it reads them: then each listing is as old as
            they are.
    """
    path, memory = FOLDER / dataset, FOLDER / f"{dataset}.json"
    known = _remembered(memory)
    found, latest = survey(Path(root), folders, named)
    if not (found or drawn) and path.is_file():
        return path.as_posix()
    contents = _contents(Path(root), found, known)
    digest = hashlib.sha256()
    for name in sorted(contents):
        digest.update(f"{name}\0{contents[name]}\0".encode(errors="surrogateescape"))
    line = f"{digest.hexdigest()} {len(contents)} files\n"
    before = path.read_text() if path.is_file() else None
    if before != line:
        replace(path, line, latest if before is None or drawn else None)
    entries = {name: [*state, contents[name]] for name, state in found.items()}
    if entries != known:
        replace(memory, json.dumps(entries))
    return path.as_posix()


def survey(root: Path, folders: Iterable[str], named: Iterable[str]) -> tuple[dict[str, State], int]:
    """Return the files that count, by their path below `root`, and the time of the latest change there."""
    found: dict[str, State] = {}
    times = [0]
    for name in named:
        if (root / name).is_file():
            found[name] = _state((root / name).stat())
    for folder in dict.fromkeys(os.path.normpath(folder) for folder in folders):
        for path, state in _walk(root / folder, ()):
            times.append(state.st_ctime_ns)
            if not stat.S_ISDIR(state.st_mode):
                found[os.path.relpath(path, root)] = _state(state)
        for name in INDICES:
            above = os.path.normpath(f"{folder}/../{name}")
            if (root / above).is_file():
                found[above] = _state((root / above).stat())
    if root.is_dir():
        times += [root.stat().st_ctime_ns, root.lstat().st_ctime_ns]
    return found, max(times + [ctime for _, _, ctime, _ in found.values()])


def _walk(
    folder: str | Path, above: tuple[tuple[int, int], ...]
) -> Iterator[tuple[str | Path, os.stat_result]]:
    """Yield images and folders below a folder, each with its state; links are followed, but in no circle."""
    try:
        state = Path(folder).stat()
        inside = list(os.scandir(folder))
    except OSError:
        return
    here = (state.st_dev, state.st_ino)
    if here in above:
        return
    yield folder, state
    for entry in inside:
        if not entry.name.startswith("."):
            with contextlib.suppress(OSError):
                if entry.is_dir():
                    yield from _walk(entry.path, (*above, here))
                elif (
                    entry.name.lower().endswith((*SUFFIXES, *BESIDE)) or entry.name in INDICES
                ) and entry.is_file():
                    yield entry.path, entry.stat()


def _state(found: os.stat_result) -> State:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _contents(root: Path, found: Mapping[str, State], known: Mapping[str, list]) -> dict[str, str]:
    """Return each file's SHA-256; only a file whose state differs from what is known is read."""
    same = {name for name, state in found.items() if known.get(name, [])[:-1] == list(state)}
    new = [name for name in found if name not in same]
    with ThreadPoolExecutor(READERS) as pool:
        digests = dict(zip(new, pool.map(lambda name: _content(root / name), new), strict=True))
    return {name: known[name][-1] if name in same else digests[name] for name in found}


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"  # the reader says so in a sentence of its own


def _remembered(memory: Path) -> dict[str, list]:
    """Return what the last listing was made of; nothing if it cannot be read, so that all files are read."""
    try:
        return dict(json.loads(memory.read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def replace(path: Path, text: str, mtime_ns: int | None = None) -> None:
    """Write a file under a temporary name, date and rename it, since several Snakemakes may do so at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        Path(temporary).write_text(text)
        if mtime_ns is not None:
            os.utime(temporary, ns=(mtime_ns, mtime_ns))
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise
