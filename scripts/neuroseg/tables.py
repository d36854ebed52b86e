"""The tables that stages exchange: declared once, checked on every read and every write, written atomically.

A table on disk is one Parquet file, in memory one pandas frame whose columns stand in the declared order.
Binary columns (`rle`, `mask`) stay in Arrow's own memory, so that a million probability patches cost their
bytes and no more.

pandera states such rules too, but takes 3.9 ms to check an image's 500 detections, this 0.4, and its messages
show the whole row with its patch where these name file, row and image.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from neuroseg.errors import DataError
from neuroseg.files import replacing, seal_parquet, verify_parquet

PATCH = 28
"""Side of a detection's probability patch, in samples (Mask R-CNN's own output size)."""

FIELD = 704 * 520
"""Pixels of a field of view as the competition and LIVECell have it: caps on detections are stated for so
large an image, and grow with the area of larger ones."""

NEVER_TRAINED = -1
"""Fold of the images on which no fold trains: tests, and everything without annotation."""

SUBSETS = ("train", "val", "test")

FARTHEST = float(2**24)
"""Farthest that a box's corner may lie, in pixels: beyond, single precision skips whole ones."""

MOST_PIXELS = 2**31 - 2
"""Most pixels of an image: masks count places in 32 bits (`rle.LARGEST`)."""

BATCH, MOST_ROWS = 32, 200_000
"""Images, and detections of them in one file, that a step holds at a time."""

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
        ("field", pa.string(), "optional"),
        ("time", pa.float64(), "optional"),
        ("treatment", pa.string(), "optional"),
        ("dose", pa.string(), "optional"),
        ("dose_unit", pa.string(), "optional"),
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
"""Columns of each table. Times are hours since plating; doses are texts, numbers in one form; boxes are
pixels, right and bottom exclusive; `rle` is COCO's compressed counts; `mask` is the probability over the
box, a byte a sample, row by row, 255 meaning 1 (bytes, as Parquet would unpack a list of small numbers one by
one, five times slower)."""

EXPERIMENT = ("sample", "plate", "well", "field", "time", "treatment", "dose", "dose_unit")
"""Columns of an images table that names of files and a plate map tell; no detector looks at them."""

SCHEMAS = {
    name: pa.schema([pa.field(column, kind, nullable=need == "optional") for column, kind, need in columns])
    for name, columns in COLUMNS.items()
}

Table = Literal["images", "instances", "detections", "folds"]


class ImageRow(Protocol):
    """A row of an images table, as `DataFrame.itertuples` gives it."""

    image_id: str
    path: str
    height: int
    width: int


class Coverage(NamedTuple):
    """The images and sources of a detections file: an image without detections differs from one unpredicted.

    Every source saw every image.
    """

    images: tuple[str, ...]
    sources: tuple[str, ...]


def write(
    table: Table,
    frame: pd.DataFrame,
    path: str | Path,
    coverage: Coverage | None = None,
    *,
    pixels: str = "",
    controls: Sequence[str] = (),
) -> None:
    """Check `frame` and write it as `table`.

    A detections table also records its coverage. An images table records the treatments that the source calls
    the control, and a digest of the pixels that it speaks of, so that the file differs, and what was computed
    from it is computed anew, when an image is replaced under its old name.
    """
    with writing(table, path, coverage, pixels=pixels, controls=controls) as append:
        append(frame)


