"""From patches to disjoint instances: pasted as MMDetection does, claimed in turn, no pixel shared."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from neuroseg import cell_types, rle, segmentation, tables
from neuroseg.errors import DataError

HEIGHT, WIDTH = 60, 80


def images(*ids: str, height: int = HEIGHT, width: int = WIDTH) -> pd.DataFrame:
    optional = dict.fromkeys(
        ["cell_type", "sample", "plate", "well", "field", "treatment", "dose", "dose_unit"]
    )
    return pd.DataFrame({"image_id": list(ids)}).assign(
        path="x.png", height=height, width=width, group="g", subset="train", annotated=True, time=np.nan,
        pixel_size_um=np.nan, **optional,
    )[tables.SCHEMAS["images"].names]  # fmt: skip


def detections(
    boxes: list,
    scores: list,
    image: str | list = "a",
    cell_type: str | list = "cort",
    patches: np.ndarray | None = None,
) -> pd.DataFrame:
    """Detections whose patches are full, so that a mask is its box, unless said otherwise."""
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    full = np.full((len(corners), 28, 28), 255, np.uint8) if patches is None else patches
    return pd.DataFrame(
        {
            "image_id": [image] * len(corners) if isinstance(image, str) else image,
            "cell_type": [cell_type] * len(corners) if isinstance(cell_type, str) else cell_type,
            "score": np.array(scores, np.float32),
            **dict(zip(("x1", "y1", "x2", "y2"), corners.T, strict=True)),
            "mask": tables.patch_column(full),
            "source": "e",
        }
    )


def masks(instances: pd.DataFrame, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return rle.to_masks(rle.from_coco(list(instances["rle"]), height, width), height, width)


def bump(rng: np.random.Generator) -> np.ndarray:
    """A smooth random patch, high in the middle, such as a mask head gives."""
    y, x = np.mgrid[:28, :28] - rng.uniform(11, 16, (2, 1, 1))
    radius = rng.uniform(5, 13) * (
        1 + 0.3 * np.sin(np.arctan2(y, x) * rng.integers(1, 5) + rng.uniform(0, 6))
    )
    return (255 / (1 + np.exp((np.hypot(y, x) - radius) / rng.uniform(0.5, 3)))).round().astype(np.uint8)


def crowd(seed: int, count: int = 25, size: float = 20) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-5, (WIDTH - 5, HEIGHT - 5), (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(2, size, (count, 2))], axis=1)
    scores = np.round(rng.uniform(0, 1, count), 1)  # ties abound
    return detections(
        boxes, scores, patches=np.array([bump(rng) for _ in range(count)], np.uint8).reshape(-1, 28, 28)
    )


# ---------------------------------------------------------------------------------------------------- pasting


def test_a_full_patch_covers_the_pixels_whose_centres_lie_in_its_box():
    found = segmentation.rasterise(detections([[10, 5, 20, 12]], [0.9]), images("a"), 0.5, 0, False)
    assert masks(found)[0, 5:12, 10:20].all()
    assert found["area"].tolist() == [70]
    assert found[["x1", "y1", "x2", "y2"]].to_numpy().tolist() == [[10, 5, 20, 12]]


def test_the_field_falls_to_half_at_the_box_edge_and_to_nothing_half_a_sample_beyond():
    detection = detections([[0, 28, 56, 56]], [1.0])  # two pixels a sample across, one down
    low = segmentation.rasterise(detection, images("a"), 0.1, 0, False)
    high = segmentation.rasterise(detection, images("a"), 0.9, 0, False)
    assert masks(low)[0, 40].nonzero()[0].tolist() == list(range(57))  # 0.25 samples beyond the edge: 0.25
    assert masks(high)[0, 40].nonzero()[0].tolist() == list(range(1, 55))  # 0.25 samples inside: 0.75


def test_a_pixel_of_exactly_the_threshold_is_in():
    patch = np.full((1, 28, 28), 102, np.uint8)  # 102 / 255 is 0.4
    detection = detections([[10, 10, 38, 38]], [1.0], patches=patch)
    assert segmentation.rasterise(detection, images("a"), 0.4, 0, False)["area"].tolist() == [28 * 28]
    assert len(segmentation.rasterise(detection, images("a"), 0.41, 0, False)) == 0


def test_a_patch_over_the_frames_edge_is_cut_there():
    found = segmentation.rasterise(detections([[-10, -4, 6, 300]], [1.0]), images("a"), 0.5, 0, False)
    assert found[["x1", "y1", "x2", "y2", "area"]].to_numpy().tolist() == [[0, 0, 6, HEIGHT, 6 * HEIGHT]]


def test_a_patch_outside_the_frame_or_below_the_threshold_leaves_nothing():
    boxes = [[100, 10, 120, 30], [-30, -30, -20, -20], [10, 10, 20, 20]]
    patches = np.stack([np.full((28, 28), value, np.uint8) for value in (255, 255, 100)])
    found = segmentation.rasterise(detections(boxes, [1, 1, 1], patches=patches), images("a"), 0.5, 0, True)
    assert len(found) == 0
    assert found.columns.tolist() == tables.SCHEMAS["instances"].names


def field(patch: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Every pixel's probability: `grid_sample` with zero padding, align_corners=False, by another library."""
    x1, y1, x2, y2 = box.astype(np.float64)
    columns = (np.arange(WIDTH) + 0.5 - x1) / (x2 - x1) * 28 - 0.5
    rows = (np.arange(HEIGHT) + 0.5 - y1) / (y2 - y1) * 28 - 0.5
    places = np.meshgrid(rows, columns, indexing="ij")
    return ndimage.map_coordinates(patch / 255, places, order=1, mode="grid-constant")


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.75])
def test_masks_are_those_of_bilinear_sampling_with_zeros_around(threshold):
    rng = np.random.default_rng(3)
    found = crowd(3, count=60, size=70)
    boxes, patches = tables.boxes(found), tables.patches(found).copy()
    patches[::2] = rng.integers(0, 256, patches[::2].shape)  # half of them noise, the hardest to agree upon
    expected = np.stack([field(patch, box) for patch, box in zip(patches, boxes, strict=True)])
    ptr, start, length, mean = segmentation.paste(patches, boxes, np.arange(60), HEIGHT, WIDTH, threshold)
    ours = rle.to_masks(rle.Runs(ptr, start, length), HEIGHT, WIDTH)
    undecided = np.abs(expected - threshold) < 1e-6
    assert (ours == (expected >= threshold))[~undecided].all()
    assert undecided.mean() < 1e-4
    means = [values[mask].mean() if mask.any() else 0 for values, mask in zip(expected, ours, strict=True)]
    np.testing.assert_allclose(mean, means, atol=1e-6)


