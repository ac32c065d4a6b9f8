"""PostgreSQL's own load generator: what the server gives to a client that costs nothing."""

import re
import tempfile
from pathlib import Path

from deploy.accounts import run_as
from deploy.postgres import DATABASE, OWNER
from tests.bench.rig import Rig

SMOKE_TRANSACTIONS = 20


def pgbench(rig: Rig, script: str, *, clients: int, seconds: float = 0, times: int = 0) -> float:
    """
    This function will run a script in pgbench and return its transactions a second.

    For so many seconds, or so many times per client. The simple protocol is what Django's driver
    uses: values inside the statement.
    """
    if rig.size.is_smoke:
        times = times or SMOKE_TRANSACTIONS
    server = rig.server
    duration = ["-t", str(times)] if times else ["-T", str(max(1, round(seconds)))]
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as name:
        path = _readable(Path(name), script)
        command: list[str | Path] = [server.binaries.path / "pgbench", "-n", "-M", "simple"]
        command += ["-c", str(clients), "-j", str(min(clients, 2)), *duration, "-f", path]
        command += ["-h", server.socket_dir, "-U", OWNER, DATABASE]
        done = run_as(server.account, command)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    failed = re.search(r"number of failed transactions: ([1-9]\d*)", done.stdout)
    if done.returncode != 0 or found is None or failed:
        raise RuntimeError(f"pgbench: {done.stdout[-500:]} {done.stderr[-2000:]}")
    return float(found[1])


def _readable(folder: Path, script: str) -> Path:
    """The server's account runs pgbench and must be able to read what root wrote."""
    folder.chmod(0o755)
    path = folder / "script.sql"
    path.write_text(script)
    path.chmod(0o644)
    return path
