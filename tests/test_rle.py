"""Runs, Kaggle's text and COCO's counts against dense masks and pycocotools."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from neuroseg import rle

masks = st.tuples(st.integers(1, 4), st.integers(1, 19), st.integers(1, 23)).flatmap(
    lambda shape: arrays(bool, shape, elements=st.booleans(), fill=st.just(False)) | arrays(bool, shape)
)


def kaggle(mask: np.ndarray) -> str:
    """The competition's own way: dense, row-major, 1-based."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.ravel(), [0]]).astype(np.int8))) + 1
    edges[1::2] -= edges[::2]
    return " ".join(map(str, edges))


def reference(stack: np.ndarray) -> list[bytes]:
    return [coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"] for mask in stack]


def test_kaggle_text_runs_along_rows_and_counts_from_one():
    mask = np.zeros((3, 4), bool)
    mask[0, 1:3] = True
    mask[2, 0] = True
    assert rle.to_kaggle(rle.from_masks(mask[None])) == ["2 2 9 1"]


def test_coco_counts_run_down_columns():
    mask = np.zeros((3, 4), bool)
    mask[0, 1:3] = True
    assert rle.to_coco(rle.from_masks(mask[None]), 3, 4) == reference(mask[None])


@given(masks)
def test_every_conversion_gives_back_the_mask(stack):
    _, height, width = stack.shape
    runs = rle.from_masks(stack)
    assert (rle.to_masks(runs, height, width) == stack).all()
    counts = rle.to_coco(runs, height, width)
    assert counts == reference(stack)
    assert (rle.to_masks(rle.from_coco(counts, height, width), height, width) == stack).all()


@given(masks)
def test_kaggle_text_equals_the_dense_encoding(stack):
    _, height, width = stack.shape
    texts = rle.to_kaggle(rle.from_masks(stack))
    assert texts == [kaggle(mask) for mask in stack]
    runs, faults = rle.from_kaggle(texts, height, width)
    assert (rle.to_masks(runs, height, width) == stack).all()
    assert [fault == rle.SYNTAX for fault in faults] == [not mask.any() for mask in stack]


@given(masks)
def test_areas_and_boxes_are_those_of_the_mask(stack):
    width = stack.shape[2]
    runs = rle.from_masks(stack)
    assert rle.areas(runs).tolist() == stack.sum(axis=(1, 2)).tolist()
    assert rle.union_area(runs) == stack.any(axis=0).sum()
    for mask, box in zip(stack, rle.boxes(runs, width).tolist(), strict=True):
        rows, columns = np.nonzero(mask)
        expected = (
            [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else [0, 0, 0, 0]
        )
        assert box == expected


@given(masks, st.randoms(use_true_random=False))
def test_shuffled_cut_and_repeated_runs_become_canonical(stack, random):
    count, height, width = stack.shape
    ptr, start, length = [0], [], []
    for mask in stack:
        runs = [(pixel, 1) for pixel in np.flatnonzero(mask)] * 2
        random.shuffle(runs)
        start += [run[0] for run in runs]
        length += [run[1] for run in runs]
        ptr.append(len(start))
    untidy = rle.Runs(np.array(ptr, np.int64), np.array(start, np.int32), np.array(length, np.int32))
    tidy = rle.canonical(untidy, height, width)
    for found, expected in zip(tidy, rle.from_masks(stack), strict=True):
        assert found.tolist() == expected.tolist()
    assert len(tidy) == count


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("1 2 5 3", 0),
        ("", rle.SYNTAX),
        ("  ", rle.SYNTAX),
        ("7", rle.SYNTAX),
        ("1 2 3", rle.SYNTAX),
        ("one 2", rle.SYNTAX),
        ("1.5 2", rle.SYNTAX),
        ("-1 2", rle.SYNTAX),
        ("0 2", rle.SYNTAX),
        ("1 0", rle.SYNTAX),
        ("5 3 1 2", rle.ORDER),
        ("1 4 3 2", rle.OVERLAP),
        ("3 2 1 4", rle.ORDER | rle.OVERLAP),
        ("12 1", 0),
        ("12 2", rle.RANGE),
        ("99999999999999999999 1", rle.RANGE),
    ],
)
def test_a_text_of_a_3_by_4_frame_shows_its_faults(text, fault):
    _, faults = rle.from_kaggle([text], 3, 4)
    assert faults.tolist() == [fault]


