"""The benchmarks in a size that shows one thing: that all of them still run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SECTIONS = {
    "placing",
    "transitions",
    "moving",
    "numbering",
    "feeding",
    "hooking",
    "admin",
    "listing",
    "plans",
    "memory",
}


@pytest.mark.timeout(600)
def test_every_benchmark_runs_in_small_and_keeps_what_it_measured(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench"],
        cwd=ROOT,
        env=os.environ | {"BENCH_ORDERS": "2000", "DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=560,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (kept,) = (tmp_path / "bench").glob("*-2000.json")
    facts = json.loads(kept.read_text())
    assert set(facts["sections"]) == SECTIONS
    assert all(min(line["ours"]) > 0 for line in facts["measurements"])
    assert all(line["what"] in done.stdout for line in facts["measurements"])
