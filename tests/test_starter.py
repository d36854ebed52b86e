"""Detectors that travel: in half precision, and next to the same for it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from neuroseg import fusion, segmentation
from neuroseg.detector import checkpoints, configuration, predict
from neuroseg.detector.openmmlab import MODELS
from neuroseg.errors import DataError
from neuroseg.tables import NEVER_TRAINED

LITE0 = Path(__file__).parents[1] / "configs/models/cascade_mask_rcnn_lite0.py"


@pytest.fixture(scope="module")
def detector() -> dict:
    """A detector with weights at random, which finds something everywhere."""
    config = configuration.fit(configuration.read(LITE0), ["cell"])
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    known = {"model": LITE0.stem, "classes": ["cell"], "fold": 0, "config": config.to_dict()}
    return known | {"state_dict": model.state_dict()}


def test_a_halved_detector_takes_half_the_space_and_finds_next_to_the_same(detector, tmp_path):
    image = np.random.default_rng(0).integers(90, 160, (128, 160)).astype(np.uint8)
    np.save(tmp_path / "image.npy", image)
    listed = pd.DataFrame(
        {"image_id": ["a"], "path": str(tmp_path / "image.npy"), "height": 128, "width": 160}
    )
    found, sizes = {}, {}
    for name, content in (("whole", detector), ("half", checkpoints.halved(detector))):
        path = tmp_path / f"{name}.pth"
        checkpoints.write_detector(path, content)
        sizes[name] = path.stat().st_size
        found[name], *_ = predict(path, listed, load=np.load, source="m", min_score=0.0, max_detections=20)
    assert sizes["half"] < 0.52 * sizes["whole"]
    assert len(found["whole"]) == 20
    assert np.allclose(found["half"]["score"], found["whole"]["score"], atol=2e-3)


def test_halving_leaves_counts_alone_and_changes_nothing_given(detector):
    before = {name: weight.clone() for name, weight in detector["state_dict"].items()}
    half = checkpoints.halved(detector)["state_dict"]
    assert {weight.dtype for weight in half.values()} == {torch.float16, torch.int64}
    assert all(torch.equal(detector["state_dict"][name], weight) for name, weight in before.items())


def test_a_weight_beyond_half_precision_is_refused():
    with pytest.raises(DataError, match="neck: this weight is beyond half precision"):
        checkpoints.halved({"state_dict": {"neck": torch.tensor([7e4])}})


STARTER = Path(__file__).parents[1] / "resources/detectors/starter"


def test_the_starter_that_the_repository_carries_is_small_sound_and_in_half_precision():
    assert (STARTER / "model.pth").stat().st_size <= 12e6
    fitted = checkpoints.read_detector(STARTER / "model.pth")
    assert fitted["classes"] == ["cell"]
    assert {weight.dtype for weight in fitted["state_dict"].values()} == {torch.float16, torch.int64}
    assert "/" + "home" not in str(fitted["config"])
    widths = fitted["cells"]["width_px"]
    assert f"cells of {widths[0]:.0f} to {widths[2]:.0f} pixels across" in (STARTER / "README.md").read_text()


def test_the_starter_brings_its_ensemble_and_the_thresholds_for_images_of_no_fold():
    assert list(fusion.read_recipe(STARTER / "ensemble.yaml").members) == ["starter"]
    assert list(segmentation.read_thresholds(STARTER / "thresholds.yaml")[NEVER_TRAINED]) == ["cell"]


def test_the_starters_card_names_its_data_and_their_licences():
    card = (STARTER / "README.md").read_text()
    for word in ("T98G", "Usiigaci", "MIT", "Apache License 2.0", "configs/starter.yaml", "mAP"):
        assert word in card, word
