"""Choose each cell type's thresholds by the competition's metric; a fold's are chosen on the other folds."""

from pathlib import Path

from tqdm import tqdm

from neuroseg.command import run

BATCH = 8
"""Images held at a time."""


def main(
    *,
    recipe: Path,
    detections: Path,
    images: Path,
    instances: Path,
    folds: Path,
    threads: int = 1,
    thresholds: Path,
) -> None:
    """Choose each cell type's thresholds by the competition's metric; a fold's are chosen on the other folds.

    Args:
        recipe: the ensemble file; its section `thresholds` says what to choose from, or gives them.
        detections: what `ensemble` wrote, of held-out images among others.
        images: the images table of `validate`.
        instances: the truth, the instances table of `validate`.
        folds: the folds table of `split`.
        threads: how many batches of images are in work side by side.
        thresholds: the thresholds chosen, YAML.
    """
    from neuroseg import segmentation, tables, tuning
    from neuroseg.folds import scored

    settings, truth = tuning.read_settings(recipe), tables.read("instances", instances)
    held = scored(tables.read("images", images), tables.read("folds", folds))
    with tables.reading("detections", detections) as rows_of:
        begins = tqdm(range(0, len(held), BATCH), unit="batch", disable=None)
        batches = (rows_of(list(held["image_id"].iloc[begin : begin + BATCH])) for begin in begins)
        collected = tuning.collect(settings, held, truth, threads, batches)
    chosen = tuning.choose(settings, collected)
    segmentation.write_thresholds(tuning.thresholds(chosen), thresholds)
    print(chosen.to_string(index=False, float_format="{:.3f}".format))


if __name__ == "__main__":
    run(main)
