"""Simulate phase-contrast cultures in the competition's layout, with known truth, effect and faults."""

from pathlib import Path

from neuroseg.command import run


def main(
    *,
    seed: int = 0,
    train_images: int = 36,
    test_images: int = 6,
    height: int = 520,
    width: int = 704,
    density: float = 1.0,
    survival: float = 0.6,
    debris: float = 1.5,
    out: Path,
) -> None:
    """Draw cultures of three cell types and write them as the competition hands out its own.

    Args:
        seed: Decides everything; the same seed gives the same bytes.
        train_images: Annotated images, the cell types taking turns, two images a well; two more are broken.
        test_images: Images without truth, each from a well of its own.
        height: Of an image, pixels.
        width: Of an image, pixels.
        density: Cells per area, relative to 68 shsy5y, 22 astro or 28 cort in 520 x 704 pixels of a control.
        survival: Cells in a treated well, relative to a control: the effect that quantify should find.
        debris: Debris in a treated well, relative to a control.
        out: Folder for train.csv, train/, test/, plate_map.csv, effect.json and faults.csv.
    """
    from neuroseg import simulation

    experiment = simulation.Experiment(
        seed, train_images, test_images, height, width, density, survival, debris
    )
    simulation.write(experiment, out)


if __name__ == "__main__":
    run(main)
