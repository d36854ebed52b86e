"""Choose each cell type's thresholds by the competition's metric; those of a fold are chosen on the other folds."""

from pathlib import Path

import pandas as pd
from tqdm import tqdm

from neuroseg import metrics, segmentation, tables
from neuroseg.command import run
from neuroseg.threads import in_order
from neuroseg.thresholds import choose, grid, read_settings, tally, write

BATCH = 8
"""Images held at a time."""


def main(
    *, recipe: Path, detections: Path, images: Path, instances: Path, folds: Path, threads: int = 1, thresholds: Path
) -> None:
    """Choose each cell type's thresholds by the competition's metric; those of a fold are chosen on the other folds.

    Args:
        recipe: the ensemble file; its section `thresholds` says what to choose from, or gives them.
        detections: what `ensemble` wrote, of held-out images among others.
        images: the images table of `validate`.
        instances: the truth, the instances table of `validate`.
        folds: the folds table of `split`.
        threads: how many batches of images are in work side by side.
        thresholds: the thresholds chosen, YAML.
    """
    settings, truth = read_settings(recipe), tables.read("instances", instances)
    held = metrics.held_out(tables.read("images", images), tables.read("folds", folds))

    def work(found: pd.DataFrame) -> tuple[dict[str, str], pd.DataFrame]:
        votes = segmentation.vote(found)
        voted = held.assign(cell_type=held["image_id"].map(votes))
        true = truth[truth["image_id"].isin(found["image_id"])]
        gains = metrics.gains(segmentation.sweep(found, held, grid(settings)), true, held)
        return votes, tally(settings, voted, gains)

    votes, tallies = {}, []
    with tables.reading("detections", detections) as rows_of:
        begins = tqdm(range(0, len(held), BATCH), unit="batch", disable=None)
        batches = (rows_of(list(held["image_id"].iloc[begin : begin + BATCH])) for begin in begins)
        for voted, tallied in in_order(work, batches, threads):
            votes |= voted
            tallies.append(tallied)

    held["ap"] = metrics.per_image(tables.empty("instances"), truth, held)["ap"]
    held["cell_type"] = held["image_id"].map(dict(zip(held["image_id"], held["cell_type"], strict=True)) | votes)
    chosen = choose(settings, held, tallies, sorted({*truth["cell_type"].dropna(), *votes.values()}))
    write(chosen, thresholds)
    print(chosen.to_string(index=False, float_format="{:.3f}".format))


if __name__ == "__main__":
    run(main)
