"""The tables that stages exchange: declared once, checked on every read and every write, written atomically.

A table on disk is one Parquet file, in memory one pandas frame whose columns stand in the declared order. Binary
columns (`rle`, `mask`) stay in Arrow's own memory, so that a million probability patches cost their bytes and no more.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

PATCH = 28
"""Side of a detection's probability patch, in samples (Mask R-CNN's own output size)."""

NEVER_TRAINED = -1
"""Fold of the images on which no fold trains: tests, and everything without annotation."""

SUBSETS = ("train", "val", "test")

ROW_GROUP = 4096
"""Rows that are compressed, and decoded, at a time: 3 MiB of patches."""

_BOX = [(side, pa.float32(), "required") for side in ("x1", "y1", "x2", "y2")]

COLUMNS: dict[str, list[tuple[str, pa.DataType, str]]] = {
    "images": [
        ("image_id", pa.string(), "required"),
        ("path", pa.string(), "required"),
        ("height", pa.int32(), "required"),
        ("width", pa.int32(), "required"),
        ("cell_type", pa.string(), "optional"),
        ("group", pa.string(), "required"),
        ("subset", pa.string(), "required"),
        ("annotated", pa.bool_(), "required"),
        ("sample", pa.string(), "optional"),
        ("plate", pa.string(), "optional"),
        ("well", pa.string(), "optional"),
        ("time", pa.float64(), "optional"),
        ("treatment", pa.string(), "optional"),
        ("pixel_size_um", pa.float64(), "optional"),
    ],
    "instances": [
        ("image_id", pa.string(), "required"),
        ("instance_id", pa.int32(), "required"),
        ("cell_type", pa.string(), "optional"),
        *_BOX,
        ("area", pa.int32(), "required"),
        ("rle", pa.binary(), "required"),
        ("score", pa.float32(), "optional"),
    ],
    "detections": [
        ("image_id", pa.string(), "required"),
        ("cell_type", pa.string(), "required"),
        ("score", pa.float32(), "required"),
        *_BOX,
        ("mask", pa.binary(PATCH * PATCH), "required"),
        ("source", pa.string(), "required"),
    ],
    "folds": [
        ("image_id", pa.string(), "required"),
        ("fold", pa.int8(), "required"),
    ],
}
"""Columns of each table. Times are hours since plating; boxes are pixels, right and bottom exclusive; `rle` is COCO's
compressed counts; `mask` is the probability over the box, a byte a sample, row by row, 255 meaning 1 (bytes, as Parquet
would unpack a list of small numbers one by one, five times slower)."""

SCHEMAS = {
    name: pa.schema([pa.field(column, kind, nullable=need == "optional") for column, kind, need in columns])
    for name, columns in COLUMNS.items()
}

Table = Literal["images", "instances", "detections", "folds"]


class DataError(ValueError):
    """Input that cannot be used. Each sentence says what is wrong, where, and how to mend it."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


class Coverage(NamedTuple):
    """What a detections file has looked at, so that an image without a find differs from one never seen.

    Every source saw every image.
    """

    images: tuple[str, ...]
    sources: tuple[str, ...]


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, which takes its place when the block ends well and vanishes when not.

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


def write(table: Table, frame: pd.DataFrame, path: str | Path, coverage: Coverage | None = None) -> None:
    """Check `frame` and write it as `table`; a detections table also records its coverage."""
    with writing(table, path, coverage) as append:
        append(frame)


