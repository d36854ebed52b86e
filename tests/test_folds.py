"""Folds: groups stay whole, every annotated image is held out once, types and crowding are spread."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroseg import folds, tables
from neuroseg.errors import DataError


def images(rows: list[tuple], **columns: object) -> pd.DataFrame:
    """An Images table of (group, cell type, cells), and more columns."""
    table = pd.DataFrame(rows, columns=["group", "cell_type", "cells"])
    table = table.assign(image_id=[f"i{at:05d}" for at in range(len(rows))], subset="train", annotated=True)
    table[["plate", "well", "field"]] = None
    return table.assign(**columns)


def cells(table: pd.DataFrame) -> pd.DataFrame:
    """An Instances table of as many rows as each image has cells; `split` needs no more of it."""
    return pd.DataFrame(
        {"image_id": np.repeat(table["image_id"].to_numpy(object), table["cells"].to_numpy(int))}
    )


def dealt(table: pd.DataFrame, n_folds: int, seed: int = 0) -> pd.Series:
    """The fold of each image, by its id."""
    return folds.split(table, cells(table), n_folds, seed).folds.set_index("image_id")["fold"]


ROWS = st.lists(
    st.tuples(st.sampled_from("ABCDEFGH"), st.sampled_from(["astro", "cort", None]), st.integers(0, 40)),
    min_size=2,
    max_size=30,
)
COHORT = [(f"g{at // 2}", ("astro", "cort", "shsy5y")[at // 2 % 3], 10 + 7 * at % 90) for at in range(72)]


# --------------------------------------------------------------------------------------------- what must hold


@given(ROWS, st.integers(2, 4), st.integers(0, 3))
@settings(deadline=None, max_examples=60)
def test_no_group_is_split_and_every_fold_holds_images(rows, n_folds, seed):
    table = images(rows)
    if table["group"].nunique() >= n_folds:
        fold = dealt(table, n_folds, seed)
        assert sorted(fold.unique()) == list(range(n_folds))
        assert (fold.groupby(table.set_index("image_id")["group"]).nunique() == 1).all()


@given(ROWS, st.data())
@settings(deadline=None, max_examples=50)
def test_every_annotated_image_outside_the_test_subset_is_held_out_once(rows, data):
    size = len(rows)
    annotated = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    subset = data.draw(st.lists(st.sampled_from(["train", "test"]), min_size=size, max_size=size))
    table = images(rows, annotated=annotated, subset=subset)
    trained = table["annotated"] & (table["subset"] == "train")
    if table["group"][trained].nunique() >= 2:
        result = folds.split(table, cells(table), 2, 0).folds
        assert result["image_id"].tolist() == table["image_id"].tolist()
        assert ((result["fold"] >= 0) == trained).all()


@given(ROWS, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=50)
def test_the_order_of_rows_is_nothing(rows, random):
    table = images(rows)
    if table["group"].nunique() >= 3:
        order = random.sample(range(len(rows)), len(rows))
        shuffled = table.iloc[order]
        instances = cells(shuffled).sample(frac=1, random_state=1)
        plain, other = folds.split(table, cells(table), 3, 0), folds.split(shuffled, instances, 3, 0)
        pd.testing.assert_frame_equal(plain.folds, other.folds)
        pd.testing.assert_frame_equal(plain.summary, other.summary)
        assert plain.sentences == other.sentences


def test_the_names_of_groups_do_not_decide_which_images_are_together():
    table = images(COHORT)
    renamed = table.assign(group="well " + table["group"])
    assert (dealt(table, 3) == dealt(renamed, 3)).all()


def test_a_seed_gives_one_split_and_another_seed_another():
    table = images(COHORT)
    assert (dealt(table, 4, seed=1) == dealt(table, 4, seed=1)).all()
    assert (dealt(table, 4, seed=1) != dealt(table, 4, seed=2)).any()


def test_nothing_given_is_changed():
    table = images(COHORT)
    copy = table.copy(deep=True)
    dealt(table, 3)
    pd.testing.assert_frame_equal(table, copy)


# ------------------------------------------------------------------------------------------------ the balance


def test_equal_groups_are_dealt_equally():
    table = images([(f"g{at}", ("astro", "cort")[at % 2], 10) for at in range(24)])
    counts = table.assign(fold=dealt(table, 3).to_numpy()).groupby(["fold", "cell_type"]).size()
    assert (counts == 4).all()


def test_every_type_and_its_cells_are_spread():
    table = images(COHORT)
    grouped = table.assign(fold=dealt(table, 3).to_numpy()).groupby(["cell_type", "fold"])["cells"]
    assert (grouped.size() == 8).all()
    totals = grouped.sum().unstack()
    assert ((totals.max(axis=1) - totals.min(axis=1)) / totals.mean(axis=1) < 0.05).all()


def test_crowded_and_sparse_images_are_spread():
    table = images([(f"g{at}", "cort", 5 if at < 6 else 50 if at < 12 else 95) for at in range(18)])
    counts = table.assign(fold=dealt(table, 3).to_numpy()).groupby(["cells", "fold"]).size()
    assert (counts == 2).all()


@pytest.mark.parametrize("seed", range(3))
def test_the_balance_of_cells_is_the_best_there_is(seed):
    """Nine groups in three folds are few enough to try all splits."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(10, 60, 9)
    table = images([(f"g{at}", "cort", int(size)) for at, size in enumerate(sizes)])
    split = np.bincount(dealt(table, 3), weights=sizes)
    best = min(
        np.ptp(np.bincount(choice, weights=sizes, minlength=3))
        for choice in itertools.product(range(3), repeat=9)
        if (np.bincount(choice, minlength=3) == 3).all()
    )
    assert np.ptp(split) <= best + 0.06 * sizes.sum()  # crowding is balanced too, and costs a little


