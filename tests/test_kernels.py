"""What compiled loops are given: malformed numbers are refused in words, and no array is left."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroseg import fusion, metrics, morphology, rle, segmentation, submission, tables
from neuroseg.errors import DataError

ROOT = Path(__file__).parents[1]


def test_no_fuzzed_input_makes_a_kernel_leave_an_array():
    cache = ROOT / ".pytest_cache" / "bounds"  # its own: numba does not tell loops with checks from others
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(cache)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/kernels_fuzzed.py"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_bounds_are_checked_in_such_a_process(tmp_path):
    (tmp_path / "leave.py").write_text(
        "import numpy, numba\n@numba.njit\ndef last(a, n):\n    return a[n]\nlast(numpy.zeros(3), 5)\n"
    )
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1"}
    done = subprocess.run(
        [sys.executable, tmp_path / "leave.py"], env=environment, capture_output=True, text=True
    )
    assert "IndexError" in done.stderr


def counts_to_text(counts: list[int]) -> bytes:
    """COCO's text of any run lengths, lawful or not."""
    text = b""
    for place, count in enumerate(counts):
        value = count - (counts[place - 2] if place > 2 else 0)
        more = True
        while more:
            value, low = value >> 5, value & 31
            more = value != -1 if low & 16 else value != 0
            text += bytes([48 + (low | 32 if more else low)])
    return text


def test_counts_whose_sum_leaves_64_bits_are_refused():
    counts = [100 * (2**32 - 2**20) + 1, 60_000, *62 * [2**58]]
    counts.append(2**64 + 100 * 100 - sum(counts))  # in 64 bits they fill the frame; the second is before it
    text, sound, image = (
        counts_to_text(counts),
        rle.from_uncompressed([5, 50, 9945], 100, 100),
        np.zeros(1, np.int64),
    )
    assert len(text) < 110
    with pytest.raises(ValueError, match="mask 0 holds no run lengths of a frame of 100 x 100 pixels"):
        rle.from_coco([text], 100, 100)
    for one, other in ((text, sound), (sound, text)):
        with pytest.raises(ValueError, match="mask 0 holds no run lengths of a frame of 100 x 100 pixels"):
            rle.overlaps([one], image, [other], image, np.array([[100, 100]]))


def test_a_broken_mask_after_one_across_columns_is_refused_before_anything_is_laid_out():
    wide = rle.from_uncompressed([2, 3000, 100_000 - 3002], 100, 1000)
    counts, image = [wide] * 50 + [b"zz"], np.zeros(51, np.int64)
    with pytest.raises(ValueError, match="mask 50 holds no run lengths"):
        rle.overlaps(counts, image, counts[:1], image[:1], np.array([[100, 1000]]))
    with pytest.raises(ValueError, match="mask 50 holds no run lengths"):
        rle.overlaps(counts[:1], image[:1], counts, image, np.array([[100, 1000]]))


@pytest.mark.parametrize("frame", [(2**16, 2**15), (2**62, 4), (0, 5), (-3, -4)])
def test_a_frame_without_pixels_or_of_2_31_of_them_is_refused(frame):
    for read in (rle.from_coco, rle.from_kaggle):
        with pytest.raises(ValueError, match="holds no masks"):
            read([], *frame)
    with pytest.raises(ValueError, match="holds no masks"):
        rle.overlaps([], np.zeros(0, int), [], np.zeros(0, int), np.array([frame]))


def test_runs_beyond_the_frame_or_out_of_order_are_refused():
    for start, length in (([90], [20]), ([5, 2], [1, 1]), ([-1], [1]), ([8], [5]), ([1], [-1])):
        runs = rle.Runs(np.array([0, len(start)]), np.array(start, np.int32), np.array(length, np.int32))
        with pytest.raises(ValueError, match="mask 0 is no list of ascending runs"):
            rle.to_coco(runs, 10, 10)
        with pytest.raises(ValueError, match="mask 0 is no list of ascending runs"):
            segmentation.claim(*runs, np.array([0]), 10, 10, 1, 0.5)


def test_runs_of_no_mask_that_begin_behind_the_first_are_refused():
    nothing = np.zeros(0, np.int32)
    with pytest.raises(ValueError, match="where each mask's begin"):
        rle.areas(rle.Runs(np.array([1]), nothing, nothing))


