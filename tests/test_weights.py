"""Weights chosen on held-out data: a slow and direct choice as the oracle, and what no choice may learn."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import yaml

from neuroseg import cell_types, fusion, metrics, segmentation, tables, tuning
from neuroseg.errors import DataError
from neuroseg.folds import scored

HEIGHT, WIDTH = 60, 80
FOLDS = {f"i{number}": number % 3 for number in range(9)} | {"t": -1}
TYPES = {image: ("astro", "cort")[number % 2] for number, image in enumerate(FOLDS)}
SECTION = {"score": [0.1, 0.3, 0.5, 0.7, 0.9], "mask": [0.4, 0.5], "min_area": [20], "rescore": [False]}
CANDIDATES = {"a": [1.0, 0.2], "b": [1.0, 0.2, 4.0]}

Y, X = np.mgrid[:28, :28] - 13.5
PATCH = (255 / (1 + np.exp(np.hypot(X, Y) - 13))).astype(np.uint8)


def detections(rows: list[tuple], source: str) -> pd.DataFrame:
    columns = ["image_id", "cell_type", "score", "x1", "y1", "x2", "y2"]
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[2:], np.float32))
    return table.assign(mask=tables.patch_column(np.repeat(PATCH[None], len(rows), axis=0)), source=source)


def good_at_fold_0(member: str, image: str) -> bool:
    return (member == "a") == (FOLDS[image] == 0)


def good_at_astro(member: str, image: str) -> bool:
    return (member == "a") == (TYPES[image] == "astro")


class Place:
    """A data set on disk whose members `a` and `b` box cells well where they are good, else beside them."""

    def __init__(self, folder, step, seed=0, good=good_at_fold_0):
        self.folder, self.step = folder, step
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(seed)
        names = list(FOLDS)
        cells, found = [], {"a": [], "b": []}
        for image in names:
            for y, x in product(range(0, 60, 15), range(0, 80, 16)):
                box = np.array(
                    [x + 2, y + 2, x + 2 + rng.integers(8, 12), y + 2 + rng.integers(8, 11)], np.float32
                )
                real = rng.random() < 0.7
                cells += [(image, TYPES[image], 1.0, *box)] * (real and image != "t")
                for member, rows in found.items():
                    score = np.clip(rng.normal(0.7 if real else 0.3, 0.15), 0.01, 1)
                    off = np.tile(rng.normal(0, 0.2 if good(member, image) else 2.0, 2), 2)
                    rows.append((image, TYPES[image], score, *(box + off)))
        optional = dict.fromkeys(["sample", "plate", "well", "field", "treatment", "dose", "dose_unit"])
        self.images = pd.DataFrame({"image_id": names, "cell_type": list(TYPES.values())}).assign(
            path="x.png", height=HEIGHT, width=WIDTH, group=names, subset="train",
            annotated=[image != "t" for image in names], time=np.nan, pixel_size_um=np.nan, **optional,
        )  # fmt: skip
        truth = segmentation.rasterise(detections(cells, "x"), self.images, 0.5, 1, False)
        self.truth = truth.assign(score=np.float32("nan"))
        self.folds = pd.DataFrame({"image_id": names, "fold": list(FOLDS.values())})
        self.members = tuple(folder / f"{member}.parquet" for member in found)
        for path, (member, rows) in zip(self.members, found.items(), strict=True):
            source = f"{member}/0/none"
            tables.write(
                "detections", detections(rows, source), path, tables.Coverage(tuple(names), (source,))
            )

    def ensemble(self, members: dict, section: dict = SECTION, **given) -> tuple[pd.DataFrame, dict]:
        """Run the step with the truth as is, or with other paths; return detections and the weights' file."""
        for name, table in (("images", self.images), ("instances", self.truth), ("folds", self.folds)):
            tables.write(name, table, self.folder / f"{name}.parquet")
        paths = {name: self.folder / f"{name}.parquet" for name in ("images", "instances", "folds")}
        (self.folder / "e.yaml").write_text(
            yaml.safe_dump({"members": members, "thresholds": section}, sort_keys=False)
        )
        out = {
            "detections": self.folder / "out" / "e.parquet",
            "weights": self.folder / "out" / "e.weights.yaml",
        }
        inputs = {"recipe": self.folder / "e.yaml", "members": self.members, "name": "e"}
        self.step("ensemble").main(**inputs, **(given or paths), **out)
        return tables.read("detections", out["detections"]), yaml.safe_load(out["weights"].read_text())