@contextmanager
def writing(
    table: Table,
    path: str | Path,
    coverage: Coverage | None = None,
    *,
    pixels: str = "",
    controls: Sequence[str] = (),
) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Write a table piece by piece: yield a function that checks some rows and appends them.

    Memory holds about one row group. All rows of an image belong into one piece, so that a reader finds them
    together.
    """
    metadata = {"neuroseg": table} | ({"pixels": pixels} if pixels else {})
    if table == "detections":
        if coverage is None:
            raise TypeError("a detections table is written with its coverage")
        metadata["coverage"] = json.dumps({"images": coverage.images, "sources": coverage.sources})
    if controls:
        metadata["controls"] = json.dumps(sorted(controls))
    schema = SCHEMAS[table].with_metadata(metadata)
    repeated = [field.name for field in schema if pa.types.is_string(field.type)]  # what dictionaries shorten
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

    with replacing(path) as temporary:
        with pq.ParquetWriter(temporary, schema, **options) as file:
            yield append
            if len(pending) > 1:
                flush()
        seal_parquet(temporary)


def read(table: Table, path: str | Path, images: Sequence[str] | None = None) -> pd.DataFrame:
    """Read and check a table, all of it or the rows of some images.

    Raises:
        DataError: the file is missing, damaged, or not such a table.
    """
    with reading(table, path) as rows_of:
        return rows_of(images)


@contextmanager
def reading(table: Table, path: str | Path) -> Iterator[Callable[[Sequence[str] | None], pd.DataFrame]]:
    """Open a table once: yield a function that reads and checks images' rows (None: all), in file order.

    A row group is decoded when an image in it is asked for, and let go when a request does without it: who
    asks for images in the file's order decodes each row group once and holds about one. Arrow's own threads
    stay idle: pieces are so small that they cost more than they save, and a job keeps to the cores it was
    given.

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
                fresh = {
                    group: file.read_row_group(group, use_threads=False)
                    for group in wanted
                    if group not in held
                }
                held = {group: held[group] if group in held else fresh[group] for group in wanted}
                data = pa.concat_tables(held.values()) if held else file.schema_arrow.empty_table()
                data = data.filter(pc.is_in(data["image_id"], pa.array(images, pa.string())))
        frame = data.replace_schema_metadata(None).to_pandas(types_mapper=_in_arrow, use_threads=False)
        # of the schema's columns, which `_open` compares, none that is required has gaps
        _lawful(table, frame, path)
        return frame

    with file:
        yield rows_of


