"""The report: self-contained, the same every time, whole or saying what is absent; its charts, tables and overlays."""

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from neuroseg import figures, readers, rle, tables
from neuroseg.figures import arms, counts, data, drawing, overlays, scores, shapes, sheets, showcase
from neuroseg.figures.view import view
from neuroseg.tables import DataError

HEIGHT, WIDTH = 60, 80
SECTIONS = ("summary", "data", "problems", "scores", "overlays", "counts", "treatment", "shapes", "training", "reading")
VOID = {"meta", "br", "input", "link", "img", "hr"}


def disc(row, col, radius=6):
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (y - row) ** 2 + (x - col) ** 2 <= radius**2


def runs_of(*masks):
    return rle.from_masks(np.stack(masks)) if masks else rle.concatenate([])


def instances_of(image_id, masks, cell_type, score=np.nan):
    runs = runs_of(*masks)
    frame = pd.DataFrame({"image_id": [image_id] * len(runs), "instance_id": range(len(runs))})
    frame[["x1", "y1", "x2", "y2"]] = rle.boxes(runs, WIDTH)
    frame["area"] = rle.areas(runs)
    return frame.assign(cell_type=cell_type, rle=tables.rle_column(rle.to_coco(runs, HEIGHT, WIDTH)), score=score)


def scored(ap, images=4):
    return {"map": ap, "map_low": ap - 0.1, "map_high": ap + 0.1, "images": images, "cells": 3 * images}


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    """Eight annotated images of two cell types in two arms, three discs each, predicted ever worse; one test image."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    rows, truth, found, ranked, measured = [], [], [], [], []
    for at in range(9):
        name = f"image{at}"
        Image.fromarray(rng.integers(90, 160, (HEIGHT, WIDTH)).astype(np.uint8)).save(folder / f"{name}.png")
        known = at < 8
        kind, arm, well = ("astro", "cort")[at % 2], ("control", "drug")[at // 2 % 2], f"A{at // 2}"
        rows.append(
            {"image_id": name, "path": str(folder / f"{name}.png"), "height": HEIGHT, "width": WIDTH}
            | {"cell_type": kind if known else None, "group": f"P_{well}", "subset": "train" if known else "test"}
            | {"annotated": known, "sample": None, "plate": "P", "well": well if known else None, "time": 24.0}
            | {"treatment": arm if known else None, "pixel_size_um": np.nan}
        )
        cells = [disc(15, 15), disc(15, 50), disc(45, 30)]
        predicted = [np.roll(mask, at, axis=1) for mask in cells[: 3 - at // 4]] + [disc(50, 70, 4)]
        if known:
            truth.append(instances_of(name, cells, kind))
            ranked.append(
                {"image_id": name, "cell_type": kind, "group": f"P_{well}", "fold": at % 2, "ap": 0.9 - at / 10}
            )
        found.append(instances_of(name, predicted, kind, 0.75))
        measured.append(
            {"image_id": name, "cell_type": kind, "count": len(predicted), "confluence": 0.1, "median_area": 113.0}
        )
    found = pd.concat(found, ignore_index=True)
    shapes = found[["image_id", "cell_type", "area"]].assign(perimeter=36.0, eccentricity=0.1, solidity=0.95)
    thresholds = {f"{level:.2f}": 0.95 - level for level in np.arange(0.5, 1, 0.05)}
    metrics = {
        name: scored(ap, 8)
        | {"ap": thresholds, "per_type": {"astro": scored(ap), "cort": scored(ap)}}
        | {"per_fold": {"0": scored(ap), "1": scored(ap)}, "coco": {"mask_ap": 0.3, "box_ap": 0.4}, "predicted": 30}
        for name, ap in (("one", 0.4), ("both", 0.5))
    }
    steps = list(range(1, 401))
    curve = {"iteration": steps, "loss": [4 / step for step in steps], "lr": [1e-3] * 400}
    losses = {"s0.loss_mask": curve["loss"], "s1.loss_mask": curve["loss"], "loss_rpn_cls": curve["loss"]}
    return figures.Evidence(
        dataset="discs",
        images=pd.DataFrame(rows),
        truth=pd.concat(truth, ignore_index=True),
        problems=pd.DataFrame(
            {
                "check": ["hole", "hole", "tiny_mask"],
                "policy": ["keep", "keep", "drop"],
                "image_id": ["image0", "image1", None],
            }
            | {"message": ["a hole of 3 pixels", "a hole of 4 pixels", "5 pixels"]}
        ),
        fold_summary=pd.DataFrame(
            {
                "fold": [-1, 0, 1, 1],
                "cell_type": ["unknown", "astro", "astro", "cort"],
                "images": [1, 4, 1, 3],
                "cells": [0, 12, 3, 9],
            }
        ),
        training=tuple({"model": "one", "fold": fold, "losses": losses, **curve} for fold in (0, 1)),
        metrics=metrics,
        per_image={name: pd.DataFrame(ranked) for name in metrics},
        segments=dict.fromkeys(metrics, found),
        quantities={name: pd.DataFrame(measured) for name in metrics},
        cells=dict.fromkeys(metrics, shapes),
    )


@pytest.fixture(scope="module")
def html(evidence):
    return figures.render(evidence, readers.read_image)


class Page(HTMLParser):
    """Collects ids, references and labels, and complains of a tag that closes another."""

    def __init__(self, html):
        super().__init__()
        self.ids, self.references, self.unlabelled, self.open = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.references += [
            value for name, value in attrs.items() if name in ("href", "src", "xlink:href", "data", "srcset")
        ]
        if tag == "svg" and attrs.get("aria-hidden") != "true" and not attrs.get("aria-label"):
            self.unlabelled.append(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def words(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<(style|svg).*?</\1>", " ", html, flags=re.S)))


def test_the_page_has_every_section_and_well_formed_tags(html):
    page = Page(html)
    assert set(SECTIONS) <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)


def test_the_page_refers_to_nothing_outside_itself(html):
    page = Page(html)
    assert [link for link in page.references if not link.startswith(("#", "data:"))] == []
    assert {link[1:] for link in page.references if link.startswith("#")} <= set(page.ids)
    assert not re.search(r"url\((?!#)|@import|<script|<link", html)


def test_embedded_images_decode_to_the_images_size(html):
    pictures = re.findall(r'href="data:image/webp;base64,([^"]+)"', html)
    assert len(pictures) == 6  # best, median and worst of two cell types
    assert {Image.open(io.BytesIO(base64.b64decode(content))).size for content in pictures} == {(WIDTH, HEIGHT)}


def test_every_picture_has_a_text_alternative(html):
    assert Page(html).unlabelled == []


def test_the_same_evidence_gives_the_same_page(evidence, html):
    assert figures.render(evidence, readers.read_image) == html


def test_the_page_names_the_best_ensemble_and_its_score(html):
    assert "The best of 2 ensembles, both, reaches a mAP of 0.500 (0.400 to 0.600)" in words(html)


def test_the_page_tells_no_path_of_this_machine(evidence, html):
    assert str(evidence.images["path"][0]) not in html


def test_a_data_set_of_an_odd_name_is_written_as_text(evidence):
    odd = figures.Evidence("<b>&", evidence.images, tables.empty("instances"))
    page = figures.render(odd, readers.read_image)
    assert "<h1>&lt;b&gt;&amp;</h1>" in page
    Page(page)


@pytest.fixture(scope="module")
def bare(evidence):
    """A page of images and nothing else."""
    return figures.render(figures.Evidence("bare", evidence.images, tables.empty("instances")), readers.read_image)


@pytest.mark.parametrize(
    "sentence",
    [
        "Nothing is scored here",
        "No list of problems was given",
        "There are no folds",
        "There are no scores",
        "There is nothing to overlay",
        "Counts are not compared",
        "Arms are not compared",
        "Cells were not measured",
        "No training belongs to this report",
    ],
)
def test_a_section_whose_part_is_absent_says_so(html, bare, sentence):
    assert sentence in words(bare)
    assert sentence not in words(html)


def test_images_alone_make_a_page_of_every_section(bare):
    assert set(SECTIONS) <= set(Page(bare).ids)


def test_each_part_may_be_absent_alone(evidence):
    assert data.problems(view(replace(evidence, problems=None))) is None
    assert data.section(view(replace(evidence, fold_summary=None)))["folds"] is None
    assert scores.section(view(replace(evidence, metrics={}))) is None
    assert counts.section(view(replace(evidence, per_image={})))["compared"] is None
    assert counts.section(view(replace(evidence, segments={})))["compared"] is None
    assert counts.section(view(replace(evidence, quantities={})))["by_type"] is None
    assert arms.section(view(replace(evidence, quantities={}))) is None
    assert arms.section(view(replace(evidence, images=evidence.images.assign(treatment=None)))) is None
    assert shapes.section(view(replace(evidence, cells={}))) is None
    assert showcase.showcase(view(replace(evidence, segments={})), readers.read_image) == ([], 0)


def test_scores_without_a_table_of_images_are_shown(evidence):
    section = scores.section(view(replace(evidence, per_image={})))
    assert section["worst"] is section["spread"] is None
    assert section["table"].rows[0][:3] == ("one", "0.400", "0.300 to 0.500")


def test_a_folder_of_images_without_any_truth_is_a_page_of_predictions(evidence):
    images = evidence.images.assign(annotated=False, cell_type=None, treatment=None, well=None, plate=None)
    own = figures.Evidence("own", images, tables.empty("instances"), segments={"both": evidence.segments["both"]})
    page = figures.render(own, readers.read_image)
    assert "Nothing is scored here" in words(page)
    assert "Most cells" in words(page)
    assert "missed" not in re.sub(r"<style.*?</style>", "", page, flags=re.S)
    assert Page(page).unlabelled == []


def test_images_without_a_file_are_not_shown(evidence):
    gone = replace(evidence, images=evidence.images.assign(path="nowhere.png"))
    assert showcase.showcase(view(gone), readers.read_image) == ([], 0)


def test_data_without_a_problem_say_so(evidence):
    sound = figures.Evidence("bare", evidence.images, tables.empty("instances"), problems=evidence.problems[:0])
    assert "Validation found nothing to complain about" in words(figures.render(sound, readers.read_image))


def test_folds_stand_a_row_each_with_the_never_trained_named(evidence):
    table = data.section(view(evidence))["folds"]
    assert table.header == ("fold", "images", "cells", "unknown", "astro", "cort")
    assert table.rows[0] == ("never trained on", "1", "0", "1 images, 0 cells", "–", "–")
    assert table.rows[2] == ("1", "4", "12", "–", "1 images, 3 cells", "3 images, 9 cells")


def test_problems_are_counted_by_check_with_examples(html):
    assert "hole keep 2 2 image0: a hole of 3 pixels · image1: a hole of 4 pixels" in words(html)
    assert "tiny_mask drop 1 0 5 pixels" in words(html)


def test_an_ensemble_without_a_score_is_left_out_of_the_scores(evidence):
    metrics = {"one": evidence.metrics["one"], "both": evidence.metrics["both"] | {"map": None}}
    assert view(replace(evidence, metrics=metrics)).leader == "one"


def test_best_median_and_worst_of_each_type_are_shown(evidence):
    shown, left_out = showcase.showcase(view(evidence), readers.read_image)
    assert left_out == 0
    assert [(one.cell_type, one.rank, one.picture.image_id) for one in shown] == [
        ("astro", "best", "image0"),
        ("astro", "median", "image4"),
        ("astro", "worst", "image6"),
        ("cort", "best", "image1"),
        ("cort", "median", "image5"),
        ("cort", "worst", "image7"),
    ]


def test_an_overlay_counts_hits_misses_and_inventions(evidence):
    shown, _ = showcase.showcase(view(evidence), readers.read_image)
    best = shown[0].picture
    assert (best.matched, best.missed, best.spurious) == (3, 0, 1)


def test_overlays_beyond_the_budget_are_left_out_and_counted(evidence, monkeypatch):
    monkeypatch.setattr(showcase, "OVERLAY_BYTES", 1)
    shown, left_out = showcase.showcase(view(evidence), readers.read_image)
    assert (len(shown), left_out) == (1, 5)


# ---------------------------------------------------------------------------------------------------------- overlays


def test_a_shifted_disc_is_a_hit_and_a_far_one_a_miss():
    pairs = overlays.match(runs_of(disc(20, 20), disc(40, 60)), runs_of(disc(20, 22)), HEIGHT * WIDTH)
    assert pairs.of_truth.tolist() == [0, -1]
    shared, both = (disc(20, 20) & disc(20, 22)).sum(), (disc(20, 20) | disc(20, 22)).sum()
    assert pairs.iou[0] == shared / both


def test_an_iou_of_exactly_a_half_is_no_hit():
    whole, half = np.zeros((2, HEIGHT, WIDTH), bool)
    whole[:10, :10] = half[:10, :5] = True
    assert overlays.match(runs_of(whole), runs_of(half), HEIGHT * WIDTH).of_found.tolist() == [-1]


def test_a_prediction_hits_one_of_two_equal_true_cells():
    pairs = overlays.match(runs_of(disc(20, 20), disc(20, 20)), runs_of(disc(20, 20)), HEIGHT * WIDTH)
    assert sorted(pairs.of_truth.tolist()) == [-1, 0]


def test_as_many_as_possible_are_hit_where_a_greedy_choice_would_hit_fewer():
    bar = np.zeros((HEIGHT, WIDTH), bool)
    masks = {name: bar.copy() for name in "abpq"}
    for name, stop in (("a", 20), ("b", 26), ("p", 22), ("q", 44)):
        masks[name][0, :stop] = True
    pairs = overlays.match(runs_of(masks["a"], masks["b"]), runs_of(masks["p"], masks["q"]), HEIGHT * WIDTH)
    assert pairs.of_truth.tolist() == [0, 1]


@pytest.mark.parametrize("truth", [0, 2])
@pytest.mark.parametrize("found", [0, 2])
def test_images_without_cells_on_either_side_are_drawn(truth, found):
    pixels = np.full((HEIGHT, WIDTH), 128, np.uint16)
    masks = [disc(20, 20), disc(40, 60)]
    picture = overlays.overlay("x", pixels, runs_of(*masks[:truth]), runs_of(*masks[:found]), np.ones(found), "key")
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


# -------------------------------------------------------------------------------------------------- charts and tables


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
    part["per_type"]["type0"] = {"map": 0.3, "map_low": None, "map_high": float("nan"), "images": 1, "cells": 2}
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
    assert table.rows[0][:5] == ("astro", "5", "16", "3", "2")


def test_density_is_told_where_the_pixel_size_is_known(evidence):
    summary = evidence.quantities["both"].assign(density_per_mm2=250.0)
    table = counts.section(view(replace(evidence, quantities={"both": summary})))["by_type"]
    assert (table.header[-1], table.rows[0][-1]) == ("cells per mm², mean", "250")


def test_wells_add_up_their_images(evidence):
    seen = view(evidence)
    table = counts.count_cells(seen.images, evidence.truth, seen.segments, seen.held_out["image_id"])
    table["well"] = "A0"
    assert counts.by_well(table[table["cell_type"] == "cort"].assign(treatment="drug"))["truth"].tolist() == [12]


@pytest.mark.parametrize("most", [50, 5000])
@pytest.mark.parametrize("fewest", [0, 3])
def test_counts_of_any_range_are_drawn(fewest, most):
    table = pd.DataFrame({"cell_type": "cort", "truth": [fewest, most], "predicted": [fewest, most - 1]})
    assert "true cells per image" in counts.counts_chart(table, {"cort": drawing.SERIES[0]}, "image")


def test_an_arms_effect_is_the_ratio_of_the_means_of_its_wells():
    images = pd.DataFrame(
        {"image_id": list("abcd"), "treatment": ["Control", "Control", "acid", "acid"], "cell_type": "cort"}
    )
    images = images.assign(plate="P", well=["A1", "A1", "B1", "B2"], annotated=True, height=HEIGHT, width=WIDTH)
    counts_of = {"a": 1, "b": 3, "c": 4, "d": 6}
    truth = pd.concat([instances_of(name, [disc(15, 15)] * cells, "cort") for name, cells in counts_of.items()])
    summary = pd.DataFrame({"image_id": list("abcd"), "count": [2, 4, 1, 2], "confluence": 0.5, "median_area": 100.0})
    wells = arms.arms(images, truth, summary)
    assert wells["count"].tolist() == [3, 1, 2]  # the control's well of two images, and two treated wells
    effects = arms.effects(wells).set_index("measure")
    assert effects["comparison"].tolist() == ["acid / Control"] * 3
    assert effects.loc["cells per image", ["ratio", "ratio in truth"]].tolist() == [0.5, 2.5]
    assert effects.loc["confluence", ["ratio", "ratio in truth"]].tolist() == [1, 1]


def test_a_lone_arm_is_not_compared(evidence):
    lone = replace(evidence, images=evidence.images.assign(treatment="drug"))
    assert arms.section(view(lone))["table"] is None


def test_microns_are_told_where_every_cell_has_them(evidence):
    cells = evidence.cells["both"].assign(area_um2=lambda rows: rows["area"] * 4.0, perimeter_um=72.0)
    section = shapes.section(view(replace(evidence, cells={"both": cells})))
    assert section["microns"]
    assert ("perimeter", "µm", "72 (72–72)", "72 (72–72)") in section["table"].rows


def test_pixels_are_told_where_a_cell_lacks_microns(evidence):
    section = shapes.section(view(evidence))
    assert not section["microns"]
    assert ("perimeter", "pixels", "36 (36–36)", "36 (36–36)") in section["table"].rows


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


# --------------------------------------------------------------------------------------------------------------- step


@pytest.fixture
def files(evidence, tmp_path):
    """The evidence as the other stages write it."""
    tables.write("images", evidence.images, tmp_path / "images.parquet")
    tables.write("instances", evidence.truth, tmp_path / "truth.parquet")
    evidence.problems.to_csv(tmp_path / "problems.csv", index=False)
    evidence.fold_summary.to_csv(tmp_path / "folds.csv", index=False)
    scalars = []
    for run in evidence.training:
        scalars.append(tmp_path / f"fold_{run['fold']}.json")
        scalars[-1].write_text(json.dumps(run))
    lists = {"metrics": [], "per_image": [], "segments": [], "quantities": [], "cells": []}
    for name in evidence.metrics:
        for kind in lists:
            (tmp_path / kind / name).mkdir(parents=True)
        paths = {
            "metrics": tmp_path / "metrics" / f"{name}.json",
            "per_image": tmp_path / "per_image" / f"{name}.parquet",
            "segments": tmp_path / "segments" / f"{name}.parquet",
            "quantities": tmp_path / "quantities" / name / "images.csv",
            "cells": tmp_path / "cells" / name / "cells.parquet",
        }
        paths["metrics"].write_text(json.dumps(evidence.metrics[name]))
        evidence.per_image[name].to_parquet(paths["per_image"])
        tables.write("instances", evidence.segments[name], paths["segments"])
        evidence.quantities[name].to_csv(paths["quantities"], index=False)
        evidence.cells[name].to_parquet(paths["cells"])
        for kind, path in paths.items():
            lists[kind].append(path)
    return {
        "dataset_name": "discs",
        "images": tmp_path / "images.parquet",
        "truth": tmp_path / "truth.parquet",
        "problems": tmp_path / "problems.csv",
        "fold_summary": tmp_path / "folds.csv",
        "scalars": tuple(scalars),
        "out": tmp_path / "report" / "report.html",
        **{kind: tuple(paths) for kind, paths in lists.items()},
    }


def test_the_step_writes_the_page_from_the_other_stages_files(step, files, html):
    step("report").main(**files)
    assert words(files["out"].read_text(encoding="utf-8")) == words(html)
    assert [path.name for path in files["out"].parent.iterdir()] == ["report.html"]


@pytest.mark.parametrize("broken", ["metrics", "per_image", "scalars", "quantities"])
def test_a_damaged_file_is_named_and_no_page_is_left(step, files, broken):
    files[broken][0].write_text("{ not this")
    with pytest.raises(DataError, match=re.escape(str(files[broken][0]))):
        step("report").main(**files)
    assert not files["out"].exists()


@pytest.mark.parametrize("missing", ["metrics", "cells", "quantities"])
def test_a_missing_file_is_named(step, files, missing):
    files[missing][1].unlink()
    with pytest.raises(DataError, match="run the stage that writes it"):
        step("report").main(**files)
