"""What a stage hands on holds a checksum that readers compare: a bit flipped on disk changes no result."""

import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from neuroseg import files, segmentation, tables
from neuroseg.errors import DataError
from neuroseg.segmentation import Thresholds

FOLDS = pd.DataFrame({"image_id": ["a", "b"], "fold": np.int8([0, 1])})
CELL = {
    "image_id": "a",
    "cell_type": "cort",
    "score": 0.5,
    "x1": 0,
    "y1": 0,
    "x2": 4,
    "y2": 4,
    "source": "m/0/none",
}
FOUND = pd.DataFrame([CELL]).assign(mask=tables.patch_column(np.full((1, 28, 28), 200, np.uint8)))
COVERAGE = tables.Coverage(("a", "b"), ("m/0/none",))
MEASURED = pd.DataFrame({"image_id": ["a", "b"], "area": [10, 20], "solidity": [0.9, 0.8]})
CHOSEN = {0: {"cort": Thresholds(score=0.25, mask=0.5, min_area=40, rescore=True)}}
CHOSEN |= {-1: CHOSEN[0]}

HANDED_ON = {
    "folds": (lambda path: tables.write("folds", FOLDS, path), lambda path: tables.read("folds", path)),
    "detections": (
        lambda path: tables.write("detections", FOUND, path, COVERAGE),
        lambda path: (tables.read("detections", path), tables.read_coverage(path)),
    ),
    "measurements": (lambda path: tables.write_figures(MEASURED, path), tables.read_figures),
    "figures": (
        lambda path: files.write_json({"map": 0.3125, "ap": {0.5: 0.7}, "n": None}, path),
        files.read_json,
    ),
    "thresholds": (
        lambda path: segmentation.write_thresholds(CHOSEN, path),
        lambda path: segmentation.read_thresholds(path),
    ),
}
"""How each kind of file is written, and read."""


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def said(read, path: Path) -> str:
    """What a reader returns, as text; or that it refuses, in one sentence."""
    try:
        result = read(path)
    except DataError as error:
        return "refused" if len(error.sentences) == 1 else str(error)
    parts = result if isinstance(result, tuple) else (result,)
    return repr([part.to_dict() if isinstance(part, pd.DataFrame) else part for part in parts])


@pytest.mark.parametrize("kind", HANDED_ON)
def test_a_flipped_bit_is_refused_or_changes_nothing(tmp_path, kind):
    write, read = HANDED_ON[kind]
    path = tmp_path / "file"
    write(path)
    data, whole = path.read_bytes(), said(read, path)
    assert whole != "refused"
    every = (
        range(len(data) * 8) if len(data) < 600 else np.random.default_rng(0).permutation(len(data) * 8)[:300]
    )
    for bit in [*every, *range((len(data) - 20) * 8, len(data) * 8)]:
        path.write_bytes(flipped(data, int(bit)))
        assert said(read, path) in ("refused", whole), bit


@pytest.mark.parametrize("kind", ["folds", "detections", "measurements"])
def test_the_footer_of_a_table_is_covered_too(tmp_path, kind):
    write, read = HANDED_ON[kind]
    path = tmp_path / "file"
    write(path)
    data = path.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for byte in range(footer, len(data) - 8, 7):
        path.write_bytes(flipped(data, byte * 8 + byte % 8))
        with pytest.raises(DataError, match="is damaged, as its checksum tells"):
            read(path)


def test_equal_content_gives_equal_bytes_and_other_programs_read_them(tmp_path):
    for name in ("one", "other"):
        tables.write("detections", FOUND, tmp_path / name, COVERAGE)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert pq.read_table(tmp_path / "one").num_rows == 1


def test_a_table_and_a_json_file_of_another_program_are_read_as_they_stand(tmp_path):
    MEASURED.to_parquet(tmp_path / "cells.parquet")
    assert tables.read_figures(tmp_path / "cells.parquet").equals(MEASURED)
    (tmp_path / "m.json").write_text('{"map": 0.5}')
    assert files.read_json(tmp_path / "m.json") == {"map": 0.5}


@pytest.mark.parametrize(
    ("text", "words"), [("[1]", "must hold keys"), ("{", "cannot be read"), ("[" * 9999, "cannot be")]
)
def test_a_json_file_of_no_use_is_named(tmp_path, text, words):
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(DataError, match=rf"m\.json: .*{words}"):
        files.read_json(tmp_path / "m.json")
    with pytest.raises(DataError, match=r"none\.json: the file cannot be read \(No such file"):
        files.read_json(tmp_path / "none.json")


def test_dvc_does_not_take_the_checksum_for_a_metric(tmp_path):
    files.write_json({"map": 0.5}, tmp_path / "m.json")
    (checksum,) = json.loads((tmp_path / "m.json").read_text())[files.CHECKSUM]
    assert checksum.startswith("sha256 ")


def test_a_table_of_sixty_megabytes_is_verified_in_less_than_a_third_of_a_second(tmp_path):
    pd.DataFrame({"noise": np.random.default_rng(0).random(7_500_000)}).to_parquet(tmp_path / "t.parquet")
    files.seal_parquet(tmp_path / "t.parquet")
    taken = []
    for _ in range(3):
        before = time.process_time()
        files.verify_parquet(tmp_path / "t.parquet")
        taken.append(time.process_time() - before)
    assert min(taken) < 0.3
