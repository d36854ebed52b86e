"""Kaggle texts that go down the columns or count from 0 are refused, and sound ones never."""

import numpy as np
import pandas as pd
import pytest

from neuroseg import rle
from neuroseg.errors import DataError
from neuroseg.readers.truth.order import joined_share, kaggle_fault, other_way

HEIGHT, WIDTH = 60, 80


def discs(*places, radius=9):
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([(y - row) ** 2 + (x - column) ** 2 <= radius**2 for row, column in places])


def texts(masks, shift=0):
    """Kaggle's texts, or with a shift of -1 as they are when counted from 0."""
    for text in rle.to_kaggle(rle.from_masks(masks)):
        numbers = np.array(text.split(), int)
        numbers[::2] += shift
        yield " ".join(map(str, numbers))


INSIDE = [(20, 20), (30, 50), (40, 30), (15, 60)]
EDGE = [(20, 0), (30, 79), (40, 0), (0, 60), (59, 30)]


@pytest.mark.parametrize("places", [INSIDE, EDGE, INSIDE + EDGE])
def test_sound_texts_are_taken_as_they_are(places):
    assert kaggle_fault(list(texts(discs(*places))), HEIGHT, WIDTH) is None


@pytest.mark.parametrize("places", [INSIDE, EDGE])
def test_texts_down_the_columns_are_told(places):
    turned = rle.to_kaggle(rle.from_masks(discs(*places).transpose(0, 2, 1)))
    assert "down the columns" in kaggle_fault(turned, HEIGHT, WIDTH)


def test_texts_counted_from_0_are_told_by_what_touches_the_left_edge():
    assert "counted from 0" in kaggle_fault(list(texts(discs(*EDGE), -1)), HEIGHT, WIDTH)


def test_a_mask_that_begins_at_pixel_0_tells_that_counting_begins_at_0():
    assert "1 masks begin at pixel 0" in kaggle_fault(list(texts(discs((0, 0), (20, 40)), -1)), HEIGHT, WIDTH)


def test_texts_counted_from_0_that_touch_no_edge_tell_nothing():
    assert kaggle_fault(list(texts(discs(*INSIDE), -1)), HEIGHT, WIDTH) is None


def test_broken_texts_tell_nothing():
    assert kaggle_fault(["", "x", "5", "1.5 3", "7 -2"], HEIGHT, WIDTH) is None


def test_the_share_of_joined_runs_is_that_of_rows_below_one_another():
    runs = rle.from_masks(discs((20, 20), (30, 50)))
    assert joined_share(runs, WIDTH).tolist() == [1, 1]
    assert np.isnan(joined_share(rle.from_masks(discs((20, 20), radius=2)), WIDTH)).all()


def test_what_holds_together_both_ways_is_not_the_other_way():
    assert not other_way(np.array([0.9, np.nan, 0.1]), np.array([0.9, 0.9, 0.1])).any()


@pytest.mark.real
def test_the_competitions_masks_are_in_their_order(real_data):
    table = pd.read_csv(real_data / "sartorius" / "train.csv", usecols=["annotation"], dtype=str)
    assert kaggle_fault(table["annotation"].tolist(), 520, 704) is None


def test_a_csv_in_another_order_is_refused_by_name(tmp_path):
    from neuroseg import readers

    (tmp_path / "train").mkdir()
    turned = rle.to_kaggle(rle.from_masks(discs(*INSIDE).transpose(0, 2, 1)))
    rows = [
        {"id": "a", "annotation": text, "width": WIDTH, "height": HEIGHT, "cell_type": "c"} for text in turned
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "train.csv", index=False)
    (tmp_path / "set.yaml").write_text(
        f"{{format: kaggle, root: {tmp_path}, annotations: train.csv, images: [train]}}"
    )
    with pytest.raises(DataError, match=r"train\.csv: .* read down the columns; this format goes row by row"):
        readers.read(readers.read_dataset(tmp_path / "set.yaml"))
