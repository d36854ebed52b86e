"""What Python imports is ours, whatever the environment names besides."""

import os
import subprocess
import sys

import pytest
from chain import ROOT, copy, snakemake

SPLIT = ("--allowed-rules", "simulate", "all_simulate", "--cores", "1", "--", "all_simulate")


@pytest.fixture
def other(tmp_path):
    """A folder that holds other packages under our names."""
    for name in ("workflow", "ledger", "neuroseg"):
        (tmp_path / "other" / name).mkdir(parents=True)
        (tmp_path / "other" / name / "__init__.py").write_text("raise RuntimeError('of somebody else')\n")
    return tmp_path / "other"


@pytest.mark.slow
def test_a_rule_runs_our_code_where_others_bear_its_name_and_scripts_folders_are_not_searched(
    other, tmp_path
):
    settings = {"PYTHONPATH": str(other), "PYTHONSAFEPATH": "1"}
    folder = copy(tmp_path / "neuroseg")
    (folder / "few.yaml").write_text("simulate: {train_images: 7, test_images: 1}\n")
    snakemake("--configfile", "few.yaml", *SPLIT, folder=folder, env=os.environ | settings)
    assert (folder / "data" / "demo" / "train.csv").is_file()


@pytest.mark.parametrize("call", [["ledger"], ["-m", "ledger"]])
def test_the_ledger_is_ours_where_others_bear_its_name(other, call):
    settings = {"PYTHONPATH": str(other)} | ({"PYTHONSAFEPATH": "1"} if call == ["ledger"] else {})
    command = [sys.executable, *call, "sync", "--help"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True, check=False
    )
    assert "the hash of every file" in done.stdout, done.stderr


def test_the_ledger_answers_where_python_leaves_docstrings_out():
    done = subprocess.run(
        [sys.executable, "-OO", "ledger", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "record" in done.stdout
