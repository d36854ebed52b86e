"""The report: self-contained, always the same, whole or saying what is absent."""

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from PIL import Image
from report_cases import HEIGHT, WIDTH

from neuroseg import readers, report, tables
from neuroseg.errors import DataError
from neuroseg.report import arms, counts, data, scores, shapes, showcase
from neuroseg.report.view import view

SECTIONS = (
    "summary",
    "data",
    "problems",
    "scores",
    "overlays",
    "counts",
    "treatment",
    "shapes",
    "training",
    "reading",
)
VOID = {"meta", "br", "input", "link", "img", "hr"}


@pytest.fixture(scope="module")
def html(evidence):
    return report.render(evidence, readers.read_image)


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
    return re.sub(
        r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<(style|svg).*?</\1>", " ", html, flags=re.S))
    )


def test_the_page_has_every_section_and_well_formed_tags(html):
    page = Page(html)
    assert set(SECTIONS) <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)


def test_what_one_detector_alone_remarks_bears_its_name(evidence, tmp_path):
    images = tmp_path / "images.parquet"
    tables.write("images", evidence.images, images, pixels="x")
    files = [tmp_path / "tiny" / f"fold_{fold}.remarks.json" for fold in (0, 1)]
    files[0].parent.mkdir()
    for file, few in zip(files, ("1 of 42 are dark", "2 of 41 are dark"), strict=True):
        file.write_text(json.dumps({"remarks": ["no pixel sizes", few]}))
    assert report.read_evidence(dataset="d", images=images, remarks=files).remarks == (
        "no pixel sizes",
        "fold 0 of tiny: 1 of 42 are dark",
        "fold 1 of tiny: 2 of 41 are dark",
    )


def test_the_head_tells_what_prediction_remarked_and_doubts_pixel_sizes_by_the_cells(
    evidence, html, tmp_path
):
    assert 'class="remarks"' not in html
    for fold in (0, 1):
        text = json.dumps({"remarks": ["images of unknown pixel size: 9 of 9"]})
        (tmp_path / f"{fold}.json").write_text(text)
    tables.write("images", evidence.images, tmp_path / "images.parquet", pixels="x")
    read = report.read_evidence(
        dataset="d",
        images=tmp_path / "images.parquet",
        detectors="starter",
        remarks=[tmp_path / "0.json", tmp_path / "1.json"],
    )
    wide = replace(
        evidence,
        remarks=read.remarks,
        detectors=read.detectors,
        images=evidence.images.assign(pixel_size_um=10.0),
    )
    head = words(report.render(wide, readers.read_image).split("</header>")[0])
    assert head.count("Images of unknown pixel size: 9 of 9.") == 1
    assert "found by the detectors of starter , which have not learnt from this data set: take them" in head
    assert re.search(
        r"Cells in images of 10 µm a pixel \(9\) would be 1\d\d µm .*: is the pixel size right\?", head
    )


def test_the_page_refers_to_nothing_outside_itself(html):
    page = Page(html)
    assert [link for link in page.references if not link.startswith(("#", "data:"))] == []
    assert {link[1:] for link in page.references if link.startswith("#")} <= set(page.ids)
    assert not re.search(r"url\((?!#)|@import|<script|<link", html)


def test_embedded_images_decode_to_the_images_size(html):
    pictures = re.findall(r'href="data:image/webp;base64,([^"]+)"', html)
    assert len(pictures) == 6  # best, median and worst of two cell types
    assert {Image.open(io.BytesIO(base64.b64decode(content))).size for content in pictures} == {
        (WIDTH, HEIGHT)
    }


def test_every_picture_has_a_text_alternative(html):
    assert Page(html).unlabelled == []


def test_the_same_evidence_gives_the_same_page(evidence, html):
    assert report.render(evidence, readers.read_image) == html


def test_the_page_names_the_best_ensemble_and_its_score(html):
    assert "The best of 2 ensembles, both, reaches a mAP of 0.500 (0.400 to 0.600)" in words(html)


def test_the_page_tells_no_path_of_this_machine(evidence, html):
    assert str(evidence.images["path"][0]) not in html


def test_a_data_set_of_an_odd_name_is_written_as_text(evidence):
    odd = report.Evidence("<b>&", evidence.images, tables.empty("instances"))
    page = report.render(odd, readers.read_image)
    assert "<h1>&lt;b&gt;&amp;</h1>" in page
    Page(page)


@pytest.fixture(scope="module")
def bare(evidence):
    """A page of images and nothing else."""
    return report.render(
        report.Evidence("bare", evidence.images, tables.empty("instances")), readers.read_image
    )


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
    own = report.Evidence(
        "own", images, tables.empty("instances"), segments={"both": evidence.segments["both"]}
    )
    page = report.render(own, readers.read_image)
    assert "Nothing is scored here" in words(page)
    assert "Most cells" in words(page)
    assert "missed" not in re.sub(r"<style.*?</style>", "", page, flags=re.S)
    assert Page(page).unlabelled == []


def test_images_of_stacks_and_turned_over_ones_are_shown(evidence):
    images = evidence.images
    marked = replace(evidence, images=images.assign(path=images["path"] + "::inverted"))
    shown, left_out = showcase.showcase(view(marked), readers.read_image)
    assert (len(shown), left_out) == (6, 0)


def test_images_without_a_file_are_not_shown(evidence):
    gone = replace(evidence, images=evidence.images.assign(path="nowhere.png"))
    assert showcase.showcase(view(gone), readers.read_image) == ([], 0)


def test_data_without_a_problem_say_so(evidence):
    sound = report.Evidence(
        "bare", evidence.images, tables.empty("instances"), problems=evidence.problems[:0]
    )
    assert "Validation found nothing to complain about" in words(report.render(sound, readers.read_image))


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


# ------------------------------------------------------------------------------------------------------- step


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
    assert sorted(path.name for path in files["out"].parent.iterdir()) == ["charts", "report.html"]


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


def test_charts_are_files_that_show_without_the_page(evidence, tmp_path):
    report.write_charts(evidence, tmp_path)
    models = {re.sub(r"\W", "_", run["model"]) for run in evidence.training}
    expected = {"ap_by_threshold", *(f"training_{name}" for name in models)}
    expected |= {f"training_parts_{name}" for name in models}
    assert {path.stem for path in tmp_path.iterdir()} == expected
    for path in tmp_path.iterdir():
        svg = ElementTree.parse(path).getroot()
        assert svg.tag == "{http://www.w3.org/2000/svg}svg"
        assert len(list(svg.iter("{http://www.w3.org/2000/svg}path"))) > 4
        assert "var(--" not in path.read_text()


def test_charts_without_their_part_are_left_out(evidence, tmp_path):
    report.write_charts(replace(evidence, metrics={}, training=()), tmp_path)
    assert list(tmp_path.iterdir()) == []
