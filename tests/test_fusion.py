"""Fused boxes are ensemble-boxes' own, and patches follow them."""

import types
import warnings
from pathlib import Path

import ensemble_boxes
import numpy as np
import pytest
from ensemble_boxes import ensemble_boxes_nms, ensemble_boxes_wbf
from fusion_cases import field
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroseg import fusion
from neuroseg.fusion import Candidates, Fusion

ROOT = Path(__file__).parents[1]

# ---------------------------------------------------------------------------------- the oracle and its inputs


class Stable(np.ndarray):
    """An array that sorts equal values in a defined order."""

    def argsort(self, *args, **kwargs) -> np.ndarray:
        return np.argsort(np.asarray(self), kind="stable")


def stable(function):
    return lambda *args, **kwargs: function(*args, **kwargs).view(Stable)


@pytest.fixture(autouse=True, scope="module")
def oracle_with_defined_ties():
    """ensemble-boxes leaves the order of equal scores to the processor; as the oracle it must define it."""
    numpy = types.SimpleNamespace(**vars(np))
    numpy.array, numpy.concatenate = stable(np.array), stable(np.concatenate)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ensemble_boxes_wbf, "np", numpy)
        compiled = ensemble_boxes_nms.nms_float_fast
        plain = getattr(compiled, "py_func", compiled)
        patch.setattr(
            ensemble_boxes_nms,
            "nms_float_fast",
            lambda boxes, scores, thresh: plain(boxes, scores.view(Stable), thresh),
        )
        yield


def oracle(function, boxes: list, scores: list, labels: list, **options) -> tuple[np.ndarray, ...]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of each box that it mends
        copies = [np.array(one, float) for one in scores]  # nms multiplies what it is given
        return tuple(map(np.asarray, function(boxes, copies, labels, **options)))


def candidates(boxes: list, scores: list, labels: list, weights: list | None = None) -> Candidates:
    return Candidates(
        np.concatenate(boxes),
        np.concatenate(scores),
        np.concatenate(labels).astype(np.int64),
        np.repeat(np.arange(len(boxes)), [len(one) for one in boxes]),
        np.ones(len(boxes)) if weights is None else np.array(weights, float),
        width=1.0,
        height=1.0,
    )


def lists(
    seed: int, count: int, most: int, cells: int, kinds: int, ties: bool, wild: bool
) -> tuple[list, list, list]:
    """`count` detectors on the same cells: shifted boxes; wild ones also leave the frame, flip or vanish."""
    rng = np.random.default_rng(seed)
    centre, side = rng.uniform(0.1, 0.9, (cells, 2)), rng.uniform(0.02, 0.2, (cells, 2))
    boxes, scores, labels = [], [], []
    for _ in range(count):
        seen = rng.integers(0, cells, rng.integers(0, most + 1))
        middle = centre[seen] + rng.normal(0, 0.01, (len(seen), 2))
        half = side[seen] * np.exp(rng.normal(0, 0.2, (len(seen), 2))) / 2
        corners = np.concatenate([middle - half, middle + half], axis=1)
        if wild:
            corners[rng.random(len(seen)) < 0.2] += rng.choice([-0.6, 0.6])
            flipped = rng.random(len(seen)) < 0.2
            corners[flipped] = corners[flipped][:, [2, 1, 0, 3]]
            corners[rng.random(len(seen)) < 0.1, 2:] = 0.5
        boxes.append(corners)
        scores.append(rng.integers(1, 8, len(seen)) / 8 if ties else rng.uniform(0.01, 1, len(seen)))
        labels.append(rng.integers(0, kinds, len(seen)))
    return boxes, scores, labels


some_lists = st.builds(
    lists,
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 6),
    most=st.sampled_from([0, 1, 5, 40]),
    cells=st.sampled_from([1, 4, 30]),
    kinds=st.integers(1, 3),
    ties=st.booleans(),
    wild=st.booleans(),
)
overlaps = st.sampled_from([0.05, 0.3, 0.5, 0.55, 0.7, 0.95])
some_weights = st.lists(st.sampled_from([0.25, 0.5, 1.0, 1.7, 3.0]), min_size=6, max_size=6)


