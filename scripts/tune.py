"""Choose each cell type's thresholds by the competition's metric; those of a fold are chosen on the other folds."""

from pathlib import Path

from tqdm import tqdm

from neuroseg import metrics, segmentation, tables
from neuroseg import thresholds as choosing
from neuroseg.command import run

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
    settings, truth = choosing.read_settings(recipe), tables.read("instances", instances)
    held = metrics.held_out(tables.read("images", images), tables.read("folds", folds))
    rooms = segmentation.vote, segmentation.sweep, metrics.gains
    with tables.reading("detections", detections) as rows_of:
        begins = tqdm(range(0, len(held), BATCH), unit="batch", disable=None)
        batches = (rows_of(list(held["image_id"].iloc[begin : begin + BATCH])) for begin in begins)
        collected = choosing.collect(settings, held, truth, rooms, threads, batches)
    chosen = choosing.choose(settings, *collected)
    choosing.write(chosen, thresholds)
    print(chosen.to_string(index=False, float_format="{:.3f}".format))


if __name__ == "__main__":
    run(main)
