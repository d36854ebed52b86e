"""Writing a simulated data set as the competition hands out its own, whole or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from neuroseg import rle
from neuroseg.errors import DataError
from neuroseg.simulation.experiment import Experiment, photograph, plan
from neuroseg.simulation.faults import BROKEN_IMAGES, Fault, plant
from neuroseg.simulation.kinds import KINDS

EFFECT = "effect.json"
"""What the treatment does; also the file by which a folder is known to be the simulator's own."""

HALF_WRITTEN = 0.6
"""Share of its bytes that is left of an unreadable picture."""


def write(experiment: Experiment, out: Path) -> None:
    """Write the experiment into the folder `out`, in the place of an earlier one.

    The folder holds `train.csv` (a row per cell), `train/*.png`, `test/*.png`, `plate_map.csv` (plate, well,
    treatment), `effect.json` (what the treatment does to the number of cells, and did to those drawn) and
    `faults.csv` (check, image_id, description of what was planted).

    Raises:
        DataError: the experiment makes no sense, or `out` holds something else.
    """
    images = plan(experiment)
    with _replacing(out) as folder:
        (folder / "train").mkdir()
        (folder / "test").mkdir()
        masks = {}
        for _, row in tqdm(
            images.iterrows(), desc="simulating", total=len(images), unit="image", disable=None
        ):
            field = photograph(experiment, row)
            masks[row["image_id"]] = field.masks
            _write_picture(field.image, folder / row["subset"] / f"{row['image_id']}.png", row["fault"])
        train = images[images["subset"] == "train"].sort_values("image_id")
        rows, planted = _annotations(experiment, train, masks)
        wells = train[["plate", "well", "treatment"]].drop_duplicates().sort_values(["plate", "well"])
        for name, table in (("train", rows), ("faults", pd.DataFrame(planted)), ("plate_map", wells)):
            table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
        (folder / EFFECT).write_text(json.dumps(_effect(experiment, train, masks), indent=2) + "\n")


def _write_picture(image: np.ndarray, path: Path, fault: str) -> None:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    data = buffer.getvalue()
    if fault == "image_unreadable":
        data = data[: int(HALF_WRITTEN * len(data))]
    if fault != "image_missing":
        path.write_bytes(data)


def _annotations(
    experiment: Experiment, train: pd.DataFrame, masks: dict[str, rle.Runs]
) -> tuple[pd.DataFrame, list[Fault]]:
    """Return the rows of train.csv, and what is wrong with them and their images."""
    rows = pd.concat(
        [_rows(experiment, row, masks[row["image_id"]]) for _, row in train.iterrows()], ignore_index=True
    )
    broken = train[train["fault"] != ""]
    sound = ~rows["id"].isin(broken["image_id"])
    spoilt, faults = plant(rows[sound].reset_index(drop=True), experiment.height, experiment.width)
    faults += [
        Fault(row["fault"], row["image_id"], BROKEN_IMAGES[row["fault"]]) for _, row in broken.iterrows()
    ]
    return pd.concat([spoilt, rows[~sound]]).sort_values("id", kind="stable"), faults


def _rows(experiment: Experiment, row: pd.Series, masks: rle.Runs) -> pd.DataFrame:
    hours, minutes = divmod(round(60 * row["hours"]), 60)
    kind = KINDS[row["cell_type"]]
    return pd.DataFrame(
        {
            "id": row["image_id"],
            "annotation": rle.to_kaggle(masks),
            "width": experiment.width,
            "height": experiment.height,
            "cell_type": row["cell_type"],
            "plate_time": f"{hours:02d}h{minutes:02d}m00s",
            "sample_date": row["date"],
            "sample_id": f"{kind.label}_{row['well']}-{row['field']}_{row['plate']}_Ph_{row['frame']}",
            "elapsed_timedelta": f"0 days {hours:02d}:{minutes:02d}:00",
        }
    )


def _effect(experiment: Experiment, train: pd.DataFrame, masks: dict[str, rle.Runs]) -> dict[str, object]:
    """Return what a treated well has of what a control has: as meant, and as in the sound images' truth."""
    sound = train[train["fault"] == ""]
    cells = pd.Series([len(masks[image]) for image in sound["image_id"]], sound.index, float)
    means = (
        cells.groupby([sound["cell_type"], sound["treatment"]])
        .mean()
        .unstack()
        .reindex(columns=["control", "treated"])
    )
    ratios = (means["treated"] / means["control"]).dropna().round(4)
    return {
        "simulator": "neuroseg",
        "seed": experiment.seed,
        "treatment": "kills cells and leaves debris",
        "cells_treated_to_control": {"expected": experiment.survival, "drawn": ratios.to_dict()},
        "debris_treated_to_control": {"expected": experiment.debris},
    }


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """Yield a new folder beside `out`, which takes its place if the block ends well and vanishes if not."""
    target = out.resolve()
    if target.exists() and not (
        target.is_dir() and (not any(target.iterdir()) or (target / EFFECT).is_file())
    ):
        raise DataError(
            f"{out}: there is something else than a simulated data set; "
            "move it away or choose another folder."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part"))
    try:
        fresh, former = temporary / "fresh", temporary / "former"
        fresh.mkdir()
        yield fresh
        if target.exists():
            target.replace(former)
        fresh.replace(target)
    finally:
        shutil.rmtree(temporary)