@pytest.fixture
def place(tmp_path, step):
    return Place(tmp_path, step)


def every(members: dict) -> list[dict]:
    return [dict(zip(members, chosen, strict=True)) for chosen in product(*members.values())]


# ------------------------------------------------------------------------------------------------- the oracle


def tuned_ap(found: pd.DataFrame, truth: pd.DataFrame, held: pd.DataFrame) -> float:
    """Mean ap of images, each type at the thresholds that `tune` would choose on them; cut anew each time."""
    votes = cell_types.vote(found)
    total = 0.0
    for cell_type in sorted(set(votes.values())):
        own = held[held["image_id"].map(votes) == cell_type].reset_index(drop=True)
        finds = found[found["image_id"].isin(own["image_id"])]

        def ap(point: tuning.Point, score: float, own=own, finds=finds) -> float:
            cut = segmentation.rasterise(finds, own, point.mask, point.min_area, point.rescore, score)
            return metrics.per_image(cut, truth, own)["ap"].mean()

        points = tuning.grid(tuning.Settings.model_validate(SECTION))
        tried = [[ap(point, score) for score in SECTION["score"]] for point in points]
        top = max(map(max, tried))
        line = next(line for line in tried if max(line) >= top - tuning.TOLERANCE)
        first = last = line.index(max(line))
        while first > 0 and line[first - 1] >= max(line) - tuning.TOLERANCE:
            first -= 1
        while last < len(line) - 1 and line[last + 1] >= max(line) - tuning.TOLERANCE:
            last += 1
        total += line[(first + last) // 2] * len(own)
    return total / len(held)


@pytest.mark.parametrize(("seed", "good"), [(0, good_at_fold_0), (1, good_at_astro)])
def test_each_fold_gets_the_weights_that_are_best_on_the_others_and_the_rest_those_best_on_all(
    tmp_path, step, capsys, seed, good
):
    place = Place(tmp_path, step, seed, good)
    plain = [place.ensemble(weights)[0] for weights in every(CANDIDATES)]
    capsys.readouterr()
    fused, written = place.ensemble(CANDIDATES)
    printed = capsys.readouterr().out
    held = scored(place.images, place.folds)
    expected = {}
    for fold in (0, 1, 2, -1):
        others = held[held["fold"] != fold].reset_index(drop=True)
        aps = [
            tuned_ap(found[found["image_id"].isin(others["image_id"])], place.truth, others)
            for found in plain
        ]
        expected[fold] = next(at for at, ap in enumerate(aps) if ap >= max(aps) - tuning.TOLERANCE)
        for at, ap in enumerate(aps):
            assert f"{ap:.4f}{'*' if at == expected[fold] else ''}" in printed
    chosen = {**written["folds"], -1: written["all"]}
    assert chosen == {fold: every(CANDIDATES)[at] for fold, at in expected.items()}
    for image, fold in FOLDS.items():
        ours, theirs = (table[table["image_id"] == image] for table in (fused, plain[expected[fold]]))
        pd.testing.assert_frame_equal(ours.reset_index(drop=True), theirs.reset_index(drop=True))


def test_a_member_good_at_the_other_folds_weighs_more(place):
    _, written = place.ensemble({"a": 1.0, "b": [1.0, 0.2, 4.0]})
    assert written["folds"][0] == {"a": 1.0, "b": 4.0}  # chosen on folds 1 and 2, where b is the good one


# ---------------------------------------------------------------------------------------------------- nesting


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_the_truth_of_a_fold_has_no_say_in_its_weights(place, fold):
    _, before = place.ensemble(CANDIDATES)
    own = place.truth["image_id"].map(FOLDS) == fold
    place.truth = pd.concat(
        [place.truth[~own], place.truth[own].groupby("image_id").head(2)], ignore_index=True
    )
    place.truth.loc[place.truth["image_id"].map(FOLDS) == fold, "cell_type"] = "shsy5y"
    _, after = place.ensemble(CANDIDATES)
    assert after["folds"][fold] == before["folds"][fold]


def test_figures_of_a_fold_come_from_the_others_alone(place):
    """One wrong truth moves every figure but its own fold's."""

    def figures() -> dict:
        held = scored(place.images, place.folds)
        files, _ = fusion.gather(place.members, fusion.Recipe(members={"a": 1.0, "b": 1.0}))
        fused = fusion.stream(files, list(held["image_id"]), fusion.Fusion(), "e")
        settings = tuning.Settings.model_validate(SECTION)
        return tuning.mean_ap(settings, held, place.truth, 1, fused)

    before = figures()
    place.truth = place.truth[place.truth["image_id"] != "i1"].reset_index(drop=True)
    after = figures()
    assert {fold for fold in before if before[fold] != after[fold]} == {0, 2, "all"}


def test_of_a_single_fold_its_own_images_must_serve(place):
    place.folds = place.folds.assign(fold=place.folds["fold"].clip(upper=0))
    _, written = place.ensemble(CANDIDATES)
    assert written["folds"] == {0: written["all"]}


# ---------------------------------------------------------------------------------------------- plain numbers


def test_numbers_need_no_truth_and_give_what_fusing_by_them_gives(place, tmp_path):
    fused, written = place.ensemble({"a": 1.0, "b": 2.0}, folds=None)
    recipe = fusion.Recipe(members={"a": 1.0, "b": 2.0})
    files, images = fusion.gather(place.members, recipe)
    with tables.writing("detections", tmp_path / "direct", tables.Coverage(images, ("e",))) as append:
        for part in fusion.stream(files, images, recipe.fusion, "e"):
            append(part)
    assert (tmp_path / "out" / "e.parquet").read_bytes() == (tmp_path / "direct").read_bytes()
    assert [file.weights for file in files] == [{"a/0/none": 1.0}, {"b/0/none": 2.0}]
    assert len(fused)
    assert written == {"all": {"a": 1.0, "b": 2.0}}
    assert (
        (tmp_path / "out" / "e.weights.yaml")
        .read_text()
        .rpartition("#")[0]
        .endswith("\nall:\n  a: 1.0\n  b: 2.0\n")
    )


def test_candidates_of_which_every_fold_gets_the_same_give_the_bytes_of_that_number(place, tmp_path):
    """Weights of a single member make no difference: of equal ones the first is taken."""
    place.members = place.members[:1]
    place.ensemble({"a": 2.0}, folds=None)
    expected = (tmp_path / "out" / "e.parquet").read_bytes()
    _, written = place.ensemble({"a": [2.0, 1.0, 3.0]})
    assert (tmp_path / "out" / "e.parquet").read_bytes() == expected
    assert written == {"folds": {fold: {"a": 2.0} for fold in (0, 1, 2)}, "all": {"a": 2.0}}


def test_the_same_is_chosen_whatever_the_threads(place, tmp_path):
    given = {name: tmp_path / f"{name}.parquet" for name in ("images", "instances", "folds")}
    place.ensemble(CANDIDATES)
    bytes_of = [(tmp_path / "out" / name).read_bytes() for name in ("e.parquet", "e.weights.yaml")]
    place.ensemble(CANDIDATES, **given, threads=3)
    assert bytes_of == [(tmp_path / "out" / name).read_bytes() for name in ("e.parquet", "e.weights.yaml")]


def test_the_weight_of_an_ensemble_in_an_ensemble_is_chosen_too(place, tmp_path):
    place.ensemble(CANDIDATES)
    inner = (tmp_path / "out" / "e.parquet").rename(tmp_path / "inner.parquet")
    place.members = (inner, place.members[0])
    fused, written = place.ensemble({"e": [1.0, 4.0], "a": 1.0})
    assert set(fused["image_id"]) == set(FOLDS)
    assert written["folds"][0] == {"e": 4.0, "a": 1.0}  # chosen on folds 1 and 2, where a is not good


# ---------------------------------------------------------------------------------------- another's detectors


def test_a_data_set_without_truth_takes_the_weights_chosen_elsewhere(place, tmp_path):
    fused, written = place.ensemble(CANDIDATES)
    (tmp_path / "chosen.yaml").write_bytes((tmp_path / "out" / "e.weights.yaml").read_bytes())
    again, same = place.ensemble(
        CANDIDATES, chosen=tmp_path / "chosen.yaml", folds=tmp_path / "folds.parquet"
    )
    pd.testing.assert_frame_equal(again, fused)
    assert same == written
    place.folds = place.folds.assign(fold=-1)
    again, _ = place.ensemble(CANDIDATES, chosen=tmp_path / "chosen.yaml", folds=tmp_path / "folds.parquet")
    plain, _ = place.ensemble(written["all"], folds=None)
    pd.testing.assert_frame_equal(again, plain)


# ----------------------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"a": [], "b": 1}, r"e\.yaml: members\.a: Tuple should have at least 1 item"),
        ({"a": [1, 0], "b": 1}, r"e\.yaml: members\.a\.1: must be greater than 0"),
        ({"a": 1, "b": "much"}, r"e\.yaml: members\.b: must be a valid number"),
        (
            {"a": [1] * 13, "b": [1] * 5},
            r"e\.yaml: members: .*65 combinations of weights are too many, at most 64",
        ),
    ],
)
def test_weights_that_cannot_be_used_are_named(place, members, words):
    with pytest.raises(DataError, match=words):
        place.ensemble(members)
    assert not list(place.folder.glob("out/*"))


