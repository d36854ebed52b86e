"""Fuse the detections of all models, folds and views into one set per image, masks included."""

from pathlib import Path

from neuroseg.command import run


def main(
    *,
    recipe: Path,
    members: tuple[Path, ...],
    name: str,
    images: Path | None = None,
    instances: Path | None = None,
    folds: Path | None = None,
    chosen: Path | None = None,
    threads: int = 1,
    detections: Path,
    weights: Path,
) -> None:
    """Fuse the detections of all models, folds and views into one set per image, masks included.

    Args:
        recipe: the ensemble file: members' weights, or candidates for them, and the method that fuses them.
        members: detections tables that `predict`, or another `ensemble`, wrote.
        name: the ensemble's name, the source of the fused detections.
        images: the images table of `validate`; this and the next two, where weights are to be chosen.
        instances: the truth, the instances table of `validate`.
        folds: the folds table of `split`; those of a fold are chosen on the other folds.
        chosen: the weights that were chosen on another data set; besides them, `folds` alone is needed.
        threads: how many batches of images are in work side by side.
        detections: the fused detections.
        weights: each member's weight by fold, YAML.
    """
    from neuroseg import fusion, tables, tuning
    from neuroseg.folds import scored

    settings = fusion.read_recipe(recipe)
    files, covered = fusion.gather(members, settings)
    table = tables.read("folds", folds) if folds else tables.empty("folds")
    if chosen:
        used = fusion.read_weights(chosen, settings)
    elif images and instances and folds:
        held, truth = scored(tables.read("images", images), table), tables.read("instances", instances)
        asked = tuning.read_settings(recipe)
        used, tried = tuning.choose_weights(settings, files, held, truth, asked, threads)
        print(tried.to_string(index=False))
    else:
        used = fusion.only(settings)
    parts = fusion.partition(files, covered, table, used)
    coverage = tables.Coverage(tuple(image for part, _ in parts for image in part), (name,))
    with tables.writing("detections", detections, coverage) as append:
        for part, weighed in parts:
            for fused in fusion.stream(weighed, part, settings.fusion, name, threads):
                append(fused)
    fusion.write_weights(used, weights)


if __name__ == "__main__":
    run(main)