# ---------------------------------------------------------------------------------------------------- scoring


def test_rescoring_multiplies_by_the_mean_probability_over_the_mask():
    patch = np.full((1, 28, 28), 204, np.uint8)  # 0.8
    detection = detections([[10, 10, 38, 38]], [0.5], patches=patch)
    found = segmentation.rasterise(detection, images("a"), 0.5, 0, True)
    assert found["score"].tolist() == [np.float32(0.4)]
    assert segmentation.rasterise(detection, images("a"), 0.5, 0, False)["score"].tolist() == [0.5]


def test_rescoring_decides_who_comes_first():
    patches = np.stack([np.full((28, 28), 140, np.uint8), np.full((28, 28), 255, np.uint8)])
    both = detections([[10, 10, 30, 30], [25, 10, 45, 30]], [0.9, 0.8], patches=patches)
    plain = segmentation.rasterise(both, images("a"), 0.3, 0, False)
    rescored = segmentation.rasterise(both, images("a"), 0.3, 0, True)
    assert masks(plain)[0, 20, 29]
    assert masks(rescored)[0, 20, 26]
    assert rescored["score"].tolist() == pytest.approx([0.8, 0.9 * 140 / 255], abs=0.05)
    assert rescored["instance_id"].tolist() == [0, 1]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    score=st.sampled_from([0.1, 0.3, 0.45, 0.5, 0.8, 1.0]),
    mask=st.sampled_from([0.3, 0.5, 0.7]),
    min_area=st.sampled_from([0, 30]),
    rescore=st.booleans(),
)
def test_cutting_at_a_score_afterwards_is_asking_for_it(seed, score, mask, min_area, rescore):
    found = crowd(seed)
    whole = segmentation.rasterise(found, images("a"), mask, min_area, rescore)
    asked = segmentation.rasterise(found, images("a"), mask, min_area, rescore, score)
    pd.testing.assert_frame_equal(whole[whole["score"] >= score], asked)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.sampled_from([0, 1, 60]))
