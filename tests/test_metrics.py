"""The competition's score: shapes whose answer is arithmetic, and the slow ways as oracles."""

import json
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from metrics_cases import EXACT, HEIGHT, WIDTH, frames, instances, oracle, scenes, square, stacks, strips
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from neuroseg import metrics, rle, tables
from neuroseg.errors import DataError
from neuroseg.metrics import matching

# ------------------------------------------------------------------------------------------------------- hits


@pytest.mark.parametrize(("shift", "passed"), [(0, 10), (1, 7), (2, 4), (3, 1), (4, 0)])
def test_a_square_shifted_by_n_pixels_has_an_iou_of_10_minus_n_by_10_plus_n(shift, passed):
    """9/11 = 0.818, 8/12 = 0.667, 7/13 = 0.538, 6/14 = 0.429."""
    table = metrics.per_image(
        instances(square(5 + shift)), instances(square(5)), frames("a", height=20, width=40)
    )
    assert table["ap"].tolist() == [passed / 10]


@pytest.mark.parametrize("step", range(10, 21))
def test_an_iou_equal_to_a_threshold_is_no_hit_at_it(step):
    truth, predicted = instances(strips((0, 20))), instances(strips((0, step)))
    assert metrics.hits(predicted, truth, frames("a", height=1, width=40)).tolist() == [step - 10]


def test_thresholds_are_the_competition_s():
    assert tuple(float(threshold) for threshold in EXACT) == metrics.THRESHOLDS


@given(scene=scenes())
def test_matches_are_as_many_as_a_maximum_assignment_finds(scene):
    predicted, truth = scene
    found = metrics.hits(instances(predicted), instances(truth), frames("a"))
    assert [(found > step).sum() for step in range(10)] == oracle(predicted, truth)


@given(several=st.lists(scenes(), min_size=1, max_size=4), data=st.data())
def test_images_neither_mix_nor_depend_on_the_rows_order(several, data):
    names = [f"image {number}" for number in range(len(several))]
    sides = [
        pd.concat(
            [instances(scene[side], name) for name, scene in zip(names, several, strict=True)],
            ignore_index=True,
        )
        for side in (0, 1)
    ]
    shuffled = [side.iloc[data.draw(st.permutations(range(len(side))))] for side in sides]
    table = metrics.per_image(*shuffled, frames(*names))
    for row, (predicted, truth) in zip(table.itertuples(), several, strict=True):
        assert (row.truth, row.predicted) == (len(truth), len(predicted))
        tp = oracle(predicted, truth)
        assert row.matched_50 == tp[0]
        union = [len(truth) + len(predicted) - each for each in tp]
        assert row.ap == pytest.approx(
            np.mean([t / u if u else 1 for t, u in zip(tp, union, strict=True)]), abs=1e-12
        )


@pytest.mark.parametrize(("second", "passed"), [((10, 18), 6), ((9, 19), 7)])
def test_a_match_is_handed_over_where_that_gains_another(second, passed):
    """The first prediction suits both truths (9/11), the second just one: greedy matching finds one pair."""
    truth = instances(strips((10, 20), (12, 22)))
    predicted = instances(strips((11, 21), second))
    assert metrics.hits(predicted, truth, frames("a", height=1, width=40)).tolist() == [7, passed]


@pytest.mark.parametrize("seed", range(20))
def test_tangled_graphs_are_matched_as_scipy_matches_them(seed):
    """Pairs as no masks would have them: every prediction with several truths, at random IoUs."""
    rng = np.random.default_rng(seed)
    chosen = rng.random((60, 50)) < rng.uniform(0.01, 0.1)
    rows, columns = np.nonzero(chosen)
    passed = rng.integers(1, 11, len(rows))
    pairs = rle.Pairs(rows, columns, 2 * passed + 19, np.full(len(rows), 40))  # half a pixel above threshold
    found = matching.hits_of_pairs(pairs, *chosen.shape)
    for step in range(10):
        above = csr_array((passed > step, (rows, columns)), shape=chosen.shape)
        above.eliminate_zeros()
        assert (found > step).sum() == (maximum_bipartite_matching(above) >= 0).sum()


def test_a_true_mask_given_twice_asks_for_two_predictions():
    truth, once = instances(np.repeat(square(5), 2, axis=0)), instances(square(5))
    table = metrics.per_image(once, truth, frames("a", height=20, width=40))
    assert table[["ap", "truth", "matched_50"]].to_numpy().tolist() == [[0.5, 2, 1]]


