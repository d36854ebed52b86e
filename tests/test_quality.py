"""A mask's shape, its size and its neighbours, the tables that come of them, and policies."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from quality_cases import BLOCK, EIGHT, HEIGHT, RING, WIDTH, checked, culture, disc, look, rectangle
from scipy import ndimage

from neuroseg import quality, rle, tables
from neuroseg.errors import DataError
from neuroseg.quality.masks import _largest_piece, _mend, _topology, inspect, overlap_share

# -------------------------------------------------------------------------------------- the shape of one mask


@given(arrays(bool, st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))))
@settings(deadline=None, max_examples=200)
def test_pieces_and_holes_are_those_that_scipy_labels(masks):
    runs = rle.from_masks(masks)
    found = _topology(runs.ptr, runs.start, runs.length, rle.boxes(runs, masks.shape[2]), masks.shape[2])
    for row, mask in zip(found, masks, strict=True):
        pieces, count = ndimage.label(mask, EIGHT)
        holes = ndimage.binary_fill_holes(mask) & ~mask
        sizes = np.bincount(pieces.ravel(), minlength=2)[1:]
        assert row.tolist() == [count, sizes.max(), ndimage.label(holes)[1], holes.sum(), mask.sum()]


def test_a_hole_and_a_hollow_outline_are_told_apart_by_their_share():
    pinhole = BLOCK & ~rectangle(4, 4, 5, 5)
    assert look([pinhole, RING])[1] == [("hole", 0), ("hollow_mask", 1)]
    assert look([RING], hollow_share=0.9)[1] == [("hole", 0)]


def test_a_hollow_outline_is_repaired_to_the_whole_cell():
    kept, found = look([RING], {"hollow_mask": "repair"})
    assert found == [("hollow_mask", 0)]
    assert (kept[0] == disc(30, 20, 9)).all()


def test_what_is_kept_is_left_as_it_is():
    kept, _ = look([RING, BLOCK | rectangle(20, 20, 23, 23)])
    assert (kept[0] == RING).all()
    assert kept[1].sum() == 109


def test_of_a_mask_in_pieces_the_largest_stays():
    kept, found = look([rectangle(20, 20, 23, 23) | BLOCK], {"fragments": "repair"})
    assert found == [("fragments", 0)]
    assert (kept[0] == BLOCK).all()


def test_pieces_that_touch_by_a_corner_are_one():
    assert look([BLOCK | rectangle(10, 10, 15, 15)])[1] == []


def test_a_mask_at_the_edge_of_the_frame_has_no_hole():
    notched = rectangle(0, 0, WIDTH, 8) & ~rectangle(20, 0, 30, 4)
    assert look([notched], large_share=0.9)[1] == []


def test_a_mask_with_a_hole_and_pieces_is_mended_of_both():
    kept, _ = look([RING | rectangle(0, 0, 2, 2)], {"hollow_mask": "repair", "fragments": "repair"})
    assert (kept[0] == disc(30, 20, 9)).all()


@given(arrays(bool, (3, 7, 8)))
@settings(deadline=None, max_examples=100)
def test_mended_masks_are_those_filled_and_cut_in_the_whole_frame(masks):
    masks = masks[masks.any(axis=(1, 2))]
    policies = dict.fromkeys(("hole", "hollow_mask", "fragments"), "repair")
    chosen = quality.settings(policies, {}, (), "dataset.yaml")
    runs = rle.from_masks(masks)
    findings = inspect(runs, [""] * len(masks), 7, 8, chosen).findings
    shapes = [item for item in findings if item.check in policies]
    mended = rle.to_masks(_mend(runs, shapes, 8, chosen), 7, 8)
    for mask, original in zip(mended, masks, strict=True):
        expected = _largest_piece(original) if ndimage.label(original, EIGHT)[1] > 1 else original
        if ndimage.binary_fill_holes(original).sum() > original.sum():
            expected = ndimage.binary_fill_holes(expected)
        assert (mask == expected).all()


# -------------------------------------------------------------------------------------- size, and one another


def test_tiny_and_large_masks_are_found_by_their_limits():
    assert look([rectangle(0, 0, 3, 5), rectangle(0, 10, 80, 20)])[1] == [("tiny_mask", 0), ("large_mask", 1)]
    assert look([rectangle(0, 0, 3, 5), rectangle(0, 10, 80, 20)], tiny_area=15, large_share=0.17)[1] == []


def test_an_empty_mask_is_empty_not_tiny():
    assert look([BLOCK & False])[1] == [("empty_mask", 0)]


def test_a_mask_that_occurs_twice_is_found_once_and_the_later_dropped():
    kept, found = look([BLOCK, disc(30, 20, 9), BLOCK, BLOCK], {"duplicate_mask": "drop"})
    assert found == [("duplicate_mask", 2), ("duplicate_mask", 3)]
    assert len(kept) == 2


def test_masks_that_share_most_pixels_are_near_duplicates():
    moved = rectangle(1, 0, 11, 10)  # 90 of 110 pixels: IoU 0.818
    assert look([BLOCK, moved])[1] == [("near_duplicate", 1)]
    assert look([BLOCK, moved], duplicate_iou=0.82)[1] == []
    assert look([BLOCK, rectangle(2, 0, 12, 10)])[1] == []


def test_identical_masks_are_found_under_every_limit():
    assert look([BLOCK, BLOCK], duplicate_iou=0.999)[1] == [("duplicate_mask", 1)]


def test_masks_that_repair_makes_equal_are_duplicates():
    policies = {"hollow_mask": "repair", "duplicate_mask": "drop"}
    kept, found = look([disc(30, 20, 9), RING], policies)
    assert found == [("hollow_mask", 1), ("duplicate_mask", 1)]
    assert len(kept) == 1


def test_a_dropped_mask_makes_no_duplicate_of_its_twin():
    kept, found = look([RING, RING], {"hollow_mask": "drop"})
    assert found == [("hollow_mask", 0), ("hollow_mask", 1)]
    assert len(kept) == 0


@given(arrays(bool, (5, 4, 5)))
@settings(deadline=None, max_examples=100)
def test_alike_masks_are_those_whose_dense_iou_exceeds_the_limit(masks):
    chosen = quality.settings(
        {}, {"duplicate_iou": 0.5, "tiny_area": 0, "large_share": 0.99}, (), "dataset.yaml"
    )
    runs = rle.from_masks(masks)
    found = {
        item.at for item in inspect(runs, list("abcde"), 4, 5, chosen).findings if "duplicate" in item.check
    }
    pairs = itertools.combinations(range(5), 2)
    ious = {(a, b): (masks[a] & masks[b]).sum() / max((masks[a] | masks[b]).sum(), 1) for a, b in pairs}
    assert found == {b for (_, b), iou in ious.items() if iou > 0.5}


def test_the_overlap_share_counts_a_pixel_once_however_deep():
    masks = np.stack([rectangle(0, 0, 10, 10), rectangle(5, 0, 15, 10), rectangle(8, 0, 10, 10)])
    assert overlap_share(rle.from_masks(masks)) == pytest.approx(50 / 150)
    assert overlap_share(rle.from_masks(masks[:1])) == 0
    assert overlap_share(rle.concatenate([])) == 0


@given(arrays(bool, (4, 5, 6)))
@settings(deadline=None, max_examples=50)
def test_the_overlap_share_is_that_of_dense_masks(masks):
    depth = masks.sum(axis=0)
    assert overlap_share(rle.from_masks(masks)) == pytest.approx(
        (depth > 1).sum() / max((depth > 0).sum(), 1)
    )


# ----------------------------------------------------------------------------------------------------- tables


def test_tables_are_sorted_by_image_and_instances_counted_from_0(tmp_path):
    first, second, third = BLOCK, disc(30, 20, 9), rectangle(45, 30, 55, 38)
    result = checked(culture(tmp_path, {"b": [first, second], "a": [third, first], "c": []}))
    assert result.images["image_id"].tolist() == ["a", "b", "c"]
    assert result.images["annotated"].all()
    assert result.instances["image_id"].tolist() == ["a", "a", "b", "b"]
    assert result.instances["instance_id"].tolist() == [0, 1, 0, 1]
    assert result.instances["area"].tolist() == [80, 100, 100, int(second.sum())]
    assert tables.boxes(result.instances)[0].tolist() == [45, 30, 55, 38]
    masks = rle.to_masks(rle.from_coco(list(result.instances["rle"]), HEIGHT, WIDTH), HEIGHT, WIDTH)
    assert (masks == np.stack([third, first, first, second])).all()
    assert result.problems.empty


def test_tables_survive_the_disk(tmp_path):
    result = checked(culture(tmp_path, {"a": [BLOCK, RING]}))
    tables.write("images", result.images, tmp_path / "images.parquet")
    tables.write("instances", result.instances, tmp_path / "instances.parquet")
    again = tables.read("instances", tmp_path / "instances.parquet")
    assert list(again["rle"]) == list(result.instances["rle"])
    assert again["score"].isna().all()
    assert tables.read("images", tmp_path / "images.parquet")["group"].tolist() == ["s_a"]


def test_the_order_of_rows_in_the_files_does_not_matter_between_images(tmp_path):
    cells = {"a": [BLOCK, RING], "b": [disc(30, 20, 9)]}
    results = []
    for name, order in (("x", ["a", "b"]), ("y", ["b", "a"])):
        (tmp_path / name).mkdir()
        results.append(checked(culture(tmp_path / name, {image: cells[image] for image in order})))
    assert list(results[0].instances["rle"]) == list(results[1].instances["rle"])


def test_a_problem_names_its_check_policy_instance_and_place(tmp_path):
    file = culture(
        tmp_path, {"a": [BLOCK, BLOCK, RING]}, policies={"duplicate_mask": "drop", "hollow_mask": "repair"}
    )
    problems = checked(file).problems
    assert problems["check"].tolist() == ["hollow_mask", "duplicate_mask"]
    assert problems["policy"].tolist() == ["repair", "drop"]
    assert problems["image_id"].tolist() == ["a", "a"]
    assert problems["where"].tolist() == ["train.csv:4", "train.csv:3"]
    assert problems["instance_id"].tolist() == [1, pd.NA]
    assert "train.csv:2" in problems["message"][1]


def test_overlap_is_reported_and_kept(tmp_path):
    result = checked(culture(tmp_path, {"a": [BLOCK, rectangle(5, 0, 15, 10)], "b": [BLOCK]}))
    assert result.problems[["check", "policy", "image_id"]].to_numpy().tolist() == [
        ["truth_overlap", "keep", "a"]
    ]
    assert result.problems["message"][0].startswith("33.33 %")
    assert len(result.instances) == 3


def test_the_summary_counts_what_passed_and_what_was_found(tmp_path):
    lines = quality.summary(checked(culture(tmp_path, {"a": [BLOCK, RING], "b": []}))).splitlines()
    assert lines[0] == "2 annotated images (2 cort) with 2 cells, 0 images without annotation."
    assert lines[1].startswith("hollow_mask: 1 × keep")


# --------------------------------------------------------------------------------------------------- policies


def test_every_check_has_policies_that_exist_and_names_its_error():
    for check in quality.CHECKS.values():
        assert set(check.policies) <= {"error", "repair", "drop", "keep"}
        assert "error" in check.policies
        assert len(set(check.policies)) == len(check.policies)


@pytest.mark.parametrize("name", quality.CHECKS)
def test_every_policy_is_accepted_or_refused_by_the_checks_own_list(name):
    for policy in ("error", "repair", "drop", "keep"):
        if policy in quality.CHECKS[name].policies:
            assert quality.settings({name: policy}, {}, (), "f.yaml").policies[name] == policy
        else:
            with pytest.raises(DataError, match=rf"f.yaml: .*'{policy}' makes no sense for {name}"):
                quality.settings({name: policy}, {}, (), "f.yaml")


def test_all_wrong_policies_and_limits_are_named_together():
    with pytest.raises(DataError) as caught:
        quality.settings(
            {"hols": "keep", "image_missing": "repair"}, {"huge": 1, "large_share": 3}, (), "f.yaml"
        )
    assert len(caught.value.sentences) == 4


def test_all_errors_are_raised_together(tmp_path):
    file = culture(
        tmp_path, {"a": [BLOCK, BLOCK, RING], "b": [RING], "c": [BLOCK]}, policies={"hollow_mask": "error"}
    )
    (tmp_path / "train" / "c.png").unlink()
    with pytest.raises(DataError) as caught:
        checked(file)
    assert len(caught.value.sentences) == 4
    assert caught.value.sentences[0].startswith("train.csv:6 (image c): ")
    assert "`duplicate_mask: drop`" in caught.value.sentences[3]


def test_many_errors_of_one_check_are_counted_after_fifty(tmp_path):
    cells = [rectangle(x, y, x + 1, y + 1) for x in range(0, 60, 2) for y in range(0, 4, 2)]
    file = culture(tmp_path, {"a": cells}, policies={"tiny_mask": "error"})
    with pytest.raises(DataError) as caught:
        checked(file)
    assert len(caught.value.sentences) == 51
    assert caught.value.sentences[-1] == "... and 10 more of tiny_mask."


def test_what_is_dropped_gives_no_further_cause_for_complaint(tmp_path):
    file = culture(tmp_path, {"a": [BLOCK, BLOCK], "b": [RING]}, policies={"image_missing": "drop"})
    (tmp_path / "train" / "a.png").unlink()
    result = checked(file)
    assert result.problems["check"].tolist() == ["image_missing", "hollow_mask"]
    assert result.images["image_id"].tolist() == ["b"]
    assert result.instances["image_id"].tolist() == ["b"]


def test_a_data_set_of_which_nothing_is_left_is_refused(tmp_path):
    file = culture(tmp_path, {"a": [BLOCK]}, policies={"image_missing": "drop"})
    (tmp_path / "train" / "a.png").unlink()
    with pytest.raises(DataError, match="no image is left of 1"):
        checked(file)


def test_missing_images_may_be_kept_for_their_masks(tmp_path):
    file = culture(tmp_path, {"a": [BLOCK], "b": [RING]}, policies={"image_missing": "keep"}, images=[])
    result = checked(file)
    assert result.images["annotated"].tolist() == [True, True]
    assert result.images[["height", "width"]].to_numpy().tolist() == [[HEIGHT, WIDTH]] * 2
    assert len(result.instances) == 2
    assert result.problems["check"].tolist() == ["image_missing", "image_missing", "hollow_mask"]
