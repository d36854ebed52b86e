"""Readers: image files to grey planes, and data sets of three formats to raw rows that know their place."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from neuroseg import readers, rle
from neuroseg.readers.experiment import hours
from neuroseg.tables import DataError

RAMP = np.arange(60, dtype=np.uint8).reshape(6, 10)
DEEP = RAMP.astype(np.uint16) * 1000 + 7
SQUARE = [[2, 1, 6, 1, 6, 4, 2, 4]]
"""A polygon of 4 x 3 pixels, columns 2 to 5 and rows 1 to 3."""

PATTERN = (
    r"(?P<cell_type>shsy5y|astro|cort)s?\[(?P<treatment>[^]]*)\]"
    r"_(?P<well>[A-Z]\d+)-(?P<field>\d+)_(?P<plate>Vessel-\d+)_"
)


def dataset(folder: Path, **keys: object) -> readers.Dataset:
    file = folder / "dataset.yaml"
    file.write_text(yaml.safe_dump({"root": str(folder), **keys}))
    return readers.read_dataset(file)


def rectangle(left: int, top: int, right: int, bottom: int, height: int = 6, width: int = 10) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = True
    return mask


def text(mask: np.ndarray) -> str:
    return rle.to_kaggle(rle.from_masks(mask[None]))[0]


def kaggle_row(name: str, mask: np.ndarray, **cells: object) -> dict[str, object]:
    row = {"id": name, "annotation": text(mask), "width": mask.shape[1], "height": mask.shape[0], "cell_type": "cort"}
    return row | {"plate_time": "", "sample_date": "", "sample_id": "", "elapsed_timedelta": ""} | cells


def kaggle(folder: Path, rows: list[dict[str, object]], **keys: object) -> readers.Source:
    """Write a CSV and an image for each of its ids, and read them."""
    (folder / "train").mkdir()
    pd.DataFrame(rows).to_csv(folder / "train.csv", index=False)
    for name in {row["id"] for row in rows}:
        Image.fromarray(RAMP).save(folder / "train" / f"{name}.png")
    return readers.read(dataset(folder, format="kaggle", annotations="train.csv", images=["train"], **keys))


def coco(folder: Path, annotations: object, images: object = None, **keys: object) -> readers.Source:
    """Write a COCO file about one image of 6 x 10 pixels, and read it."""
    (folder / "images").mkdir(exist_ok=True)
    Image.fromarray(RAMP).save(folder / "images" / "a.png")
    listed = [{"id": 5, "file_name": "a.png", "width": 10, "height": 6}] if images is None else images
    categories = [{"id": 1, "name": "astro"}, {"id": 2, "name": "cort"}]
    content = {"images": listed, "annotations": annotations, "categories": categories}
    (folder / "val.json").write_text(json.dumps(content))
    entries = [{"annotations": "val.json", "images": "images", "subset": "val"}]
    return readers.read(dataset(folder, format="coco", annotations=entries, **keys))


def shape(segmentation: object, **keys: object) -> dict[str, object]:
    return {"id": 1, "image_id": 5, "category_id": 1, "segmentation": segmentation, "iscrowd": 0, **keys}


# -------------------------------------------------------------------------------------------------------- image files


@pytest.mark.parametrize("plane", [RAMP, DEEP], ids=["8 bit", "16 bit"])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.tiff", "a.ome.tif", "lzw.tif", "packed.tif", "big_endian.tif"])
def test_a_grey_plane_comes_back_as_stored(tmp_path, plane, name):
    path = tmp_path / name
    if name == "big_endian.tif":
        tifffile.imwrite(path, plane, byteorder=">")
    elif name == "packed.tif":
        tifffile.imwrite(path, plane, compression="zlib", predictor=2)
    elif name.endswith((".png", "lzw.tif")):
        Image.fromarray(plane).save(path, **({} if name.endswith("png") else {"compression": "tiff_lzw"}))
    else:
        tifffile.imwrite(path, plane)
    image = readers.read_image(path)
    assert image.dtype == plane.dtype
    assert (image == plane).all()


def test_a_tiff_whose_zero_is_white_is_turned_over(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", DEEP, photometric="miniswhite")
    assert (readers.read_image(tmp_path / "a.tif") == 65535 - DEEP.astype(int)).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "L"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_colour_of_equal_channels_is_grey(tmp_path, mode, suffix):
    if mode == "P" and suffix == "tif":
        suffix = "png"
    Image.fromarray(RAMP).convert(mode).save(tmp_path / f"a.{suffix}")
    assert (readers.read_image(tmp_path / f"a.{suffix}") == RAMP).all()


def test_a_planar_tiff_of_equal_channels_is_grey(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([DEEP] * 3), photometric="rgb", planarconfig="separate")
    assert (readers.read_image(tmp_path / "a.tif") == DEEP).all()


def _colour(path: Path) -> None:
    Image.fromarray(np.stack([RAMP, RAMP + 1, RAMP], axis=2)).save(path)


def _transparent(path: Path) -> None:
    Image.fromarray(np.stack([RAMP, RAMP, RAMP, RAMP], axis=2), "RGBA").save(path)


def _cut_short(path: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (200, 200), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:20_000])


BROKEN_IMAGES = {
    "missing": ("a.png", lambda path: None, "image_missing", "is not there"),
    "empty": ("a.png", lambda path: path.write_bytes(b""), "image_unreadable", "cannot be decoded"),
    "text": ("a.png", lambda path: path.write_text("<html>"), "image_unreadable", "cannot be decoded"),
    "cut short": ("a.png", _cut_short, "image_unreadable", "cannot be decoded"),
    "cut short tiff": ("a.tif", _cut_short, "image_unreadable", "cannot be decoded"),
    "text as tiff": ("a.tif", lambda path: path.write_text("<html>"), "image_unreadable", "cannot be decoded"),
    "colour": ("a.png", _colour, "image_channels", "is in colour"),
    "colour tiff": ("a.tif", _colour, "image_channels", "is in colour"),
    "transparent": ("a.png", _transparent, "image_channels", "transparent"),
    "stack": ("a.tif", lambda path: tifffile.imwrite(path, np.stack([DEEP] * 5)), "image_channels", "is a stack"),
    "animation": (
        "a.png",
        lambda path: Image.fromarray(RAMP).save(path, save_all=True, append_images=[Image.fromarray(RAMP + 1)]),
        "image_channels",
        "stack of 2",
    ),
    "float": ("a.tif", lambda path: tifffile.imwrite(path, RAMP.astype(np.float32)), "image_bit_depth", "float32"),
    "signed": ("a.tif", lambda path: tifffile.imwrite(path, RAMP.astype(np.int16)), "image_bit_depth", "int16"),
    "black and white": ("a.png", lambda path: Image.fromarray(RAMP > 9).save(path), "image_bit_depth", "bool"),
}


@pytest.mark.parametrize("name", BROKEN_IMAGES)
def test_a_broken_image_is_refused_under_its_checks_name(tmp_path, name):
    file, spoil, check, words = BROKEN_IMAGES[name]
    spoil(tmp_path / file)
    with pytest.raises(readers.ImageError, match=words) as caught:
        readers.read_image(tmp_path / file)
    assert caught.value.check == check
    assert str(tmp_path / file) in str(caught.value)


def test_eight_bit_is_left_as_it_is():
    assert readers.to_uint8(RAMP) is RAMP


@pytest.mark.parametrize("background", [200, 2000, 32_000, 65_535])
def test_sixteen_bit_becomes_eight_with_the_background_at_128(background):
    image = np.full((9, 9), background, np.uint16)
    image[0, 0], image[0, 1] = background // 2, 0
    scaled = readers.to_uint8(image)
    assert scaled.dtype == np.uint8
    assert scaled[5, 5] == 128
    assert scaled[0, :2].tolist() == [64, 0]


def test_what_is_twice_as_bright_as_the_background_is_white():
    image = np.full((9, 9), 1000, np.uint16)
    image[0] = 60_000
    assert (readers.to_uint8(image)[0] == 255).all()


@pytest.mark.parametrize("value", [0, 500])
def test_a_black_or_mostly_black_image_stays_black(value):
    image = np.zeros((9, 9), np.uint16)
    image[0, 0] = value
    assert (readers.to_uint8(image).ravel()[1:] == 0).all()


def test_a_file_is_read_as_detectors_see_it(tmp_path):
    tifffile.imwrite(tmp_path / "deep.tif", np.full((9, 9), 4000, np.uint16))
    assert (readers.read_uint8(tmp_path / "deep.tif") == np.full((9, 9), 128, np.uint8)).all()


PIXEL_SIZES = {
    "ome": ("a.ome.tif", {"metadata": {"PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}}, 0.65),
    "ome in nm": (
        "a.ome.tif",
        {
            "metadata": {
                "PhysicalSizeX": 650,
                "PhysicalSizeXUnit": "nm",
                "PhysicalSizeY": 650,
                "PhysicalSizeYUnit": "nm",
            }
        },
        0.65,
    ),
    "ome without": ("a.ome.tif", {}, None),
    "imagej": ("a.tif", {"imagej": True, "resolution": (2.0, 2.0), "metadata": {"unit": "micron"}}, 0.5),
    "imagej without unit": ("a.tif", {"imagej": True, "resolution": (2.0, 2.0)}, None),
    "per cm": ("a.tif", {"resolution": (8000, 8000), "resolutionunit": "CENTIMETER"}, 1.25),
    "per inch": ("a.tif", {"resolution": (25_400, 25_400), "resolutionunit": "INCH"}, 1.0),
    "72 dpi": ("a.tif", {"resolution": (72, 72), "resolutionunit": "INCH"}, None),
    "not square": ("a.tif", {"resolution": (8000, 4000), "resolutionunit": "CENTIMETER"}, None),
    "no unit": ("a.tif", {"resolution": (8000, 8000), "resolutionunit": "NONE"}, None),
}


@pytest.mark.parametrize("name", PIXEL_SIZES)
def test_the_pixel_size_is_read_where_the_file_gives_a_microscopes(tmp_path, name):
    file, options, expected = PIXEL_SIZES[name]
    tifffile.imwrite(tmp_path / file, DEEP, **options)
    found = readers.survey([tmp_path / file])["pixel_size_um"][0]
    assert found == (expected if expected is None else pytest.approx(expected))


def test_a_survey_says_what_each_file_is(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "b.tif", RAMP)
    tifffile.imwrite(tmp_path / "c.tif", np.full((3, 4), 9, np.uint16))
    found = readers.survey([str(tmp_path / name) for name in ("a.png", "b.tif", "c.tif", "d.tif")])
    assert found["fault"].tolist() == [None, None, None, "image_missing"]
    assert found["height"].tolist()[:3] == [6, 6, 3]
    assert found["depth"].tolist()[:3] == ["uint8", "uint8", "uint16"]
    assert found["constant"].tolist()[:3] == [False, False, True]
    assert found["digest"][0] == found["digest"][1] != found["digest"][2]


def test_the_same_numbers_in_another_frame_are_another_image(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    Image.fromarray(RAMP.reshape(10, 6)).save(tmp_path / "b.png")
    found = readers.survey([tmp_path / "a.png", tmp_path / "b.png"])
    assert found["digest"][0] != found["digest"][1]


# -------------------------------------------------------------------------------------------- names, times, plate maps


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("0 days 11:30:00", 11.5),
        ("2 days 00:00:36", 48.01),
        ("1 day 01:00:00", 25),
        ("02d16h00m", 64),
        ("11h30m00s", 11.5),
        ("01:30:00", 1.5),
        ("36", 36),
        ("0.5", 0.5),
    ],
)
def test_a_span_of_time_is_hours(words, expected):
    assert hours(words) == pytest.approx(expected)


@pytest.mark.parametrize("words", ["noon", "", "-3", "nan", "inf", "12:30", "2019-06-16"])
def test_what_is_no_span_of_time_is_refused(words):
    with pytest.raises(ValueError):  # noqa: PT011 - the words are float's own
        hours(words)


def test_the_pattern_tells_plate_well_and_group(tmp_path):
    sample = "shsy5y[diff]_E10-4_Vessel-714_Ph_3"
    row = kaggle_row(
        "a", rectangle(0, 0, 2, 2), sample_id=sample, elapsed_timedelta="0 days 11:30:00", cell_type="shsy5y"
    )
    image = kaggle(tmp_path, [row], pattern=PATTERN, group=["plate", "well"]).images.iloc[0]
    assert image["group"] == "Vessel-714/E10"
    assert image[["plate", "well", "treatment", "time"]].tolist() == ["Vessel-714", "E10", "diff", 11.5]
    assert image["sample"] == sample


def test_a_name_that_does_not_match_has_its_sample_as_group(tmp_path):
    rows = [kaggle_row("a", rectangle(0, 0, 2, 2), sample_id="04cd81dfb245")]
    source = kaggle(tmp_path, rows, pattern=PATTERN, group=["plate", "well"])
    assert source.images["group"].tolist() == ["04cd81dfb245"]
    assert source.notes[["check", "image", "where"]].to_numpy().tolist() == [["pattern_mismatch", 0, "train.csv:2"]]


def test_every_metadata_column_may_be_empty(tmp_path):
    image = kaggle(tmp_path, [kaggle_row("a", rectangle(0, 0, 2, 2))]).images.iloc[0]
    assert image["group"] == image["sample"] == "a"
    assert image[["plate", "well", "time", "treatment", "pixel_size_um"]].isna().all()


def test_the_csvs_cell_type_stands_before_the_patterns(tmp_path):
    sample = "shsy5y[diff]_E10-4_Vessel-714_Ph_3"
    rows = [
        kaggle_row(name, rectangle(0, 0, 2, 2), sample_id=sample, cell_type=kind)
        for name, kind in (("a", "cort"), ("b", ""))
    ]
    source = kaggle(tmp_path, rows, pattern=PATTERN)
    assert source.images["cell_type"].tolist() == ["cort", "shsy5y"]
    assert source.annotations["cell_type"].tolist() == ["cort", "shsy5y"]


@pytest.mark.parametrize("plate", [True, False], ids=["several plates", "one plate"])
def test_the_plate_map_tells_the_treatment(tmp_path, plate):
    table = pd.DataFrame({"plate": ["Vessel-714"] * 2, "well": ["E10", "E11"], "treatment": ["drug", "control"]})
    table[table.columns if plate else ["well", "treatment"]].to_csv(tmp_path / "map.csv", index=False)
    rows = [
        kaggle_row(name, rectangle(0, 0, 2, 2), sample_id=f"shsy5y[diff]_{well}-4_Vessel-714_Ph_3")
        for name, well in (("a", "E10"), ("b", "E11"), ("c", "F1"))
    ]
    source = kaggle(tmp_path, rows, pattern=PATTERN, plate_map="map.csv")
    assert source.images["treatment"].tolist() == ["drug", "control", "diff"]
    assert source.notes[["check", "image"]].to_numpy().tolist() == [["plate_map", 2]]


# -------------------------------------------------------------------------------------------------------------- kaggle


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


def test_folders_without_annotation_become_test_and_unannotated_images(tmp_path):
    for name in ("test", "more"):
        (tmp_path / name).mkdir()
        Image.fromarray(RAMP).save(tmp_path / name / f"astros[hippo]_D1-1_Vessel-361_{name}.png")
    source = kaggle(
        tmp_path, [kaggle_row("a", rectangle(0, 0, 3, 2))], test_images=["test"], unlabelled=["more"], pattern=PATTERN
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
    assert source.notes[["check", "image", "where"]].to_numpy().tolist() == [["image_unlisted", 1, "train/z.png"]]


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


# ---------------------------------------------------------------------------------------------------------------- COCO

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
    "nothing": (None, "rle_syntax"),
    "no polygon": ([], "rle_syntax"),
    "two corners": ([[1, 1, 2, 2]], "rle_syntax"),
    "odd": ([[1, 1, 2, 2, 3, 3, 4]], "rle_syntax"),
    "words": ([["a", "b", "c", "d", "e", "f"]], "rle_syntax"),
    "not a number": ([[1, 1, 2, float("nan"), 3, 3]], "rle_syntax"),
    "a light year": ([[1, 1, 9e15, 2, 3, 3]], "rle_syntax"),
    "past the frame": ([[2, 1, 14, 1, 14, 4, 2, 4]], "rle_range"),
    "another frame": ({"size": [10, 6], "counts": [13, 47]}, "rle_syntax"),
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
    "crowd": ({"iscrowd": 1}, "crowd"),
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


# ------------------------------------------------------------------------------------------------------ folders, files


def test_a_folder_gives_its_images_with_those_below_it(tmp_path):
    (tmp_path / "plate_1").mkdir()
    (tmp_path / ".trash").mkdir()
    Image.fromarray(RAMP).save(tmp_path / "b.PNG")
    tifffile.imwrite(tmp_path / "plate_1" / "a.ome.tif", DEEP)
    Image.fromarray(RAMP).save(tmp_path / ".trash" / "old.png")
    (tmp_path / "notes.txt").write_text("no image")
    source = readers.read(dataset(tmp_path, format="folder"))
    assert source.images["image_id"].tolist() == ["b", "plate_1__a"]
    assert not source.images["annotated"].any()
    assert set(source.images["subset"]) == {"test"}
    assert len(source.masks) == len(source.annotations) == 0


DATASET_FILES = {
    "no yaml": ("root: [", "is no YAML"),
    "no keys": ("- a", "must hold keys"),
    "no format": ("root: .", "format"),
    "unknown format": ("{format: zarr, root: .}", "kaggle"),
    "unknown key": ("{format: folder, root: ., colour: red}", "colour"),
    "no root": ("format: folder", "root"),
    "no annotations": ("{format: kaggle, root: ., images: [a]}", "annotations"),
    "unknown subset": ("{format: coco, root: ., annotations: [{annotations: a, images: b, subset: x}]}", "subset"),
    "no entries": ("{format: coco, root: ., annotations: []}", "annotations"),
    "broken pattern": ("{format: folder, root: ., pattern: '(?P<well>'}", "no regular expression"),
    "unknown field": ("{format: folder, root: ., pattern: '(?P<hue>.)'}", "hue"),
    "group from nowhere": ("{format: folder, root: ., group: [well]}", "well"),
    "group of time": ("{format: folder, root: ., pattern: '(?P<time>.)', group: [time]}", "time"),
    "map without well": ("{format: folder, root: ., plate_map: a.csv}", "plate_map"),
    "unknown policy": ("{format: folder, root: ., policies: {hole: shrug}}", "policies.hole"),
    "pixel size of 0": ("{format: folder, root: ., pixel_size_um: 0}", "pixel_size_um"),
}


@pytest.mark.parametrize("name", DATASET_FILES)
def test_a_broken_dataset_file_is_refused_by_file_and_key(tmp_path, name):
    content, words = DATASET_FILES[name]
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(DataError, match=words) as caught:
        readers.read_dataset(file)
    assert all(sentence.startswith(str(file)) and sentence.endswith(".") for sentence in caught.value.sentences)


def test_all_faults_of_a_dataset_file_are_named(tmp_path):
    (tmp_path / "mine.yaml").write_text("{format: folder, colour: red, size: 3}")
    with pytest.raises(DataError) as caught:
        readers.read_dataset(tmp_path / "mine.yaml")
    assert len(caught.value.sentences) == 3


def test_the_datasets_of_the_repository_can_be_read(root):
    for file in sorted((root / "configs" / "datasets").glob("*.yaml")):
        assert readers.read_dataset(file).format in readers.READERS


# ----------------------------------------------------------------------------------------------------------- real data


def real(root: Path, data: Path, name: str) -> readers.Source:
    file = readers.read_dataset(root / "configs" / "datasets" / f"{name}.yaml")
    return readers.read(file.model_copy(update={"root": data / name}))


@pytest.mark.real
def test_the_real_images_of_the_competition_are_read(root, real_data):
    source = real(root, real_data, "sartorius")
    assert source.images.groupby(["subset", "annotated"]).size().to_dict() == {
        ("test", False): 3,
        ("train", False): 4,
        ("train", True): 69,
    }
    assert len(source.masks) == 5580
    assert set(source.notes["check"]) == {"pattern_mismatch"}
    unlabelled = source.images[~source.images["annotated"] & (source.images["subset"] == "train")]
    assert set(unlabelled["group"]) == {"Vessel-361/D1"}
    assert set(unlabelled["cell_type"]) == {"astro"}


@pytest.mark.real
def test_livecells_images_and_its_own_split_are_read(root, real_data):
    source = real(root, real_data, "livecell")
    assert source.images["subset"].value_counts().to_dict() == {"val": 5, "test": 15}
    assert len(source.masks) == 4528
    assert source.notes.empty
    assert readers.survey(source.images["path"])["fault"].isna().all()
    assert source.images.set_index("image_id").loc["MCF7_Phase_G4_2_02d16h00m_1", "time"] == 64


@pytest.mark.real
def test_livecells_polygons_have_the_area_that_it_states(root, real_data):
    source = real(root, real_data, "livecell")
    stated = [
        cell["area"]
        for part in ("val", "test")
        for cell in json.loads((real_data / "livecell" / f"livecell_coco_{part}.json").read_bytes())["annotations"]
    ]
    ratio = rle.areas(source.masks) / np.array(stated)
    assert abs(np.median(ratio) - 1) < 0.02


@pytest.mark.real
def test_someones_own_16_bit_images_land_where_the_detectors_learned(root, real_data):
    source = real(root, real_data, "own_folder")
    assert len(source.images) == 6
    image = readers.read_uint8(source.images["path"][0])
    assert image.shape == (1022, 1024)
    assert np.median(image) == 128
    assert 5 < image.std() < 30  # the competition's images: 6 to 22
