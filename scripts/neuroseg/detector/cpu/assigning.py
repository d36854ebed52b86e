"""Which cell an anchor or a proposal is to find, for the CPU.

MMDetection writes the overlaps of every box with every cell as a matrix, in a dozen passes of 16 MB each for
60 cells and the 65,000 anchors of a crop. Here an overlap is used where it is computed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import nn

from neuroseg.detector.openmmlab import AssignResult, BboxOverlaps2D, MaxIoUAssigner

BLOCK = 2048
"""Boxes compared with every cell before the next ones are: they stay in the processor's first cache."""


class CpuAssigner(MaxIoUAssigner):
    """Equal to MMDetection's to the last bit, where `replace` puts it."""

    def assign(
        self, pred_instances: Any, gt_instances: Any, gt_instances_ignore: Any = None, **settings: Any
    ) -> AssignResult:
        """Give each box a cell (counted from 1), background (0), or nothing to learn (-1)."""
        boxes, cells, labels = pred_instances.priors, gt_instances.bboxes, gt_instances.labels
        if not len(boxes) or not len(cells):
            return super().assign(pred_instances, gt_instances, gt_instances_ignore, **settings)
        bounds = np.array([self.neg_iou_thr, self.pos_iou_thr, self.min_pos_iou], np.float32)
        found, overlap = _assign(
            boxes.detach().numpy().T.copy(),
            cells.numpy(),
            bounds,
            self.match_low_quality,
            self.gt_max_assign_all,
        )
        chosen = torch.from_numpy(found)
        return AssignResult(
            num_gts=len(cells),
            gt_inds=chosen,
            max_overlaps=torch.from_numpy(overlap),
            labels=torch.where(chosen > 0, labels[(chosen - 1).clamp(min=0)], -1),
        )


def replace(model: nn.Module) -> None:
    """Put it in the place of every assigner of a two-stage detector that it is equal to."""
    for head in (model.rpn_head, model.roi_head):
        assigners = getattr(head, "bbox_assigner", None) or getattr(head, "assigner", None)
        for assigner in assigners if isinstance(assigners, list) else [assigners]:
            if _fits(assigner):
                assigner.__class__ = CpuAssigner


def _fits(assigner: Any) -> bool:
    return (
        type(assigner) is MaxIoUAssigner
        and type(assigner.iou_calculator) is BboxOverlaps2D
        and (assigner.iou_calculator.scale, assigner.iou_calculator.dtype) == (1.0, None)
        and isinstance(assigner.neg_iou_thr, float)
        and assigner.ignore_iof_thr <= 0
        and assigner.perm_repeat_gt_cfg is None
    )


@njit(
    cache=True, nogil=True, fastmath={"nnan", "nsz"}
)  # no overlap is NaN or -0.0, and so the largest is found in lanes
def _assign(
    boxes: np.ndarray, cells: np.ndarray, bounds: np.ndarray, low_quality: bool, every: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the choice of each box (4, n) among the cells (k, 4), int64, and its largest overlap, float32.

    Args:
        boxes: Sides, each by itself.
        cells: Boxes of the cells.
        bounds: Overlap below which a box is background; from which it is a cell; and from which a cell takes
            its best.
        low_quality: Whether a cell takes the box that it overlaps most, whatever overlaps that box more.
        every: Whether it takes all such boxes, or the first.
    """
    n, k = boxes.shape[1], len(cells)
    largest, which = np.zeros(n, np.float32), np.zeros(n, np.int32)
    starts = np.arange(0, n, BLOCK)
    tops = np.zeros((k, len(starts)), np.float32)  # the largest overlap of each cell in each block
    overlaps = np.empty(BLOCK, np.float32)
    for block, start in enumerate(starts):
        part, best, at = (
            boxes[:, start : start + BLOCK],
            largest[start : start + BLOCK],
            which[start : start + BLOCK],
        )
        left, upper, right, lower = part[0].min(), part[1].min(), part[2].max(), part[3].max()
        for cell in range(k):
            x1, y1, x2, y2 = cells[cell]
            if x1 >= right or y1 >= lower or x2 <= left or y2 <= upper:
                continue  # anchors that follow one another lie side by side: most cells are elsewhere
            _overlap(part, cells[cell], overlaps)
            top = np.float32(0)
            for i in range(len(best)):
                top = max(top, overlaps[i])
                at[i] = cell if overlaps[i] > best[i] else at[i]
                best[i] = max(best[i], overlaps[i])
            tops[cell, block] = top
    chosen = np.full(n, -1, np.int64)
    for i in range(n):
        if largest[i] >= bounds[1]:
            chosen[i] = which[i] + 1
        elif largest[i] < bounds[0]:
            chosen[i] = 0
    for cell in range(k if low_quality else 0):
        top = tops[cell].max()
        for block in np.flatnonzero(tops[cell] == top) if top >= bounds[2] else starts[:0]:
            part, at = boxes[:, starts[block] :][:, :BLOCK], chosen[starts[block] :][:BLOCK]
            _overlap(part, cells[cell], overlaps)
            taken = np.flatnonzero(overlaps[: len(at)] == top)
            at[taken if every else taken[:1]] = cell + 1
            if not every:
                break
    return chosen, largest


@njit(cache=True, nogil=True)
def _overlap(boxes: np.ndarray, cell: np.ndarray, overlaps: np.ndarray) -> None:
    """Write the intersection over union of boxes (4, n) and a cell, computed as MMDetection does."""
    x1, y1, x2, y2 = boxes
    left, top, right, bottom = cell
    zero, area = np.float32(0), (right - left) * (bottom - top)
    for i in range(len(x1)):
        width = max(min(right, x2[i]) - max(left, x1[i]), zero)
        height = max(min(bottom, y2[i]) - max(top, y1[i]), zero)
        shared = width * height
        both = area + (x2[i] - x1[i]) * (y2[i] - y1[i]) - shared
        overlaps[i] = shared / max(both, np.float32(1e-6))
