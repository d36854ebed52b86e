"""Choosing thresholds: curves whose best is arithmetic, and rescoring from scratch as the oracle."""

import numpy as np
import pandas as pd
import pytest
import yaml

from neuroseg import metrics, segmentation, tables, tuning
from neuroseg.errors import DataError
from neuroseg.folds import scored

PLAIN = {"score": 0.5, "mask": 0.5, "min_area": 20, "rescore": False, "vote": 1.0}
"""The thresholds where nothing speaks for others."""

ONE_POINT = {"mask": [0.5], "min_area": [20], "rescore": [False]}


def settings(**section: object) -> tuning.Settings:
    return tuning.Settings.model_validate(section)


def recipe(folder, text: str):
    path = folder / "ensemble.yaml"
    path.write_text(text)
    return path


def held(*rows: tuple[str, str, int], ap: float = 0.0) -> pd.DataFrame:
    """Held-out images: image_id, cell_type and fold."""
    return pd.DataFrame(rows, columns=["image_id", "cell_type", "fold"]).assign(ap=ap)


def tallies(
    given: tuning.Settings, images: pd.DataFrame, *points: dict[str, list[tuple[float, float]]]
) -> list:
    """What each point of the grid tallies, from (score, gain) of each image's instances."""
    result = []
    for number, found in enumerate(points):
        rows = [(image, score, gain) for image, pairs in found.items() for score, gain in pairs]
        table = pd.DataFrame(rows, columns=["image_id", "score", "gain"])
        table = table.astype({"image_id": "str", "score": np.float64, "gain": np.float64})
        result.append(tuning.tally(given, images, table.assign(point=number)))
    return result


def chosen(
    given: tuning.Settings, images: pd.DataFrame, *points: dict, types: tuple = ("cort",)
) -> pd.DataFrame:
    table = tuning.choose(given, tuning.Collected(images, tallies(given, images, *points), list(types)))
    return table.set_index(["fold", "cell_type"])


# --------------------------------------------------------------------------------------------------- settings


def test_an_ensemble_file_without_a_section_takes_the_defaults(tmp_path):
    given = tuning.read_settings(
        recipe(tmp_path, "members: {a: 1}\nfusion: {method: nonsense of another room}\n")
    )
    assert given == tuning.Settings()
    assert len(tuning.grid(given)) == 24


def test_a_section_says_what_is_tried(tmp_path):
    text = "members: {a: 1}\nthresholds:\n  score: swept\n  mask: [0.5, 0.4]\n"
    text += "  min_area: {astro: [90], cort: [30, 60]}\n"
    grid = tuning.grid(tuning.read_settings(recipe(tmp_path, text)))
    assert len(grid) == 12
    assert {point.min_area for point in grid} == {30, 60, 90}


def test_the_plainest_points_come_first():
    grid = tuning.grid(settings(mask=[0.4, 0.55, 0.5], min_area=[60, 30], rescore=[True, False]))
    assert grid[:4] == [(0.5, 30, False), (0.5, 60, False), (0.55, 30, False), (0.55, 60, False)]
    assert [point.rescore for point in grid] == [False] * 6 + [True] * 6


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("{mask: [1.5]}", "thresholds.mask.0"),
        ("{mask: []}", "thresholds.mask"),
        ("{masks: [0.5]}", "thresholds.masks"),
        ("{min_area: {astro: [-1]}}", "thresholds.min_area.astro.0"),
        ("{score: often}", "thresholds.score"),
        ("{rescore: perhaps}", "thresholds.rescore"),
        ("{fixed: {cort: {score: 0.3, mask: 0.5, min_area: 40}}}", "thresholds.fixed.cort.rescore"),
        ("{fixed: {cort: {score: 0.3, mask: 0.5, min_area: 40, rescore: true}}, mask: [0.5]}", "thresholds"),
        ("[0.5]", "thresholds"),
    ],
)
def test_a_broken_section_names_the_file_and_the_key(tmp_path, section, key):
    path = recipe(tmp_path, f"members: {{a: 1}}\nthresholds: {section}\n")
    with pytest.raises(DataError, match=rf"ensemble.yaml: {key}: "):
        tuning.read_settings(path)


@pytest.mark.parametrize("text", ["members: {a: 1", "- a list\n", ""])
def test_a_file_that_is_no_ensemble_file_is_refused(tmp_path, text):
    with pytest.raises(DataError, match="ensemble file"):
        tuning.read_settings(recipe(tmp_path, text))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        tuning.read_settings(tmp_path / "none.yaml")


# --------------------------------------------------------------------------------------------------- choosing


