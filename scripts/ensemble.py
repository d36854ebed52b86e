"""Fuse the detections of all models, folds and views into one set per image, masks included."""

from pathlib import Path

from neuroseg import fusion, tables
from neuroseg.command import run


def main(*, recipe: Path, members: tuple[Path, ...], name: str, threads: int = 1, detections: Path) -> None:
    """Fuse the detections of all models, folds and views into one set per image, masks included.

    Args:
        recipe: the ensemble file: members' weights and the method that fuses them.
        members: detections tables that `predict`, or another `ensemble`, wrote.
        name: the ensemble's name, the source of the fused detections.
        threads: how many batches of images are in work side by side.
        detections: the fused detections.
    """
    settings = fusion.read_recipe(recipe)
    files, images = fusion.gather(members, settings)
    with tables.writing("detections", detections, tables.Coverage(images, (name,))) as append:
        for fused in fusion.stream(files, images, settings.fusion, name, threads):
            append(fused)


if __name__ == "__main__":
    run(main)
