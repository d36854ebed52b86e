"""Detect cells with the detector of one fold."""

from pathlib import Path
from typing import Any, Literal

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
    proposals: int | None = None,
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
    device: str = "auto",
    threads: int = 1,
    detections: Path,
    remarks: Path,
) -> None:
    """Detect cells with the detector of one fold, in the images it has not learnt from.

    Args:
        checkpoint: The fitted detector.
        images: The images table.
        folds: The folds table; without it, all images are predicted.
        fold: The detector's fold: the images it holds out are predicted (all: none), and those of no fold.
        source_name: What to call the detector; its sources are <name>/<fold>/<view>.
        views: Views of an image: none, hflip, vflip, hvflip, magnified (x1.5), or both (hflip_x1.5).
        batch_size: Views that pass the network together.
        max_detections: The best are kept of each view.
        min_score: Detections below are left out.
        proposals: Regions of each 704 x 520 pixels that are looked at closely; else the model file says.
        precision: Number format of the network; auto is bf16 or fp16 on a GPU, fp32 on a CPU.
        device: auto, cpu or cuda.
        threads: How many batches of views a CPU computes side by side.
        detections: Where the detections go.
        remarks: Where a JSON goes of remarks for the report's head, images unlike those learnt, cells learnt.
    """
    from neuroseg import readers, tables
    from neuroseg.detector.inference import predict
    from neuroseg.detector.precision import prepare_cpu
    from neuroseg.folds import held_out

    prepare_cpu(device)
    chosen = held_out(tables.read("images", images), tables.read("folds", folds) if folds else None, fold)
    settings: dict[str, Any] = {"views": views, "batch_size": batch_size, "max_detections": max_detections}
    settings |= {"min_score": min_score, "proposals": proposals, "precision": precision}
    settings |= {"device": device, "threads": threads, "source": source_name, "load": readers.read_image}
    predict(checkpoint, chosen, fold=fold, **settings).write(detections, remarks)


if __name__ == "__main__":
    run(main)
