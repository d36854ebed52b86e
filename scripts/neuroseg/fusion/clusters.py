"""The loop of fusing boxes, compiled: who joins whose cluster.

The arithmetic, down to where it rounds to single precision, is that of ensemble-boxes 1.0.9. The search is
not: a cluster keeps running sums instead of adding its members up anew, and a box is compared only with
clusters whose centres lie within its reach, found on a grid, instead of all of them.
"""

from __future__ import annotations

import numpy as np
from numba import njit

FINEST = 128.0
"""Most cells of the search grid along one side."""


@njit(cache=True, nogil=True)
def cluster(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, iou: float, moving: bool, across: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Let each box in turn join the cluster that it overlaps most, where by more than `iou`, else open one.

    Args:
        boxes: (n, 4) float64, of positive area, best first.
        scores: (n,) float64, a box's weight in its cluster.
        labels: (n,) int64.
        iou: from above 0 to 1; equal overlaps go to the older cluster.
        moving: the cluster's box is its members' mean so far, weighted by score; if not, that of its first
            member.
        across: boxes are compared with clusters of another label; if not, under the same.

    Returns:
        Each box's cluster, (n,) int64, numbered in the order of opening; the box that opened each, (k,)
        int64; the clusters' boxes, (k, 4) float64; their sums of scores, (k,) float64.
    """
    n = boxes.shape[0]
    owner, opener = np.empty(n, np.int64), np.empty(n, np.int64)
    fused, total, sums = np.empty((n, 4)), np.empty(n), np.empty((n, 4), np.float32)
    if n == 0:
        return owner, opener, fused, total

    # A cluster hangs on the cell of a grid that holds its box's centre. An IoU above t binds the two boxes'
    # sides (b <= a / t) and with them how far their centres lie apart: at most a (1 - t) / 2t along each
    # axis.
    left, top = boxes[:, 0].min(), boxes[:, 1].min()
    wide, high = boxes[:, 2].max() - left, boxes[:, 3].max() - top
    columns = int(min(max(wide * n / (boxes[:, 2] - boxes[:, 0]).sum(), 1.0), FINEST))
    rows = int(min(max(high * n / (boxes[:, 3] - boxes[:, 1]).sum(), 1.0), FINEST))
    per_x, per_y = columns / wide, rows / high
    reach = (1 - iou) / (2 * iou) + 1e-6
    first, following = np.full(columns * rows, -1, np.int64), np.empty(n, np.int64)
    cell = np.empty(n, np.int64)
    k = 0

    for i in range(n):
        x0, y0, x1, y1 = boxes[i]
        area, x, y = (x1 - x0) * (y1 - y0), (x0 + x1) / 2 - left, (y0 + y1) / 2 - top
        dx, dy = (x1 - x0) * reach, (y1 - y0) * reach
        from_column, to_column = int(max((x - dx) * per_x, 0.0)), int(min((x + dx) * per_x, columns - 1.0))
        from_row, to_row = int(max((y - dy) * per_y, 0.0)), int(min((y + dy) * per_y, rows - 1.0))
        best, at = iou, -1
        for row in range(from_row, to_row + 1):
            for column in range(from_column, to_column + 1):
                c = first[row * columns + column]
                while c >= 0:
                    width = min(fused[c, 2], x1) - max(fused[c, 0], x0)
                    height = min(fused[c, 3], y1) - max(fused[c, 1], y0)
                    if width > 0 and height > 0 and (labels[opener[c]] != labels[i]) == across:
                        inter = width * height
                        own = (fused[c, 2] - fused[c, 0]) * (fused[c, 3] - fused[c, 1])
                        found = inter / (own + area - inter)
                        if found > best or (found == best and c < at):
                            best, at = found, c
                    c = following[c]

        c = at if at >= 0 else k
        owner[i] = c
        if at < 0:
            opener[c], cell[c], total[c] = i, -1, scores[i]
            for d in range(4):
                sums[c, d] = scores[i] * boxes[i, d]
                fused[c, d] = boxes[i, d]
            k += 1
        elif moving:
            total[c] += scores[i]
            for d in range(4):
                sums[c, d] = np.float32(np.float64(sums[c, d]) + scores[i] * boxes[i, d])
                if total[c] > 0:
                    fused[c, d] = np.float32(np.float64(sums[c, d]) / total[c])
        else:
            continue

        row = int(min(max(((fused[c, 1] + fused[c, 3]) / 2 - top) * per_y, 0.0), rows - 1.0))
        column = int(min(max(((fused[c, 0] + fused[c, 2]) / 2 - left) * per_x, 0.0), columns - 1.0))
        home = row * columns + column
        if home != cell[c]:
            if cell[c] >= 0:
                before = first[cell[c]]
                if before == c:
                    first[cell[c]] = following[c]
                else:
                    while following[before] != c:
                        before = following[before]
                    following[before] = following[c]
            following[c], first[home], cell[c] = first[home], c, home
    return owner, opener[:k].copy(), fused[:k].copy(), total[:k].copy()