def test_a_sweep_gives_at_each_point_what_rasterising_by_it_gives(seed, count):
    found = pd.concat([crowd(seed, count), crowd(seed + 1, count).assign(image_id="b")], ignore_index=True)
    listed = images("a", "b")
    points = [(0.3, 0, False), (0.3, 40, True), (0.6, 40, False), (0.3, 40, False)]
    cuts = list(segmentation.sweep(found, listed, points))
    for number, point in enumerate(points):
        expected = segmentation.rasterise(found, listed, *point)
        for image in ("a", "b")[: 2 * bool(count)]:
            _, _, scores, runs = next(cut for cut in cuts if cut[:2] == (image, number))
            own = expected[expected["image_id"] == image]
            assert scores.tolist() == own["score"].tolist()
            assert rle.to_coco(runs, HEIGHT, WIDTH) == [bytes(counts) for counts in own["rle"]]


# --------------------------------------------------------------------------------------------------- claiming


def test_the_better_scored_takes_the_overlap():
    found = segmentation.rasterise(
        detections([[10, 10, 30, 30], [25, 10, 45, 30]], [0.5, 0.9]), images("a"), 0.5, 0, False
    )
    assert found["area"].tolist() == [400, 300]
    assert found["score"].tolist() == pytest.approx([0.9, 0.5])


def test_of_equal_scores_the_first_in_the_table_takes_the_overlap():
    found = segmentation.rasterise(
        detections([[10, 10, 30, 30], [25, 10, 45, 30]], [0.9, 0.9]), images("a"), 0.5, 0, False
    )
    assert found["x1"].tolist() == [10, 30]


@pytest.mark.parametrize(("left", "kept"), [(20, 2), (19, 1)])
def test_what_lost_more_than_half_to_others_is_dropped(left, kept):
    boxes = [[10, 10, 30, 30], [left, 10, left + 20, 30]]  # 20: half of it is left, 19: less
    assert len(segmentation.rasterise(detections(boxes, [0.9, 0.8]), images("a"), 0.5, 0, False)) == kept


def test_what_is_dropped_leaves_its_pixels_to_others():
    boxes = [[10, 10, 30, 30], [19, 10, 39, 30], [29, 10, 49, 30]]
    found = segmentation.rasterise(detections(boxes, [0.9, 0.8, 0.7]), images("a"), 0.5, 0, False)
    assert found["area"].tolist() == [400, 19 * 20]


def test_of_what_is_cut_in_two_the_larger_part_stays():
    boxes = [[30, 5, 35, 40], [10, 10, 70, 30]]
    found = segmentation.rasterise(detections(boxes, [0.9, 0.8]), images("a"), 0.5, 0, False)
    assert found["x1"].tolist() == [30, 35]
    assert found["area"].tolist() == [5 * 35, 35 * 20]


@pytest.mark.parametrize(("min_area", "kept"), [(100, 1), (101, 0)])
def test_what_is_smaller_than_the_least_area_is_dropped(min_area, kept):
    found = segmentation.rasterise(detections([[10, 10, 20, 20]], [0.9]), images("a"), 0.5, min_area, False)
    assert len(found) == kept