@contextmanager
def writing(
    table: Table, path: str | Path, coverage: Coverage | None = None
) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Write a table piece by piece: yield a function that checks some rows and appends them.

    Memory holds about one row group. All rows of an image belong into one piece, so that a reader finds them together.
    """
    metadata = {"neuroseg": table}
    if table == "detections":
        if coverage is None:
            raise TypeError("a detections table is written with its coverage")
        metadata["coverage"] = json.dumps({"images": coverage.images, "sources": coverage.sources})
    schema = SCHEMAS[table].with_metadata(metadata)
    repeated = [field.name for field in schema if pa.types.is_string(field.type)]  # what a dictionary shortens
    options = {"compression": "zstd", "use_dictionary": repeated, "write_page_checksum": True}
    pending = [schema.empty_table()]
    written: set[str] = set()

    def append(frame: pd.DataFrame) -> None:
        data = _to_arrow(table, frame, path).replace_schema_metadata(metadata)
        if coverage is not None:
            known = frame["image_id"].isin(coverage.images) & frame["source"].isin(coverage.sources)
            _refuse(~known, "its image or its source is outside the coverage", table, frame, path)
        images = set(data["image_id"].unique().to_pylist())
        if images & written:
            raise ValueError(f"the rows of image {min(images & written)} come in two pieces")
        written.update(images)
        pending.append(data)
        if sum(map(len, pending)) >= ROW_GROUP:
            flush()

    def flush() -> None:
        file.write_table(pa.concat_tables(pending), row_group_size=ROW_GROUP)
        del pending[1:]

    with (
        replacing(path) as temporary,
        pq.ParquetWriter(temporary, schema, **options) as file,
    ):
        yield append
        if len(pending) > 1:
            flush()


def read(table: Table, path: str | Path, images: Sequence[str] | None = None) -> pd.DataFrame:
    """Read and check a table, all of it or the rows of some images.

    Raises:
        DataError: the file is missing, damaged, or not such a table.
    """
    with reading(table, path) as rows_of:
        return rows_of(images)


@contextmanager
def reading(table: Table, path: str | Path) -> Iterator[Callable[[Sequence[str] | None], pd.DataFrame]]:
    """Open a table once: yield a function that reads and checks the rows of images (None: all), in file order.

    A row group is decoded when an image in it is asked for, and let go when a request does without it: who asks for
    images in the file's order decodes each row group once and holds about one. Arrow's own threads stay idle: pieces
    are so small that they cost more than they save, and a job keeps to the cores it was given.

    Raises:
        DataError: the file is missing, damaged, or not such a table.
    """
    file = _open(table, path)
    groups_of: dict[str, list[int]] = {}
    held: dict[int, pa.Table] = {}

    def locate() -> None:
        for group in range(file.num_row_groups):
            named = file.read_row_group(group, columns=["image_id"], use_threads=False)["image_id"]
            for image in named.unique().to_pylist():
                groups_of.setdefault(image, []).append(group)

    def rows_of(images: Sequence[str] | None) -> pd.DataFrame:
        nonlocal held
        with _damage_named(path):
            if images is None:
                data = file.read(use_threads=False)
            else:
                if not groups_of:
                    locate()
                wanted = sorted({group for image in images for group in groups_of.get(image, ())})
                fresh = {group: file.read_row_group(group, use_threads=False) for group in wanted if group not in held}
                held = {group: held[group] if group in held else fresh[group] for group in wanted}
                data = pa.concat_tables(held.values()) if held else file.schema_arrow.empty_table()
                data = data.filter(pc.is_in(data["image_id"], pa.array(images, pa.string())))
        frame = data.replace_schema_metadata(None).to_pandas(types_mapper=_in_arrow, use_threads=False)
        _lawful(table, frame, path)  # of the schema's columns, which `_open` compares, none that is required has gaps
        return frame

    with file:
        yield rows_of


def read_coverage(path: str | Path) -> Coverage:
    """Return what the detections file at `path` has looked at."""
    metadata = _open("detections", path).schema_arrow.metadata
    return Coverage(**{key: tuple(value) for key, value in json.loads(metadata[b"coverage"]).items()})


def patches(detections: pd.DataFrame) -> np.ndarray:
    """Return the probability patches, shape (detections, 28, 28), uint8, without a copy where memory allows."""
    column = pa.array(detections["mask"], type=pa.binary(PATCH * PATCH))
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    samples = np.frombuffer(column.buffers()[1], np.uint8) if len(column) else np.zeros(0, np.uint8)
    return samples.reshape(-1, PATCH, PATCH)[column.offset : column.offset + len(column)]


def patch_column(patches: np.ndarray) -> pd.Series:
    """Return patches of shape (n, 28, 28), uint8, as the `mask` column of a detections table."""
    samples = pa.py_buffer(np.ascontiguousarray(patches, np.uint8))
    array = pa.Array.from_buffers(pa.binary(PATCH * PATCH), len(patches), [None, samples])
    return pd.Series(pd.arrays.ArrowExtensionArray(array), name="mask")


def rle_column(counts: Sequence[bytes]) -> pd.Series:
    """Return compressed counts as the `rle` column of an instances table."""
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(counts, pa.binary())), name="rle")


def positions(ids: pd.Series, among: pd.Series | Sequence[str]) -> np.ndarray:
    """Return where among distinct names each of `ids` stands, int64, -1 where it is none of them."""
    kind = pa.large_string()  # as pandas keeps text: nothing is copied
    found = pc.index_in(pa.array(ids, kind), value_set=pa.array(among, kind))
    return found.fill_null(-1).to_numpy().astype(np.int64)


def boxes(frame: pd.DataFrame) -> np.ndarray:
    """Return the boxes of detections or instances, shape (n, 4), float32: x1, y1, x2, y2 in pixels."""
    return frame[["x1", "y1", "x2", "y2"]].to_numpy(np.float32)


def empty(table: Table) -> pd.DataFrame:
    """Return the table without rows."""
    return SCHEMAS[table].empty_table().to_pandas(types_mapper=_in_arrow, use_threads=False)


def check(table: Table, frame: pd.DataFrame, where: str | Path) -> None:
    """Raise a DataError that names the first row breaking the table's declaration."""
    missing = [name for name in SCHEMAS[table].names if name not in frame.columns]
    if missing:
        raise DataError(f"{where}: this is no {table} table, it lacks the column {missing[0]}.")
    for field in SCHEMAS[table]:
        if not field.nullable:
            _refuse(frame[field.name].isna(), f"{field.name} is empty", table, frame, where)
    _lawful(table, frame, where)


