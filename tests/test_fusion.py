"""Fused boxes are ensemble-boxes' own, patches follow them, and every list counts whether it found anything or not."""

import types
import warnings

import ensemble_boxes
import numpy as np
import pandas as pd
import pytest
from ensemble_boxes import ensemble_boxes_nms, ensemble_boxes_nmw, ensemble_boxes_wbf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from neuroseg import fusion, tables
from neuroseg.fusion import Candidates, Fusion
from neuroseg.tables import DataError

# ------------------------------------------------------------------------------------------- the oracle and its inputs


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
        patch.setattr(ensemble_boxes_nmw, "np", numpy)
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


def lists(seed: int, count: int, most: int, cells: int, kinds: int, ties: bool, wild: bool) -> tuple[list, list, list]:
    """What `count` detectors say of the same cells: shifted boxes; wild ones also leave the frame, flip or vanish."""
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


# --------------------------------------------------------------------------------------------------------------- boxes


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
    expected = oracle(ensemble_boxes.weighted_boxes_fusion, *case, weights=weights, iou_thr=iou, conf_type=confidence)
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


@settings(max_examples=100, deadline=None)
@given(some_lists, overlaps, st.sampled_from([("linear", 1), ("gaussian", 2)]), st.sampled_from([0.001, 0.2]))
def test_soft_nms_picks_what_ensemble_boxes_picks(case, iou, decay, floor):
    name, number = decay
    given = candidates(*case)
    fused = fusion.soft_nms(given, Fusion(iou=iou, decay=name, floor=floor))
    expected = nms_oracle(ensemble_boxes.soft_nms, *case, method=number, iou_thr=iou, thresh=floor)
    # ensemble-boxes hands back the scores as they were before they were lowered
    kept = np.flatnonzero(fused.owner >= 0)
    before = np.empty(len(kept))
    before[fused.owner[kept]] = given.scores[kept]
    assert (fused.scores <= before).all()
    assert_equal(fused._replace(scores=before), expected, exactly=True)


def nms_oracle(function, boxes: list, scores: list, labels: list, **options) -> tuple[np.ndarray, ...]:
    """As `oracle`; where no box has an area, the nms of ensemble-boxes breaks instead of returning nothing."""
    corners = np.clip(np.concatenate(boxes), 0, 1)
    if not ((corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])).any():
        return np.zeros((0, 4)), np.zeros(0), np.zeros(0, int)
    return oracle(function, boxes, scores, labels, **options)


@settings(max_examples=100, deadline=None)
@given(some_lists, overlaps, st.one_of(st.none(), some_weights))
def test_nmw_is_that_of_ensemble_boxes(case, iou, weights):
    weights = weights and weights[: len(case[0])]
    fused = fusion.nmw(candidates(*case, weights), Fusion(iou=iou))
    expected = oracle(ensemble_boxes.non_maximum_weighted, *case, weights=weights, iou_thr=iou)
    assert_equal(fused, expected, exactly=weights is None)


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


# ------------------------------------------------------------------------------------------------------------- patches


def field(patch: np.ndarray, own: np.ndarray, box: np.ndarray) -> np.ndarray:
    """A patch at the sample centres of another box, zero beyond its samples, by another library."""
    centres = (np.arange(28) + 0.5) / 28
    x = (box[0] + centres * (box[2] - box[0]) - own[0]) / (own[2] - own[0]) * 28 - 0.5
    y = (box[1] + centres * (box[3] - box[1]) - own[1]) / (own[3] - own[1]) * 28 - 0.5
    places = np.meshgrid(y, x, indexing="ij")
    return ndimage.map_coordinates(patch.astype(float), places, order=1, mode="grid-constant")


def test_a_patch_on_its_own_box_stays_as_it_is():
    patches = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
    boxes = np.array([[3.3, 4.1, 17.2, 19.9], [0, 0, 1, 700], [100.7, 0.2, 101.1, 30]])
    out = fusion.average(patches, boxes, np.array([0.3, 0.9, 0.0]), np.array([0, 1, 2]), boxes)
    assert (out == patches).all()