def claims(stack: np.ndarray, min_area: int = 0, lost: float = 1.0) -> tuple[list[int], np.ndarray]:
    height, width = stack.shape[1:]
    kept, *runs = segmentation.claim(
        *rle.from_masks(stack), np.arange(len(stack)), height, width, min_area, lost
    )
    return kept.tolist(), rle.to_masks(rle.Runs(*runs), height, width)


def test_pixels_that_meet_at_a_corner_are_one_fragment():
    mask = np.eye(9, dtype=bool)[None]
    assert claims(mask)[1].sum() == 9
    assert claims(mask[:, :, ::-1])[1].sum() == 9


def test_a_mask_of_thousands_of_runs_is_kept_whole():
    chess = (np.indices((HEIGHT, WIDTH)).sum(0) % 2 == 0)[None]
    kept, out = claims(np.concatenate([chess, ~chess]))
    assert kept == [0, 1]
    assert (out == np.concatenate([chess, ~chess])).all()


def test_a_row_does_not_continue_at_the_other_side_of_the_frame():
    mask = np.zeros((1, 4, 6), bool)
    mask[0, 0, 4:], mask[0, 1, 0], mask[0, 2, 0] = True, True, True
    kept = claims(mask)[1][0]
    assert kept.sum() == 2
    assert kept[0, 4:].all()  # of equal fragments the first from the top


def by_hand(stack: np.ndarray, min_area: int, lost: float) -> tuple[list[int], list[np.ndarray]]:
    """The rule as one would write it on dense masks."""
    taken = np.zeros(stack.shape[1:], bool)
    kept, out = [], []
    for number, mask in enumerate(stack):
        free = mask & ~taken
        if not free.any() or (mask & taken).sum() > lost * mask.sum():
            continue
        fragments, _ = ndimage.label(free, np.ones((3, 3)))
        free = fragments == 1 + np.argmax(np.bincount(fragments.ravel())[1:])
        if free.sum() >= min_area:
            kept.append(number)
            out.append(free)
            taken |= free
    return kept, out


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 8),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    density=st.sampled_from([0.05, 0.4, 0.6, 0.9, 1.0]),
    min_area=st.integers(0, 6),
    lost=st.sampled_from([0.0, 0.25, 0.5, 1.0]),
)
def test_claims_are_those_worked_out_on_dense_masks(seed, count, height, width, density, min_area, lost):
    stack = np.random.default_rng(seed).random((count, height, width)) < density
    kept, out = claims(stack, min_area, lost)
    expected_kept, expected = by_hand(stack, min_area, lost)
    assert kept == expected_kept
    assert (out == np.array(expected, bool).reshape(-1, height, width)).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 40), rescore=st.booleans())
def test_no_pixel_belongs_to_two_instances(seed, count, rescore):
    found = segmentation.rasterise(crowd(seed, count), images("a"), 0.4, 5, rescore)
    assert masks(found).sum(0).max(initial=0) <= 1
    assert (found["area"] >= 5).all()
    assert found["score"].is_monotonic_decreasing
    tables.check("instances", found, "here")


def test_hard_masks_are_made_disjoint_in_their_order_where_they_have_no_score():
    stack = np.zeros((3, HEIGHT, WIDTH), bool)
    stack[0, 10:20, 10:20], stack[1, 10:20, 16:30], stack[2, 14:16, 12:14] = True, True, True
    runs = rle.from_masks(stack)
    hard = pd.DataFrame(
        {
            "image_id": "a",
            "instance_id": [5, 6, 7],
            "cell_type": "astro",
            **dict(zip(("x1", "y1", "x2", "y2"), rle.boxes(runs, WIDTH).T.astype(np.float32), strict=True)),
            "area": rle.areas(runs),
            "rle": tables.rle_column(rle.to_coco(runs, HEIGHT, WIDTH)),
            "score": np.full(3, np.nan, np.float32),
        }
    )
    apart = segmentation.disjoint(hard, images("a"))
    assert apart["area"].tolist() == [100, 100]
    assert apart["instance_id"].tolist() == [0, 1]
    assert apart["score"].isna().all()
    scored = segmentation.disjoint(hard.assign(score=np.float32([0.1, 0.2, 0.9])), images("a"))
    assert scored["area"].tolist() == [4, 140, 100 - 40 - 4]
    assert len(segmentation.disjoint(hard[:0], images("a"))) == 0