def test_lists_without_truth_are_refused(place):
    with pytest.raises(DataError, match="lists weights to choose from, which takes truth"):
        place.ensemble(CANDIDATES, folds=None)
    assert not list(place.folder.glob("out/*"))


def test_weights_are_not_chosen_at_given_thresholds(place):
    fixed = {"fixed": {"cort": {"score": 0.3, "mask": 0.5, "min_area": 40, "rescore": True}}}
    with pytest.raises(DataError, match="Weights are chosen together with thresholds"):
        place.ensemble(CANDIDATES, fixed)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("all: {a: 1.0, b: 3.0}", r"chosen\.yaml: all: the recipe offers no such weights"),
        ("all: {a: 1.0}", r"chosen\.yaml: all: the recipe offers no such weights"),
        ("folds: {1: {a: 9.0, b: 1.0}}\nall: {a: 1.0, b: 1.0}", r"chosen\.yaml: folds\.1: the recipe offers"),
        (
            "folds: {0: {a: 1.0, b: 1.0}}\nall: {a: 1.0, b: 1.0}",
            r"image i1 is of fold 1, weights are for 0, -1",
        ),
        ("folds: {}", r"chosen\.yaml: all: is missing"),
        ("all: {a: none", r"chosen\.yaml: these weights cannot be read"),
        ("", r"chosen\.yaml: the file: "),
    ],
)
def test_a_weights_file_that_does_not_fit_is_named(place, text, words):
    (place.folder / "chosen.yaml").write_text(text)
    with pytest.raises(DataError, match=words):
        place.ensemble(CANDIDATES, chosen=place.folder / "chosen.yaml", folds=place.folder / "folds.parquet")
    assert not list(place.folder.glob("out/*"))


def test_an_image_outside_the_folds_table_is_named(place):
    place.folds = place.folds[place.folds["image_id"] != "i4"]
    with pytest.raises(DataError, match="image i4 is not in the folds table"):
        place.ensemble(CANDIDATES)
