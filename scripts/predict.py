"""Find cells with the detector of one fold."""

from pathlib import Path
from typing import Literal

from neuroseg import detector, readers, tables
from neuroseg.command import run


def main(
    *,
    checkpoint: Path,
    images: Path,
    folds: Path | None = None,
    fold: int | Literal["all"] | None = None,
    source_name: str,
    views: tuple[str, ...] = ("none",),
    batch_size: int = 4,
    max_detections: int = 1000,
    min_score: float = 0.01,
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
    device: str = "auto",
    detections: Path,
) -> None:
    """Find cells with the detector of one fold, in the images it has not learnt from.

    Args:
        checkpoint: The fitted detector.
        images: The images table.
        folds: The folds table; without it, all images are looked at.
        fold: The detector's fold: the images it holds out are looked at (all: none), and those of no fold.
        source_name: What to call the detector; its sources are <name>/<fold>/<view>.
        views: Ways to look at an image: none, hflip, vflip, hvflip, magnified (x1.5), or both (hflip_x1.5).
        batch_size: Views that pass the network together.
        max_detections: The best are kept of each view.
        min_score: Detections below are left out.
        precision: Number format of the network; auto is bf16 or fp16 on a GPU, fp32 on a CPU.
        device: auto, cpu or cuda.
        detections: Where the detections go.
    """
    listed = tables.read("images", images)
    chosen = listed if folds is None else detector.held_out(listed, tables.read("folds", folds), fold)
    found, coverage = detector.predict(
        checkpoint,
        chosen,
        fold=fold,
        load=readers.read_uint8,
        source=source_name,
        views=views,
        batch_size=batch_size,
        max_detections=max_detections,
        min_score=min_score,
        precision=precision,
        device=device,
    )
    tables.write("detections", found, detections, coverage)


if __name__ == "__main__":
    run(main)