def assert_equal(fused: fusion.Fused, expected: tuple[np.ndarray, ...], exactly: bool) -> None:
    boxes, scores, labels = expected
    assert fused.labels.tolist() == labels.tolist()
    tolerance = 0 if exactly else 1e-6
    np.testing.assert_allclose(fused.boxes, boxes.reshape(-1, 4), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(fused.scores, scores, rtol=tolerance, atol=tolerance)


# ------------------------------------------------------------------------------------------------------ boxes


@settings(max_examples=150, deadline=None)
@given(some_lists, overlaps, st.sampled_from([0.0, 0.25]))
def test_wbf_is_bit_for_bit_that_of_ensemble_boxes(case, iou, least):
    fused = fusion.wbf(candidates(*case), Fusion(iou=iou, min_score=least))
    expected = oracle(ensemble_boxes.weighted_boxes_fusion, *case, iou_thr=iou, skip_box_thr=least)
    assert_equal(fused, expected, exactly=True)


@settings(max_examples=150, deadline=None)
@given(some_lists, overlaps, some_weights, st.sampled_from(list(fusion.methods.CONFIDENCES)))
def test_wbf_is_that_of_ensemble_boxes_for_weights_and_every_confidence(case, iou, weights, confidence):
    weights = weights[: len(case[0])]
    fused = fusion.wbf(candidates(*case, weights), Fusion(iou=iou, confidence=confidence))
    expected = oracle(
        ensemble_boxes.weighted_boxes_fusion, *case, weights=weights, iou_thr=iou, conf_type=confidence
    )
    assert_equal(fused, expected, exactly=False)


def test_wbf_is_that_of_ensemble_boxes_on_a_crowded_image():
    case = lists(5, count=15, most=400, cells=300, kinds=2, ties=False, wild=False)
    expected = oracle(ensemble_boxes.weighted_boxes_fusion, *case)
    assert_equal(fusion.wbf(candidates(*case), Fusion()), expected, exactly=True)


@settings(max_examples=100, deadline=None)
@given(some_lists, overlaps)
def test_nms_is_bit_for_bit_that_of_ensemble_boxes(case, iou):
    if not sum(map(len, case[0])):
        return  # where ensemble-boxes breaks
    fused = fusion.nms(candidates(*case), Fusion(method="nms", iou=iou))
    assert_equal(fused, nms_oracle(ensemble_boxes.nms, *case, iou_thr=iou), exactly=True)


@settings(max_examples=100, deadline=None)
@given(some_lists, overlaps, some_weights)
def test_nms_weighs_as_ensemble_boxes_does_but_against_the_largest_weight(case, iou, weights):
    weights = np.array(weights[: len(case[0])])
    fused = fusion.nms(candidates(*case, weights), Fusion(iou=iou))
    expected = nms_oracle(ensemble_boxes.nms, *case, iou_thr=iou, weights=weights)
    share = weights.max() / weights.sum()
    assert_equal(fused._replace(scores=fused.scores * share), expected, exactly=False)


def nms_oracle(function, boxes: list, scores: list, labels: list, **options) -> tuple[np.ndarray, ...]:
    """As `oracle`; where no box has area, the nms of ensemble-boxes breaks instead of returning nothing."""
    corners = np.clip(np.concatenate(boxes), 0, 1)
    if not ((corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])).any():
        return np.zeros((0, 4)), np.zeros(0), np.zeros(0, int)
    return oracle(function, boxes, scores, labels, **options)


@settings(max_examples=60, deadline=None)
@given(some_lists, overlaps, st.sampled_from(list(fusion.METHODS)))
def test_every_method_says_which_box_became_which(case, iou, method):
    given = candidates(*case)
    fused = fusion.METHODS[method](given, Fusion(method=method, iou=iou))
    owned = fused.owner >= 0
    assert set(fused.owner[owned]) == set(range(len(fused.scores)))
    assert (given.labels[owned] == fused.labels[fused.owner[owned]]).all()


def test_the_members_of_a_cluster_are_the_boxes_it_was_made_of():
    given = candidates(*lists(1, count=5, most=30, cells=12, kinds=2, ties=False, wild=False))
    fused = fusion.wbf(given, Fusion())
    for cluster, box in enumerate(fused.boxes):
        rows = fused.owner == cluster
        mean = np.average(given.boxes[rows], axis=0, weights=given.scores[rows])
        np.testing.assert_allclose(box, mean, atol=1e-6)


def test_two_lists_that_agree_give_the_mean_box_and_the_mean_score():
    given = candidates([[[0.0, 0, 0.4, 0.4]], [[0.0, 0, 0.5, 0.4]]], [[0.75], [0.25]], [[0], [0]])
    fused = fusion.wbf(given, Fusion())
    np.testing.assert_allclose(fused.boxes, [[0, 0, 0.425, 0.4]], atol=1e-7)
    assert fused.scores.tolist() == [0.5]
    assert fused.owner.tolist() == [0, 0]