# ---------------------------------------------------------------------------------------- types, folds, files

CUT = {"score": 0.3, "mask": 0.5, "min_area": 0, "rescore": False}


def test_the_largest_sum_of_squared_scores_decides_an_images_type():
    box = [0, 0, 9, 9]
    found = detections([box] * 6, [0.9, 0.5, 0.5, 0.4, 0.4, 0.1], ["a", "a", "a", "b", "b", "b"],
                       ["cort", "astro", "astro", "shsy5y", "cort", "astro"])  # fmt: skip
    assert cell_types.vote(found) == {"a": "cort", "b": "cort"}  # b: equal sums, the first of the alphabet
    assert cell_types.vote(found[:0]) == {}


def test_an_image_takes_the_thresholds_and_the_label_of_its_type():
    found = detections(
        [[0, 0, 10, 10], [20, 20, 30, 30], [40, 40, 50, 50]], [0.9, 0.4, 0.6], "a", ["cort", "astro", "cort"]
    )
    chosen = {"cort": CUT | {"score": 0.5}, "astro": CUT}
    cells = segmentation.instances(found, images("a"), chosen)
    assert cells["cell_type"].tolist() == ["cort", "cort"]
    assert cells["score"].tolist() == pytest.approx([0.9, 0.6])


def test_images_of_different_size_stand_side_by_side():
    listed = pd.concat([images("a"), images("b", height=200, width=150)])
    found = detections([[100, 100, 120, 110], [0, 0, 10, 10]], [0.9, 0.9], ["b", "a"])
    cells = segmentation.instances(found, listed, {"cort": CUT})
    assert cells["image_id"].tolist() == ["b", "a"]
    assert cells["area"].tolist() == [200, 100]
    assert masks(cells[:1], 200, 150)[0, 100:110, 100:120].all()


def test_a_type_without_thresholds_is_named():
    with pytest.raises(DataError, match=r"image a: its detections vote for cort, for which .*only for astro"):
        segmentation.instances(detections([[0, 0, 9, 9]], [0.9]), images("a"), {"astro": CUT})


def test_an_image_outside_the_images_table_is_named():
    with pytest.raises(DataError, match="image a is not in the images table"):
        segmentation.instances(detections([[0, 0, 9, 9]], [0.9]), images("b"), {"cort": CUT})


def folds(**fold: int) -> pd.DataFrame:
    return pd.DataFrame({"image_id": list(fold), "fold": np.array(list(fold.values()), np.int8)})


@pytest.fixture
def files(tmp_path):
    """Everything that the step reads, with an image of each fold, an unseen one, and one without a find."""
    listed = images("a", "b", "c", "d")
    found = detections([[0, 0, 10, 10]] * 3, [0.25, 0.5, 0.75], ["a", "b", "c"])
    tables.write("images", listed, tmp_path / "images.parquet")
    tables.write("folds", folds(a=0, b=1, c=-1, d=-1), tmp_path / "folds.parquet")
    coverage = tables.Coverage(("a", "b", "c", "d"), ("e",))
    tables.write("detections", found, tmp_path / "detections.parquet", coverage)
    (tmp_path / "thresholds.yaml").write_text(
        "folds:\n"
        "  0: {cort: {score: 0.2, mask: 0.5, min_area: 0, rescore: false}}\n"
        "  1: {cort: {score: 0.6, mask: 0.5, min_area: 0, rescore: false}}\n"
        "all: {cort: {score: 0.7, mask: 0.5, min_area: 0, rescore: false}}\n"
    )
    return tmp_path


def segment(step, folder) -> pd.DataFrame:
    step("segment").main(
        detections=folder / "detections.parquet",
        images=folder / "images.parquet",
        folds=folder / "folds.parquet",
        thresholds=folder / "thresholds.yaml",
        instances=folder / "out" / "instances.parquet",
    )
    return tables.read("instances", folder / "out" / "instances.parquet")


