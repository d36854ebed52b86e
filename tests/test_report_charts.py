"""The report's overlays, charts and tables."""

import base64
import io
import re
from dataclasses import replace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from report_cases import HEIGHT, WIDTH, disc, instances_of, runs_of, scored

from neuroseg.report import arms, counts, drawing, overlays, scores, shapes, sheets, training
from neuroseg.report.view import view

# --------------------------------------------------------------------------------------------------- overlays


def test_a_shifted_disc_is_a_hit_and_a_far_one_a_miss():
    pairs = overlays.match(runs_of(disc(20, 20), disc(40, 60)), runs_of(disc(20, 22)), WIDTH)
    assert pairs.of_truth.tolist() == [0, -1]
    shared, both = (disc(20, 20) & disc(20, 22)).sum(), (disc(20, 20) | disc(20, 22)).sum()
    assert pairs.iou[0] == shared / both


def test_an_iou_of_exactly_a_half_is_no_hit():
    whole, half = np.zeros((2, HEIGHT, WIDTH), bool)
    whole[:10, :10] = half[:10, :5] = True
    assert overlays.match(runs_of(whole), runs_of(half), WIDTH).of_found.tolist() == [-1]


def test_a_prediction_hits_one_of_two_equal_true_cells():
    pairs = overlays.match(runs_of(disc(20, 20), disc(20, 20)), runs_of(disc(20, 20)), WIDTH)
    assert sorted(pairs.of_truth.tolist()) == [-1, 0]


def test_as_many_as_possible_are_hit_where_a_greedy_choice_would_hit_fewer():
    bar = np.zeros((HEIGHT, WIDTH), bool)
    masks = {name: bar.copy() for name in "abpq"}
    for name, stop in (("a", 20), ("b", 26), ("p", 22), ("q", 44)):
        masks[name][0, :stop] = True
    pairs = overlays.match(runs_of(masks["a"], masks["b"]), runs_of(masks["p"], masks["q"]), WIDTH)
    assert pairs.of_truth.tolist() == [0, 1]


@pytest.mark.parametrize("truth", [0, 2])
@pytest.mark.parametrize("found", [0, 2])
def test_images_without_cells_on_either_side_are_drawn(truth, found):
    pixels = np.full((HEIGHT, WIDTH), 128, np.uint16)
    masks = [disc(20, 20), disc(40, 60)]
    picture = overlays.overlay(
        "x", pixels, runs_of(*masks[:truth]), runs_of(*masks[:found]), np.ones(found), "key"
    )
    hits = min(truth, found)
    assert (picture.matched, picture.missed, picture.spurious) == (hits, truth - hits, found - hits)


def rings(path):
    """The closed lines of path data, in pixels of the frame."""
    for part in re.findall(r"M([^l]+)l([^z]+)z", path):
        numbers = [np.array(re.findall(r"-?\d+", text), int).reshape(-1, 2) for text in part]
        yield np.cumsum(np.concatenate(numbers), axis=0) / 2


def enclosed(ring):
    x, y = ring.T
    return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2


def test_the_outline_of_a_square_is_the_square_without_its_corners():
    (ring,) = rings(overlays.outline(np.ones((4, 4), bool), left=10, top=20))
    assert enclosed(ring) == 16 - 4 / 8
    assert (ring.min(axis=0).tolist(), ring.max(axis=0).tolist()) == ([10, 20], [14, 24])


def test_the_outline_of_a_large_disc_encloses_its_area():
    (ring,) = rings(overlays.outline(disc(30, 40, 25), 0, 0))
    assert enclosed(ring) == pytest.approx(disc(30, 40, 25).sum(), rel=0.02)
    assert np.abs(np.hypot(ring[:, 0] - 40.5, ring[:, 1] - 30.5) - 25).max() < 1


def test_holes_and_pieces_have_outlines_of_their_own():
    assert len(list(rings(overlays.outline(disc(30, 40, 25) & ~disc(30, 40, 5), 0, 0)))) == 2
    assert len(list(rings(overlays.outline(disc(20, 20) | disc(20, 60), 0, 0)))) == 2


def test_a_crowd_is_drawn_as_one_path(monkeypatch):
    monkeypatch.setattr(overlays, "CROWD", 1)
    masks = runs_of(disc(20, 20), disc(40, 60))
    picture = overlays.overlay("x", np.ones((HEIGHT, WIDTH), np.uint8), None, masks, np.ones(2), "key")
    assert picture.whole.count("<path") == 1


