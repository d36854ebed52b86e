"""Weighted boxes fusion, beside ensemble-boxes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial

import numpy as np
from ensemble_boxes import weighted_boxes_fusion

from benchmarks import data
from benchmarks.measuring import Row, agree, once, race, ratio
from benchmarks.scenes import HEIGHT, WIDTH
from neuroseg import fusion, tables
from neuroseg.fusion import Candidates, Fusion

FRAME = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT], float)
CONFIDENCES = ("avg", "max", "box_and_model_avg", "absent_model_aware_avg")


def rows(images: int, rounds: int) -> Iterator[Row]:
    """Yield the rows of boxes: cells of a crowded image, in as many lists and as many a list as asked for."""
    for count, each, target in ((15, 300, ">= 120x"), (60, 1000, ">= 150x")):
        case = lists(count, each)
        given = candidates(*case)
        ours = lambda given=given: fusion.wbf(given, Fusion())  # noqa: E731
        peer = lambda case=case: weighted_boxes_fusion(*case, iou_thr=0.55)  # noqa: E731
        work = f"WBF, {count} lists x {each} boxes"
        if count == 15:
            same(peer(), ours(), 0)
            times = race({"peer": peer, "ours": ours}, rounds)
        else:  # the peer takes seconds: once will do
            taken, expected = once(peer)
            same(expected, ours(), 0)
            times = {"peer": taken, "ours": race({"ours": ours}, rounds)["ours"]}
        yield Row(
            work,
            "ensemble-boxes",
            *times.values(),
            target,
            ratio(*times.values()),
            "bitwise equal, members returned",
        )
    yield confidences()
    yield growth(rounds)


def confidences() -> Row:
    """Compare results only: weights of 1 to 2, and every way to score."""
    case = lists(8, 200)
    weights = list(np.linspace(1, 2, 8))
    for confidence in CONFIDENCES:
        expected = weighted_boxes_fusion(*case, iou_thr=0.55, weights=weights, conf_type=confidence)
        same(expected, fusion.wbf(candidates(*case, weights), Fusion(confidence=confidence)), 1e-6)
    return Row(
        "WBF with weights, every confidence", "ensemble-boxes", None, None, "within 1e-6", "within 1e-6"
    )


def growth(rounds: int) -> Row:
    """Measure how the time grows with four times the boxes."""
    cases = {each: candidates(*lists(15, each)) for each in (250, 1000)}
    times = race({str(each): partial(fusion.wbf, case, Fusion()) for each, case in cases.items()}, rounds)
    return Row(
        "WBF, 4 times the boxes a list",
        "",
        None,
        None,
        "near linear",
        f"{times['1000'] / times['250']:.2g} times the time",
    )


def lists(count: int, each: int) -> tuple[list, list, list]:
    """Return normalised boxes, scores and labels of the most crowded image; further copies are shifted."""
    warnings.simplefilter("ignore")  # ensemble-boxes warns of every box at the frame's edge
    folder, rng = data.folder(60), np.random.default_rng(3)
    crowded = data.truth(60)["image_id"].value_counts().idxmax()
    boxes, scores, labels = [], [], []
    shifts = rng.uniform(0, 1, (64, 2))
    for number in range(count):
        found = tables.read("detections", folder / f"set_{number % data.SETS:02d}.parquet", [crowded])
        own = tables.boxes(found).astype(float) / FRAME
        own += rng.normal(0, 0.001, own.shape) * (number >= data.SETS)
        copies = [own, *(own + np.tile(shifts[copy], 2) for copy in range(-(-each // len(own))))]
        field = np.concatenate(copies)[:each] % 1.0
        field[:, 2:] = np.maximum(field[:, 2:], field[:, :2] + 0.005)
        boxes.append(np.clip(field, 0, 1))
        # no two scores are equal
        scores.append(np.resize(found["score"].to_numpy(float), each) * rng.uniform(0.999, 1, each))
        labels.append(np.zeros(each, int))
    return boxes, scores, labels


def candidates(boxes: list, scores: list, labels: list, weights: list | None = None) -> Candidates:
    """Return the same as our fusion takes it."""
    place = np.repeat(np.arange(len(boxes)), [len(own) for own in boxes])
    weights = np.ones(len(boxes)) if weights is None else np.array(weights)
    return Candidates(
        np.concatenate(boxes), np.concatenate(scores), np.concatenate(labels), place, weights, 1.0, 1.0
    )


def same(expected: tuple, fused: fusion.Fused, tolerance: float) -> None:
    """Stop where boxes, scores, labels or order differ; the peer leaves equal scores' order to the sort."""
    boxes, scores, labels = map(np.asarray, expected)
    ours, peers = (np.lexsort((*b.T, -s)) for b, s in ((fused.boxes, fused.scores), (boxes, scores)))
    agree((fused.scores[:-1] >= fused.scores[1:]).all(), "orders of fused boxes")
    agree(fused.boxes.shape == boxes.shape, "numbers of fused boxes")
    for own, other in ((fused.boxes, boxes), (fused.scores, scores), (fused.labels, labels)):
        agree(np.allclose(own[ours], other[peers], rtol=0, atol=tolerance), "fused boxes")