def test_a_prediction_given_twice_is_right_once():
    twice, truth = instances(np.repeat(square(5), 2, axis=0)), instances(square(5))
    assert metrics.per_image(twice, truth, frames("a", height=20, width=40))["ap"].tolist() == [0.5]


def test_hundreds_of_copies_of_one_cell_are_matched_one_to_one():
    predicted, truth = (instances(np.repeat(square(5), count, axis=0)) for count in (400, 350))
    assert (metrics.hits(predicted, truth, frames("a", height=20, width=40)) == 10).sum() == 350


@given(truth=stacks(), predicted=stacks(disjoint=True), data=st.data())
def test_of_disjoint_predictions_any_subset_keeps_its_hits(truth, predicted, data):
    kept = data.draw(arrays(bool, len(predicted)))
    table = instances(predicted)
    whole = metrics.hits(table, instances(truth), frames("a"))
    assert (metrics.hits(table[kept], instances(truth), frames("a")) == whole[kept]).all()


@given(scene=scenes())
def test_hits_of_runs_are_those_of_tables(scene):
    predicted, truth = scene
    found = matching.hits_of_runs(rle.from_masks(predicted), rle.from_masks(truth), WIDTH)
    assert [(found > step).sum() for step in range(10)] == oracle(predicted, truth)


@given(truth=stacks(), predicted=stacks(disjoint=True))
def test_hits_of_disjoint_predictions_are_the_thresholds_below_their_best_iou(truth, predicted):
    best = [
        max((Fraction(int((p & g).sum()), int((p | g).sum())) for g in truth), default=0) for p in predicted
    ]
    expected = [sum(iou > threshold for threshold in EXACT) for iou in best]
    assert metrics.hits(instances(predicted), instances(truth), frames("a")).tolist() == expected


def test_pairs_are_those_from_one_half_on_with_their_pixels():
    truth, predicted = (
        instances(strips((0, 8), (20, 28))),
        instances(strips((22, 30), (0, 4), (1, 8), (30, 38), (0, 3))),
    )
    found = metrics.pairs(predicted, truth, frames("a", height=1, width=40))
    assert [field.tolist() for field in found] == [[0, 1, 2], [1, 0, 0], [6, 4, 7], [10, 8, 8]]


def test_a_pair_of_exactly_one_half_is_no_hit():
    sides = instances(strips((0, 4), (0, 4))), instances(strips((0, 8)))
    assert metrics.hits(*sides, frames("a", height=1, width=40)).tolist() == [0, 0]


def test_a_pair_below_one_half_is_none_even_where_boxes_promise_more():
    """Three pixels shared, two more each, far off: 3/7."""
    shared, one, other = strips((0, 3), (10, 12), (20, 22))
    sides = instances(np.array([shared | one])), instances(np.array([shared | other]))
    assert len(metrics.pairs(*sides, frames("a", height=1, width=40)).one) == 0


def test_images_of_several_sizes_are_scored_alike():
    sizes = [(20, 40), (20, 40), (30, 50), (20, 40), (5, 90)]
    rng = np.random.default_rng(0)
    stacked = [rng.random((4, *size)) < 0.3 for size in sizes]
    truth = pd.concat([instances(masks, f"i{n}") for n, masks in enumerate(stacked)], ignore_index=True)
    held = frames(*(f"i{n}" for n in range(5)))
    held[["height", "width"]] = sizes
    assert metrics.per_image(truth, truth, held)["ap"].tolist() == [1.0] * 5


def test_instances_of_an_image_that_is_not_listed_are_refused():
    with pytest.raises(DataError, match="stranger"):
        metrics.hits(instances(square(5), "stranger"), instances(square(5)), frames("a", height=20, width=40))


def test_masks_of_another_frame_are_refused():
    with pytest.raises(DataError, match="another size"):
        metrics.hits(instances(square(5)), instances(square(5)), frames("a", height=21, width=40))


@given(masks=stacks())
def test_masks_lying_on_their_side_are_those_of_the_transposed_frame(masks):
    counts = rle.to_coco(rle.from_masks(masks), HEIGHT, WIDTH)
    lying, expected = (
        rle.from_coco_lying(tables.rle_column(counts), HEIGHT, WIDTH),
        rle.from_masks(masks.transpose(0, 2, 1)),
    )
    assert all((a == b).all() for a, b in zip(lying, expected, strict=True))


# ------------------------------------------------------------------------------------------ images, and means


