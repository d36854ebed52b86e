"""Detections and instances on disk, beside COCO JSON written and read by orjson."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson

from benchmarks import data
from benchmarks.measuring import Row, agree, race, ratio
from benchmarks.scenes import HEIGHT, WIDTH
from neuroseg import segmentation, tables
from neuroseg.tables import PATCH


def rows(images: int, rounds: int) -> Iterator[Row]:
    """Yield the rows of storage."""
    found = tables.read("detections", data.folder(images) / "set_00.parquet")
    cells = segmentation.rasterise(found, data.images(images), 0.5, 1, False)
    number = tables.positions(cells["image_id"], data.images(images)["image_id"])
    boxes = tables.boxes(cells).astype(float)
    boxes[:, 2:] -= boxes[:, :2]
    columns = number.tolist(), cells["score"].tolist(), boxes.tolist(), cells["rle"].tolist()
    results = [
        {"image_id": i, "category_id": 1, "score": s, "bbox": b,
         "segmentation": {"size": [HEIGHT, WIDTH], "counts": c.decode()}}
        for i, s, b, c in zip(*columns, strict=True)
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as temporary:
        ours, peer = Path(temporary) / "cells.parquet", Path(temporary) / "cells.json"
        tables.write("instances", cells, ours)
        peer.write_bytes(orjson.dumps(results))
        back, theirs = tables.read("instances", ours), orjson.loads(peer.read_bytes())
        agree(
            [bytes(c) for c in back["rle"]] == [r["segmentation"]["counts"].encode() for r in theirs],
            "masks on disk",
        )
        size = ours.stat().st_size / peer.stat().st_size
        note = f"{ours.stat().st_size / len(cells):.0f} bytes each, {len(cells)} masks"
        yield Row("masks on disk, size", "COCO JSON, orjson", None, None, "<= 0.3x", f"{size:.2f}x", note)
        times = race(
            {"peer": lambda: orjson.loads(peer.read_bytes()), "ours": lambda: tables.read("instances", ours)},
            rounds,
        )
        share = times["ours"] / times["peer"]
        yield Row(
            "masks on disk, read and checked", "orjson.loads", *times.values(), "<= 0.7x", f"{share:.2f}x"
        )
        yield patches(found, Path(temporary), rounds)


def patches(found, folder: Path, rounds: int) -> Row:
    """Compare a detections table with the same in JSON, whose patches are lists of numbers."""
    found = found.head(4096)
    ours, peer = folder / "found.parquet", folder / "found.json"
    tables.write(
        "detections",
        found,
        ours,
        tables.Coverage(tuple(found["image_id"].unique()), tuple(found["source"].unique())),
    )
    plain = zip(
        found["image_id"],
        found["score"].tolist(),
        tables.boxes(found).tolist(),
        tables.patches(found),
        strict=True,
    )
    rows = [
        {"image_id": image, "category_id": 1, "score": score, "bbox": box, "mask": patch.ravel().tolist()}
        for image, score, box, patch in plain
    ]
    peer.write_bytes(orjson.dumps(rows))
    theirs = np.array([row["mask"] for row in orjson.loads(peer.read_bytes())])
    agree(
        (tables.patches(tables.read("detections", ours)).reshape(len(found), -1) == theirs).all(),
        "patches on disk",
    )
    times = race(
        {"peer": lambda: orjson.loads(peer.read_bytes()), "ours": lambda: tables.read("detections", ours)},
        rounds,
    )
    each, json = (path.stat().st_size / len(found) for path in (ours, peer))
    sizes = {"JSON": json, "float32": 4 * PATCH**2, "raw bytes": PATCH**2}
    compared = ", ".join(f"{name} {size:.0f} ({size / each:.2g}x)" for name, size in sizes.items())
    note = f"{each:.0f} bytes each; {compared}; read {ratio(times['peer'], times['ours'])} faster"
    return Row(
        "detections with patches on disk",
        "uncompressed JSON",
        *times.values(),
        ">= 4x smaller",
        f"{json / each:.1f}x",
        note,
    )
