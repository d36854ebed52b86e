"""Kaggle's text to COCO's counts and back, beside dense masks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pycocotools import mask as coco

from benchmarks import data
from benchmarks.measuring import Row, agree, race, ratio
from benchmarks.scenes import HEIGHT, WIDTH
from neuroseg import rle

FEW = 400
"""Masks that the slow ways are given."""


def rows(images: int, rounds: int) -> Iterator[Row]:
    """Yield the rows of texts."""
    texts = rle.to_kaggle(rle.from_coco(data.truth(images)["rle"], HEIGHT, WIDTH))
    yield from both_ways(f"of {images} images", texts, rounds)
    if data.real():
        yield from both_ways("of 312 real sets", data.real()[2], rounds)


def both_ways(name: str, texts: list[str], rounds: int) -> Iterator[Row]:
    few = texts[:: max(len(texts) // FEW, 1)][:FEW]
    counts = [encode(text) for text in few]
    ours = lambda: rle.to_coco(rle.from_kaggle(few, HEIGHT, WIDTH)[0], HEIGHT, WIDTH)  # noqa: E731
    agree(ours() == counts, "compressed counts")
    times = race({"peer": lambda: [encode(text) for text in few], "ours": ours}, rounds)
    reached = ratio(times["peer"], times["ours"])
    yield Row(
        f"text to counts, {FEW} masks {name}",
        "dense decode, encode",
        *times.values(),
        ">= 60x",
        reached,
        "same bytes",
    )

    back = lambda: rle.to_kaggle(rle.from_coco(counts, HEIGHT, WIDTH))  # noqa: E731
    agree(back() == [write(each) for each in counts], "texts")
    times = race({"peer": lambda: [write(each) for each in counts], "ours": back}, rounds)
    reached = ratio(times["peer"], times["ours"])
    yield Row(
        f"counts to text, {FEW} masks {name}",
        "dense decode, encode",
        *times.values(),
        ">= 200x",
        reached,
        "same bytes",
    )


def encode(text: str) -> bytes:
    """The public kernels' way: a dense frame, and pycocotools."""
    numbers = np.asarray(text.split(), dtype=int)
    mask = np.zeros(HEIGHT * WIDTH, np.uint8)
    for start, length in zip(numbers[::2] - 1, numbers[1::2], strict=True):
        mask[start : start + length] = 1
    return coco.encode(np.asfortranarray(mask.reshape(HEIGHT, WIDTH)))["counts"]


def write(counts: bytes) -> str:
    """The public kernels' way back."""
    pixels = np.concatenate([[0], coco.decode({"size": [HEIGHT, WIDTH], "counts": counts}).ravel(), [0]])
    runs = np.where(pixels[1:] != pixels[:-1])[0] + 1
    runs[1::2] -= runs[::2]
    return " ".join(str(run) for run in runs)
