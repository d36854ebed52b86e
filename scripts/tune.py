"""Choose each cell type's thresholds by the competition's metric; those of a fold are chosen on the other folds."""

from pathlib import Path

from tqdm import tqdm

from neuroseg import metrics, segmentation, tables
from neuroseg.command import run
from neuroseg.thresholds import choose, grid, read_settings, tally, write

BATCH = 32
"""Images held at a time."""


def main(*, recipe: Path, detections: Path, images: Path, instances: Path, folds: Path, thresholds: Path) -> None:
    """Choose each cell type's thresholds by the competition's metric; those of a fold are chosen on the other folds.

    Args:
        recipe: the ensemble file; its section `thresholds` says what to choose from, or gives them.
        detections: what `ensemble` wrote, of held-out images among others.
        images: the images table of `validate`.
        instances: the truth, the instances table of `validate`.
        folds: the folds table of `split`.
        thresholds: the thresholds chosen, YAML.
    """
    settings, truth = read_settings(recipe), tables.read("instances", instances)
    held = metrics.held_out(tables.read("images", images), tables.read("folds", folds))
    votes, tallies = {}, []
    with tables.reading("detections", detections) as rows_of:
        for begin in tqdm(range(0, len(held), BATCH), unit="batch", disable=None):
            batch = held.iloc[begin : begin + BATCH]
            found, true = rows_of(list(batch["image_id"])), truth[truth["image_id"].isin(batch["image_id"])]
            votes |= segmentation.vote(found)
            for number, point in enumerate(grid(settings)):
                cut = segmentation.rasterise(found, batch, **point._asdict())
                tallies.append(tally(settings, batch, cut, metrics.gains(cut, true, batch)).assign(point=number))

    held["ap"] = metrics.per_image(tables.empty("instances"), truth, held)["ap"]
    held["cell_type"] = held["image_id"].map(dict(zip(held["image_id"], held["cell_type"], strict=True)) | votes)
    chosen = choose(settings, held, tallies, sorted({*truth["cell_type"].dropna(), *votes.values()}))
    write(chosen, thresholds)
    print(chosen.to_string(index=False, float_format="{:.3f}".format))


if __name__ == "__main__":
    run(main)
