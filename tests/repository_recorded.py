"""A small repository with a recorded run, whose stages take no time: for the tests of verify and reproduce.

Two stages: `draw` copies raw data and the parameter `seed` into data/demo, `score` makes metrics and a
submission of that. Both write the version of the package `engine`, which the stand-in of envs/install.py
installs from envs/pins.txt.
"""

import hashlib
import json
import os
import platform
import subprocess
from pathlib import Path

INSTALL = """
import argparse, pathlib, venv
parser = argparse.ArgumentParser()
parser.add_argument("--venv", type=pathlib.Path)
folder = parser.parse_args().venv
pins = pathlib.Path(__file__).with_name("pins.txt").read_text().split("==")
if pins[1].strip() == "404":
    raise SystemExit("error: No matching distribution found for engine==404")
if not (folder / ".neuroseg").exists():
    venv.create(folder, symlinks=True, with_pip=False, clear=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "engine.py").write_text(f"VERSION = {pins[1].strip()!r}")
    about = site / "engine-0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\\nName: engine\\nVersion: {pins[1].strip()}\\n")
    (folder / ".neuroseg").touch()
"""
DRAW = """
import pathlib, engine, library
values = dict(line.split(": ") for line in pathlib.Path("configs/pipeline.yaml").read_text().splitlines())
folder = pathlib.Path("data/demo")
folder.mkdir(parents=True)
raw = pathlib.Path("data/raw/image.txt").read_text()
(folder / "image.txt").write_text(f"{raw} {values['seed']} {engine.VERSION} {library.NAME}")
"""
SCORE = """
import json, os, pathlib, sys, engine
name = sys.argv[1]
if os.environ.get("STOP_AT") == "score":
    raise SystemExit("stopped by hand")
image = pathlib.Path("data/demo/image.txt").read_text()
for folder in ("evaluate", "submit"):
    pathlib.Path("results/demo", folder).mkdir(parents=True, exist_ok=True)
pathlib.Path(f"results/demo/evaluate/{name}.json").write_text(json.dumps({"map": len(image) / 100}))
pathlib.Path(f"results/demo/submit/{name}.csv").write_text(f"{image} {engine.VERSION}")
"""
PIPELINE = """
vars:
  - configs/pipeline.yaml
stages:
  score:
    foreach: ${ensembles}
    do:
      cmd: python scripts/score.py ${item}
      deps: [data/demo]
      outs:
        - results/demo/submit/${item}.csv
        - results/demo/evaluate/${item}.json: {cache: false}
  draw:
    cmd: python scripts/draw.py
    deps: [data/raw, scripts/draw.py]
    params:
      - configs/pipeline.yaml: [seed]
    outs: [data/demo]
"""
FILES = {
    ".dvc/config": "[core]\n    analytics = false\n",
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".gitignore": "/.runs/\n/results/demo/submit\n/data/*\n",
    "configs/pipeline.yaml": "seed: 7\nensembles: [one]\n",
    "dvc.yaml": PIPELINE,
    "envs/install.py": INSTALL,
    "envs/pins.txt": "engine==1\n",
    "scripts/draw.py": DRAW,
    "scripts/library.py": "NAME = 'this run\\'s own'\n",
    "scripts/score.py": SCORE,
}
IMAGE = "pixels 7 1 this run's own"
"""What the recorded run drew."""


def git(*arguments: str, folder: Path) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def settle(monkeypatch) -> None:
    """Have Git behave as for somebody without any settings of their own."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "tester")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "tester@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def of_folder(**texts: str) -> str:
    """DVC's hash of a folder: that of its list of files."""
    listed = [{"md5": md5(text), "relpath": name.replace("_", ".")} for name, text in sorted(texts.items())]
    return md5(json.dumps(listed)) + ".dir"


def lockfile(image: str = IMAGE) -> dict:
    """dvc.lock's contents for a run that drew an image, with a stage left by an earlier configuration."""
    metrics = json.dumps({"map": len(image) / 100})
    entries = {
        "score@one": {
            "cmd": "python scripts/score.py one",
            "deps": [{"path": "data/demo", "md5": of_folder(image_txt=image)}],
            "outs": [
                {"path": "results/demo/evaluate/one.json", "md5": md5(metrics)},
                {"path": "results/demo/submit/one.csv", "md5": md5(f"{image} 1")},
            ],
        },
        "score@former": {
            "cmd": "false",
            "outs": [{"path": "results/demo/submit/former.csv", "md5": md5("former")}],
        },
        "draw": {
            "cmd": "python scripts/draw.py",
            "deps": [
                {"path": "data/raw", "md5": of_folder(image_txt="pixels"), "nfiles": 1},
                {"path": "scripts/draw.py", "md5": md5(DRAW)},
            ],
            "params": {"configs/pipeline.yaml": {"seed": 7}},
            "outs": [{"path": "data/demo", "md5": of_folder(image_txt=image)}],
        },
    }
    return {"schema": "2.0", "stages": entries}


def record(folder: Path, name: str = "first", image: str = IMAGE, **other: str) -> str:
    """Commit what `make record` would write after a run on this machine, or one other in a thing or two."""
    from ledger import environment

    machine = environment.machine() | other
    board = folder / "results" / "leaderboard.csv"
    submission = hashlib.sha256(f"{image} 1".encode()).hexdigest()
    head = "name,recorded,parent,dataset,ensemble,map,submission\n"
    former = board.read_text() if board.is_file() else head
    write(
        folder,
        {
            "dvc.lock": json.dumps(lockfile(image)),
            "results/demo/evaluate/one.json": json.dumps({"map": len(image) / 100}),
            "results/environment.json": json.dumps(
                {"python": platform.python_version(), **machine, "engine": "1"}
            ),
            "results/leaderboard.csv": f"{former}{name},today,abc,demo,one,{len(image) / 100},{submission}\n",
        },
    )
    git("add", "--all", folder=folder)
    git("commit", "--quiet", "--message", f"Record run {name}: map 0.2500 (one)", folder=folder)
    git("tag", "--annotate", f"run/{name}", "--message", "map", folder=folder)
    return git("rev-parse", "HEAD", folder=folder)


def build(folder: Path) -> Path:
    """A repository with the run `first`, then a commit that asks for another engine and has no library."""
    folder.mkdir(parents=True, exist_ok=True)
    git("init", "--quiet", "--initial-branch", "main", folder=folder)
    write(folder, FILES)
    record(folder)
    write(folder, {"data/raw/image.txt": "pixels", "envs/pins.txt": "engine==2\n"})
    (folder / "scripts" / "library.py").unlink()
    git("add", "--all", folder=folder)
    git("commit", "--quiet", "--message", "Use another engine", folder=folder)
    return folder