def test_as_many_folds_as_groups_leave_one_group_out():
    table = images([("a", "cort", 500), ("a", "cort", 500), ("b", "astro", 1), ("c", None, 0)])
    assert dealt(table, 3).nunique() == 3


def test_more_groups_than_a_block_are_dealt_as_well():
    table = images([(f"g{at}", ("astro", "cort")[at % 2], at % 40) for at in range(1200)])
    counts = (
        table.assign(fold=dealt(table, 5).to_numpy()).groupby(["fold", "cell_type"])["cells"].sum().unstack()
    )
    assert ((counts.max() - counts.min()) / counts.mean() < 0.02).all()


# ------------------------------------------------------------------------------------- splits that come given


def test_a_given_split_is_honoured_whatever_the_number_of_folds():
    table = images([("a", "cort", 3)] * 6, subset=["train", "val", "test", "train", "val", "test"])
    result = folds.split(table, cells(table), 5, 0)
    assert result.folds["fold"].tolist() == [1, 0, -1, 1, 0, -1]
    assert "own split is honoured" in result.sentences[0]
    assert "1 of its 1 groups lie on both sides" in result.sentences[1]


def test_a_given_split_that_keeps_groups_whole_has_nothing_to_confess():
    table = images([("a", "cort", 3), ("b", "cort", 3)], subset=["train", "val"])
    assert not any("both sides" in sentence for sentence in folds.split(table, cells(table), 3, 0).sentences)


def test_unannotated_val_images_make_no_given_split():
    table = images([("a", "cort", 3), ("b", "cort", 3), ("c", None, 0)], subset=["train", "train", "val"])
    table["annotated"] = [True, True, False]
    assert sorted(dealt(table, 2)) == [-1, 0, 1]


def test_images_without_any_annotation_are_never_trained_on():
    table = images([("a", None, 0), ("b", None, 0)], annotated=False)
    result = folds.split(table, cells(table), 5, 0)
    assert result.folds["fold"].tolist() == [-1, -1]
    assert result.sentences == [
        "No image is annotated for training.",
        "2 images are never trained on (fold -1).",
    ]


# --------------------------------------------------------------------------------------- refusals and reports


def test_more_folds_than_groups_are_refused():
    with pytest.raises(DataError, match=r"4 folds are asked of 3 groups.*lower n_folds"):
        dealt(images([("a", "cort", 1), ("b", "cort", 1), ("c", "cort", 1), ("c", "cort", 1)]), 4)


@pytest.mark.parametrize("n_folds", [-1, 0, 1, 128])
def test_a_senseless_number_of_folds_is_refused(n_folds):
    with pytest.raises(DataError, match=f"n_folds is {n_folds}; choose 2 to 127"):
        dealt(images(COHORT), n_folds)


def test_instances_of_another_data_set_are_refused():
    with pytest.raises(DataError, match="image zz"):
        folds.split(images(COHORT), pd.DataFrame({"image_id": ["zz"]}), 3, 0)


def test_the_summary_counts_images_cells_and_groups():
    table = images([("a", "cort", 3), ("a", "cort", 4), ("b", "astro", 5), ("c", None, 0)])
    table["subset"] = ["train", "train", "val", "test"]
    summary = folds.split(table, cells(table), 2, 0).summary
    assert summary.to_numpy().tolist() == [
        [-1, "unknown", 1, 0, 1],
        [0, "astro", 1, 5, 1],
        [1, "cort", 2, 7, 1],
    ]
    assert summary.columns.tolist() == ["fold", "cell_type", "images", "cells", "groups"]


