"""Malformed numbers for each public function of compiled loops; test_kernels runs it with bounds checked."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn import functional

from neuroseg import fusion, metrics, rle, segmentation
from neuroseg.detector.cpu.depthwise import Depthwise, Walk
from neuroseg.quality import checks
from neuroseg.quality.masks import inspect

HEIGHT, WIDTH = 6, 9
PIXELS = HEIGHT * WIDTH

few = settings(
    max_examples=60, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
)
numbers = (
    st.integers(-(2**40), 2**40)
    | st.integers(-3, PIXELS + 3)
    | st.sampled_from([2**31 - 1, 2**31, 2**57, 2**59])
)
sides = st.sampled_from([-1, 0, 1, 7, 2**16, 2**31, 2**62])
decimals = st.floats(-50, 50, width=32) | st.sampled_from([np.nan, np.inf, -np.inf, 1e30, -1e30, 1e-40])


def number(value: int) -> bytes:
    """COCO's variable-length number."""
    out = b""
    while True:
        value, low = value >> 5, value & 31
        more = value != -1 if low & 16 else value != 0
        out += bytes([48 + (low | 32 if more else low)])
        if not more:
            return out


texts = st.lists(numbers, max_size=40).map(lambda values: b"".join(map(number, values))) | st.binary(
    max_size=40
)
sound = st.lists(st.integers(0, PIXELS), max_size=8).map(
    lambda ends: rle.from_uncompressed(np.diff([0, *sorted(ends), PIXELS]).tolist(), HEIGHT, WIDTH)
)


@st.composite
def runs(draw: st.DrawFn) -> rle.Runs:
    """Runs of which some are canonical, most are not."""
    start = draw(st.lists(numbers, max_size=8))
    length = draw(st.lists(numbers, min_size=len(start), max_size=len(start)) | st.lists(numbers, max_size=8))
    ptr = draw(st.lists(st.integers(-2, 9), min_size=1, max_size=4) | st.just([0, len(start)]))
    kind = draw(st.sampled_from([np.int64, np.float64]))
    return rle.Runs(np.array(ptr, np.int64), np.array(start, kind), np.array(length, np.int64))


def attempt(work, *given):
    """The result, or None where the input is refused in words."""
    try:
        return work(*given)
    except ValueError:
        return None


@few
@given(st.lists(texts | sound, max_size=4))
def test_counts_are_read_as_masks_of_the_frame_or_refused(counts):
    found = attempt(rle.from_coco, counts, HEIGHT, WIDTH)
    if found is not None:
        again = rle.to_coco(found, HEIGHT, WIDTH)
        assert rle.areas(found).tolist() == rle.areas(rle.from_coco(again, HEIGHT, WIDTH)).tolist()
        assert (rle.areas(found) <= PIXELS).all()


@few
@given(st.lists(texts | sound, max_size=4), st.lists(texts | sound, max_size=4), st.data())
def test_overlaps_are_found_or_refused(one, other, data):
    image = [
        np.array(
            data.draw(st.lists(st.sampled_from([0, 0, 0, 1, -1, 2]), min_size=len(side), max_size=len(side)))
        )
        for side in (one, other)
    ]
    sizes = np.array([(HEIGHT, WIDTH), data.draw(st.tuples(sides, sides) | st.just((HEIGHT, WIDTH)))])
    found = attempt(rle.overlaps, one, image[0].astype(int), other, image[1].astype(int), sizes)
    if found is not None:
        assert (2 * found.intersection >= found.union).all()


@few
@given(texts, sides, sides)
def test_no_frame_is_too_large_or_too_small_for_an_answer(text, height, width):
    attempt(rle.from_coco, [text], height, width)
    attempt(rle.from_uncompressed, [1, 2], height, width)
    attempt(rle.from_polygons, [[0, 0, 3, 0, 3, 3]], min(height, 2**12), width)
    attempt(rle.to_coco, rle.Runs(np.array([0, 1]), np.array([0]), np.array([1])), min(height, 2**12), 1)
    if not height * width > PIXELS:
        assert attempt(rle.from_kaggle, ["1 1"], height, width) is None or height * width > 0


