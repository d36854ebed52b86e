"""Images of one field at different times: found by the images themselves, and kept in one fold."""

from pathlib import Path

import numpy as np
import pandas as pd

from neuroseg import folds, readers


def culture(seed: int, shift: int = 0, noise: int = 0, size: tuple[int, int] = (240, 320)) -> np.ndarray:
    """Rough discs on flat ground: placed by the seed, the stage off by `shift`, the noise its own."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    image = np.full(size, 128.0)
    for top, left in rng.uniform(0, 1, (30, 2)) * size + shift:
        image += 40 * ((y - top) ** 2 + (x - left) ** 2 < 80) * rng.uniform(0.5, 1)
    return np.clip(image + np.random.default_rng(noise + 1000).normal(0, 2, size), 0, 255).astype(np.uint8)


def listed(*pictures: np.ndarray, **columns: object) -> tuple[pd.DataFrame, dict]:
    """An Images table in which every image is a group of its own, and what reads them."""
    names = [f"i{number}" for number in range(len(pictures))]
    sizes = np.array([picture.shape for picture in pictures])
    table = pd.DataFrame(
        {"image_id": names, "path": names, "group": names, "height": sizes[:, 0], "width": sizes[:, 1]}
    )
    return table.assign(**{"subset": "train", "annotated": True} | columns), dict(
        zip(names, pictures, strict=True)
    )


def groups(*pictures: np.ndarray, similarity: float = 0.5, **columns: object) -> list[str]:
    table, read = listed(*pictures, **columns)
    return folds.joined(table, lambda path: read[path.name], similarity)["group"].tolist()


def test_a_field_at_another_time_is_of_one_group_though_the_stage_missed_its_place():
    assert groups(culture(0), culture(1), culture(0, shift=20, noise=1)) == ["i0", "i1", "i0"]


def test_unlike_fields_stay_apart():
    assert groups(*map(culture, range(8))) == [f"i{number}" for number in range(8)]


def test_fields_join_whole_groups():
    table = groups(culture(0), culture(1), culture(1, noise=1), culture(2), group=["w", "w", "v", "u"])
    assert table == ["v", "v", "v", "u"]


def test_images_of_other_sizes_of_the_test_subset_and_without_annotation_are_not_compared():
    small = culture(0)[:200]
    assert groups(culture(0), small, culture(0, noise=1), subset=["train", "train", "test"]) == [
        "i0",
        "i1",
        "i2",
    ]
    assert groups(culture(0), culture(0, noise=1), annotated=[True, False]) == ["i0", "i1"]


def test_empty_images_are_alike_nobody():
    assert groups(np.full((240, 320), 128, np.uint8), np.full((240, 320), 128, np.uint8), culture(0)) == [
        "i0",
        "i1",
        "i2",
    ]


def test_an_image_of_a_few_pixels_is_no_error():
    assert groups(np.arange(12, dtype=np.uint8).reshape(3, 4), culture(0)) == ["i0", "i1"]


def test_no_fold_knows_its_held_out_field():
    pictures = [culture(number % 6, shift=4 * (number // 6), noise=number) for number in range(12)]
    table, read = listed(*pictures, cell_type="cort", plate=None, well=None, field=None)
    cells = pd.DataFrame({"image_id": table["image_id"]})
    split = folds.split(folds.joined(table, lambda path: read[path.name], 0.5), cells, 3, 0).folds
    fold = split.set_index("image_id")["fold"]
    assert all(fold[f"i{number}"] == fold[f"i{number + 6}"] for number in range(6))


def test_of_the_competitions_images_those_of_one_field_and_no_others_are_joined(real_data):
    known = pd.read_csv(Path(real_data, "sartorius/train.csv")).drop_duplicates("id").reset_index(drop=True)
    paths = [Path(real_data, f"sartorius/train/{name}.png") for name in known["id"]]
    table = pd.DataFrame(
        {"image_id": known["id"], "path": paths, "group": known["id"], "height": 520, "width": 704}
    )
    found = folds.joined(table.assign(subset="train", annotated=True), readers.read_uint8, 0.5)["group"]
    assert (found.to_frame("found").groupby(known["sample_id"])["found"].nunique() == 1).all()
    assert (known.groupby(found)["sample_id"].nunique() == 1).all()
    assert found.nunique() == known["sample_id"].nunique() == 62