@pytest.mark.parametrize(("predicted", "truth", "ap"), [(0, 0, 1.0), (1, 0, 0.0), (0, 1, 0.0), (1, 1, 1.0)])
def test_an_image_without_truth_scores_one_where_nothing_is_predicted_and_zero_where_something_is(
    predicted, truth, ap
):
    sides = [instances(np.repeat(square(5), count, axis=0)) for count in (predicted, truth)]
    table = metrics.per_image(*sides, frames("a", height=20, width=40))
    assert (table.filter(like="ap") == ap).all(axis=None)


def test_the_per_image_table_has_the_columns_that_the_report_reads():
    table = metrics.per_image(instances(square(5)), instances(square(5)), frames("a", height=20, width=40))
    ap = [f"ap_{percent}" for percent in range(50, 100, 5)]
    assert list(table) == [
        "image_id",
        "cell_type",
        "group",
        "fold",
        "ap",
        *ap,
        "truth",
        "predicted",
        "matched_50",
    ]


def test_instances_of_images_that_are_not_held_out_are_ignored():
    both = pd.concat([instances(square(5)), instances(square(5), "trained on")], ignore_index=True)
    table = metrics.per_image(both, instances(square(5)), frames("a", height=20, width=40))
    assert table[["image_id", "predicted"]].to_numpy().tolist() == [["a", 1]]


@given(truth=stacks(), predicted=stacks(disjoint=True), data=st.data())
def test_gains_down_to_a_threshold_add_up_to_the_score_of_what_reaches_it(truth, predicted, data):
    scores = data.draw(
        st.lists(st.sampled_from([0.1, 0.2, 0.5]), min_size=len(predicted), max_size=len(predicted))
    )
    scores = np.sort(np.array(scores, np.float32))[::-1]
    table, true, held = instances(predicted, score=scores), instances(truth), frames("a")
    gained = metrics.gains([("a", 7, scores, rle.from_masks(predicted))], true, held)
    assert gained["score"].tolist() == scores.tolist()
    assert gained[["image_id", "point"]].drop_duplicates().to_numpy().tolist() == [["a", 7]] * bool(
        len(predicted)
    )
    gains = gained["gain"].to_numpy()
    bare = metrics.per_image(table.head(0), true, held)["ap"].sum()
    for threshold in (0.0, 0.2, 0.5, 0.6):
        reached = (table["score"] >= np.float32(threshold)).to_numpy()
        ap = metrics.per_image(table[reached], true, held)["ap"].sum()
        assert bare + gains[reached].sum() == pytest.approx(ap, abs=1e-12)


def scored(aps: list[float], **columns: object) -> pd.DataFrame:
    """A per-image table of images of one cell each."""
    given = {
        "group": [f"g{n}" for n in range(len(aps))],
        "cell_type": "cort",
        "fold": 0,
        "truth": 1,
        "predicted": 2,
    }
    names = [f"ap_{percent}" for percent in range(50, 100, 5)]
    return pd.DataFrame({"ap": aps, **dict.fromkeys(names, aps), **(given | columns)})


def test_means_are_over_images_whatever_they_hold():
    figures = metrics.summarise(scored([0.0, 0.3, 0.9], truth=[100, 1, 1]), 100, 0)
    assert (figures["map"], figures["images"], figures["cells"], figures["predicted"]) == (0.4, 3, 102, 6)
    assert figures["ap"] == {f"{threshold:.2f}": 0.4 for threshold in metrics.THRESHOLDS}


def test_types_and_folds_have_means_of_their_own_and_untyped_images_a_name():
    table = scored([0.1, 0.2, 0.6], cell_type=["astro", None, "astro"], fold=[0, 1, 1])
    figures = metrics.summarise(table, 100, 0)
    assert {name: part["map"] for name, part in figures["per_type"].items()} == {
        "astro": 0.35,
        "unknown": 0.2,
    }
    assert {name: part["map"] for name, part in figures["per_fold"].items()} == {"0": 0.1, "1": 0.4}
    assert {name: part["images"] for name, part in figures["per_fold"].items()} == {"0": 1, "1": 2}


def test_intervals_are_those_of_the_mean_where_groups_are_single_images():
    rng = np.random.default_rng(1)
    aps = rng.normal(0.5, 0.1, 400)
    figures = metrics.summarise(scored(aps.tolist()), 4000, 0)
    error = 1.96 * aps.std() / np.sqrt(400)
    assert figures["map_high"] - figures["map"] == pytest.approx(error, rel=0.1)
    assert figures["map"] - figures["map_low"] == pytest.approx(error, rel=0.1)


def test_whole_groups_are_drawn_not_images():
    """Two groups of 50 like images: half of the draws take one of them twice, so the interval spans both."""
    table = scored([0.0] * 50 + [1.0] * 50, group=["a"] * 50 + ["b"] * 50)
    figures = metrics.summarise(table, 1000, 0)
    assert (figures["map_low"], figures["map"], figures["map_high"]) == (0.0, 0.5, 1.0)