def test_the_step_cuts_each_image_by_its_folds_thresholds(step, files):
    cells = segment(step, files)
    assert cells["image_id"].tolist() == ["a", "c"]  # b scores 0.5, and the other folds want 0.6 of it
    assert cells["cell_type"].tolist() == ["cort", "cort"]


def test_detections_without_a_row_become_instances_without_a_row(step, files):
    coverage = tables.Coverage(("a", "b"), ("e",))
    tables.write("detections", tables.empty("detections"), files / "detections.parquet", coverage)
    assert len(segment(step, files)) == 0


def test_the_step_gives_the_same_whatever_the_batch(step, files, monkeypatch):
    whole = segment(step, files)
    monkeypatch.setattr("neuroseg.tables.BATCH", 1)
    pd.testing.assert_frame_equal(segment(step, files), whole)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("thresholds.yaml", "folds: {}\nall: {}\n", "image a is of fold 0, thresholds are for -1"),
        (
            "thresholds.yaml",
            "folds: {0: {}, 1: {}}\nall: {}\n",
            "vote for cort, for which there are no thresholds",
        ),
        ("thresholds.yaml", "all: {}\n", r"thresholds\.yaml: folds: is missing"),
        ("thresholds.yaml", "folds: {}\nall: {cort: {score: -1}}\n", r"thresholds\.yaml: all\.cort\.score"),
        (
            "thresholds.yaml",
            "folds: {}\nall: {cort: {size: 1}}\n",
            r"all\.cort\.size: there is no such key here",
        ),
        ("thresholds.yaml", "folds: {0: [}\n", r"thresholds\.yaml: these thresholds cannot be read"),
        ("thresholds.yaml", "\n", r"thresholds\.yaml: the file"),
    ],
)
def test_thresholds_that_cannot_be_used_are_named(step, files, file, content, words):
    (files / file).write_text(content)
    with pytest.raises(DataError, match=words):
        segment(step, files)
    assert not list(files.glob("out/*"))


def test_an_image_in_no_fold_is_named(step, files):
    tables.write("folds", folds(a=0), files / "folds.parquet")
    with pytest.raises(DataError, match=r"detections\.parquet: image b is not in the folds table"):
        segment(step, files)


# ---------------------------------------------------------------------------------------------- pseudo-labels


def test_detections_are_of_their_images_type_where_it_is_told():
    told = images("a", "b", "c").assign(cell_type=["astro", None, "neuron"])
    found = detections(
        [[0, 0, 9, 9]] * 4, [0.9, 0.8, 0.7, 0.6], ["a", "a", "b", "c"], ["cort", "astro", "cort", "cort"]
    )
    known = cell_types.of_image(found, told, ["astro", "cort"])
    assert known["cell_type"].tolist() == ["astro", "astro", "cort", "cort"]  # nobody has taught it neuron
    assert found["cell_type"].tolist() == ["cort", "astro", "cort", "cort"]


def test_untuned_thresholds_are_a_score_of_each_type():
    chosen = segmentation.untuned({"default": 0.5, "astro": 0.25}, ["astro", "cort"])
    assert {name: each.score for name, each in chosen.items()} == {"astro": 0.25, "cort": 0.5}
    found = detections([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 44, 4]], [0.6, 0.4, 0.9])
    kept = segmentation.instances(found, images("a"), chosen)
    assert kept["score"].tolist() == [np.float32(0.6)]  # the second scores less, the third has 16 pixels


@pytest.mark.parametrize(
    ("scores", "complaint"),
    [
        ({"default": 0.5, "neuron": 0.5}, "no cell type neuron; name astro"),
        ({"astro": 0.5}, "cort has none; add it"),
    ],
)
def test_untuned_thresholds_that_miss_or_mistake_a_type_are_refused(scores, complaint):
    with pytest.raises(DataError, match=complaint):
        segmentation.untuned(scores, ["astro", "cort"])
