"""Large images in windows, and images of other pixel sizes: the same cells as of a small one, once each."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from neuroseg.detector import caps, scaling, tiling
from neuroseg.detector.looking import find
from neuroseg.detector.openmmlab import Config, DetDataSample, InstanceData
from neuroseg.detector.tiling import Found, Window, join, windows
from neuroseg.detector.views import read_view

BACKGROUND, CELL = 128, 220


class Bright:
    """Finds what is brighter than the background, one box a piece; pieces cut by a window's border, too."""

    iou = 0.5

    def __init__(self) -> None:
        self.shown: list[tuple[int, int]] = []

    def __call__(self, images, frames):
        self.shown += [image.shape for image in images]
        return [self._found(image, *frame) for image, frame in zip(images, frames, strict=True)]

    def _found(self, image, height, width) -> Found:
        pieces, _ = ndimage.label(image > (BACKGROUND + CELL) / 2)
        boxes = np.array(
            [[x.start, y.start, x.stop, y.stop] for y, x in ndimage.find_objects(pieces)], np.float32
        )
        boxes = boxes.reshape(-1, 4) * np.array(
            [width / image.shape[1], height / image.shape[0]] * 2, np.float32
        )
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        order = np.argsort(-areas, kind="stable")
        count = len(boxes)
        patches = np.full((count, 28, 28), 255, np.uint8)
        return Found(
            boxes[order], (areas[order] / 1e6).astype(np.float32), np.zeros(count, np.int64), patches
        )