def _to_arrow(table: str, frame: pd.DataFrame, path: str | Path) -> pa.Table:
    """Check `frame` and return it as Arrow's table; what is of the wrong kind is refused before rules compare it."""
    schema = SCHEMAS[table]
    lenient = pa.schema([field.with_nullable(True) for field in schema if field.name in frame.columns])
    try:
        data = pa.Table.from_pandas(frame[lenient.names], schema=lenient, preserve_index=False, safe=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"{path}: this is no {table} table, {_first(error)}.") from error
    check(table, frame, path)
    return data.cast(schema)


def _lawful(table: str, frame: pd.DataFrame, where: str | Path) -> None:
    """Refuse the first row that breaks one of its table's rules."""
    for broken, complaint in _RULES[table](frame):
        _refuse(broken, complaint, table, frame, where)


def _image_rules(frame: pd.DataFrame) -> Iterator[tuple[pd.Series, str]]:
    yield frame["image_id"].duplicated(), "image_id occurs twice"
    yield (frame["height"] < 1) | (frame["width"] < 1), "height and width must be positive"
    yield ~frame["subset"].isin(SUBSETS), f"subset must be one of {', '.join(SUBSETS)}"


def _instance_rules(frame: pd.DataFrame) -> Iterator[tuple[pd.Series | np.ndarray, str]]:
    yield frame.duplicated(["image_id", "instance_id"]), "instance_id occurs twice in its image"
    yield _without_area(frame), "the box is empty"
    yield frame["area"] < 1, "area must be positive"


def _detection_rules(frame: pd.DataFrame) -> Iterator[tuple[np.ndarray, str]]:
    score = frame["score"].to_numpy()
    yield _without_area(frame), "the box is empty"
    yield ~((score >= 0) & (score < np.inf)), "score must be a number from 0 on"


def _without_area(frame: pd.DataFrame) -> np.ndarray:
    """Return whose boxes are empty; in plain arrays, as detections are read in many small pieces."""
    x1, y1, x2, y2 = (frame[side].to_numpy() for side in ("x1", "y1", "x2", "y2"))
    return ~((x1 < x2) & (y1 < y2))


def _fold_rules(frame: pd.DataFrame) -> Iterator[tuple[pd.Series, str]]:
    yield frame["image_id"].duplicated(), "image_id occurs twice"
    yield frame["fold"] < NEVER_TRAINED, "fold must be -1 or a fold's number"


_RULES = {"images": _image_rules, "instances": _instance_rules, "detections": _detection_rules, "folds": _fold_rules}


def _refuse(broken: pd.Series | np.ndarray, complaint: str, table: str, frame: pd.DataFrame, where: str | Path) -> None:
    rows = np.flatnonzero(np.asarray(broken))
    if rows.size:
        image = frame["image_id"].iloc[rows[0]]
        raise DataError(f"{where}: row {rows[0]} of the {table} table (image {image}): {complaint}.")


def _open(table: str, path: str | Path) -> pq.ParquetFile:
    if not Path(path).is_file():
        raise DataError(f"{path}: there is no such file; run the stage that writes it.")
    with _damage_named(path):
        file = pq.ParquetFile(path, page_checksum_verification=True)
    found = (file.schema_arrow.metadata or {}).get(b"neuroseg", b"none of ours").decode()
    if found != table:
        raise DataError(f"{path}: expected a table of {table}, this is {found}.")
    if not file.schema_arrow.equals(SCHEMAS[table], check_metadata=False):
        raise DataError(f"{path}: its columns are not those of a {table} table; it was written by another version.")
    return file


@contextmanager
def _damage_named(path: str | Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        complaint = f"{path}: the file is damaged ({_first(error)}); delete it and run the stage that writes it."
        raise DataError(complaint) from error


def _in_arrow(kind: pa.DataType) -> pd.api.extensions.ExtensionDtype | None:
    return pd.ArrowDtype(kind) if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind) else None


def _first(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")
