"""COCO's AP: pycocotools' own figures, without its cap of a hundred cells an image."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics_cases import frames, instances, scenes, square, strips

from benchmarks.scoring import cocoeval
from neuroseg import metrics


def crowd(
    seed: int, count: int = 30, types: tuple[str, ...] = ("astro", "cort")
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Discs and what a detector might find of them, in two images."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:60, :80]
    centre, radius = rng.uniform((5, 5), (55, 75), (count, 2)), rng.uniform(3, 7, count)
    image, kind = rng.choice(["a", "b"], count).tolist(), rng.choice(types, count).tolist()

    def discs(centre: np.ndarray, radius: np.ndarray) -> np.ndarray:
        return np.hypot(y - centre[:, 0, None, None], x - centre[:, 1, None, None]) < radius[:, None, None]

    found = discs(centre + rng.normal(0, 1, (count, 2)), radius + rng.normal(0, 0.5, count))
    return instances(found, image, rng.random(count).round(1), kind), instances(
        discs(centre, radius), image, cell_type=kind
    )


def agrees(predicted: pd.DataFrame, truth: pd.DataFrame, held: pd.DataFrame) -> dict[str, float]:
    """The figures, which are pycocotools' own."""
    figures = metrics.coco(predicted, truth, held)
    assert figures == pytest.approx(cocoeval(predicted, truth, held), abs=1e-12)
    return figures


@pytest.mark.parametrize("seed", range(4))
def test_coco_s_figures_are_those_of_pycocotools(seed):
    assert 0 < agrees(*crowd(seed), frames("a", "b", height=60, width=80))["mask_ap"] < 1


@given(scene=scenes(), data=st.data())
def test_coco_s_figures_are_those_of_pycocotools_where_scores_tie_and_masks_repeat(scene, data):
    def drawn(values: list, count: int) -> list:
        return data.draw(st.lists(st.sampled_from(values), min_size=count, max_size=count))

    predicted, truth = (instances(masks, drawn(["b", "a", "other"], len(masks))) for masks in scene)
    predicted["score"] = np.array(drawn([0.25, 0.5, np.nan], len(predicted)), np.float32)
    types = data.draw(st.sampled_from([["cort"], ["cort", "astro"], ["cort", None]]))
    for side in (predicted, truth):
        side["cell_type"] = pd.Series(drawn(types, len(side)), dtype="str")
    agrees(predicted, truth, frames("a", "b"))


def test_where_an_instance_has_no_type_all_count_as_one():
    (predicted, truth), held = crowd(0), frames("a", "b", height=60, width=80)
    typed = agrees(predicted, truth, held)["mask_ap"]
    predicted["cell_type"] = predicted["cell_type"].where(predicted.index != 3)
    assert agrees(predicted, truth, held)["mask_ap"] != pytest.approx(typed, abs=1e-3)


def test_to_coco_a_pair_that_equals_a_threshold_reaches_it():
    """Boxes and masks of 20 pixels and a part of them: IoU 1/2, 11/20, ..., 19/20, in floats COCO's own."""
    for step in range(10, 20):
        sides = instances(strips((0, 20)), score=1), instances(strips((0, step)))
        assert agrees(*sides, frames("a", height=1, width=40))["mask_ap"] == pytest.approx((step - 9) / 10)


def test_a_crowded_image_is_not_cut_at_a_hundred():
    masks = np.zeros((150, 20, 60), bool)
    for number, mask in enumerate(masks):
        mask[2 * (number % 10), 4 * (number // 10) : 4 * (number // 10) + 3] = True
    cells = instances(masks, score=0.9)
    assert set(metrics.coco(cells, cells, frames("a", height=20, width=60)).values()) == {1.0}


def test_coco_says_nothing_and_leaves_its_tables_alone(capfd):
    predicted, truth = crowd(1)
    before = [table.copy(deep=True) for table in (predicted, truth)]
    metrics.coco(predicted, truth, frames("a", "b", height=60, width=80))
    assert capfd.readouterr() == ("", "")
    for table, kept in zip((predicted, truth), before, strict=True):
        pd.testing.assert_frame_equal(table, kept)


@pytest.mark.parametrize(("predicted", "truth", "ap"), [(0, 0, -1.0), (1, 0, -1.0), (0, 1, 0.0)])
def test_coco_without_truth_is_minus_one_and_without_predictions_nought(predicted, truth, ap):
    sides = [instances(np.repeat(square(5), count, axis=0)) for count in (predicted, truth)]
    assert set(metrics.coco(*sides, frames("a", height=20, width=40)).values()) == {ap}
