"""What Snakemake's notes tell of a result: computed, or only called up to date."""

import json
import os
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from ledger import provenance

RESULT = "results/demo/submit/one.csv"


def noted(root: Path, log: float) -> Path:
    """A result whose note says that its job began at 1000 s and ended at 1000.01 s; its log is of `log` s."""
    name = urlsafe_b64encode(RESULT.encode()).decode()
    note = {"starttime": 1000.0, "endtime": 1000.01, "log": ["submit.log"]}
    for path, text in {RESULT: "", "submit.log": "", f"{provenance.FOLDER}/{name}": json.dumps(note)}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    os.utime(root / "submit.log", (log, log))
    return root


@pytest.mark.parametrize("log", [999.8, 1000.0, 1000.01])
def test_a_job_that_opened_its_log_just_before_its_beginning_was_noted_did_run(tmp_path, log):
    assert provenance.touched([RESULT], noted(tmp_path, log)) == []


def test_a_log_of_long_before_the_noted_beginning_tells_a_touch(tmp_path):
    assert provenance.touched([RESULT], noted(tmp_path, 990.0)) == [RESULT]
