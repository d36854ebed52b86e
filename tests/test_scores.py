"""The score of a cell: how sure the boxes' head is of it, and how sure the proposals' head was."""

from pathlib import Path

import pytest
import torch

from neuroseg.detector import configuration
from neuroseg.detector.openmmlab import MODELS, Config, InstanceData

LITE0 = Path(__file__).parents[1] / "configs/models/cascade_mask_rcnn_lite0.py"
PLACES = torch.tensor([[10.0, 10, 30, 30], [50, 50, 70, 80], [12, 60, 40, 90]])
LIMITS = Config({"score_thr": 0.05, "nms": {"type": "nms", "iou_threshold": 0.5}, "max_per_img": 10})


@pytest.fixture(scope="module")
def head() -> torch.nn.Module:
    """The regions' heads of the shipped model, for two cell types; boxes stay where they are proposed."""
    model = configuration.fit(configuration.read(LITE0), ["astro", "cort"]).model
    head = MODELS.build({**model.roi_head, "train_cfg": None, "test_cfg": model.test_cfg.rcnn}).eval()
    for stage in head.bbox_head:
        torch.nn.init.zeros_(stage.fc_reg.weight)
        torch.nn.init.zeros_(stage.fc_reg.bias)
        torch.nn.init.zeros_(stage.fc_cls.weight)
        stage.fc_cls.bias.data = torch.tensor([0.30, 0.34, 0.36]).log()  # astro, cort, none
    return head


def found(head: torch.nn.Module, scores: list[float], places: torch.Tensor = PLACES) -> InstanceData:
    """What is found in an empty image with these proposals."""
    maps = [torch.zeros(1, 48, 128 // stride, 128 // stride) for stride in (2, 4, 8, 16, 32)]
    proposals = [InstanceData(bboxes=places, scores=torch.tensor(scores))]
    with torch.no_grad():
        return head.predict_bbox(maps, [{"img_shape": (128, 128)}], proposals, LIMITS)[0]


def test_a_cells_score_is_the_geometric_mean_of_its_boxs_and_its_proposals(head):
    cells = found(head, [0.04, 0.64, 0.25])
    assert cells.scores.tolist() == pytest.approx([0.64, 0.4, 0.16])  # the roots of 0.64 x 0.64, 0.25, 0.04
    assert torch.allclose(cells.bboxes, PLACES[[1, 2, 0]], atol=1e-4)
    assert cells.labels.tolist() == [1, 1, 1]


def test_of_two_boxes_of_a_cell_the_surer_proposals_stays(head):
    twice = torch.tensor([[10.0, 10, 30, 30], [11, 10, 31, 30]])
    assert torch.allclose(found(head, [0.3, 0.8], twice).bboxes, twice[1:], atol=1e-4)


def test_without_a_proposal_nothing_is_found(head):
    assert len(found(head, [], torch.zeros(0, 4)).scores) == 0