def test_the_close_up_is_where_the_cells_are():
    corner = [np.pad(disc(30, col, 4), ((240, 0), (0, 220))) for col in (20, 40)]
    picture = overlays.overlay("x", np.ones((300, 300), np.uint8), None, runs_of(*corner), np.ones(2), "key")
    left, top, side, _ = map(int, re.search(r'viewBox="([^"]+)"', picture.closeup)[1].split())
    assert left <= 16
    assert left + side >= 44
    assert top <= 266
    assert top + side >= 274


def test_a_large_image_is_thinned_out_and_its_outlines_are_not(monkeypatch):
    monkeypatch.setattr(overlays, "LONGEST", 40)
    picture = overlays.overlay("x", np.ones((HEIGHT, WIDTH)), None, runs_of(disc(20, 20)), np.ones(1), "key")
    content = re.search(r'base64,([^"]+)"', picture.whole)[1]
    assert Image.open(io.BytesIO(base64.b64decode(content))).size == (WIDTH // 2, HEIGHT // 2)
    assert f'viewBox="0 0 {WIDTH} {HEIGHT}"' in picture.whole


# ------------------------------------------------------------------------------------------ charts and tables


def test_drawing_leaves_matplotlib_as_it_was():
    before = dict(matplotlib.rcParams)
    drawing.panel(lambda ax: ax.plot([1, 2]), "a line")
    assert dict(matplotlib.rcParams) == before


def test_a_chart_wears_the_pages_colours_and_type():
    chart = drawing.panel(lambda ax: ax.plot([1, 2], color=drawing.SERIES[0]), "a <line>")
    assert "var(--series-0)" in chart
    assert "var(--ink)" in chart or "var(--muted)" in chart
    assert not any(code in chart for code in (drawing.INK, drawing.MUTED, *drawing.SERIES))
    assert "DejaVu" not in chart
    assert 'aria-label="a &lt;line&gt;"' in chart


def test_charts_share_no_ids():
    charts = [drawing.panel(lambda ax: ax.plot([1, 2]), name) for name in ("first", "second")]
    ids = [set(re.findall(r' id="([^"]+)"', chart)) for chart in charts]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_charts_of_many_types_and_ensembles_are_drawn(evidence):
    names = [f"type{at}" for at in range(9)]
    part = evidence.metrics["one"] | {"per_type": {name: scored(0.3) for name in names}}
    part["per_type"]["type0"] = {
        "map": 0.3,
        "map_low": None,
        "map_high": float("nan"),
        "images": 1,
        "cells": 2,
    }
    chart = scores.scores_chart({f"ensemble{at}": part for at in range(10)}, names)
    assert all(name in chart for name in names)


def test_counts_are_compared_by_type(evidence):
    seen = view(evidence)
    table = counts.count_cells(seen.images, evidence.truth, seen.segments, seen.held_out["image_id"])
    assert len(table) == 8
    errors = counts.count_errors(table).set_index("cell type")
    assert errors.loc["astro", ["true cells", "predicted"]].tolist() == [12, 4 + 4 + 3 + 3]
    assert errors.loc["astro", "predicted / true"] == pytest.approx(14 / 12)
    assert errors.loc["astro", "median error"] == pytest.approx((1 / 3 + 0) / 2)


def test_what_is_predicted_is_counted_by_type_whether_annotated_or_not(evidence):
    table = counts.section(view(evidence))["by_type"]
    assert table.header[:5] == ("cell type", "images", "cells", "cells per image, median", "fewest")
    assert [row[:5] for row in table.rows] == [
        ("astro", "4", "14", "4", "3"),
        ("cort", "4", "14", "4", "3"),
        ("unknown", "1", "2", "2", "2"),
    ]


def test_density_is_told_where_the_pixel_size_is_known(evidence):
    summary = evidence.quantities["both"].assign(density_per_mm2=250.0)
    table = counts.section(view(replace(evidence, quantities={"both": summary})))["by_type"]
    assert (table.header[-1], table.rows[0][-1]) == ("cells per mm², mean", "250")


def test_wells_add_up_their_images(evidence):
    seen = view(evidence)
    table = counts.count_cells(seen.images, evidence.truth, seen.segments, seen.held_out["image_id"])
    table["well"] = "A0"
    assert counts.by_well(table[table["cell_type"] == "cort"].assign(treatment="drug"))["truth"].tolist() == [
        12
    ]


@pytest.mark.parametrize("most", [50, 5000])
@pytest.mark.parametrize("fewest", [0, 3])
def test_counts_of_any_range_are_drawn(fewest, most):
    table = pd.DataFrame({"cell_type": "cort", "truth": [fewest, most], "predicted": [fewest, most - 1]})
    assert "true cells per image" in counts.counts_chart(table, {"cort": drawing.SERIES[0]}, "image")


def test_an_arms_effect_is_the_ratio_of_the_means_of_its_wells():
    images = pd.DataFrame(
        {
            "image_id": list("abcd"),
            "treatment": ["Control", "Control", "acid", "acid"],
            "dose": None,
            "dose_unit": None,
            "cell_type": "cort",
            "pixel_size_um": np.nan,
        }
    )
    images = images.assign(
        plate="P", well=["A1", "A1", "B1", "B2"], annotated=True, height=HEIGHT, width=WIDTH
    )
    counts_of = {"a": 1, "b": 3, "c": 4, "d": 6}
    truth = pd.concat(
        [instances_of(name, [disc(15, 15)] * cells, "cort") for name, cells in counts_of.items()]
    )
    summary = pd.DataFrame(
        {"image_id": list("abcd"), "count": [2, 4, 1, 2], "confluence": 0.5, "median_area_px": 100.0}
    )
    wells = arms.arms(images, truth, summary)
    assert wells["count"].tolist() == [3, 1, 2]  # the control's well of two images, and two treated wells
    effects = arms.effects(wells, ["Control"]).set_index("measure")
    assert effects["comparison"].tolist() == ["acid / Control"] * 3
    assert effects.loc["cells per image", ["ratio", "ratio in truth"]].tolist() == [0.5, 2.5]
    assert effects.loc["confluence", ["ratio", "ratio in truth"]].tolist() == [1, 1]


def test_a_lone_arm_is_not_compared(evidence):
    lone = replace(evidence, images=evidence.images.assign(treatment="drug"))
    assert arms.section(view(lone))["table"] is None


def test_microns_are_told_where_every_cell_has_them(evidence):
    cells = evidence.cells["both"].assign(
        area_um2=lambda rows: rows["area_px"] * 4.0, axis_major_length_um=72.0
    )
    section = shapes.section(view(replace(evidence, cells={"both": cells})))
    assert section["microns"]
    assert ("long axis", "µm", "72 (72–72)", "72 (72–72)") in section["table"].rows


def test_grey_values_of_8_and_16_bit_are_not_put_together(evidence):
    cells = {"both": evidence.cells["both"].assign(intensity_mean=100.0)}
    mixed = pd.DataFrame({"check": ["mixed_bit_depth"]})
    for problems, there in ((None, True), (mixed[:0], True), (mixed, False)):
        section = shapes.section(view(replace(evidence, cells=cells, problems=problems)))
        assert ("mean grey" in {row[0] for row in section["table"].rows}) == there


def test_pixels_are_told_where_a_cell_lacks_microns(evidence):
    section = shapes.section(view(evidence))
    assert not section["microns"]
    assert ("long axis", "pixels", "36 (36–36)", "36 (36–36)") in section["table"].rows


@pytest.mark.parametrize(
    ("value", "digits", "said"),
    [
        (1234567, None, "1\u2009234\u2009567"),
        (0.12345, 3, "0.123"),
        (1234.5678, None, "1\u2009235"),
        (-0.5, 1, "\u22120.5"),
        (float("nan"), 2, "–"),
        (None, None, "–"),
        (True, None, "yes"),
        (np.int64(3), None, "3"),
        ("word-word", None, "word-word"),
    ],
)
def test_numbers_are_written_for_reading(value, digits, said):
    assert sheets.text(value, digits) == said


def test_an_interval_is_told_where_it_is_known():
    assert sheets.interval(0.5, 0.4, 0.6) == "0.500 (0.400 to 0.600)"
    assert sheets.interval(0.5, None, float("nan")) == "0.500"


# --------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize(
    ("formats", "said"),
    [
        ((None, None), "of one:"),
        (("bf16", "bf16"), "of one, computed in bf16:"),
        (("fp32", "bf16"), "of one, computed in bf16 and fp32:"),
    ],
)
def test_a_chart_of_the_loss_tells_what_it_was_computed_in(evidence, formats, said):
    told = zip(evidence.training, formats, strict=True)
    runs = [run | ({"precision": each} if each else {}) for run, each in told]
    [(_, loss, parts)] = training.training_charts(runs)
    assert f"Training loss {said}" in loss
    assert ("computed in" in str(loss)) == any(formats)
    assert "computed in" not in parts