def test_the_score_lies_amid_those_that_are_as_good():
    """Wrong cells end at 0.2 and right ones begin at 0.8: thresholds 0.201 to 0.8 keep right ones alone."""
    images = held(("a", "cort", 0), ("b", "cort", 1))
    found = {image: [(0.9, 0.4), (0.8, 0.4), (0.2, -0.1), (0.1, -0.1)] for image in "ab"}
    result = chosen(settings(**ONE_POINT), images, found)
    assert result["score"].tolist() == [0.5, 0.5, 0.5]
    assert result["ap"].tolist() == pytest.approx([0.8] * 3)
    assert result["images"].tolist() == [1, 1, 2]


def test_where_images_hold_no_truth_it_is_best_to_keep_nothing():
    images = held(("a", "cort", 0), ("b", "cort", 1), ap=1.0)
    result = chosen(settings(**ONE_POINT), images, {"a": [(0.7, -1.0)], "b": [(0.6, -1.0)]})
    assert result.loc["all", ["score", "ap"]].to_numpy().tolist() == [[0.85, 1.0]]


def test_a_needle_of_luck_moves_the_score_no_further_than_its_own_plateau():
    images = held(("a", "cort", 0), ("b", "cort", 1))
    found = {"a": [(0.9, 0.5), (0.6, 0.0003), (0.5, -0.0003)], "b": [(0.3, -0.2)]}
    assert chosen(settings(**ONE_POINT), images, found).loc["all", "score"].item() == 0.6  # amid 0.301 to 0.9


def test_a_fold_s_thresholds_are_chosen_on_the_other_folds():
    images = held(("a", "cort", 0), ("b", "cort", 1), ("c", "cort", 2))
    good_above = {"a": 0.2, "b": 0.4, "c": 0.6}
    found = {image: [(0.9, 0.5), (above - 0.1, -0.1)] for image, above in good_above.items()}
    before = chosen(settings(**ONE_POINT), images, found)
    found["a"] = [(0.05, 1.0)]
    after = chosen(settings(**ONE_POINT), images, found)
    columns = ["score", "mask", "min_area", "rescore", "images", "ap"]
    assert (after.loc[0, columns] == before.loc[0, columns]).all(axis=None)
    assert (after.loc[1, "score"] != before.loc[1, "score"]).all()


def test_types_are_chosen_for_on_their_own_images():
    images = held(("a", "astro", 0), ("b", "astro", 1), ("c", "cort", 0), ("d", "cort", 1))
    low, high = [(0.4, 0.5)], [(0.9, 0.5), (0.8, -0.3)]
    result = chosen(
        settings(**ONE_POINT), images, {"a": low, "b": low, "c": high, "d": high}, types=("astro", "cort")
    )
    assert result.loc["all", "score"].to_dict() == {"astro": 0.2, "cort": 0.85}


def test_a_type_that_the_other_folds_lack_takes_what_is_best_for_all_types():
    images = held(("a", "astro", 0), ("b", "cort", 1), ("c", "cort", 2))
    found = {"a": [(0.9, 0.1)], "b": [(0.5, 0.6)], "c": [(0.5, 0.6)]}
    result = chosen(settings(**ONE_POINT), images, found, types=("astro", "cort", "shsy5y"))
    assert result.loc[(0, "astro"), ["score", "images"]].tolist() == [0.25, 2]
    assert result.loc[("all", "astro"), ["score", "images"]].tolist() == [0.45, 1]
    assert result.loc[("all", "shsy5y"), ["score", "images"]].tolist() == [0.25, 3]


def test_a_single_fold_s_thresholds_are_chosen_on_itself():
    images = held(("a", "cort", 0))
    result = chosen(settings(**ONE_POINT), images, {"a": [(0.8, 0.5), (0.4, -0.1)]})
    assert result["score"].tolist() == [0.6, 0.6]


def test_of_points_about_equal_the_plainest_is_chosen_and_a_better_one_beats_it():
    given = settings(mask=[0.4, 0.5], min_area=[20], rescore=[False])
    assert [point.mask for point in tuning.grid(given)] == [0.5, 0.4]
    images = held(("a", "cort", 0), ("b", "cort", 1))
    plain, rare, better = ({image: [(0.8, gain)] for image in "ab"} for gain in (0.5, 0.5004, 0.51))
    assert chosen(given, images, plain, rare)["mask"].tolist() == [0.5] * 3
    assert chosen(given, images, plain, better)["mask"].tolist() == [0.4] * 3