@few
@given(st.lists(numbers | decimals, max_size=6))
def test_plain_counts_fill_the_frame_or_are_refused(counts):
    text = attempt(rle.from_uncompressed, counts, HEIGHT, WIDTH)
    assert (text is not None) == (
        bool(counts) and all(c >= 0 and c == c // 1 for c in counts) and sum(counts) == PIXELS
    )


@few
@given(st.lists(st.lists(decimals, max_size=10), max_size=3))
def test_polygons_are_drawn_or_refused(polygons):
    text = attempt(rle.from_polygons, polygons, HEIGHT, WIDTH)
    assert text is None or rle.areas(rle.from_coco([text], HEIGHT, WIDTH))[0] <= PIXELS


@few
@given(st.lists(st.lists(numbers, max_size=8).map(lambda values: " ".join(map(str, values))), max_size=3))
def test_kaggle_texts_are_mended_within_the_frame(given_texts):
    found, _ = rle.from_kaggle(given_texts, HEIGHT, WIDTH)
    assert (rle.areas(found) <= PIXELS).all()
    rle.checked(found, HEIGHT, WIDTH)


@few
@given(runs())
def test_runs_are_used_where_they_are_sound_and_else_refused(given_runs):
    fine = attempt(rle.checked, given_runs, HEIGHT, WIDTH) is not None
    for work in (rle.to_coco, rle.to_masks):
        assert (attempt(work, given_runs, HEIGHT, WIDTH) is not None) == fine
    for work in (rle.to_kaggle, rle.union_area, lambda these: rle.boxes(these, WIDTH)):
        assert attempt(work, given_runs) is not None or not fine
    attempt(rle.overlaps_of_runs, given_runs, given_runs, WIDTH)
    tidy = attempt(rle.canonical, given_runs, HEIGHT, WIDTH)
    assert tidy is None or attempt(rle.checked, tidy, HEIGHT, WIDTH) is not None
    attempt(rle.areas, given_runs)
    order = np.arange(len(given_runs))
    assert (attempt(segmentation.claim, *given_runs, order, HEIGHT, WIDTH, 1, 0.5) is not None) == fine
    names = [str(number) for number in order]
    limits = checks.settings({}, {}, (), "dataset.yaml")
    assert (attempt(inspect, given_runs, names, HEIGHT, WIDTH, limits) is not None) == fine


@few
@given(st.integers(1, 4), st.data())
def test_patches_are_pasted_and_averaged_or_refused(count, data):
    boxes = data.draw(arrays(np.float32, (count, 4), elements=decimals))
    patches = np.full((count, 28, 28), data.draw(st.integers(0, 255)), np.uint8)
    rows = np.array(data.draw(st.lists(st.integers(-1, count), max_size=4)), np.int64)
    pasted = attempt(
        segmentation.paste, patches, boxes, rows, HEIGHT, WIDTH, data.draw(st.sampled_from([0.5, 0, 1]))
    )
    if pasted is not None:
        rle.checked(rle.Runs(*pasted[:3]), HEIGHT, WIDTH)
    owner = np.array(data.draw(st.lists(st.integers(-2, count), min_size=count, max_size=count)), np.int64)
    weights = data.draw(arrays(np.float64, count, elements=decimals))
    attempt(fusion.average, patches, boxes, weights, owner, boxes[::-1])


@few
@given(st.integers(0, 9), st.sampled_from(sorted(fusion.METHODS)), st.data())
def test_boxes_are_fused_or_refused(count, method, data):
    wild = data.draw(st.booleans())
    listed = st.integers(-1, 2) if wild else st.integers(0, 1)
    corner = decimals if wild else st.floats(-50, 50, width=32)
    candidates = fusion.Candidates(
        data.draw(arrays(np.float64, (count, 4), elements=corner)),
        data.draw(arrays(np.float64, count, elements=decimals if wild else st.floats(0, 1))),
        np.arange(count) % 2,
        np.array(data.draw(st.lists(listed, min_size=count, max_size=count)), int),
        np.ones(2),
    )
    fused = attempt(fusion.METHODS[method], candidates, fusion.Fusion())
    assert fused is not None or wild
    if fused is not None:
        assert np.isfinite(fused.boxes).all()
        assert len(fused.owner) == count


@few
@given(st.lists(texts | sound, min_size=1, max_size=5), st.data())
def test_instances_are_scored_or_refused(counts, data):
    wild = decimals if data.draw(st.booleans()) else st.floats(0, 9, width=32)
    table = pd.DataFrame(data.draw(arrays(np.float32, (len(counts), 5), elements=wild)))
    table.columns = ["x1", "y1", "x2", "y2", "score"]
    images = st.sampled_from(["a", "a", "a", "b", "of none"])
    table = table.assign(rle=counts, cell_type="cort", instance_id=range(len(counts)))
    table["image_id"] = data.draw(st.lists(images, min_size=len(counts), max_size=len(counts)))
    frames = pd.DataFrame({"image_id": ["a", "b"], "height": [HEIGHT, data.draw(sides)], "width": WIDTH})
    hits = attempt(metrics.hits, table, table[::-1], frames)
    assert hits is None or (hits <= 10).all()
    attempt(metrics.coco, table, table[::-1], frames)


def test_a_column_of_empty_texts_is_refused_in_words():
    with pytest.raises(ValueError, match="mask 0 holds no run lengths"):
        rle.from_coco(pd.Series([b"", b""]), HEIGHT, WIDTH)


@few
@given(
    st.tuples(*[st.integers(1, 9)] * 2),
    st.integers(1, 5),
    st.integers(1, 3),
    st.tuples(*[st.integers(0, 4)] * 4),
    st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_depthwise_filters_of_any_walk_equal_pytorchs(size, kernel, stride, pads, dtype):
    pads = tuple(min(pad, kernel - 1) for pad in pads)
    assume(size[0] + sum(pads[2:]) >= kernel and size[1] + sum(pads[:2]) >= kernel)
    random = torch.Generator().manual_seed(0)
    maps = torch.randint(-8, 8, (2, 3, *size), generator=random).to(dtype).requires_grad_()
    weight = torch.randint(-3, 3, (3, 1, kernel, kernel), generator=random).float().requires_grad_()
    bias = torch.ones(3, requires_grad=True)
    padded = functional.pad(maps.float(), pads)
    theirs = functional.conv2d(padded, weight, bias, stride, groups=3).clamp(0.5, 9.5)
    ours = Depthwise.apply(maps, weight, bias, Walk(stride, pads, 3), (0.5, 9.5))
    assert torch.equal(ours, theirs.to(dtype))
    slope = torch.randint(-4, 4, theirs.shape, generator=random)
    values = maps, weight, bias
    expected = torch.autograd.grad(theirs, values, slope.float())
    for found, wanted in zip(torch.autograd.grad(ours, values, slope.to(dtype)), expected, strict=True):
        assert torch.equal(found, wanted)