def dotted(
    height: int, width: int, pitch: int = 150, side: int = 40, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return squares of `side` pixels near the crossings of a grid, and their boxes by row and column."""
    random = np.random.default_rng(seed)
    image, boxes = np.full((height, width), BACKGROUND, np.uint8), []
    for y in range(5, height - side - 45, pitch):
        for x in range(5, width - side - 45, pitch):
            top, left = y + random.integers(40), x + random.integers(40)
            image[top : top + side, left : left + side] = CELL
            boxes.append((left, top, left + side, top + side))
    return image, np.array(sorted(boxes), np.float32)


def look(
    image: np.ndarray,
    view: str = "none",
    magnified: float = 1.0,
    threads: int = 1,
    content: tuple[slice, slice] | None = None,
) -> tuple[Bright, Found]:
    predictor = Bright()
    part = content or (slice(0, image.shape[0]), slice(0, image.shape[1]))
    images = pd.DataFrame(
        {"image_id": ["a"], "path": ["a"], "height": image.shape[0], "width": image.shape[1]}
    )
    views = {view: read_view(view)}
    ((row, name, found),) = find(
        predictor,
        images,
        views,
        lambda path: image,
        lambda path: part,
        np.array([magnified]),
        batch_size=2,
        threads=threads,
    )
    assert (row, name) == (0, view)
    return predictor, found


def farthest(found: np.ndarray, boxes: np.ndarray) -> float:
    """Return how far the sides of found boxes lie from those of the true ones, each against the nearest."""
    apart = np.abs(found[:, None] - boxes).max(2)
    assert sorted(apart.argmin(1)) == list(range(len(boxes)))
    return float(apart.min(1).max())


@given(
    side=st.integers(1, 30_000),
    other=st.integers(1, 4_000),
    scale=st.sampled_from([0.25, 0.5, 1.0, 1.37, 2.5]),
)
@settings(max_examples=100, deadline=None)
def test_the_windows_cores_cover_an_image_once_and_what_they_show_reaches_beyond(side, other, scale):
    parts = windows(side, other, scale)
    for axis, length in enumerate((side, other)):
        spans = sorted({part[axis] for part in parts})
        assert spans[0].core_start == spans[0].start == 0
        assert spans[-1].core_end == spans[-1].end == length
        for one, following in pairwise(spans):
            assert one.core_end == following.core_start
            assert one.end - one.core_end >= tiling.MARGIN / scale - 1
            assert following.core_start - following.start >= tiling.MARGIN / scale - 1
            assert following.start % 32 == 0
        assert max(span.end - span.start for span in spans) * scale <= tiling.LARGEST + 32 * scale + 1
    assert len(parts) == len({part.down for part in parts}) * len({part.across for part in parts})


def test_an_image_up_to_the_largest_size_is_looked_at_as_a_whole():
    assert windows(tiling.LARGEST, tiling.LARGEST) == windows(1536, 1536, 1.0)
    assert len(windows(1536, 1536)) == 1
    assert len(windows(1537, 1536)) == 2
    assert len(windows(1537, 1536, 0.5)) == 1
    assert len(windows(800, 1000, 2.0)) == 4


@pytest.mark.parametrize("view", ["none", "hvflip", "x0.75"])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_large_image_gives_every_cell_once_and_whole(view, threads):
    image, boxes = dotted(1700, 3300)
    predictor, found = look(image, view, threads=threads)
    assert len(predictor.shown) == {"x0.75": 2}.get(view, 6)
    assert farthest(found.boxes, boxes) <= (2 if view == "x0.75" else 0)
    assert (np.diff(found.scores) <= 0).all()


def test_threads_change_nothing():
    image, _ = dotted(1600, 3300)
    _, one = look(image, threads=1)
    _, three = look(image, threads=3)
    assert all(np.array_equal(*pair) for pair in zip(one[:4], three[:4], strict=True))


def test_a_cell_upon_a_border_of_cores_is_told_once_although_two_windows_see_its_centre_differently():
    left, right = sorted(windows(500, 2000))
    border = left.across.core_end

    def told(x: float, window: Window, score: float) -> tuple[Window, Found]:
        box = np.array([[x - 30, 200, x + 30, 260]], np.float32) - [window.across.start, 0] * 2
        patch = np.zeros((1, 28, 28), np.uint8)
        return window, Found(box.astype(np.float32), np.float32([score]), np.zeros(1, np.int64), patch)

    for ours, theirs in ((border - 3, border + 3), (border + 3, border - 3)):  # both claim it; each leaves it
        found = join([told(ours, left, 0.8), told(theirs, right, 0.9)], 1.0, 0.5)
        assert found.boxes[:, 0].tolist() == [theirs - 30]
    apart = join([told(border - 60, left, 0.8), told(border + 60, right, 0.9)], 1.0, 0.5)
    assert len(apart.boxes) == 2


def test_a_cell_that_is_cut_in_one_window_is_taken_from_the_one_that_shows_it_whole():
    image = np.full((400, 2600), BACKGROUND, np.uint8)
    left, right = sorted(windows(400, 2600))
    image[100:140, right.across.start - 20 : right.across.start + 100] = CELL  # the right window cuts it
    _, found = look(image)
    assert found.boxes.tolist() == [[right.across.start - 20, 100, right.across.start + 100, 140]]
    assert left.across.end > right.across.start + 100


def test_parts_without_any_difference_are_not_looked_at():
    image = np.zeros((1600, 6000), np.uint8)
    image[:, :1000], _ = dotted(1600, 1000)
    predictor, found = look(image)
    assert len(windows(1600, 6000)) == 10
    assert len(predictor.shown) == 2
    assert len(found.boxes) == len(dotted(1600, 1000)[1])


@pytest.mark.parametrize("view", ["none", "hvflip"])
@pytest.mark.parametrize(("height", "width", "count"), [(400, 500, 1), (1700, 2400, 4)])
def test_of_an_image_in_a_blank_surround_the_network_sees_what_it_sees_of_the_image_alone(
    height, width, count, view, capsys
):
    image, boxes = dotted(height, width)
    surrounded = np.zeros((2000, 4000), np.uint8)
    surrounded[200 : 200 + height, 300 : 300 + width] = image
    content = slice(200, 200 + height), slice(300, 300 + width)
    predictor, found = look(surrounded, view, content=content)
    alone, expected = look(image, view)
    assert predictor.shown == alone.shown
    assert len(predictor.shown) == count
    np.testing.assert_array_equal(found.boxes, expected.boxes + np.float32([300, 200] * 2))
    assert farthest(found.boxes, boxes + np.float32([300, 200] * 2)) == 0
    assert "image 1/1, 0 s left" in capsys.readouterr().err


@pytest.mark.parametrize("factor", [0.5, 2.5])
def test_an_image_of_another_pixel_size_is_looked_at_magnified_and_told_in_its_own_pixels(factor):
    image, boxes = dotted(900, 800, side=48)
    predictor, found = look(image, magnified=factor)
    sides = {math.ceil(900 * factor), math.ceil(800 * factor)} if factor < 1 else {round(len(image) * factor)}
    assert sides & {side for shape in predictor.shown for side in shape} or factor > 1
    assert farthest(found.boxes, boxes) <= 2


def test_magnified_views_multiply_with_the_pixel_size():
    image, _ = dotted(400, 300)
    predictor, _ = look(image, "hflip_x1.5", magnified=2.0)
    assert predictor.shown == [(1200, 900)]


class Head:
    """Proposes the best places that its settings let through; `scores` are theirs, on one map."""

    use_sigmoid_cls = True

    def __init__(self, scores: list[float], nms_pre: int, max_per_img: int) -> None:
        self.scores = torch.tensor(scores)
        self.test_cfg = Config({"nms_pre": nms_pre, "max_per_img": max_per_img})

    def __call__(self, features):
        logits = torch.logit(self.scores)[None, :, None, None]
        return [logits], [logits]

    def predict_by_feat(self, scores, boxes, *, batch_img_metas, cfg, rescale):
        best = (
            scores[0][0].sigmoid().flatten().sort(descending=True).values[: min(cfg.nms_pre, cfg.max_per_img)]
        )
        return [InstanceData(scores=best)]


@pytest.mark.parametrize(
    ("sure", "likely", "fields", "proposals", "capped"),
    [
        (0, 3, 1, 4, False),  # few are likely: the cap is in nobody's way
        (0, 3, 4, 4, False),
        (0, 9, 1, 4, False),  # an image of a field keeps the settings' number
        (9, 0, 1, 4, True),
        (0, 9, 2, 8, False),
        (15, 0, 2, 8, True),
        (9, 0, 4, 16, False),
    ],
)
def test_caps_on_proposals_grow_with_the_area_and_what_they_leave_out_is_told(
    sure, likely, fields, proposals, capped
):
    head = Head([0.7] * sure + [0.3] * likely + [0.01] * (20 - sure - likely), nms_pre=6, max_per_img=4)
    (found,), bound = caps.propose(head, [], [DetDataSample()], fields)
    assert (len(found), bound) == (proposals, [capped])
    assert head.test_cfg.max_per_img == 4


def listed(*sizes: float | None) -> pd.DataFrame:
    return pd.DataFrame({"pixel_size_um": pd.Series(sizes, dtype=object)})


def test_images_are_magnified_to_the_pixel_size_that_was_learnt():
    assert scaling.factors(listed(0.62, 1.24, 3.1, None, 1.26), 1.24).tolist() == pytest.approx(
        [0.5, 1, 2.5, 1, 1]
    )
    assert scaling.factors(listed(0.62), None).tolist() == [1]
    assert scaling.factors(listed(0.01, 50.0), 1.24).tolist() == [1, 1]  # one of the two must be wrong


def test_a_detector_knows_its_pixel_size_where_all_its_images_agree():
    assert scaling.learnt(listed(1.24, 1.25, 1.24)) == 1.24
    assert scaling.learnt(listed(1.24, None)) is None
    assert scaling.learnt(listed(0.62, 1.24)) is None
    assert scaling.learnt(pd.DataFrame({"image_id": ["a"]})) is None


def test_what_is_not_known_of_pixel_sizes_is_said_in_a_sentence_each():
    assert scaling.sentences(listed(1.24, 1.24), 1.24) == []
    (unknown,) = scaling.sentences(listed(0.62), None)
    assert "do not know the pixel size" in unknown
    silent, shown, coarse = scaling.sentences(listed(0.62, None, 3.1), 1.24)
    assert "of unknown pixel size: 1 of 3," in silent
    assert "images of 0.62 to 3.1 µm a pixel: 2 of 3," in shown
    assert "up to 2.5 times as large as the detectors learnt at: 1 of 3," in coarse
    (far,) = scaling.sentences(listed(50.0), 1.24)
    assert "is the pixel size right?" in far
    assert scaling.beyond(listed(50.0, 1.24, None, 0.62), 1.24).tolist() == [True, False, False, False]


@pytest.mark.parametrize(("said", "width"), [(8.7, "104"), (0.087, "1.04"), (0.4, ""), (0.871, "")])
def test_a_pixel_size_by_which_cells_as_learnt_would_be_no_cells_is_doubted(said, width):
    """Squares of 12 pixels, which a stand-in finds between 8 and 40 pixels of what it is shown."""

    class Learnt(Bright):
        def _found(self, image, height, width) -> Found:
            found = super()._found(image, *image.shape)
            sides = found.boxes[:, 2] - found.boxes[:, 0]
            kept = (sides > 8) & (sides < 40)
            boxes = found.boxes[kept] * np.float32(width / image.shape[1])
            count = int(kept.sum())
            return Found(
                boxes, np.full(count, 0.9, np.float32), np.zeros(count, np.int64), found.patches[kept]
            )

    tile = np.full((30, 30), BACKGROUND, np.uint8)
    tile[9:21, 9:21] = CELL
    image = np.tile(tile, (20, 20))
    images = pd.DataFrame({"path": ["a"], "pixel_size_um": [said]})
    doubted = scaling.doubts(Learnt(), images, 0.871, lambda path: image)
    assert {size: f"{wide:.3g}" for size, wide in doubted.items()} == ({said: width} if width else {})
