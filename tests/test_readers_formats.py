"""Readers: Kaggle's and COCO's annotations to raw rows that know their place."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from readers_cases import PATTERN, RAMP, SQUARE, coco, dataset, kaggle, kaggle_row, rectangle, shape

from neuroseg import readers, rle

# ----------------------------------------------------------------------------------------------------- kaggle


def test_masks_come_back_with_the_lines_they_stand_on(tmp_path):
    masks = [rectangle(0, 0, 3, 2), rectangle(5, 1, 9, 4), rectangle(2, 3, 4, 6)]
    rows = [kaggle_row(name, mask) for name, mask in zip("aba", masks, strict=True)]
    source = kaggle(tmp_path, rows)
    assert source.annotations["where"].tolist() == ["train.csv:2", "train.csv:3", "train.csv:4"]
    assert source.images["image_id"].iloc[source.annotations["image"]].tolist() == ["a", "b", "a"]
    assert (rle.to_masks(source.masks, 6, 10) == np.stack(masks)).all()
    assert source.images["path"].tolist() == [str(tmp_path / "train" / name) for name in ("a.png", "b.png")]
    assert source.notes.empty


def test_images_of_several_sizes_keep_their_masks(tmp_path):
    rows = [
        kaggle_row("a", rectangle(1, 1, 3, 3)),
        kaggle_row("b", rectangle(4, 1, 5, 7, 8, 7)),
        kaggle_row("a", rectangle(0, 0, 1, 1)),
    ]
    masks = kaggle(tmp_path, rows).masks
    assert rle.areas(masks).tolist() == [4, 6, 1]
    assert rle.boxes(rle.take(masks, [1]), 7).tolist() == [[4, 1, 5, 7]]


def test_an_empty_annotation_is_an_image_without_cells(tmp_path):
    rows = [kaggle_row("a", rectangle(0, 0, 3, 2)), kaggle_row("b", rectangle(0, 0, 1, 1), annotation="")]
    source = kaggle(tmp_path, rows)
    assert source.images["annotated"].tolist() == [True, True]
    assert source.annotations["image"].tolist() == [0]
    assert source.notes.empty


def test_an_empty_annotation_beside_others_is_a_fault(tmp_path):
    rows = [kaggle_row("a", rectangle(0, 0, 3, 2)), kaggle_row("a", rectangle(0, 0, 1, 1), annotation="")]
    source = kaggle(tmp_path, rows)
    assert source.notes[["check", "row", "where"]].to_numpy().tolist() == [["rle_syntax", 1, "train.csv:3"]]


def test_blank_lines_do_not_shift_the_places(tmp_path):
    kaggle(tmp_path, [kaggle_row("a", rectangle(0, 0, 3, 2)), kaggle_row("a", rectangle(5, 0, 7, 2))])
    lines = (tmp_path / "train.csv").read_text().splitlines()
    (tmp_path / "train.csv").write_text("\n".join([lines[0], "", lines[1], "", lines[2], "", ""]))
    source = readers.read(dataset(tmp_path, format="kaggle", annotations="train.csv", images=["train"]))
    assert source.annotations["where"].tolist() == ["train.csv:3", "train.csv:5"]


@pytest.mark.parametrize("separator", [",", ", ", ";", "; ", "\t"])
@pytest.mark.parametrize("quoted", [True, False])
def test_a_csv_parted_by_semicolons_tabs_or_commas_and_blanks_is_read(tmp_path, separator, quoted):
    kaggle(tmp_path, [kaggle_row(name, rectangle(0, 0, 3, 2)) for name in ("a", " b")])
    table = pd.read_csv(tmp_path / "train.csv", dtype=str, keep_default_na=False)
    lines = [table.columns.tolist(), *table.to_numpy().tolist()]
    mark = '"' if quoted else ""
    text = "\n".join(separator.join(f"{mark}{cell}{mark}" for cell in line) for line in lines)
    (tmp_path / "train.csv").write_text(text)
    source = readers.read(dataset(tmp_path, format="kaggle", annotations="train.csv", images=["train"]))
    assert source.images["cell_type"].iloc[0] == "cort"
    assert rle.areas(source.masks).tolist() == [6, 6]
    assert source.annotations["where"].tolist() == ["train.csv:2", "train.csv:3"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("separator", [",", "\t"])
def test_a_csv_in_any_unicode_that_says_so_is_read(tmp_path, encoding, ending, separator):
    kaggle(tmp_path, [kaggle_row(name, rectangle(0, 0, 3, 2)) for name in ("a", "ä")])
    text = (tmp_path / "train.csv").read_text(encoding="utf-8").replace(",", separator)
    text = "\ufeff" * (encoding == "utf-16-be") + text.replace("\n", ending)
    (tmp_path / "train.csv").write_bytes(text.encode(encoding))
    source = readers.read(dataset(tmp_path, format="kaggle", annotations="train.csv", images=["train"]))
    assert source.images["image_id"].tolist() == ["a", "ä"]
    assert rle.areas(source.masks).tolist() == [6, 6]


def test_a_csv_is_opened_once(tmp_path, monkeypatch):
    kaggle(tmp_path, [kaggle_row("a", rectangle(0, 0, 3, 2))])
    opened, own = [], open

    def counted(file, *args, **keys):
        opened.append(Path(file).name if isinstance(file, str | Path) else None)
        return own(file, *args, **keys)

    monkeypatch.setattr("builtins.open", counted)
    monkeypatch.setattr("io.open", counted)
    readers.read(dataset(tmp_path, format="kaggle", annotations="train.csv", images=["train"]))
    assert opened.count("train.csv") == 1


def test_an_image_known_to_be_wrong_is_left_out_with_its_rows_and_its_file(tmp_path):
    rows = [kaggle_row(name, rectangle(0, 0, 3, 2)) for name in ("a", "b")]
    source = kaggle(tmp_path, rows, left_out=["b", "never seen"])
    assert list(source.images["image_id"]) == ["a"]
    assert list(source.annotations["where"]) == ["train.csv:2"]
    assert len(source.notes) == 0


def test_folders_without_annotation_become_test_and_unannotated_images(tmp_path):
    for name in ("test", "more"):
        (tmp_path / name).mkdir()
        Image.fromarray(RAMP).save(tmp_path / name / f"astros[hippo]_D1-1_Vessel-361_{name}.png")
    source = kaggle(
        tmp_path,
        [kaggle_row("a", rectangle(0, 0, 3, 2))],
        test_images=["test"],
        unlabelled=["more"],
        pattern=PATTERN,
    )
    assert source.images["subset"].tolist() == ["train", "test", "train"]
    assert source.images["annotated"].tolist() == [True, False, False]
    assert source.images["cell_type"].tolist() == ["cort", "astro", "astro"]


def test_a_file_that_no_row_names_is_noted(tmp_path):
    (tmp_path / "train").mkdir()
    Image.fromarray(RAMP).save(tmp_path / "train" / "z.png")
    (tmp_path / "train.csv").write_text("id,annotation,width,height,cell_type\na,1 3,10,6,cort\n")
    source = readers.read(dataset(tmp_path, format="kaggle", annotations="train.csv", images=["train"]))
    assert source.images["image_id"].tolist() == ["a", "z"]
    assert source.notes[["check", "image", "where"]].to_numpy().tolist() == [
        ["image_unlisted", 1, "train/z.png"]
    ]


FAULTY = {
    "letters": ("1 3 x 4", "rle_syntax"),
    "odd": ("1 3 5", "rle_syntax"),
    "zero start": ("0 3", "rle_syntax"),
    "negative": ("5 -3", "rle_syntax"),
    "decimal": ("1.5 3", "rle_syntax"),
    "other digits": ("１ 3", "rle_syntax"),
    "descending": ("21 3 11 3", "rle_order"),
    "past the end": ("59 3", "rle_range"),
    "far past the end": ("1 3 99999999999 3", "rle_range"),
    "twice": ("11 5 13 5", "rle_overlap"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_text_is_noted_where_it_stands(tmp_path, name):
    words, check = FAULTY[name]
    rows = [kaggle_row("a", rectangle(0, 0, 3, 2)), kaggle_row("a", rectangle(0, 0, 3, 2), annotation=words)]
    notes = kaggle(tmp_path, rows).notes
    assert notes[["check", "row", "where"]].to_numpy().tolist() == [[check, 1, "train.csv:3"]]


@given(arrays(bool, (4, 5, 7)), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_shuffled_runs_are_noted_and_mended_to_the_same_mask(tmp_path_factory, masks, random):
    masks = masks[masks.any(axis=(1, 2))]
    rows, shuffled = [], []
    for number, words in enumerate(rle.to_kaggle(rle.from_masks(masks))):
        pairs = words.split()
        pairs = list(zip(pairs[::2], pairs[1::2], strict=True))
        order = random.sample(pairs, len(pairs))
        shuffled += [number] * (order != pairs)
        rows.append(kaggle_row("a", masks[number], annotation=" ".join(" ".join(pair) for pair in order)))
    if rows:
        source = kaggle(tmp_path_factory.mktemp("rle"), rows)
        assert source.notes["row"].tolist() == shuffled
        assert set(source.notes["check"]) <= {"rle_order"}
        assert (rle.to_masks(source.masks, 5, 7) == masks).all()


# ------------------------------------------------------------------------------------------------------- COCO

FORMS = {
    "polygon": SQUARE,
    "two polygons": [[2, 1, 4, 1, 4, 4, 2, 4], [4, 1, 6, 1, 6, 4, 4, 4]],
    "plain run lengths": {"size": [6, 10], "counts": [13, 3, 3, 3, 3, 3, 3, 3, 26]},
    "compressed": {
        "size": [6, 10],
        "counts": rle.to_coco(rle.from_masks(rectangle(2, 1, 6, 4)[None]), 6, 10)[0].decode(),
    },
}


@pytest.mark.parametrize("keyed", [False, True], ids=["list", "keyed by id"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_coco_mask_is_the_same_mask(tmp_path, form, keyed):
    annotation = shape(FORMS[form])
    source = coco(tmp_path, {"1": annotation} if keyed else [annotation])
    assert (rle.to_masks(source.masks, 6, 10)[0] == rectangle(2, 1, 6, 4)).all()
    assert source.annotations[["image", "where", "cell_type"]].to_numpy().tolist() == [
        [0, "val.json:annotations[0]", "astro"]
    ]
    assert source.notes.empty


def test_a_coco_image_has_its_entrys_subset_and_its_only_category(tmp_path):
    image = coco(tmp_path, [shape(SQUARE)]).images.iloc[0]
    assert image[["image_id", "subset", "annotated", "height", "width"]].tolist() == ["a", "val", True, 6, 10]
    assert image["cell_type"] == "astro"


def test_an_image_of_two_categories_has_no_type_but_its_cells_have(tmp_path):
    source = coco(tmp_path, [shape(SQUARE), shape(SQUARE, id=2, category_id=2)])
    assert source.images["cell_type"].tolist() == [None]
    assert source.annotations["cell_type"].tolist() == ["astro", "cort"]


def test_the_patterns_cell_type_stands_before_the_category(tmp_path):
    source = coco(tmp_path, [shape(SQUARE)], pattern="(?P<cell_type>a)")
    assert source.images["cell_type"].tolist() == source.annotations["cell_type"].tolist() == ["a"]


def test_an_image_is_found_in_a_folder_below(tmp_path):
    (tmp_path / "images" / "A172").mkdir(parents=True)
    Image.fromarray(RAMP).save(tmp_path / "images" / "A172" / "b.png")
    source = coco(tmp_path, [], [{"id": "7", "file_name": "b.png", "width": 10, "height": 6}])
    assert source.images["path"].tolist() == [str(tmp_path / "images" / "A172" / "b.png")]


def test_an_image_of_two_places_is_noted(tmp_path):
    for folder in ("x", "y"):
        (tmp_path / "images" / folder).mkdir(parents=True)
        Image.fromarray(RAMP).save(tmp_path / "images" / folder / "b.png")
    notes = coco(tmp_path, [], [{"id": 7, "file_name": "b.png", "width": 10, "height": 6}]).notes
    assert notes["check"].tolist() == ["duplicate_id"]


def test_an_optional_entry_may_be_absent(tmp_path):
    coco(tmp_path, [shape(SQUARE)])
    entries = [
        {"annotations": "train.json", "images": "images", "optional": True},
        {"annotations": "val.json", "images": "images", "subset": "val"},
    ]
    source = readers.read(dataset(tmp_path, format="coco", annotations=entries))
    assert source.images["subset"].tolist() == ["val"]


BROKEN_SHAPES = {
    "nothing": (None, "no_outline"),
    "no polygon": ([], "no_outline"),
    "two corners": ([[1, 1, 2, 2]], "rle_syntax"),
    "odd": ([[1, 1, 2, 2, 3, 3, 4]], "rle_syntax"),
    "words": ([["a", "b", "c", "d", "e", "f"]], "rle_syntax"),
    "not a number": ([[1, 1, 2, float("nan"), 3, 3]], "rle_syntax"),
    "a light year": ([[1, 1, 9e15, 2, 3, 3]], "rle_syntax"),
    "past the frame": ([[2, 1, 14, 1, 14, 4, 2, 4]], "rle_range"),
    "another frame": ({"size": [10, 6], "counts": [13, 47]}, "turned_mask"),
    "too few": ({"size": [6, 10], "counts": [13, 3]}, "rle_syntax"),
    "below zero": ({"size": [6, 10], "counts": [70, -10]}, "rle_syntax"),
    "half a pixel": ({"size": [6, 10], "counts": [13.5, 46.5]}, "rle_syntax"),
    "gibberish": ({"size": [6, 10], "counts": "~~~~"}, "rle_syntax"),
    "number": ({"size": [6, 10], "counts": 7}, "rle_syntax"),
}


@pytest.mark.parametrize("name", BROKEN_SHAPES)
def test_a_broken_coco_shape_is_noted_and_its_neighbours_stand(tmp_path, name):
    segmentation, check = BROKEN_SHAPES[name]
    source = coco(tmp_path, [shape(SQUARE), shape(segmentation, id=2), shape(SQUARE, id=3)])
    assert source.notes[["check", "row"]].to_numpy().tolist() == [[check, 1]]
    areas = rle.areas(source.masks).tolist()
    assert areas == [12, 24 if check == "rle_range" else 0, 12]


ODD_ANNOTATIONS = {
    "crowd": ({"iscrowd": 1}, "crowd_cell"),
    "other image": ({"image_id": 77}, "unknown_image"),
    "no image": ({"image_id": None}, "unknown_image"),
    "other category": ({"category_id": 9}, "unknown_cell_type"),
    "same number": ({"id": 1}, "duplicate_annotation"),
}


@pytest.mark.parametrize("name", ODD_ANNOTATIONS)
def test_an_odd_coco_annotation_is_noted(tmp_path, name):
    keys, check = ODD_ANNOTATIONS[name]
    source = coco(tmp_path, [shape(SQUARE), shape(SQUARE, **{"id": 2} | keys)])
    assert source.notes[["check", "row"]].to_numpy().tolist() == [[check, 1]]