def test_equal_patches_on_equal_boxes_stay_as_they_are():
    patch = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    box = np.array([3.3, 4.1, 17.2, 19.9])
    out = fusion.average(np.stack([patch] * 5), np.stack([box] * 5), np.full(5, 0.3), np.zeros(5, int), box[None])
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


# --------------------------------------------------------------------------------------------- files, folds and views


def detections(rows: list[tuple], source: str) -> pd.DataFrame:
    """Rows of (image, type, score, x1, y1, x2, y2), with full patches."""
    columns = ["image_id", "cell_type", "score", "x1", "y1", "x2", "y2"]
    frame = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[2:], np.float32))
    return frame.assign(mask=tables.patch_column(np.full((len(rows), 28, 28), 255, np.uint8)), source=source)


@pytest.fixture
def write(tmp_path):
    """A function that writes a detections file: its images, then each source's rows."""

    def write(name: str, images: str, **sources: list[tuple]):
        parts = {source.replace("_", "/", 2): rows for source, rows in sources.items()}
        frame = pd.concat([detections(rows, source) for source, rows in parts.items()], ignore_index=True)
        tables.write("detections", frame, tmp_path / name, tables.Coverage(tuple(images), tuple(parts)))
        return tmp_path / name

    return write


@pytest.fixture
def ensemble(step, tmp_path):
    """A function that runs the step and reads what it wrote."""

    def ensemble(recipe: str, *members) -> pd.DataFrame:
        (tmp_path / "recipe.yaml").write_text(recipe)
        out = tmp_path / "out" / "e.parquet"
        paths = {"recipe": tmp_path / "recipe.yaml", "detections": out, "weights": tmp_path / "out" / "e.weights.yaml"}
        step("ensemble").main(members=members, name="e", **paths)
        return tables.read("detections", out)

    return ensemble


CELL = ("cort", 0.8, 10, 10, 30, 30)
SHIFTED = ("cort", 0.4, 13, 10, 33, 30)


def test_an_image_is_scored_by_the_lists_that_looked_at_it(write, ensemble, tmp_path):
    # a and b are held out by one fold each, t by both: three cells that everyone sees score alike
    one = write("0", "at", m_0_none=[("a", *CELL), ("t", *CELL)], m_0_hflip=[("a", *CELL), ("t", *CELL)])
    two = write("1", "bt", m_1_none=[("b", *CELL), ("t", *CELL)], m_1_hflip=[("b", *CELL), ("t", *CELL)])
    fused = ensemble("members: {m: 1}", one, two)
    assert fused["image_id"].tolist() == ["a", "t", "b"]
    assert fused["score"].tolist() == pytest.approx([0.8] * 3)
    assert fused["source"].unique().tolist() == ["e"]
    assert tables.read_coverage(tmp_path / "out" / "e.parquet") == tables.Coverage(("a", "t", "b"), ("e",))


def test_a_view_without_a_find_still_counts(write, ensemble):
    one = write("0", "a", m_0_none=[("a", *CELL)], m_0_hflip=[])
    assert ensemble("members: {m: 1}", one)["score"].tolist() == pytest.approx([0.4])


def test_views_can_be_left_out(write, ensemble):
    one = write("0", "a", m_0_none=[("a", *CELL)], m_0_hflip=[("a", *SHIFTED)])
    fused = ensemble("members: {m: 1}\nfusion: {views: [none]}", one)
    assert fused[["score", "x1"]].to_numpy().tolist() == [[np.float32(0.8), 10]]


def test_magnified_views_are_chosen_by_their_names(write, ensemble):
    finds = {"m_0_none": [("a", *CELL)], "m_0_hflip_x1.5": [("a", *SHIFTED)], "m_0_x1.5": [("a", *CELL)]}
    fused = ensemble("members: {m: 1}\nfusion: {views: [hflip_x1.5]}", write("0", "a", **finds))
    assert fused[["score", "x1"]].to_numpy().tolist() == [[np.float32(0.4), 13]]


def test_a_members_weight_is_that_of_all_its_folds_and_views(write, ensemble):
    one = write("m", "a", m_0_none=[("a", *CELL)])
    two = write("n", "a", n_0_none=[("a", "cort", 0.8, 14, 10, 34, 30)])
    fused = ensemble("members: {m: 3, n: 1}", one, two)
    assert fused["x1"].tolist() == pytest.approx([11])
    assert fused["score"].tolist() == pytest.approx([0.8])


