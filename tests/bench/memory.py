"""Memory of each role, shared pages divided among those that share them, idle and after load."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack

from tests.bench.measuring import PROC, Measurement, pids_below, watching_others
from tests.bench.moving import close_connectors
from tests.bench.placing import bodies, credentials, place
from tests.bench.purchases import Counter
from tests.bench.rig import Rig

SETTLING_SECONDS = 2.0


def measure_memory(rig: Rig) -> Iterator[Measurement]:
    """
    This function will measure each role with its whole process tree, at rest and after load.

    The load: orders placed over HTTP in lots of 50, whose first moves the cluster makes.
    """
    close_connectors(rig)
    headers = credentials()
    with watching_others() as others, rig.web() as web, ExitStack() as clusters:
        names = ["workflow"] if rig.size.is_smoke else ["workflow", "backoffice"]
        roles = {name: clusters.enter_context(rig.cluster(name)) for name in names}
        roles["web"] = web.process
        settling = 0.1 if rig.size.is_smoke else SETTLING_SECONDS
        time.sleep(settling)
        idle = {name: _pss_mib(process) for name, process in roles.items()}
        place(web, headers, bodies(Counter(), rig.size.scaled(10_000, 200), 50))
        time.sleep(settling)
        loaded = {name: _pss_mib(process) for name, process in roles.items()}
        processes = {name: len(pids_below(process.pid)) for name, process in roles.items()}
    for name in roles:
        for state, found in (("idle", idle), ("after load", loaded)):
            yield Measurement(
                what=f"memory of {name}, {state}",
                unit="MiB PSS",
                ours=[found[name]],
                smaller_is_better=True,
                others_busy=others[0],
                note=f"{processes[name]} processes",
            )


def _pss_mib(process: subprocess.Popen[bytes]) -> float:
    total = 0
    for pid in pids_below(process.pid):
        try:
            lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024
