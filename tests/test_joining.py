"""Several data sets as one training's: types, scale, shares."""

import numpy as np
import pandas as pd
import pytest

from neuroseg.detector import joining
from neuroseg.detector.joining import Further
from neuroseg.errors import DataError


def listed(*names: str, **columns: object) -> pd.DataFrame:
    known = {"image_id": names, "annotated": True, "pixel_size_um": 1.0, "path": __file__}
    return pd.DataFrame(known | columns)


def cells(image_id: str, *types: str | None) -> pd.DataFrame:
    return pd.DataFrame({"image_id": image_id, "cell_type": pd.Series(types, dtype=object)})


def join(images: pd.DataFrame, instances: pd.DataFrame, others: list[Further]):
    return joining.join(images, instances, others, images)


OWN = listed("a", "b"), pd.concat([cells("a", "astro"), cells("b", "cort")])


def test_a_training_of_one_data_set_is_left_as_it_is():
    images, instances, mix = join(*OWN, [])
    pd.testing.assert_frame_equal(images, OWN[0])
    assert instances["cell_type"].tolist() == ["astro", "cort"]
    assert mix.shares.tolist() == [1.0]
    assert mix.sets.tolist() == [0, 0]
    assert mix.magnified.tolist() == [1.0, 1.0]


def test_images_of_the_same_name_stay_apart_and_those_without_annotation_out():
    other = listed("a", "c", pixel_size_um=[0.5, np.nan], annotated=[True, False])
    images, instances, mix = join(*OWN, [Further("more", other, cells("a", "astro", "astro"), 0.25)])
    assert images["image_id"].tolist() == ["a", "b", "more:a"]
    assert instances["image_id"].tolist() == ["a", "b", "more:a", "more:a"]
    assert mix.sets.tolist() == [0, 0, 1]
    assert mix.shares.tolist() == [0.75, 0.25]
    assert mix.magnified.tolist() == [1.0, 1.0, 0.5]  # half as large a pixel: half the pixels a cell


@pytest.mark.parametrize("size", [np.nan, 1.03])
def test_images_of_unknown_or_nearly_the_same_pixel_size_are_not_magnified(size):
    other = Further("more", listed("c", pixel_size_um=size), cells("c", "astro"), 0.5)
    assert join(*OWN, [other])[2].magnified.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("own", ["astro", None])
def test_where_one_type_is_known_every_cell_is_of_it(own):
    other = Further("more", listed("c"), cells("c", "MCF7", None), 0.5)
    types = join(listed("a"), cells("a", own), [other])[1]["cell_type"]
    assert types.where(types.notna(), None).tolist() == [own] * 3


@pytest.mark.parametrize(
    ("further", "words"),
    [
        (
            [Further("more", listed("c"), cells("c", "MCF7"), 0.5)],
            "more has cells of MCF7, those to be told apart are only",
        ),
        ([Further("more", listed("c"), cells("c", None), 0.5)], "more has cells of cell, "),
        ([Further("more", listed("c"), cells("c"), 0.5)], "more has no annotated cell"),
        ([Further(name, listed("c"), cells("c", "cort"), 0.5) for name in "xy"], "make up 1 of the samples"),
        ([Further("x", listed("c"), cells("c", "cort"), 0.0)], "each share must be above 0"),
    ],
)
def test_data_sets_that_cannot_be_learnt_from_together_are_refused(further, words):
    with pytest.raises(DataError, match=words):
        join(*OWN, further)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (1.0, "50% of the samples from more, 1 images\n"),
        (0.5, "1 images, magnified 0.5 times\n"),
        (np.nan, "1 images, as they are where a pixel size is unknown\n"),
        (0.01, "1 images, as they are where pixel sizes are too far apart to be right\n"),
    ],
)
def test_it_is_said_at_what_scale_further_images_are_shown(capsys, size, words):
    join(*OWN, [Further("more", listed("c", pixel_size_um=size), cells("c", "astro"), 0.5)])
    assert capsys.readouterr().err.endswith(words)


def test_an_image_that_is_held_out_is_not_learnt_from_under_another_name(tmp_path):
    for name, content in (("a", b"1"), ("b", b"2"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    own = listed("a", "b", path=[str(tmp_path / name) for name in "ab"])
    other = Further("more", listed("c", path=str(tmp_path / "c")), cells("c", "astro"), 0.5)
    with pytest.raises(DataError, match=r"image c of data set more is b, which is held out .*\(1 such"):
        joining.join(own[:1], cells("a", "astro"), [other], own)
    assert len(joining.join(own[1:], cells("b", "astro"), [other], own)[0]) == 2