def test_a_type_with_a_list_of_its_own_takes_no_other_area():
    given = settings(mask=[0.5], min_area={"astro": [90], "cort": [30]}, rescore=[False])
    images = held(("a", "astro", 0), ("b", "astro", 1), ("c", "shsy5y", 0), ("d", "shsy5y", 1))
    small, large = ({image: [(0.8, gain)] for image in "abcd"} for gain in (0.9, 0.1))
    result = chosen(given, images, small, large, types=("astro", "shsy5y"))
    assert result.loc["all", "min_area"].to_dict() == {"astro": 90, "shsy5y": 30}


def test_of_a_list_of_scores_nothing_else_is_chosen():
    images = held(("a", "cort", 0), ("b", "cort", 1))
    found = {image: [(0.9, 0.4), (0.5, 0.4), (0.2, -0.1)] for image in "ab"}
    result = chosen(settings(score=[0.7, 0.3, 0.1], **ONE_POINT), images, found)
    assert result["score"].tolist() == [0.3] * 3


def test_where_nothing_is_right_the_choice_is_plain_and_no_error():
    images = held(("a", "cort", 0), ("b", None, 1))
    result = chosen(settings(), images, *[{"a": []}] * 24)
    assert result[["score", "mask", "min_area", "rescore"]].to_numpy().tolist() == [[0.5, 0.5, 20, False]] * 3


def test_an_instance_that_equals_the_threshold_in_single_precision_counts():
    """0.3 in single precision is above 0.3 in double: what `segment` keeps at 0.3, the tally must count."""
    images = held(("a", "cort", 0))
    for score in (0.3, 0.7, 0.001, 1.0):
        given = pd.DataFrame({"image_id": ["a"], "point": [0], "score": np.float32([score]), "gain": [1.0]})
        table = tuning.tally(settings(), images, given)
        assert table["step"].tolist() == [round(score * 1000)]


def test_fixed_thresholds_go_to_every_fold_unseen():
    cort = {"score": 0.3, "mask": 0.5, "min_area": 40, "rescore": True}
    result = tuning.choose(
        settings(fixed={"cort": cort}),
        tuning.Collected(held(("a", "cort", 0), ("b", "cort", 1)), [], ["cort"]),
    )
    assert result["fold"].tolist() == [0, 1, "all"]
    assert result[list(cort)].to_dict("records") == [cort] * 3
    assert tuning.grid(settings(fixed={"cort": cort})) == []


def test_fixed_thresholds_that_leave_out_a_type_are_refused():
    cort = {"score": 0.3, "mask": 0.5, "min_area": 40, "rescore": True}
    with pytest.raises(DataError, match="astro"):
        tuning.choose(
            settings(fixed={"cort": cort}), tuning.Collected(held(("a", "astro", 0)), [], ["astro", "cort"])
        )


# ---------------------------------------------------------------------------------------------------- writing


def test_what_is_written_is_what_segment_reads(tmp_path):
    images = held(("a", "cort", 0), ("b", "cort", 1))
    found = tallies(settings(), images, *[{"a": [(0.8, 0.5)]}] * 24)
    table = tuning.choose(settings(), tuning.Collected(images, found, ["cort"]))
    segmentation.write_thresholds(tuning.thresholds(table), tmp_path / "t.yaml")
    text = (tmp_path / "t.yaml").read_text()
    assert text.startswith("# What a cell must reach")
    assert list(yaml.safe_load(text)) == ["folds", "all"]
    assert "cort: {score: 0.4, mask: 0.5, min_area: 20, rescore: false, vote: 1.0}" in text
    read = segmentation.read_thresholds(tmp_path / "t.yaml")
    assert set(read) == {0, 1, -1}
    assert read[-1]["cort"].model_dump() == PLAIN | {"score": 0.4}


# -------------------------------------------------------------------------------------------------- the stage

HEIGHT, WIDTH = 60, 80


