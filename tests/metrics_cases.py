"""Masks and tables that the tests of the competition's score and of COCO's AP share."""

from fractions import Fraction

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from neuroseg import rle, tables

HEIGHT, WIDTH = 9, 11
EXACT = [Fraction(step, 20) for step in range(10, 20)]


def instances(
    masks: np.ndarray, image: str | list = "a", score: object = np.nan, cell_type: object = "cort"
) -> pd.DataFrame:
    """An instances table of dense masks, none of them empty."""
    runs = rle.from_masks(np.asarray(masks))
    _, height, width = np.asarray(masks).shape
    corners = rle.boxes(runs, width).astype(np.float32).T
    return pd.DataFrame(
        {
            "image_id": pd.Series([image] * len(runs) if isinstance(image, str) else image, dtype="str"),
            "instance_id": np.arange(len(runs), dtype=np.int32),
            "cell_type": pd.Series(
                [cell_type] * len(runs) if isinstance(cell_type, str) else cell_type, dtype="str"
            ),
            **dict(zip(("x1", "y1", "x2", "y2"), corners, strict=True)),
            "area": rle.areas(runs),
            "rle": tables.rle_column(rle.to_coco(runs, height, width)),
            "score": np.broadcast_to(np.asarray(score, np.float32), len(runs)),
        }
    )


def strips(*spans: tuple[int, int], width: int = 40) -> np.ndarray:
    """Masks that are one row high: pixels from the first to before the second."""
    masks = np.zeros((len(spans), 1, width), bool)
    for mask, (begin, end) in zip(masks, spans, strict=True):
        mask[0, begin:end] = True
    return masks


def frames(*ids: str, height: int = HEIGHT, width: int = WIDTH, **columns: object) -> pd.DataFrame:
    given = {
        "cell_type": "cort",
        "group": list(ids),
        "subset": "train",
        "annotated": True,
        "fold": 0,
    } | columns
    return pd.DataFrame({"image_id": list(ids), "height": height, "width": width, **given})


def square(x: int, y: int = 4, side: int = 10) -> np.ndarray:
    mask = np.zeros((1, 20, 40), bool)
    mask[0, y : y + side, x : x + side] = True
    return mask


def oracle(predicted: np.ndarray, truth: np.ndarray) -> list[int]:
    """True positives at each threshold: a maximum assignment on dense IoUs, in fractions."""
    counts = []
    for threshold in EXACT:
        above = np.zeros((len(predicted), len(truth)))
        for i, p in enumerate(predicted):
            for j, g in enumerate(truth):
                above[i, j] = Fraction(int((p & g).sum()), int((p | g).sum())) > threshold
        rows, columns = linear_sum_assignment(above, maximize=True)
        counts.append(int(above[rows, columns].sum()))
    return counts


@st.composite
def stacks(draw: st.DrawFn, disjoint: bool = False, most: int = 6) -> np.ndarray:
    """Masks made of a few rectangles' pixels, overlapping and repeated unless said otherwise, never empty."""
    count = draw(st.integers(0, most))
    masks = np.zeros((count, HEIGHT, WIDTH), bool)
    for mask in masks:
        y, x = draw(st.integers(0, HEIGHT - 1)), draw(st.integers(0, WIDTH - 1))
        mask[y : y + draw(st.integers(1, 4)), x : x + draw(st.integers(1, 4))] = True
    if count > 1 and draw(st.booleans()):
        masks[-1] = masks[0]
    if disjoint:
        masks &= masks.cumsum(axis=0) == 1
    return masks[masks.any(axis=(1, 2))]


def near(draw: st.DrawFn, masks: np.ndarray) -> np.ndarray:
    """Some of the masks, a few pixels flipped: so that IoUs lie around the thresholds."""
    kept = masks[draw(arrays(bool, len(masks)))]
    flips = draw(arrays(np.uint8, kept.shape, elements=st.integers(0, 20), fill=st.just(1))) == 0
    changed = kept ^ flips
    return changed[changed.any(axis=(1, 2))]


@st.composite
def scenes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    truth = draw(stacks())
    return np.concatenate([near(draw, truth), draw(stacks(most=3))]), truth