def test_boxes_without_end_are_neither_pasted_nor_fused_nor_averaged():
    patch, score, zero = np.full((1, 28, 28), 255, np.uint8), np.ones(1), np.zeros(1, np.int64)
    for box in ([0, 0, np.inf, 5], [np.nan, 0, 5, 5]):
        box = np.array([box])
        with pytest.raises(ValueError, match="box 0 is empty, or its corners are no finite numbers"):
            segmentation.paste(patch, box.astype(np.float32), zero, 20, 20, 0.5)
        with pytest.raises(ValueError, match="box 0 has corners or a score that are no finite numbers"):
            fusion.wbf(fusion.Candidates(box, score, zero, zero, score), fusion.Fusion())
        with pytest.raises(ValueError, match="box 0 is empty, or its corners are no finite numbers"):
            fusion.average(patch, box, score, zero, np.array([[0.0, 0, 5, 5]]))


@pytest.mark.parametrize("counts", [[], [5], [-1, 5, 8], [2**40], [float("inf")], [2.5, 9.5]])
def test_plain_counts_that_do_not_fill_the_frame_are_refused(counts):
    with pytest.raises(ValueError, match="do not fill a frame of 3 x 4"):
        rle.from_uncompressed(counts, 3, 4)


@pytest.mark.parametrize("corner", [float("nan"), float("inf"), 1e9])
def test_a_polygon_with_a_corner_nowhere_is_refused_at_once(corner):
    with pytest.raises(ValueError, match="polygon 0 has corners that are no numbers, or lie very far"):
        rle.from_polygons([[1, 1, 3, 1, corner, 3]], 10, 10)


EMPTY, BROKEN = rle.from_uncompressed([12], 3, 4), b"zz"


def cells(counts: bytes) -> pd.DataFrame:
    """Two instances of one image of 3 x 4 pixels: a sound one, and number 7 with the counts given."""
    sound = rle.from_uncompressed([1, 2, 9], 3, 4)
    table = {"image_id": "well_b", "instance_id": [3, 7], "cell_type": "cort", "score": [0.9, 0.8]}
    return pd.DataFrame(table | {"rle": [sound, counts]})


IMAGES = pd.DataFrame(
    {"image_id": ["well_a", "well_b"], "path": "none.png", "height": 3, "width": 4, "pixel_size_um": 1.0}
)

READERS = {
    "measured": lambda masks: morphology.measure(masks, IMAGES, lambda _: np.zeros((3, 4), np.uint8)),
    "covered": lambda masks: rle.confluence(masks, IMAGES),
    "made disjoint": lambda masks: segmentation.disjoint(masks, IMAGES),
    "submitted": lambda masks: submission.write(masks, IMAGES, "never_written.csv"),
    "matched": lambda masks: metrics.hits(masks, masks[:1], IMAGES),
    "matched as truth": lambda masks: metrics.hits(masks[:1], masks, IMAGES),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_broken_mask_is_named_by_its_image_and_instance(reader):
    with pytest.raises(
        DataError, match=r"^Image well_b, instance 7: its mask holds no run lengths of a frame"
    ):
        READERS[reader](cells(BROKEN))


@pytest.mark.parametrize("reader", [name for name in READERS if "matched" not in name])
def test_a_mask_without_pixels_is_named_by_its_image_and_instance(reader):
    with pytest.raises(DataError, match=r"^Image well_b, instance 7: its mask has no pixel"):
        READERS[reader](cells(EMPTY))


def table_with(**changes: object) -> pd.DataFrame:
    mask = cells(EMPTY)[:1].assign(x1=0, y1=1, x2=1, y2=3, area=2)
    return mask.assign(**changes)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"x2": np.inf}, "corners must be finite"),
        ({"y1": -3e7}, "corners must be finite"),
        ({"area": 3}, "area is more than the box holds"),
        ({"score": -0.1}, "score must be a number from 0 on"),
        ({"score": np.inf}, "score must be a number from 0 on"),
    ],
)
def test_a_table_of_instances_that_cannot_be_is_refused(changes, complaint):
    tables.check("instances", table_with(), "cells.parquet")
    with pytest.raises(DataError, match=complaint):
        tables.check("instances", table_with(**changes), "cells.parquet")


@pytest.mark.parametrize("frame", [(2**16, 2**15), (2**25, 1)])
def test_a_table_of_images_too_large_for_masks_is_refused(frame):
    images = IMAGES[:1].assign(height=frame[0], width=frame[1], cell_type="cort", group="a", subset="test")
    images = images.assign(annotated=False, sample=None, plate=None, well=None, field=None, time=None)
    images = images.assign(treatment=None, dose=None, dose_unit=None)
    with pytest.raises(DataError, match="pixels at most"):
        tables.check("images", images, "images.parquet")