def test_faulty_texts_are_mended_as_far_as_they_can_be():
    runs, _ = rle.from_kaggle(["11 9", "5 3 1 2", "1 3 2 3", "x"], 3, 4)
    assert rle.to_kaggle(runs) == ["11 2", "1 2 5 3", "1 4", ""]


def test_a_run_past_a_rows_end_is_cut_inside_and_joined_again_in_text():
    runs, faults = rle.from_kaggle(["3 4"], 3, 4)
    assert (runs.start.tolist(), runs.length.tolist()) == ([2, 4], [2, 2])
    assert rle.to_kaggle(runs) == ["3 4"]
    assert faults.tolist() == [0]


@pytest.mark.parametrize("counts", [b"", b"0", b"zz", b"oooooooo", b"\x00", b"9:::::", b"l0l0l0"])
def test_counts_that_do_not_fill_the_frame_are_refused(counts):
    with pytest.raises(ValueError, match="mask 0 holds no run lengths"):
        rle.from_coco([counts], 3, 4)


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=12), max_size=3))
def test_no_bytes_crash_the_reader(counts):
    try:
        runs = rle.from_coco(counts, 5, 7)
    except ValueError:
        return
    assert rle.to_masks(runs, 5, 7).shape == (len(counts), 5, 7)


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 12))
def test_empty_touching_and_long_runs_are_read_as_they_stand(counts, height):
    width = -(-max(sum(counts), 1) // height)
    counts = [*counts, *[0] * (len(counts) % 2), height * width - sum(counts)]
    pixels = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    runs = rle.from_coco([rle.from_uncompressed(counts, height, width)], height, width)
    assert (rle.to_masks(runs, height, width)[0] == pixels.reshape(width, height).T).all()
    assert (rle.from_masks(rle.to_masks(runs, height, width)).start == runs.start).all()


def test_a_number_may_be_padded_to_12_bytes():
    assert rle.areas(rle.from_coco([b"1Q" + 10 * b"P" + b"0:"], 3, 4)).tolist() == [1]
    with pytest.raises(ValueError, match="mask 0 holds no run lengths"):
        rle.from_coco([b"1Q" + 11 * b"P" + b"0:"], 3, 4)


@given(st.lists(st.text(alphabet="0123456789 x-", max_size=20), max_size=4))
def test_no_text_crashes_the_reader(texts):
    runs, faults = rle.from_kaggle(texts, 5, 7)
    assert len(runs) == len(faults) == len(texts)
    assert rle.to_masks(runs, 5, 7).any(axis=(1, 2)).tolist() == [
        not fault & rle.SYNTAX and bool(areas) for fault, areas in zip(faults, rle.areas(runs), strict=True)
    ]


# --------------------------------------------------------------------------------------------------- overlaps


def blobs(seed: int, count: int, height: int, width: int, ragged: bool) -> np.ndarray:
    """Masks of boxes in the frame, touching its edges and each other, some ragged, empty, or of one pixel."""
    rng = np.random.default_rng(seed)
    stack = np.zeros((count, height, width), bool)
    for mask in stack:
        y, x = rng.integers(0, height), rng.integers(0, width)
        mask[y : y + rng.integers(0, height + 1), x : x + rng.integers(0, width + 1)] = True
    return stack & (rng.random(stack.shape) < 0.8) if ragged else stack


frames = st.sampled_from([(1, 1), (7, 200), (200, 7), (64, 64), (65, 130), (128, 129)])


def pairs(one: np.ndarray, other: np.ndarray) -> list[tuple[int, ...]]:
    """What overlaps by more than half, counted pixel by pixel."""
    found = []
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            shared, union = int((a & b).sum()), int((a | b).sum())
            if 2 * shared >= union > 0:
                found.append((i, j, shared, union))
    return found


@given(st.integers(0, 2**32 - 1), frames, st.booleans())
def test_large_masks_keep_their_pixels_through_every_conversion(seed, frame, ragged):
    stack = blobs(seed, 5, *frame, ragged)
    runs = rle.from_masks(stack)
    counts = rle.to_coco(runs, *frame)
    assert counts == reference(stack)
    for found, expected in zip(rle.from_coco(counts, *frame), runs, strict=True):
        assert found.tolist() == expected.tolist()
    lying = rle.from_masks(stack.transpose(0, 2, 1))
    for found, expected in zip(rle.from_coco_lying(counts, *frame), lying, strict=True):
        assert found.tolist() == expected.tolist()


@given(st.integers(0, 2**32 - 1), frames, st.booleans())
def test_overlaps_are_those_counted_on_dense_masks(seed, frame, ragged):
    one, other = blobs(seed, 6, *frame, ragged), blobs(seed + 1, 4, *frame, ragged)
    other = np.concatenate([other, one[:3], np.roll(one[2:4], 1, axis=2), one[:1]])  # repeated, shifted
    expected = pairs(one, other)
    sides = [rle.from_masks(side) for side in (one, other)]
    assert list(zip(*rle.overlaps_of_runs(*sides, frame[1]), strict=True)) == expected
    counts = [rle.to_coco(side, *frame) for side in sides]
    image = [np.zeros(len(side), np.int64) for side in sides]
    found = rle.overlaps(counts[0], image[0], counts[1], image[1], np.array([frame]))
    assert list(zip(*found, strict=True)) == expected


def test_of_800_cells_each_overlaps_its_own_shifted_self_alone():
    stack = np.zeros((800, 200, 400), bool)
    for number in range(800):
        y, x = divmod(number, 40)
        stack[number, 10 * y : 10 * y + 8, 10 * x : 10 * x + 8] = True
    runs, shifted = rle.from_masks(stack), rle.from_masks(np.roll(stack, 1, axis=2))
    found = rle.overlaps_of_runs(runs, shifted, 400)
    assert found.one.tolist() == found.other.tolist() == list(range(800))
    assert set(found.intersection.tolist()) == {56}
    assert set(found.union.tolist()) == {72}


def test_masks_of_different_images_do_not_meet_and_frames_may_differ():
    small, large = np.ones((1, 3, 4), bool), np.ones((1, 70, 80), bool)
    counts = [*rle.to_coco(rle.from_masks(large), 70, 80), *rle.to_coco(rle.from_masks(small), 3, 4)]
    image = np.array([1, 0])
    found = rle.overlaps(counts, image, counts[::-1], image[::-1], np.array([[3, 4], [70, 80]]))
    assert [field.tolist() for field in found] == [[0, 1], [1, 0], [5600, 12], [5600, 12]]
    with pytest.raises(ValueError, match="mask 1 holds no run lengths of a frame of 70 x 80"):
        rle.overlaps(counts, np.array([1, 1]), counts[:0], image[:0], np.array([[3, 4], [70, 80]]))


def test_taking_and_joining_masks_keeps_them_whole():
    stack = np.eye(5, dtype=bool)[:, None, :].repeat(3, axis=1)
    runs = rle.from_masks(stack)
    assert (rle.to_masks(rle.take(runs, [4, 0, 4]), 3, 5) == stack[[4, 0, 4]]).all()
    joined = rle.concatenate([rle.take(runs, [1]), rle.take(runs, []), rle.take(runs, [2, 3])])
    assert (rle.to_masks(joined, 3, 5) == stack[[1, 2, 3]]).all()
    assert len(rle.concatenate([])) == 0


def test_a_crop_is_the_mask_within_its_box():
    stack = np.zeros((2, 6, 7), bool)
    stack[1, 2:4, 3:6] = True
    stack[1, 2, 4] = False
    crop, left, top = rle.crop(rle.from_masks(stack), 1, 7)
    assert (left, top) == (3, 2)
    assert crop.tolist() == [[True, False, True], [True, True, True]]


def test_polygons_and_plain_counts_become_compressed_counts():
    square = rle.from_polygons([[1, 1, 4, 1, 4, 3, 1, 3]], 5, 6)
    assert rle.areas(rle.from_coco([square], 5, 6)).tolist() == [6]
    plain = rle.from_uncompressed([2, 3, 7], 3, 4)
    assert (
        rle.to_masks(rle.from_coco([plain], 3, 4), 3, 4)[0].T.ravel().tolist()
        == [False] * 2 + [True] * 3 + [False] * 7
    )


@pytest.mark.real
def test_every_real_annotation_is_sound_and_survives_the_round_trip(real_data):
    import pandas as pd

    texts = pd.read_csv(real_data / "sartorius" / "train.csv")["annotation"].tolist()
    runs, faults = rle.from_kaggle(texts, 520, 704)
    assert not faults.any()
    counts = rle.to_coco(runs, 520, 704)
    assert rle.to_kaggle(rle.from_coco(counts, 520, 704)) == texts