def test_an_ensemble_can_be_a_member(write, ensemble):
    one = write("inner", "a", inner=[("a", *CELL)])
    two = write("m", "a", m_0_none=[("a", *SHIFTED)])
    fused = ensemble("members: {inner: 1, m: 1}", one, two)
    assert fused["score"].tolist() == pytest.approx([0.6])
    assert fused["x1"].tolist() == pytest.approx([11])


def test_the_mask_follows_the_fused_box(write, ensemble):
    one = write("0", "a", m_0_none=[("a", *CELL)], m_0_hflip=[("a", *SHIFTED)])
    fused = ensemble("members: {m: 1}", one)
    patch = tables.patches(fused)[0]
    fields = [
        field(np.full((28, 28), 255, np.uint8), np.array(row[2:]), tables.boxes(fused)[0]) for row in (CELL, SHIFTED)
    ]
    np.testing.assert_allclose(patch, (2 * fields[0] + fields[1]) / 3, atol=0.51)


@pytest.mark.parametrize("method", list(fusion.METHODS))
def test_every_method_can_be_asked_for(write, ensemble, method):
    one = write("0", "ab", m_0_none=[("a", *CELL), ("b", *CELL)], m_0_hflip=[("a", *CELL)])
    fused = ensemble(f"members: {{m: 1}}\nfusion: {{method: {method}, floor: 0.2}}", one)
    assert fused["image_id"].tolist() == ["a", "b"]
    assert (tables.patches(fused) == 255).all()


def test_of_two_types_on_one_cell_the_better_scored_stays(write, ensemble):
    rows = [("a", *CELL), ("a", "astro", 0.9, 11, 10, 31, 30), ("a", "astro", 0.3, 25, 10, 45, 30)]
    fused = ensemble("members: {m: 1}", write("0", "a", m_0_none=rows))
    assert fused["cell_type"].tolist() == ["astro", "astro"]
    assert len(ensemble("members: {m: 1}\nfusion: {cross_type_iou: 0.95}", write("0", "a", m_0_none=rows))) == 3


def test_an_image_of_one_type_fuses_views_that_disagree_on_it(write, ensemble):
    views = {
        "m_0_none": [("a", *CELL), ("b", "astro", 0.3, *CELL[2:])],
        "m_0_hflip": [("a", "astro", *SHIFTED[1:]), ("b", *SHIFTED)],
    }
    member = write("0", "ab", **views)
    apart, together = (
        ensemble(f"members: {{m: 1}}\nfusion: {{one_type: {voted}}}", member) for voted in ("false", "true")
    )
    assert apart["score"].tolist() == pytest.approx([0.4, 0.2])  # each type was seen by one view of two
    assert together["score"].tolist() == pytest.approx([0.6, 0.35])
    assert together["cell_type"].tolist() == ["cort", "cort"]
    assert together["x1"].tolist() == pytest.approx([11, (0.3 * 10 + 0.4 * 13) / 0.7])


def test_cells_move_to_where_annotators_draw_them(write, ensemble):
    member = write("0", "a", m_0_none=[("a", *CELL), ("a", "cort", 0.5, 0, 0, 10, 10)])
    plain, moved = (
        ensemble(f"members: {{m: 1}}\nfusion: {{offset: {by}}}", member) for by in ("[0, 0]", "[-0.25, 0.5]")
    )
    np.testing.assert_array_equal(tables.boxes(moved) - tables.boxes(plain), [[-0.25, 0.5, -0.25, 0.5]] * 2)
    assert (tables.patches(moved) == tables.patches(plain)).all()


def test_an_image_keeps_its_best_detections(write, ensemble):
    rows = [("a", "cort", score, 20 * i, 0, 20 * i + 10, 10) for i, score in enumerate([0.5, 0.9, 0.7, 0.1])]
    fused = ensemble("members: {m: 1}\nfusion: {max_detections: 2}", write("0", "a", m_0_none=rows))
    assert fused["score"].tolist() == pytest.approx([0.9, 0.7])