def test_a_list_that_missed_the_cell_lowers_its_score():
    nothing = np.zeros((0, 4)), np.zeros(0), np.zeros(0, int)
    box, score, label = np.array([[0.0, 0, 0.4, 0.4]]), np.array([0.8]), np.array([0])
    given = candidates([box, nothing[0]], [score, nothing[1]], [label, nothing[2]])
    assert fusion.wbf(given, Fusion()).scores.tolist() == [0.4]


@pytest.mark.parametrize("method", list(fusion.METHODS))
def test_scores_of_zero_do_no_harm(method):
    boxes = [np.array([[0.1, 0.1, 0.5, 0.5]]), np.array([[0.1, 0.1, 0.5, 0.5]])]
    fused = fusion.METHODS[method](candidates(boxes, [[0.0], [0.0]], [[0], [0]]), Fusion(method=method))
    assert np.isfinite(fused.boxes).all()
    assert (fused.scores == 0).all()


def test_overlap_must_exceed_the_threshold():
    boxes = [np.array([[0.0, 0, 0.5, 1.0]]), np.array([[0.0, 0, 1.0, 1.0]])]  # an IoU of exactly one half
    given = candidates(boxes, [[0.9], [0.8]], [[0], [0]])
    assert len(fusion.wbf(given, Fusion(iou=0.5)).scores) == 2
    assert len(fusion.wbf(given, Fusion(iou=0.499)).scores) == 1


# ---------------------------------------------------------------------------------------------------- patches


def test_a_patch_on_its_own_box_stays_as_it_is():
    patches = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
    boxes = np.array([[3.3, 4.1, 17.2, 19.9], [0, 0, 1, 700], [100.7, 0.2, 101.1, 30]])
    out = fusion.average(patches, boxes, np.array([0.3, 0.9, 0.0]), np.array([0, 1, 2]), boxes)
    assert (out == patches).all()


def test_equal_patches_on_equal_boxes_stay_as_they_are():
    patch = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    box = np.array([3.3, 4.1, 17.2, 19.9])
    out = fusion.average(
        np.stack([patch] * 5), np.stack([box] * 5), np.full(5, 0.3), np.zeros(5, int), box[None]
    )
    assert (out[0] == patch).all()


def test_members_count_by_their_weight_and_strangers_not_at_all():
    patches = np.stack([np.full((28, 28), value, np.uint8) for value in (200, 100, 7)])
    box = np.array([[10, 10, 40, 30]] * 3)
    out = fusion.average(patches, box, np.array([0.75, 0.25, 0.9]), np.array([0, 0, -1]), box[:1])
    assert (out == 175).all()


def test_a_member_adds_nothing_where_its_box_does_not_reach():
    full = np.full((2, 28, 28), 255, np.uint8)
    boxes = np.array([[0, 0, 28, 28], [0, 0, 14, 28]])
    out = fusion.average(full, boxes, np.ones(2), np.zeros(2, int), boxes[:1])[0]
    assert (out[:, :13] >= 254).all()
    assert (out[:, 15:] == 128).all()


def test_a_fused_box_without_members_has_an_empty_patch():
    patch = np.full((1, 28, 28), 255, np.uint8)
    box = np.array([[0, 0, 10, 10]])
    assert (fusion.average(patch, box, np.ones(1), np.array([-1]), box) == 0).all()
    assert fusion.average(patch[:0], box[:0], np.ones(0), np.zeros(0, int), box[:0]).shape == (0, 28, 28)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_patches_are_sampled_bilinearly_and_averaged(seed, count):
    rng = np.random.default_rng(seed)
    patches = rng.integers(0, 256, (count, 28, 28), np.uint8)
    low = rng.uniform(0, 30, (count + 1, 2))
    boxes = np.concatenate([low, low + rng.uniform(1, 60, (count + 1, 2))], axis=1)
    weights = rng.uniform(0.1, 1, count)
    out = fusion.average(patches, boxes[1:], weights, np.zeros(count, int), boxes[:1])[0]
    fields = [field(patch, own, boxes[0]) for patch, own in zip(patches, boxes[1:], strict=True)]
    np.testing.assert_allclose(out, np.average(fields, axis=0, weights=weights), atol=0.501)
