"""Write conda files and what `pip install .` needs from requirements.toml and pins.txt, so that all agree."""

from __future__ import annotations

from install import HERE, read_pins, read_requirements

NOTICE = """\
# Written by envs/render.py from requirements.toml and pins.txt; change those and call `make conda-files`.
"""

ANALYSIS = """\
# The environment of every step but training and prediction (`snakemake --use-conda`).
"""
MMDET = """\
# The environment of training and prediction on a GPU (`snakemake --use-conda`). mmdet.post-deploy.sh adds
# OpenMMLab's parts with pip: a `pip:` section here cannot say that mmcv is to be built beside the PyTorch
# installed before it, and pip would build it without its operators. By hand:
#   conda env create -n neuroseg -f envs/mmdet.yaml
#   conda activate neuroseg && bash envs/mmdet.post-deploy.sh
# conda offers pytorch-gpu only where it sees a GPU. On a login node without one, say what compute nodes have:
#   CONDA_OVERRIDE_CUDA=13.0 TORCH_CUDA_ARCH_LIST=9.0 snakemake --use-conda --conda-create-envs-only
# Where there is no GPU at all, use the environment that `make setup` makes. The authors could not reach
# conda-forge: that its solver finds these versions is not tested, only that they are those of the pip
# environment, which is.
"""
LIBRARY = """\
# What `pip install .` asks for: tables, masks, readers, fusion, segmentation, scores, measures and report.
# The lowest versions are those that the tests run with.
"""
DETECTOR = """\
# What `pip install ".[detector]"` adds, for training and prediction; `make setup` builds mmcv's operators.
"""
POST_DEPLOY = """\
# Snakemake runs this inside the conda environment that it has just made from mmdet.yaml.
set -euo pipefail
# A login node may have no GPU; the CUDA kernels are wanted all the same.
FORCE_CUDA="${{FORCE_CUDA:-$(python -c 'import torch; print(int(torch.version.cuda is not None))')}}"
CUDA_HOME="${{CUDA_HOME:-${{CONDA_PREFIX:-}}}}"
export FORCE_CUDA CUDA_HOME
# Without isolation, so that mmcv finds PyTorch and builds its operators; without dependencies, because conda
# brought them; without cache, because pip would take a wheel that it once built for another PyTorch.
python -m pip install --no-build-isolation --no-deps --no-cache-dir \\
    {requirements}
python -c 'import mmcv.ops, mmdet.apis'
"""


def main() -> None:
    """Write the files."""
    for name, text in render(read_requirements(), read_pins()).items():
        (HERE / name).write_text(text, encoding="utf-8")


def render(requirements: dict[str, dict], pinned: dict[str, str]) -> dict[str, str]:
    """The text of every file, by its name."""
    groups, alone, conda = (requirements[key] for key in ("groups", "without_dependencies", "conda"))
    by_pip = [f"{name}=={pinned[name]}" for name in (*alone["mmdet"], *alone["operators"])]
    analysis = {*groups["steps"], *groups["analysis"]}
    mmdet = {*groups["steps"], *groups["mmdet"], *groups["build"]}
    return {
        "analysis.yaml": NOTICE + ANALYSIS + environment(analysis, pinned, conda, []),
        "mmdet.yaml": NOTICE + MMDET + environment(mmdet, pinned, conda, [*conda["compilers"], "pip"]),
        "library.txt": NOTICE + LIBRARY + lowest({*groups["steps"], *groups["analysis"]}, pinned),
        "detector.txt": NOTICE + DETECTOR + lowest({*groups["mmdet"], *alone["mmdet"]}, pinned),
        "mmdet.post-deploy.sh": (
            "#!/usr/bin/env bash\n" + NOTICE + POST_DEPLOY.format(requirements=" \\\n    ".join(by_pip))
        ),
    }


def environment(names: set[str], pinned: dict[str, str], conda: dict, unpinned: list[str]) -> str:
    """The YAML of one conda environment."""
    packages = sorted(specification(name, pinned[name], conda) for name in names)
    lines = [f"python={conda['python']}", *packages, *unpinned]
    return "channels:\n  - conda-forge\n  - nodefaults\ndependencies:\n" + "".join(
        f"  - {line}\n" for line in lines
    )


def lowest(names: set[str], pinned: dict[str, str]) -> str:
    """The lines of a requirements file: each package, not below the version that is pinned."""
    return "".join(f"{name}>={pinned[name]}\n" for name in sorted(names))


def specification(name: str, version: str, conda: dict) -> str:
    """A package as conda-forge calls it: name=version, and a build where one is asked for."""
    parts = version.split(".")[: conda["version_parts"].get(name)]
    build = conda["builds"].get(name)
    return "=".join([conda["names"].get(name, name), ".".join(parts), *([build] if build else [])])


if __name__ == "__main__":
    main()
