"""An image's detections vote on its type: how ballots count, what they weigh, and no fold teaches its own."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroseg import cell_types, segmentation, tables, tuning
from neuroseg.tuning import voting


def detections(*rows: tuple[str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["image_id", "cell_type", "score"])


def test_hundreds_of_doubtful_detections_do_not_outvote_a_few_sure_ones():
    found = detections(*[("a", "astro", 0.05)] * 300, *[("a", "cort", 0.9)] * 10)
    assert cell_types.ballots(found).loc["a"].to_dict() == pytest.approx({"astro": 0.75, "cort": 8.1})
    assert cell_types.vote(found) == {"a": "cort"}


def test_a_types_weight_decides_a_vote():
    found = detections(("a", "astro", 0.5), ("a", "cort", 0.6))
    assert cell_types.vote(found, {"astro": 1.4}) == {"a": "cort"}  # 0.35 against 0.36
    assert cell_types.vote(found, {"astro": 1.5}) == {"a": "astro"}


def test_where_all_images_are_named_rightly_every_type_weighs_one():
    cast = pd.DataFrame({"astro": [2.0, 0.1], "cort": [1.0, 0.2]})
    assert voting.learn(cast, pd.Series(["astro", "cort"])) == {"astro": 1.0, "cort": 1.0}


def test_a_type_that_the_detector_is_unsure_of_comes_to_weigh_more():
    cast = pd.DataFrame({"astro": [1.0, 1.0, 0.1], "cort": [1.3, 1.2, 3.0]})
    weights = voting.learn(cast, pd.Series(["astro", "astro", "cort"]))
    assert weights == {"astro": pytest.approx(2**0.5), "cort": 1.0}
    assert list(cell_types.elect(cast, weights).values()) == ["astro", "astro", "cort"]


def test_images_of_unknown_type_teach_nothing():
    cast = pd.DataFrame({"astro": [1.0, 1.0], "cort": [1.3, 1.3]})
    assert voting.learn(cast, pd.Series(["cort", None])) == {"astro": 1.0, "cort": 1.0}
    assert voting.learn(cast, pd.Series([None, None], dtype=object)) == {"astro": 1.0, "cort": 1.0}


@given(st.integers(0, 2**32 - 1))
def test_learnt_weights_name_no_fewer_images_rightly_than_equal_ones(seed):
    rng = np.random.default_rng(seed)
    cast = pd.DataFrame(rng.uniform(0, 1, (12, 3)), columns=["astro", "cort", "shsy5y"])
    known = pd.Series(rng.choice(cast.columns, 12))

    def right(weights: dict[str, float]) -> int:
        return sum(np.array(list(cell_types.elect(cast, weights).values())) == known)

    assert right(voting.learn(cast, known)) >= right({})


HEIGHT, WIDTH = 40, 60


def culture(names: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Held-out images, a letter each, a and A astro, others cort, in folds by turns; a true cell in each."""
    images = pd.DataFrame({"image_id": list(names), "height": HEIGHT, "width": WIDTH})
    images["cell_type"] = ["astro" if name in "aA" else "cort" for name in names]
    images["fold"] = np.arange(len(names)) % 2
    return images, found(*[(name, kind, 1.0) for name, kind in zip(names, images["cell_type"], strict=True)])


def found(*rows: tuple[str, str, float]) -> pd.DataFrame:
    """Detections of a cell of 20 by 20 pixels, at one place in every image."""
    table = detections(*rows).astype({"score": np.float32})
    sides = {
        name: np.float32(side) for name, side in zip(("x1", "y1", "x2", "y2"), (10, 10, 30, 30), strict=True)
    }
    patches = tables.patch_column(np.full((len(table), 28, 28), 255, np.uint8))
    return table.assign(**sides, mask=patches, source="e")


def test_each_fold_s_weights_are_learnt_on_the_other_folds():
    images, cells = culture("acbACB")
    truth = segmentation.rasterise(cells, images, 0.5, 1, False)
    # Fold 0 holds a, b and C, fold 1 c, A and B. In A astro is drowned by cort, in a it is not.
    doubtful = [("A", "astro", 0.55), ("A", "cort", 0.6), ("a", "astro", 0.9), ("a", "cort", 0.1)]
    sure = [(name, "cort", 0.9) for name in "bcBC"]
    settings = tuning.Settings(mask=(0.5,), min_area={"every": (20,)}, rescore=(False,))
    collected = tuning.collect(settings, images, truth, 1, [found(*doubtful, *sure)])
    chosen = tuning.choose(settings, collected).set_index(["fold", "cell_type"])
    assert chosen["vote"].unstack().loc[0].to_dict() == {"astro": pytest.approx(2**0.5), "cort": 1.0}
    assert chosen["vote"].unstack().loc[1].to_dict() == {"astro": 1.0, "cort": 1.0}
    assert chosen["images"].to_dict()[(0, "astro")] == 1  # A, once its astro counts for enough


def test_an_image_takes_the_thresholds_of_the_type_that_the_weighted_vote_names():
    images, _ = culture("a")
    table = found(("a", "astro", 0.5), ("a", "cort", 0.6))
    given = {"score": 0.3, "mask": 0.5, "min_area": 20, "rescore": False}
    for weight, kind in ((1.0, "cort"), (2.0, "astro")):
        cut = segmentation.instances(table, images, {"astro": given | {"vote": weight}, "cort": given})
        assert set(cut["cell_type"]) == {kind}


def test_a_type_of_too_few_images_takes_what_is_best_for_all():
    images, cells = culture("acbACB")
    truth = segmentation.rasterise(cells, images, 0.5, 1, False)
    rows = [("a", "astro", 0.9), ("A", "astro", 0.9), *((name, "cort", 0.4) for name in "bcBC")]
    scores = {}
    for few in (1, 2):
        settings = tuning.Settings(mask=(0.5,), min_area={"every": (20,)}, rescore=(False,), min_images=few)
        chosen = tuning.choose(settings, tuning.collect(settings, images, truth, 1, [found(*rows)]))
        scores[few] = chosen.set_index(["fold", "cell_type"])["score"]
    assert scores[1][(0, "astro")] == 0.45  # the middle of what keeps A's
    assert scores[2][(0, "astro")] == 0.2  # of what keeps every cell
    assert scores[2]["all", "astro"] == 0.45  # two images are enough
