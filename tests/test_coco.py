"""COCO files as tools write them: marks, ids, paths, sizes and boxes that are not what the format says."""

import json

import numpy as np
import pytest
import yaml
from PIL import Image

from neuroseg import quality, readers, rle
from neuroseg.errors import DataError

HEIGHT, WIDTH = 60, 80


def cell(left, top, width=12, height=9):
    """A cell that is no mirror image of itself: a rectangle with a tail."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + height, left : left + width] = True
    mask[top + height : top + height + 6, left : left + 3] = True
    return mask


def box(mask):
    y, x = np.nonzero(mask)
    return [int(x.min()), int(y.min()), int(np.ptp(x)) + 1, int(np.ptp(y)) + 1]


def polygon(mask):
    x, y, w, h = box(mask)
    return [x, y, x + w, y, x + w, y + h, x, y + h]


def counts(mask, order="F"):
    flat = mask.ravel(order)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]]).astype(int)))
    return np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()


def run_lengths(mask, order="F", size=(HEIGHT, WIDTH)):
    return {"counts": counts(mask, order), "size": list(size)}


def annotation(segmentation, **keys):
    return {"id": 1, "image_id": 1, "category_id": 1, "segmentation": segmentation, **keys}


def file(folder, annotations, images=None, places=("a.png",), **keys):
    """Write a COCO file with its images, and return its dataset file."""
    for at, place in enumerate(places):
        (folder / "images" / place).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(at).integers(100, 156, (HEIGHT, WIDTH), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / place)
    listed = images or [{"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}]
    numbered = [item | {"id": at + 1} for at, item in enumerate(annotations)]
    content = {"images": listed, "categories": [{"id": 1, "name": "neuron"}], "annotations": numbered}
    (folder / "a.json").write_text(json.dumps(content))
    entries = [{"annotations": "a.json", "images": "images"}]
    content = {"format": "coco", "root": str(folder), "annotations": entries, **keys}
    (folder / "dataset.yaml").write_text(yaml.safe_dump(content))
    return folder / "dataset.yaml"


def checked(path):
    dataset = readers.read_dataset(path)
    source = readers.read(dataset)
    settings = quality.settings(dataset.policies, dataset.limits, dataset.cell_types, path)
    return quality.check(*source, readers.survey(source.images["path"]), settings)


def notes(path):
    return readers.read(readers.read_dataset(path)).notes[["check", "row"]].to_numpy().tolist()


CELLS = [cell(5, 5), cell(40, 10), cell(20, 40)]


def test_cells_that_a_tool_marks_as_crowds_throughout_are_cells(tmp_path):
    marked = [
        annotation(run_lengths(mask), iscrowd=1, bbox=box(mask), area=int(mask.sum())) for mask in CELLS
    ]
    found = checked(file(tmp_path, marked))
    assert found.instances["area"].tolist() == [int(mask.sum()) for mask in CELLS]
    assert found.images["annotated"].tolist() == [True]
    assert found.problems["check"].tolist() == ["crowd_cell"] * 3


def test_of_some_that_are_marked_one_piece_is_a_cell_and_a_region_is_none(tmp_path):
    items = [
        annotation([polygon(CELLS[0])], iscrowd=0),
        annotation([polygon(CELLS[1])], iscrowd="1"),
        annotation(run_lengths(cell(60, 30, 4, 4) | cell(5, 30, 4, 4)), iscrowd=1),
        annotation(run_lengths(cell(0, 0, 70, 40)), iscrowd=1.0),
    ]
    assert [check for check, _ in notes(file(tmp_path, items))] == ["crowd_cell", "crowd", "crowd"]


@pytest.mark.parametrize(
    ("listed", "asked"), [(1, 1.0), ("1", 1), (1.0, "1"), ("1.0", 1), ("img_1", "img_1"), ("007", 7)]
)
def test_an_id_is_the_same_as_number_and_as_text(tmp_path, listed, asked):
    images = [{"id": listed, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}]
    found = checked(file(tmp_path, [annotation([polygon(CELLS[0])], image_id=asked)], images))
    assert len(found.instances) == 1


UNLIKE = [("1_11", "11_1"), ("1_0", "10"), ("001", "1"), ("1.0", "1"), ("1e1", "10"), ("None", "nan")]
"""Texts that are two ids, though some of them could be read as one number."""


@pytest.mark.parametrize("ids", UNLIKE)
@pytest.mark.parametrize("of", ["image", "category", "annotation"])
def test_ids_that_are_different_texts_are_different(tmp_path, of, ids):
    one, two = ids if of == "image" else (1, 2)
    images = [
        {"id": at, "file_name": f"{name}.png", "width": WIDTH, "height": HEIGHT}
        for at, name in ((one, "a"), (two, "b"))
    ]
    items = [annotation([polygon(mask)], image_id=at) for mask, at in zip(CELLS, (one, two), strict=False)]
    path = file(tmp_path, items, images, ["a.png", "b.png"])
    content = json.loads((tmp_path / "a.json").read_text())
    if of == "category":
        content["categories"] = [{"id": at, "name": name} for at, name in zip(ids, ("n", "m"), strict=True)]
    for item, own in zip(content["annotations"], ids, strict=True):
        item |= {"category": {"category_id": own}, "annotation": {"id": own}}.get(of, {})
    (tmp_path / "a.json").write_text(json.dumps(content))
    found = checked(path)
    assert found.problems.empty
    assert found.instances["image_id"].tolist() == ["a", "b"]
    assert found.instances["cell_type"].tolist() == (["n", "m"] if of == "category" else ["neuron"] * 2)


@pytest.mark.parametrize("ids", [(1, 1.0), (1, "1"), ("7", "7")])
def test_a_number_of_two_annotations_is_named_however_it_is_written(tmp_path, ids):
    path = file(tmp_path, [annotation([polygon(mask)]) for mask in CELLS[:2]])
    content = json.loads((tmp_path / "a.json").read_text())
    for item, own in zip(content["annotations"], ids, strict=True):
        item["id"] = own
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert notes(path) == [["duplicate_annotation", 1]]


def test_a_category_number_with_two_names_is_refused(tmp_path):
    path = file(tmp_path, [annotation([polygon(CELLS[0])])])
    content = json.loads((tmp_path / "a.json").read_text())
    content["categories"] = [{"id": 1, "name": "neuron"}, {"id": 1.0, "name": "astro"}]
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"a\.json: categories: the number 1\.0 stands for 'neuron' and"):
        checked(path)


def test_corners_that_are_shares_of_the_frame_are_called_so(tmp_path):
    shares = [(np.reshape(polygon(mask), (-1, 2)) / [WIDTH, HEIGHT]).ravel().tolist() for mask in CELLS]
    path = file(tmp_path, [annotation([ring]) for ring in shares])
    with pytest.raises(
        DataError, match=r"shares of the frame \(normalised\); write them in pixels"
    ) as caught:
        checked(path)
    assert len(caught.value.sentences) == 3


def test_a_pixel_in_the_frames_corner_is_no_share_of_it(tmp_path):
    assert checked(file(tmp_path, [annotation([[0, 0, 1, 0, 1, 1, 0, 1]])])).instances["area"].tolist() == [1]


@pytest.mark.parametrize("form", ["flat", "pairs", "pairs in a list"])
def test_a_polygon_may_be_flat_or_of_pairs(tmp_path, form):
    flat = polygon(CELLS[0])
    pairs = [flat[at : at + 2] for at in range(0, len(flat), 2)]
    shape = {"flat": flat, "pairs": pairs, "pairs in a list": [pairs]}[form]
    assert checked(file(tmp_path, [annotation(shape)])).instances["area"].tolist() == [12 * 15]


def test_a_broken_ring_leaves_the_sound_one_beside_it(tmp_path):
    path = file(tmp_path, [annotation([polygon(CELLS[0]), [1, 1, 2, 2]])])
    found = checked(path)
    assert found.instances["area"].tolist() == [12 * 15]
    assert found.problems[["check", "policy"]].to_numpy().tolist() == [["broken_ring", "repair"]]


@pytest.mark.parametrize(
    "name", ["JPEGImages\\a.png", "C:\\me\\set\\JPEGImages\\a.png", "other/JPEGImages/a.png"]
)
def test_a_path_of_another_machine_is_found_by_its_end(tmp_path, name):
    images = [{"id": 1, "file_name": name, "width": WIDTH, "height": HEIGHT}]
    path = file(tmp_path, [annotation([polygon(CELLS[0])])], images, ["JPEGImages/a.png", "Other/a.png"])
    assert checked(path).images["path"].tolist() == [str(tmp_path / "images" / "JPEGImages" / "a.png")]


@pytest.mark.parametrize("composed", [True, False])
def test_a_name_is_found_however_its_letters_are_composed(tmp_path, composed):
    names = ["\u00e4/\u00f6.png", "a\u0308/o\u0308.png"][:: 1 if composed else -1]
    images = [{"id": 1, "file_name": names[0], "width": WIDTH, "height": HEIGHT}]
    found = checked(file(tmp_path, [annotation([polygon(CELLS[0])])], images, names[1:]))
    assert found.images["path"].tolist() == [str(tmp_path / "images" / names[1])]


ESCAPED = {
    "an escape": ("a%20b.png", "a b.png"),
    "escaped folders": ("d%201%2Fa%C3%A4.png", "d 1/a\u00e4.png"),
    "a file of that very name": ("a%20b.png", "a%20b.png"),
    "an upload to Label Studio": ("images/8f3c12ab-a_b.png", "a b.png"),
    "an escaped upload": ("/data/upload/1/8f3c-a%20b.png", "day 1/a b.png"),
    "an upload with signs": ("8f3c12ab-a_1.png", "a (1).png"),
    "a served path": ("/data/local-files/?d=set/day%201/a.png", "day 1/a.png"),
    "a file with the prefix": ("8f3c12ab-a.png", "8f3c12ab-a.png"),
    "an address": ("https://x.org/images/a%20b.png", "a b.png"),
    "an address with a query": ("https://x.org/images/a.png?X-Amz=1", "a.png"),
    "a long query": (
        f"https://x.org/d%201/a%20b.png?X-Amz-Signature={'0' * 500}&v=a/b.png#top",
        "d 1/a b.png",
    ),
    "a bucket": ("s3://bucket/images/a.png?versionId=7", "day 1/a.png"),
    "a query alone": ("images/a%20b.png?raw=true", "a b.png"),
    "a mark": ("file:///home/x/a.png#1", "a.png"),
    "an upload's address": ("http://x.org:8080/data/upload/1/8f3c12ab-a_b.png?token=0", "a b.png"),
    "a file with a question": ("a?1.png", "a?1.png"),
    "a file with escapes at an address": ("https://x.org/a%20b.png?v=1", "a%20b.png"),
}


@pytest.mark.parametrize("kind", ESCAPED)
def test_a_name_that_a_program_changed_is_found(tmp_path, kind):
    name, place = ESCAPED[kind]
    images = [{"id": 1, "file_name": name, "width": WIDTH, "height": HEIGHT}]
    others = ["c.png", "a.png"] if "a.png" not in place else ["c.png"]
    path = file(tmp_path, [annotation([polygon(CELLS[0])])], images, [place, *others])
    assert checked(path).images["path"].tolist() == [str(tmp_path / "images" / place)]


@pytest.mark.parametrize(
    "places", [["x/a b.png", "y/a b.png"], ["a b.png", "a_b.png", "c/a_b.png"], ["b.png"]]
)
def test_an_upload_that_may_be_of_several_files_or_of_none_is_missing(tmp_path, places):
    images = [{"id": 1, "file_name": "8f3c12ab-a_b.png", "width": WIDTH, "height": HEIGHT}]
    path = file(tmp_path, [annotation([polygon(CELLS[0])])], images, places)
    with pytest.raises(DataError, match=r"8f3c12ab-a_b\.png.* is not there"):
        checked(path)


def test_of_two_uploads_of_one_name_none_is_guessed(tmp_path):
    names = ["8f3c12ab-a.png", "00aa12ab-a.png"]
    images = [
        {"id": at, "file_name": name, "width": WIDTH, "height": HEIGHT} for at, name in enumerate(names)
    ]
    items = [annotation([polygon(CELLS[0])], image_id=at) for at in range(2)]
    with pytest.raises(DataError, match=r"8f3c12ab-a\.png.* is not there"):
        checked(file(tmp_path, items, images))


@pytest.mark.parametrize(
    ("names", "places", "words"),
    [
        (["https://x.org/p%201/b.png?v=1"], ["a.png"], r"/images/p 1/b\.png is not there"),
        (["https://x.org/b.png"], ["a.png"], r"/images/b\.png is not there"),
        (["b?.png"], ["a.png"], r"/images/b\?\.png is not there"),
        (["https://x.org/a.png?id=1", "https://x.org/a.png?id=2"], ["a.png"], r"a\.png\?id=1 is not there"),
        (["a" * 300], ["a.png"], "file_name is no name of a file"),
    ],
)
def test_of_an_address_that_fits_no_file_its_path_is_missing(tmp_path, names, places, words):
    images = [
        {"id": at, "file_name": name, "width": WIDTH, "height": HEIGHT} for at, name in enumerate(names)
    ]
    items = [annotation([polygon(CELLS[0])], image_id=at) for at in range(len(names))]
    with pytest.raises(DataError, match=words):
        checked(file(tmp_path, items, images, places))


def test_one_name_in_two_folders_is_two_images(tmp_path):
    names = ["p1/a.png", "p2\\a.png"]
    images = [
        {"id": at, "file_name": name, "width": WIDTH, "height": HEIGHT} for at, name in enumerate(names)
    ]
    items = [annotation([polygon(mask)], image_id=at) for at, mask in enumerate(CELLS[:2])]
    found = checked(file(tmp_path, items, images, ["p1/a.png", "p2/a.png"]))
    assert found.images["image_id"].tolist() == ["images__p1__a", "images__p2__a"]
    assert found.instances["image_id"].tolist() == ["images__p1__a", "images__p2__a"]


def test_of_an_image_listed_twice_the_fuller_listing_stays(tmp_path):
    images = [{"id": at, "file_name": "a.png", "width": WIDTH, "height": HEIGHT} for at in (7, 8)]
    items = [
        annotation([polygon(mask)], image_id=at) for at, mask in ((7, CELLS[0]), (8, CELLS[1]), (8, CELLS[2]))
    ]
    found = checked(file(tmp_path, items, images))
    assert found.images["image_id"].tolist() == ["a"]
    assert found.instances["x1"].tolist() == [40, 20]
    assert found.problems["check"].tolist() == ["listed_twice"]


def test_livecells_recipe_reads_an_image_that_is_listed_twice(tmp_path, root):
    name = "Huh7_Phase_A10_2_00d10h00m_4.tif"
    folder = tmp_path / "images" / "livecell_train_val_images" / "Huh7"
    folder.mkdir(parents=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 99, (HEIGHT, WIDTH), dtype=np.uint8)).save(
        folder / name
    )
    images = [{"id": at, "file_name": name, "width": WIDTH, "height": HEIGHT} for at in (700, 1012330)]
    items = [annotation([polygon(CELLS[0])], id=at, image_id=at) for at in (700, 1012330)]
    content = {"images": images, "categories": [{"id": 1, "name": "cell"}], "annotations": items}
    for part in ("train", "val", "test"):
        (tmp_path / f"livecell_coco_{part}.json").write_text(json.dumps(content))
    recipe = yaml.safe_load((root / "configs" / "datasets" / "livecell.yaml").read_text())
    recipe |= {"root": str(tmp_path), "annotations": recipe["annotations"][:1]}
    (tmp_path / "dataset.yaml").write_text(yaml.safe_dump(recipe))
    found = checked(tmp_path / "dataset.yaml")
    assert found.images[["cell_type", "well", "time"]].to_numpy().tolist() == [["Huh7", "A10", 10]]
    assert len(found.instances) == 1


def test_a_size_that_is_not_stated_is_the_files(tmp_path):
    found = checked(file(tmp_path, [annotation([polygon(CELLS[0])])], [{"id": 1, "file_name": "a.png"}]))
    assert found.images[["height", "width"]].to_numpy().tolist() == [[HEIGHT, WIDTH]]


@pytest.mark.parametrize("size", ["80", 80.0, "80.0"])
def test_a_size_may_be_text_or_a_float(tmp_path, size):
    images = [{"id": 1, "file_name": "a.png", "width": size, "height": HEIGHT}]
    assert len(checked(file(tmp_path, [annotation([polygon(CELLS[0])])], images)).instances) == 1


TURNED = {
    "counts by rows beside a box": lambda mask: {"segmentation": run_lengths(mask, "C"), "bbox": box(mask)},
    "counts by rows alone": lambda mask: {"segmentation": run_lengths(mask, "C")},
    "the frame width first": lambda mask: {
        "segmentation": run_lengths(mask, "C", (WIDTH, HEIGHT)),
        "bbox": box(mask),
    },
    "corners y, x": lambda mask: {
        "segmentation": [np.reshape(polygon(mask), (-1, 2))[:, ::-1].ravel().tolist()],
        "bbox": box(mask),
    },
}


@pytest.mark.parametrize("name", TURNED)
def test_an_outline_that_fits_only_the_other_way_round_is_refused_with_that_sentence(tmp_path, name):
    path = file(tmp_path, [annotation(None) | TURNED[name](mask) for mask in CELLS])
    with pytest.raises(DataError, match="read the other way round") as caught:
        checked(path)
    assert len(caught.value.sentences) == 3


def test_counts_down_the_columns_are_taken_as_they_are(tmp_path):
    items = [annotation(run_lengths(mask), bbox=box(mask), area=int(mask.sum())) for mask in CELLS]
    assert notes(file(tmp_path, items)) == []


def test_a_box_that_is_another_is_reported_and_the_mask_holds(tmp_path):
    x, y, w, h = box(CELLS[1])
    items = [
        annotation(run_lengths(CELLS[1]), bbox=numbers)
        for numbers in ([x, y, w, h + 20], [x, y, x + w, y + h])
    ]
    dataset = readers.read_dataset(file(tmp_path, items))
    source = readers.read(dataset)
    assert source.notes["check"].tolist() == ["box_mismatch"] * 2
    assert "as left, top, right, bottom" in source.notes["message"][1]
    assert rle.areas(source.masks).tolist() == [int(CELLS[1].sum())] * 2


def test_a_box_that_reaches_past_the_frame_is_held_against_what_lies_in_it(tmp_path):
    mask = cell(70, 20, 10)
    assert notes(file(tmp_path, [annotation(run_lengths(mask), bbox=[70, 20, 25, 15])])) == []


def test_an_area_that_is_another_is_reported(tmp_path):
    assert notes(file(tmp_path, [annotation(run_lengths(CELLS[0]), area=999)])) == [["area_mismatch", 0]]


@pytest.mark.parametrize("shape", [None, [], [[]], {}])
def test_boxes_without_outlines_are_called_so(tmp_path, shape):
    path = file(tmp_path, [annotation(shape, bbox=box(CELLS[0]))])
    with pytest.raises(DataError, match="a box but no outline") as caught:
        checked(path)
    assert len(caught.value.sentences) == 1


def test_an_image_whose_annotations_were_all_dropped_is_not_annotated(tmp_path):
    images = [
        {"id": at, "file_name": f"{name}.png", "width": WIDTH, "height": HEIGHT}
        for at, name in enumerate("abc")
    ]
    items = [annotation(None, image_id=0, bbox=box(CELLS[0])), annotation([polygon(CELLS[1])], image_id=1)]
    path = file(tmp_path, items, images, ["a.png", "b.png", "c.png"], policies={"no_outline": "drop"})
    found = checked(path)
    assert found.images.set_index("image_id")["annotated"].to_dict() == {"a": False, "b": True, "c": True}
    assert found.problems["check"].tolist() == ["no_outline", "no_cell_left"]
    path.write_text(path.read_text().replace("no_outline: drop", "no_outline: drop\n  no_cell_left: drop"))
    assert checked(path).images["image_id"].tolist() == ["b", "c"]


HUGE = 10**400


@pytest.mark.parametrize(
    "keys",
    [
        {"id": HUGE},
        {"image_id": HUGE},
        {"bbox": [HUGE, 1, 2, 3]},
        {"area": HUGE},
        {"segmentation": [[HUGE, 2, 3, 4, 5, 6]]},
        {"category_id": HUGE},
    ],
)
def test_numbers_beyond_all_measure_are_checked_like_others(tmp_path, keys):
    path = file(tmp_path, [annotation([polygon(CELLS[0])])])
    content = json.loads((tmp_path / "a.json").read_text())
    content["annotations"][0] |= keys
    (tmp_path / "a.json").write_text(json.dumps(content))
    readers.read(readers.read_dataset(path))


@pytest.mark.parametrize("name", [["neuron"], {"en": "neuron"}, None, "", " ", True, "\ud800", "a\nb"])
def test_a_category_that_is_no_name_is_refused(tmp_path, name):
    path = file(tmp_path, [annotation([polygon(CELLS[0])])])
    text = (tmp_path / "a.json").read_text().replace('"neuron"', json.dumps(name))
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(
        DataError, match=r"annotations\[0\] \(image a\): its category is not listed, or has no name"
    ):
        checked(path)


def test_a_category_may_be_a_number(tmp_path):
    path = file(tmp_path, [annotation([polygon(CELLS[0])])])
    (tmp_path / "a.json").write_text((tmp_path / "a.json").read_text().replace('"neuron"', "5"))
    assert checked(path).instances["cell_type"].tolist() == ["5"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("x" * 5000, "file_name is no name of a file"), ("\ud800.png", r"\\ud800.png: the name is not UTF-8")],
)
def test_a_file_name_that_no_file_can_have_is_refused(tmp_path, name, words):
    path = file(tmp_path, [])
    (tmp_path / "a.json").write_text((tmp_path / "a.json").read_text().replace('"a.png"', json.dumps(name)))
    with pytest.raises(DataError, match=words):
        checked(path)


def test_brackets_without_end_are_no_json(tmp_path):
    path = file(tmp_path, [])
    (tmp_path / "a.json").write_text("[" * 200_000)
    with pytest.raises(DataError, match=r"a\.json: the annotations are no JSON"):
        checked(path)