def test_each_threshold_has_an_interval_of_its_own():
    table = scored([0.0] * 50 + [1.0] * 50, group=["a"] * 50 + ["b"] * 50).assign(ap_75=0.25)
    figures = metrics.summarise(table, 1000, 0)
    assert [figures[name]["0.50"] for name in ("ap_low", "ap", "ap_high")] == [0.0, 0.5, 1.0]
    assert [figures[name]["0.75"] for name in ("ap_low", "ap", "ap_high")] == [0.25, 0.25, 0.25]


def test_a_part_of_one_group_has_an_interval_of_no_width():
    figures = metrics.summarise(scored([0.2, 0.4], group="a"), 100, 0)
    assert (figures["map_low"], figures["map_high"]) == (0.3, 0.3)


def test_figures_are_the_same_for_the_same_seed_and_others_for_another():
    table = scored(np.random.default_rng(0).random(30).tolist())
    first, again, other = (json.dumps(metrics.summarise(table, 200, seed)) for seed in (3, 3, 4))
    assert first == again != other


# -------------------------------------------------------------------------------------------------- the stage


@pytest.fixture
def scored_set(tmp_path):
    """Truth that overlaps nowhere, predictions shifted by a pixel, and the tables around them, on disk."""
    optional = dict.fromkeys(["sample", "plate", "well", "field", "treatment", "dose", "dose_unit"])
    images = frames("a", "b", "c", height=20, width=40, cell_type=["astro", "cort", "cort"]).drop(
        columns="fold"
    )
    images = images.assign(path="x.png", time=np.nan, pixel_size_um=np.nan, **optional)
    tables.write("images", images, tmp_path / "images.parquet")
    folds = pd.DataFrame({"image_id": ["a", "b", "c"], "fold": [0, 1, 1]})
    tables.write("folds", folds, tmp_path / "folds.parquet")
    for name, shift in (("truth", 0), ("predicted", 1)):
        masks = np.concatenate([square(5 + shift), square(20 + shift)])
        table = pd.concat([instances(masks, image, 0.5) for image in "abc"], ignore_index=True)
        tables.write("instances", table, tmp_path / f"{name}.parquet")
    return tmp_path


def evaluate(step, folder, instances: str) -> tuple[dict, pd.DataFrame, str]:
    paths = {name: folder / f"{name}.parquet" for name in ("truth", "images", "folds")}
    out = {"metrics": folder / "out" / "e.json", "per_image": folder / "out" / "e.parquet"}
    step("evaluate").main(instances=folder / f"{instances}.parquet", **paths, **out)
    text = out["metrics"].read_text()
    return json.loads(text), pd.read_parquet(out["per_image"]), text


def test_disjoint_truth_evaluated_against_itself_scores_one(step, scored_set):
    figures, per_image, _ = evaluate(step, scored_set, "truth")
    assert (figures["map"], figures["map_low"], figures["map_high"]) == (1.0, 1.0, 1.0)
    assert set(figures["coco"].values()) == {1.0}
    assert per_image["ap"].tolist() == [1.0] * 3


def test_the_stage_writes_what_dvc_and_the_report_read(step, scored_set):
    figures, per_image, text = evaluate(step, scored_set, "predicted")
    means = ["map", "map_low", "map_high", "ap", "ap_low", "ap_high"]
    assert list(figures) == [
        *means,
        "per_type",
        "per_fold",
        "images",
        "cells",
        "predicted",
        "coco",
        "checksum",
    ]
    assert figures["map"] == 0.7  # an IoU of 9/11
    assert {name: part["cells"] for name, part in figures["per_type"].items()} == {"astro": 2, "cort": 4}
    assert per_image["image_id"].tolist() == ["a", "b", "c"]
    assert evaluate(step, scored_set, "predicted")[2] == text


@pytest.mark.real
def test_the_real_truth_against_itself_scores_one_though_it_overlaps(real_data):
    given = pd.read_csv(real_data / "sartorius" / "extra" / "annotations_without_images.csv")
    runs, faults = rle.from_kaggle(given["annotation"].tolist(), 520, 704)
    assert not faults.any()
    counts = tables.rle_column(rle.to_coco(runs, 520, 704))
    truth = pd.DataFrame({"image_id": given["id"], "rle": counts})
    held = frames(*given["id"].unique(), height=520, width=704)
    assert (metrics.per_image(truth, truth, held)["ap"] == 1).all()