def simulate(
    folder, seed: int, blind: tuple[str, ...] = (), types: tuple[str, ...] = ("astro", "cort")
) -> dict:
    """Tables of eight images whose detections are right where scores are high; `blind` images have none."""
    rng = np.random.default_rng(seed)
    names = [f"i{number}" for number in range(8)]
    kinds = [types[number % len(types)] for number in range(8)]
    boxes, cells = [], []
    for name, kind in zip(names, kinds, strict=True):
        for y in range(0, 60, 15):
            for x in range(0, 80, 16):
                at = np.array(
                    [x + 2, y + 2, x + 2 + rng.integers(7, 12), y + 2 + rng.integers(7, 11)], np.float32
                )
                real = rng.random() < 0.6
                score = np.clip(rng.normal(0.7 if real else 0.3, 0.2), 0.01, 1)
                boxes.append((name, kind, score, *(at + rng.normal(0, 0.7, 4))))
                cells += [(name, kind, 1.0, *at)] * real
    columns = ["image_id", "cell_type", "score", "x1", "y1", "x2", "y2"]
    numbers = dict.fromkeys(columns[2:], np.float32)
    y, x = np.mgrid[:28, :28] - 13.5
    patch = (255 / (1 + np.exp(np.hypot(x, y) - 13))).astype(np.uint8)

    def detections(rows: list) -> pd.DataFrame:
        table = pd.DataFrame(rows, columns=columns).astype(numbers)
        return table.assign(mask=tables.patch_column(np.repeat(patch[None], len(rows), axis=0)), source="e")

    optional = dict.fromkeys(["sample", "plate", "well", "field", "treatment", "dose", "dose_unit"])
    images = pd.DataFrame({"image_id": names, "cell_type": kinds}).assign(
        path="x.png", height=HEIGHT, width=WIDTH, group=names, subset="train", annotated=True, time=np.nan,
        pixel_size_um=np.nan, **optional,
    )  # fmt: skip
    truth = segmentation.rasterise(detections(cells), images, 0.5, 1, False).assign(score=np.float32("nan"))
    found = detections([row for row in boxes if row[0] not in blind])
    paths = {name: folder / f"{name}.parquet" for name in ("images", "instances", "folds", "detections")}
    tables.write("images", images, paths["images"])
    tables.write("instances", truth, paths["instances"])
    tables.write("folds", pd.DataFrame({"image_id": names, "fold": [0, 1, 2, 0, 1, 2, 0, 1]}), paths["folds"])
    tables.write("detections", found, paths["detections"], tables.Coverage(tuple(names), ("e",)))
    return paths


def tune(step, folder, paths: dict, section: str = "{}") -> dict:
    out = folder / "out" / "e.yaml"
    step("tune").main(
        recipe=recipe(folder, f"members: {{a: 1}}\nthresholds: {section}\n"), **paths, thresholds=out
    )
    return segmentation.read_thresholds(out)


def test_tune_chooses_by_type_and_fold_what_rescoring_from_scratch_would(step, tmp_path, capsys):
    paths = simulate(tmp_path, 0)
    result = tune(step, tmp_path, paths, "{mask: [0.4, 0.5], min_area: [20, 60], rescore: [true, false]}")
    printed = capsys.readouterr().out
    assert set(result) == {0, 1, 2, -1}
    read = {name: tables.read(name, paths[name]) for name in paths}
    held_out = scored(read["images"], read["folds"])

    for fold, cell_type in ((0, "astro"), (1, "cort"), (-1, "cort")):
        images = held_out[(held_out["fold"] != fold) & (held_out["cell_type"] == cell_type)].reset_index(
            drop=True
        )
        found = read["detections"][read["detections"]["image_id"].isin(images["image_id"])]

        def mean_ap(given: dict, found=found, images=images) -> float:
            cut = segmentation.rasterise(found, images, **{key: given[key] for key in given if key != "vote"})
            return metrics.per_image(cut, read["instances"], images)["ap"].mean()

        points = tuning.grid(settings(mask=[0.4, 0.5], min_area=[20, 60]))
        tried = [mean_ap({"score": score / 10, **point._asdict()}) for point in points for score in range(11)]
        ours = mean_ap(result[fold][cell_type].model_dump())
        assert max(*tried, 0.25) - 2 * tuning.TOLERANCE <= ours
        assert f"{len(images)} {ours:.3f}" in printed


def test_tune_does_without_detections_of_an_image_or_of_any(step, tmp_path):
    assert set(tune(step, tmp_path, simulate(tmp_path, 1, blind=("i0", "i3")))[-1]) == {"astro", "cort"}
    blind = tuple(f"i{number}" for number in range(8))
    assert tune(step, tmp_path, simulate(tmp_path, 1, blind=blind))[0]["cort"].model_dump() == PLAIN


def test_tune_writes_given_thresholds_and_looks_for_none(step, tmp_path):
    cort = {"score": 0.3, "mask": 0.5, "min_area": 40, "rescore": True}
    result = tune(step, tmp_path, simulate(tmp_path, 2, types=("cort",)), f"{{fixed: {{cort: {cort}}}}}")
    assert result[0]["cort"].model_dump() == result[-1]["cort"].model_dump() == cort | {"vote": 1.0}


def test_tuning_twice_writes_the_same_bytes(step, tmp_path):
    paths = simulate(tmp_path, 3)
    texts = []
    for _ in range(2):
        tune(step, tmp_path, paths)
        texts.append((tmp_path / "out" / "e.yaml").read_bytes())
    assert texts[0] == texts[1]
