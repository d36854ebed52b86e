"""Detections files of folds and views fused into one: which lists count, what a recipe asks, faults."""

from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from fusion_cases import field

from neuroseg import fusion, tables
from neuroseg.errors import DataError
from neuroseg.fusion import Fusion, methods, options

ROOT = Path(__file__).parents[1]

# ------------------------------------------------------------------------------------- files, folds and views


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
        paths = {
            "recipe": tmp_path / "recipe.yaml",
            "detections": out,
            "weights": tmp_path / "out" / "e.weights.yaml",
        }
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
        field(np.full((28, 28), 255, np.uint8), np.array(row[2:]), tables.boxes(fused)[0])
        for row in (CELL, SHIFTED)
    ]
    np.testing.assert_allclose(patch, (2 * fields[0] + fields[1]) / 3, atol=0.51)


@pytest.mark.parametrize("method", list(fusion.METHODS))
def test_every_method_can_be_asked_for(write, ensemble, method):
    one = write("0", "ab", m_0_none=[("a", *CELL), ("b", *CELL)], m_0_hflip=[("a", *CELL)])
    fused = ensemble(f"members: {{m: 1}}\nfusion: {{method: {method}}}", one)
    assert fused["image_id"].tolist() == ["a", "b"]
    assert (tables.patches(fused) == 255).all()


def test_of_two_types_on_one_cell_the_better_scored_stays(write, ensemble):
    rows = [("a", *CELL), ("a", "astro", 0.9, 11, 10, 31, 30), ("a", "astro", 0.3, 25, 10, 45, 30)]
    fused = ensemble("members: {m: 1}", write("0", "a", m_0_none=rows))
    assert fused["cell_type"].tolist() == ["astro", "astro"]
    assert (
        len(ensemble("members: {m: 1}\nfusion: {cross_type_iou: 0.95}", write("0", "a", m_0_none=rows))) == 3
    )


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


def test_an_image_of_several_fields_of_view_keeps_as_many_for_each_and_what_is_left_out_is_said(
    write, ensemble, capsys
):
    def cells(count: int, far: int) -> list:
        corners = [(0, 0, 20, 20), (far - 20, far - 20, far, far)]
        corners += [(x, 100, x + 20, 120) for x in range(100, 100 + 30 * (count - 2), 30)]
        return [("a", "cort", 0.9 - 0.01 * at, *corner) for at, corner in enumerate(corners)]

    recipe = "members: {m: 1}\nfusion: {max_detections: 3}"
    assert len(ensemble(recipe, write("0", "a", m_0_none=cells(9, 600)))) == 3  # less than a field
    said = capsys.readouterr().out
    assert "in 1 of 1 images (first: a) there were more cells" in said
    assert "those left out score at most 0.871: where thresholds are lower, raise max_detections" in said
    assert len(ensemble(recipe, write("1", "a", m_0_none=cells(9, 1210)))) == 9  # four fields
    assert "more cells" not in capsys.readouterr().out


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
    monkeypatch.setattr("neuroseg.tables.BATCH", 1)
    pd.testing.assert_frame_equal(ensemble("members: {m: 1}", member), whole)


# ----------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("members: {m: 1, n: 1}", "the recipe's member n is in none of the files"),
        ("members: {n: 1}", r"0: its source m/0/none is no member of the recipe \(n\)"),
        (
            "members: {m: 1}\nfusion: {views: [none, vflip]}",
            "the recipe's fusion.views: the detectors did not predict the view vflip, only none; add it to "
            "predict.views of the configuration, or leave it out of the recipe.",
        ),
        ("members: {m: 0}", r"recipe\.yaml: members\.m: must be greater than 0"),
        ("members: {}", r"recipe\.yaml: members: "),
        ("fusion: {}", r"recipe\.yaml: members: is missing"),
        (
            "members: {m: 1}\nfusion: {method: vote}",
            r"fusion\.method: must be 'wbf' or 'nms'",
        ),
        ("members: {m: 1}\nfusion: {confidence: sum}", r"fusion\.confidence: must be 'avg', 'max'"),
        ("members: {m: 1}\nfusion: {iou: 1.5}", r"fusion\.iou: "),
        (
            "members: {m: 1}\nfusion: {iuo: 0.5}",
            r"fusion\.iuo: there is no such key here; the nearest is iou",
        ),
        ("members: {m: 1}\nfusion: {offset: [0, 20]}", r"fusion\.offset\.1: "),
        ("members: {m: 1}\nweights: {}", r"recipe\.yaml: weights: there is no such key"),
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


def test_a_member_that_was_predicted_in_other_views_than_are_fused_is_named(write, ensemble):
    one, two = write("m", "a", m_0_none=[("a", *CELL)]), write("n", "a", n_0_hflip=[("a", *CELL)])
    with pytest.raises(DataError, match="member n was predicted in none of the views of fusion") as refused:
        ensemble("members: {m: 1, n: 1}\nfusion: {views: [none]}", one, two)
    assert len(refused.value.sentences) == 1


def test_a_file_given_twice_is_named(write, ensemble):
    one = write("0", "a", m_0_none=[("a", *CELL)])
    with pytest.raises(DataError, match="m/0/none comes twice for image a"):
        ensemble("members: {m: 1}", one, one)


def test_an_image_that_a_member_has_not_looked_at_is_named(write, ensemble):
    one = write("m", "ab", m_0_none=[("a", *CELL)])
    two = write("n", "a", n_0_none=[("a", *CELL)])
    with pytest.raises(DataError, match=r"member n lacks image b \(1 in all\)"):
        ensemble("members: {m: 1, n: 1}", one, two)


@pytest.mark.parametrize(
    "path",
    [*ROOT.glob("configs/ensembles/*.yaml"), *ROOT.glob("studies/*/ensembles/*.yaml")],
    ids=lambda path: path.stem,
)
def test_the_recipes_that_come_with_the_project_can_be_read(path):
    assert fusion.read_recipe(path).fusion.method in fusion.METHODS


def test_a_file_may_name_every_method_and_confidence_and_no_other():
    assert set(fusion.METHODS) == set(get_args(options.Method))
    assert set(methods.CONFIDENCES) == set(get_args(options.Confidence))