def test_the_sentences_say_how_alike_the_folds_are_and_what_they_lack():
    table = images([("a", "cort", 3), ("b", "cort", 3), ("c", "cort", 3), ("d", "astro", 9)])
    sentences = folds.split(table, cells(table), 3, 0).sentences
    assert (
        sentences[0]
        == "3 folds of whole groups, balanced by images, cells and crowding within each cell type."
    )
    assert "astro: 0 to 1 images, 0 to 9 cells a fold, from 1 groups." in sentences
    assert any(sentence.startswith("astro: no image in fold ") for sentence in sentences)


GROUPED = {
    "wells": (["P1/A1", "P1/A1", "P2/A1", "P2/A1"], ["A1"] * 4, ["Images of one well are in one fold."]),
    "divided wells": (
        ["i00000", "i00001", "P2/A1", "P2/A1"],
        ["A1"] * 4,
        [
            "1 of 2 wells may lie in several folds, so held-out scores are flattered; leave `group` out of "
            "the dataset file to keep each in one."
        ],
    ),
    "fields": (
        ["P1/1", "P1/1", "P2/1", "P2/1"],
        [None] * 4,
        [
            "Images of one field are in one fold.",
            "4 of 4 images tell no well, so images of one well may lie in several folds; if they do, say by "
            "`pattern` in the dataset file where names tell the well.",
        ],
    ),
    "stated groups": (
        ["day1", "day1", "day2", "day2"],
        [None] * 4,
        ["Images without a well are kept together as the dataset file says."],
    ),
    "wells of some": (
        ["P1/A1", "P1/A1", "i00002", "i00003"],
        ["A1", "A1", None, None],
        [
            "Images of one well are in one fold.",
            "2 of 4 images tell no well, so images of one well may lie in several folds; if they do, say by "
            "`pattern` in the dataset file where names tell the well.",
        ],
    ),
}


@pytest.mark.parametrize("name", GROUPED)
def test_a_sentence_says_by_what_images_are_grouped(name):
    groups, wells, sentences = GROUPED[name]
    columns = {"plate": ["P1", "P1", "P2", "P2"], "well": wells, "field": ["1"] * 4}
    table = images([(group, "cort", 3) for group in groups], **columns)
    assert folds.split(table, cells(table), 2, 0).sentences[1:-1] == sentences


def test_the_step_writes_a_folds_table_and_a_summary(tmp_path, step, capsys):
    table = images(COHORT).assign(path="x", height=9, width=9)
    table = table.reindex(columns=tables.SCHEMAS["images"].names)
    for name in ("sample", "plate", "well", "field", "treatment", "dose", "dose_unit"):
        table[name] = None
    tables.write("images", table.astype({"time": float, "pixel_size_um": float}), tmp_path / "images.parquet")
    tables.write("instances", tables.empty("instances"), tmp_path / "instances.parquet")
    files = {name: tmp_path / f"{name}.parquet" for name in ("images", "instances", "folds")}
    step("split").main(**files, n_folds=4, seed=0, summary=tmp_path / "summary.csv")
    assert tables.read("folds", files["folds"])["fold"].nunique() == 4
    assert pd.read_csv(tmp_path / "summary.csv")["images"].sum() == 72
    assert capsys.readouterr().out.startswith("4 folds of whole groups")


# --------------------------------------------------------------------------------------------- what is scored


def listed(**columns: list) -> pd.DataFrame:
    size = len(columns["image_id"])
    return pd.DataFrame({"subset": ["train"] * size, "annotated": [True] * size} | columns)


def test_scored_are_the_annotated_images_that_a_fold_holds_out():
    table = listed(image_id=["a", "b", "c", "d"], annotated=[True, True, False, True])
    dealt = pd.DataFrame({"image_id": ["d", "c", "b", "a"], "fold": [1, 0, -1, 0]})
    assert folds.scored(table, dealt)[["image_id", "fold"]].to_numpy().tolist() == [["a", 0], ["d", 1]]


def test_of_a_split_of_the_data_set_s_own_the_val_images_are_scored():
    table = listed(image_id=["a", "b", "c"], subset=["train", "val", "test"])
    dealt = pd.DataFrame({"image_id": ["a", "b", "c"], "fold": [1, 0, -1]})
    assert folds.scored(table, dealt)["image_id"].tolist() == ["b"]


def test_without_a_held_out_image_there_is_nothing_to_score():
    with pytest.raises(DataError, match="No annotated image"):
        folds.scored(listed(image_id=["a"]), pd.DataFrame({"image_id": ["a"], "fold": [-1]}))
