"""A detector's config and checkpoint in a stock MMDetection: they load, and give `predict`'s detections."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from neuroseg import readers, rle, tables
from neuroseg.detector import predict, save, train

ROOT = Path(__file__).parents[1]
MODEL = f"""
_base_ = {str(ROOT / "configs/models/cascade_mask_rcnn_tiny.py")!r}
test_pipeline = [dict(type="LocalContrast"), dict(type="PackCells")]
train_pipeline = [dict(type="CropCells", size=96), dict(type="LocalContrast"), dict(type="PackCells")]
"""
STOCK = """
import json, sys, warnings
warnings.simplefilter("ignore")
from mmdet.apis import inference_detector, init_detector
config, checkpoint, *images = sys.argv[1:]
model = init_detector(config, checkpoint, device="cpu")
answers = []
for image in images:
    found = inference_detector(model, image).pred_instances
    answers.append({key: found[key].tolist() for key in ("bboxes", "scores", "labels")})
    answers[-1]["pixels"] = found.masks.sum().item()
print(json.dumps({"classes": model.dataset_meta["classes"], "answers": answers}))
"""


@pytest.fixture(scope="module")
def detector(tmp_path_factory) -> SimpleNamespace:
    """A detector of two types, trained for two steps on squares; one image has 8 bits, the other 16."""
    folder = tmp_path_factory.mktemp("elsewhere")
    rows, cells = [], []
    for i, (cell_type, bits) in enumerate((("astro", np.uint8), ("cort", np.uint16))):
        image = np.full((96, 128), 100, np.uint8)
        masks = np.zeros((3, 96, 128), bool)
        for k in range(3):
            masks[k, 20 + 10 * i : 40 + 10 * i, 10 + 40 * k : 30 + 40 * k] = True
        image[masks.any(axis=0)] = 180
        path = folder / f"image{i}.png"
        Image.fromarray(image.astype(bits) * (1 if bits is np.uint8 else 100)).save(path)
        known = {"group": "g", "subset": "train", "annotated": True}
        rows.append({"image_id": f"image{i}", "path": str(path), "height": 96, "width": 128} | known)
        runs = rle.from_masks(masks)
        for k, counts in enumerate(rle.to_coco(runs, 96, 128)):
            cell = {"image_id": f"image{i}", "instance_id": k, "cell_type": cell_type, "area": 400}
            cells.append(cell | {"rle": counts})
    images = pd.DataFrame(rows)
    folds = pd.DataFrame({"image_id": images["image_id"], "fold": [0, 1]})
    (folder / "model.py").write_text(MODEL)
    settings = {
        "fold": "all",
        "seed": 0,
        "iterations": 2,
        "work_dir": folder / "work",
        "load": readers.read_uint8,
    }
    trained = train(folder / "model.py", images, pd.DataFrame(cells), folds, **settings)
    files = folder / "model.pth", folder / "config.py", folder / "scalars.json"
    save(trained, *files)
    return SimpleNamespace(images=images, checkpoint=files[0], config=files[1])


@pytest.fixture(scope="module")
def stock(detector) -> dict:
    """What a process of its own finds, which knows of this repository nothing but its folder of modules."""
    command = [sys.executable, "-c", STOCK, detector.config, detector.checkpoint, *detector.images["path"]]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=detector.config.parent
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_stock_mmdetection_knows_our_cell_types(stock):
    assert stock["classes"] == ["astro", "cort"]


@pytest.mark.parametrize("number", [0, 1], ids=["8 bits", "16 bits"])
def test_a_stock_mmdetection_gives_our_detections(detector, stock, number):
    image = detector.images.iloc[[number]].reset_index(drop=True)
    ours, *_ = predict(
        detector.checkpoint, image, load=readers.read_uint8, source="m", min_score=0.01, device="cpu"
    )
    theirs = stock["answers"][number]
    boxes, scores = np.array(theirs["bboxes"]), np.array(theirs["scores"])
    large = (boxes[:, 2:] - boxes[:, :2] >= 1).all(axis=1)  # predict leaves out what is less than a pixel
    assert large.sum() == len(ours) > 20
    np.testing.assert_allclose(ours["score"], scores[large], atol=1e-4)
    labels = ours["cell_type"].map(stock["classes"].index).to_numpy()  # one box may be found with either type
    others = labels[:, None] != np.array(theirs["labels"])
    nearest = (np.abs(tables.boxes(ours)[:, None] - boxes).max(axis=2) + 1000 * others).argmin(axis=1)
    np.testing.assert_allclose(tables.boxes(ours), boxes[nearest], atol=0.05)
    np.testing.assert_allclose(ours["score"], scores[nearest], atol=1e-4)
    assert theirs["pixels"] > 0


def test_a_config_names_no_address_and_no_folder_of_this_machine(detector):
    text = detector.config.read_text()
    assert "http" not in text
    assert str(ROOT) not in text
    assert str(detector.config.parent) not in text