def test_files_without_a_detection_become_one_without_a_detection(write, ensemble, tmp_path):
    assert len(ensemble("members: {m: 1}", write("0", "ab", m_0_none=[]))) == 0
    assert tables.read_coverage(tmp_path / "out" / "e.parquet").images == ("a", "b")


def test_the_same_comes_out_whatever_the_batch(write, ensemble, monkeypatch):
    rng = np.random.default_rng(2)
    rows = {
        view: [
            (image, kind, rng.uniform(0.1, 1), x, y, x + 20, y + 20)
            for image in "abcdefghijk"
            for kind, x, y in zip(rng.choice(["astro", "cort"], 9), *rng.uniform(0, 80, (2, 9)), strict=True)
        ]
        for view in ("m_0_none", "m_0_hflip")
    }
    member = write("0", "abcdefghijk", **rows)
    whole = ensemble("members: {m: 1}", member)
    monkeypatch.setattr("neuroseg.fusion.members.BATCH", 1)
    pd.testing.assert_frame_equal(ensemble("members: {m: 1}", member), whole)


# -------------------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("members: {m: 1, n: 1}", "the recipe's member n is in none of the files"),
        ("members: {n: 1}", r"0: its source m/0/none is no member of the recipe \(n\)"),
        ("members: {m: 1}\nfusion: {views: [vflip]}", "the recipe's member m is in none of the files"),
        ("members: {m: 0}", r"recipe\.yaml: members\.m: Input should be greater than 0"),
        ("members: {}", r"recipe\.yaml: members: "),
        ("fusion: {}", r"recipe\.yaml: members: Field required"),
        ("members: {m: 1}\nfusion: {method: vote}", r"fusion\.method: .* one of wbf, nms, soft_nms, nmw"),
        ("members: {m: 1}\nfusion: {confidence: sum}", r"fusion\.confidence: .* one of avg, max"),
        ("members: {m: 1}\nfusion: {iou: 1.5}", r"fusion\.iou: "),
        ("members: {m: 1}\nfusion: {iuo: 0.5}", r"fusion\.iuo: Extra inputs"),
        ("members: {m: 1}\nfusion: {offset: [0, 20]}", r"fusion\.offset\.1: "),
        ("members: {m: 1}\nweights: {}", r"recipe\.yaml: weights: Extra inputs"),
        ("members: {m: ", r"recipe\.yaml: this ensemble file cannot be read"),
        ("", r"recipe\.yaml: the file: "),
    ],
)
def test_a_recipe_that_cannot_be_used_is_named(write, ensemble, tmp_path, recipe, words):
    with pytest.raises(DataError, match=words):
        ensemble(recipe, write("0", "a", m_0_none=[("a", *CELL)]))
    assert not list(tmp_path.glob("out/*"))


def test_the_section_of_another_room_is_left_to_it(tmp_path):
    (tmp_path / "r.yaml").write_text("members: {m: 1}\nthresholds: {anything: [1, 2]}")
    assert fusion.read_recipe(tmp_path / "r.yaml").fusion == Fusion()


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.yaml: this ensemble file cannot be read"):
        fusion.read_recipe(tmp_path / "none.yaml")


def test_a_file_given_twice_is_named(write, ensemble):
    one = write("0", "a", m_0_none=[("a", *CELL)])
    with pytest.raises(DataError, match="m/0/none comes twice for image a"):
        ensemble("members: {m: 1}", one, one)


def test_an_image_that_a_member_has_not_looked_at_is_named(write, ensemble):
    one = write("m", "ab", m_0_none=[("a", *CELL)])
    two = write("n", "a", n_0_none=[("a", *CELL)])
    with pytest.raises(DataError, match=r"member n lacks image b \(1 in all\)"):
        ensemble("members: {m: 1, n: 1}", one, two)


@pytest.mark.parametrize("name", ["tiny", "tiny_single", "tiny_weighed", "small", "small_single", "sartorius"])
def test_the_recipes_that_come_with_the_project_can_be_read(root, name):
    assert fusion.read_recipe(root / "configs" / "ensembles" / f"{name}.yaml").fusion.method in fusion.METHODS