def batches(path: str | Path, images: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield images in order, in lots of BATCH, of fewer where the file holds MOST_ROWS rows of them.

    Large images hold many detections, and memory holds a few lots.
    """
    with _damage_named(path), _open("detections", path) as file:
        names = file.read(columns=["image_id"], use_threads=False)["image_id"].value_counts()
    rows = dict(zip(names.field("values").to_pylist(), names.field("counts").to_pylist(), strict=True))
    lot: list[str] = []
    held = 0
    for image in images:
        if lot and (len(lot) == BATCH or held + rows.get(image, 0) > MOST_ROWS):
            yield lot
            lot, held = [], 0
        lot.append(image)
        held += rows.get(image, 0)
    if lot:
        yield lot


def read_coverage(path: str | Path) -> Coverage:
    """Return what the detections file at `path` covers."""
    metadata = _open("detections", path).schema_arrow.metadata
    return Coverage(**{key: tuple(value) for key, value in json.loads(metadata[b"coverage"]).items()})


def read_controls(path: str | Path) -> tuple[str, ...]:
    """Return the treatments that are the control by the images table at `path`; none where nobody says."""
    metadata = _open("images", path).schema_arrow.metadata
    return tuple(json.loads(metadata.get(b"controls", b"[]")))


def instances_of(images: pd.DataFrame, path: str | Path) -> pd.DataFrame:
    """Read an instances table, all of whose rows are of images of a table.

    Raises:
        DataError: as `read`; or an image is not in the table, such as where the two are of different data
            sets.
    """
    found = read("instances", path)
    strange = found["image_id"][~found["image_id"].isin(images["image_id"])].unique()
    if len(strange):
        raise DataError(
            f"{path}: image {strange[0]} has instances but is not in the images table ({len(strange)} such); "
            "give the images table that the instances were made from."
        )
    return found


def write_figures(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a table of measurements, whose columns are its stage's own."""
    with replacing(path) as temporary:
        frame.to_parquet(temporary, index=False, compression="zstd")
        seal_parquet(temporary)


def read_figures(path: str | Path) -> pd.DataFrame:
    """Read what `write_figures` wrote.

    Raises:
        DataError: the file is missing or damaged.
    """
    if not Path(path).is_file():
        raise DataError(f"{path}: there is no such file; run the stage that writes it.")
    with _damage_named(path):
        verify_parquet(path)
        return pq.read_table(path).to_pandas()


def patches(detections: pd.DataFrame) -> np.ndarray:
    """Return probability patches, shape (detections, 28, 28), uint8, without a copy where memory allows."""
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


def at_most(score: float) -> str:
    """Say, rounded up, what detections score at most that an image has beyond those that are kept of it."""
    return f"those left out score at most {math.ceil(1000 * score) / 1000:g}"


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


def _to_arrow(table: Table, frame: pd.DataFrame, path: str | Path) -> pa.Table:
    """Check `frame` and return it as Arrow's table; the wrong kind is refused before rules compare it."""
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
    sides = frame[["height", "width"]].astype(np.int64)
    yield sides.max(axis=1) > FARTHEST, f"height and width must be {FARTHEST:.0f} pixels at most"
    yield (
        sides["height"] * sides["width"] > MOST_PIXELS,
        f"an image may have {MOST_PIXELS} pixels at most; cut it",
    )
    yield ~frame["subset"].isin(SUBSETS), f"subset must be one of {', '.join(SUBSETS)}"


def _instance_rules(frame: pd.DataFrame) -> Iterator[tuple[pd.Series | np.ndarray, str]]:
    yield frame.duplicated(["image_id", "instance_id"]), "instance_id occurs twice in its image"
    yield _without_area(frame), "the box is empty"
    yield _far(frame), _FAR
    yield frame["area"] < 1, "area must be positive"
    x1, y1, x2, y2 = (frame[side].to_numpy(np.float64) for side in ("x1", "y1", "x2", "y2"))
    held = (np.ceil(x2) - np.floor(x1)) * (np.ceil(y2) - np.floor(y1))
    yield frame["area"] > held, "area is more than the box holds"
    score = frame["score"].to_numpy(np.float64, na_value=np.nan)
    yield (score < 0) | (score == np.inf), "score must be a number from 0 on, or empty"


def _detection_rules(frame: pd.DataFrame) -> Iterator[tuple[np.ndarray, str]]:
    score = frame["score"].to_numpy()
    yield _without_area(frame), "the box is empty"
    yield _far(frame), _FAR
    yield ~((score >= 0) & (score < np.inf)), "score must be a number from 0 on"


def _without_area(frame: pd.DataFrame) -> np.ndarray:
    """Return whose boxes are empty; in plain arrays, as detections are read in many small pieces."""
    x1, y1, x2, y2 = (frame[side].to_numpy() for side in ("x1", "y1", "x2", "y2"))
    return ~((x1 < x2) & (y1 < y2))


def _far(frame: pd.DataFrame) -> np.ndarray:
    """Return which boxes, none of them empty, reach beyond FARTHEST."""
    x1, y1, x2, y2 = (frame[side].to_numpy() for side in ("x1", "y1", "x2", "y2"))
    return ~((x1 >= -FARTHEST) & (y1 >= -FARTHEST) & (x2 <= FARTHEST) & (y2 <= FARTHEST))


_FAR = f"the box's corners must be finite, and within {FARTHEST:.0f} pixels"


def _fold_rules(frame: pd.DataFrame) -> Iterator[tuple[pd.Series, str]]:
    yield frame["image_id"].duplicated(), "image_id occurs twice"
    yield frame["fold"] < NEVER_TRAINED, "fold must be -1 or a fold's number"


_RULES = {
    "images": _image_rules,
    "instances": _instance_rules,
    "detections": _detection_rules,
    "folds": _fold_rules,
}


def _refuse(
    broken: pd.Series | np.ndarray, complaint: str, table: str, frame: pd.DataFrame, where: str | Path
) -> None:
    rows = np.flatnonzero(np.asarray(broken))
    if rows.size:
        image = frame["image_id"].iloc[rows[0]]
        raise DataError(f"{where}: row {rows[0]} of the {table} table (image {image}): {complaint}.")


def _open(table: str, path: str | Path) -> pq.ParquetFile:
    if not Path(path).is_file():
        raise DataError(f"{path}: there is no such file; run the stage that writes it.")
    with _damage_named(path):
        verify_parquet(path)
        file = pq.ParquetFile(path, page_checksum_verification=True)
    found = (file.schema_arrow.metadata or {}).get(b"neuroseg", b"none of ours").decode()
    if found != table:
        raise DataError(f"{path}: expected a table of {table}, this is {found}.")
    if not file.schema_arrow.equals(SCHEMAS[table], check_metadata=False):
        raise DataError(
            f"{path}: its columns are not those of a {table} table; it was written by another version."
        )
    return file


@contextmanager
def _damage_named(path: str | Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        complaint = (
            f"{path}: the file is damaged ({_first(error)}); delete it and run the stage that writes it."
        )
        raise DataError(complaint) from error


def _in_arrow(kind: pa.DataType) -> pd.api.extensions.ExtensionDtype | None:
    return pd.ArrowDtype(kind) if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind) else None


def _first(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")
