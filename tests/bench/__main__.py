"""
The benchmarks: `make bench`, or `python -m tests.bench [SECTION ...]`.

BENCH_ORDERS chooses the size (1,000,000 by default; below 50,000 it is a smoke test). The first
run of a size fills a database below DATA_DIR/bench, later ones copy it. What each section measures
is in its module; the figures and how to read them are in docs/benchmarks.md.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator

import django

from tests.bench.measuring import Measurement
from tests.bench.report import keep, table
from tests.bench.rig import Rig, open_rig
from tests.bench.sizes import size_from_environment


def sections() -> dict[str, Callable[[Rig], Iterator[Measurement]]]:
    """This function will name what can be measured, in the order of a full run."""
    # Imported here: these modules need settings, which need the rig's database.
    from tests.bench.admin_pages import measure_admin
    from tests.bench.feeding import measure_feeding
    from tests.bench.hooking import measure_hooking
    from tests.bench.listing import measure_listing
    from tests.bench.memory import measure_memory
    from tests.bench.moving import measure_moving
    from tests.bench.numbering import measure_numbering
    from tests.bench.placing import measure_placing
    from tests.bench.plans import measure_plans
    from tests.bench.transitions import measure_transitions

    return {
        "placing": measure_placing,
        "transitions": measure_transitions,
        "moving": measure_moving,
        "numbering": measure_numbering,
        "feeding": measure_feeding,
        "hooking": measure_hooking,
        "admin": measure_admin,
        "listing": measure_listing,
        "plans": measure_plans,
        "memory": measure_memory,
    }


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("section", nargs="*", help="which to run; all by default")
    wanted = parser.parse_args(arguments).section
    size = size_from_environment()
    print(f"{size.orders:,} orders, {size.orders * 10:,} events; {size.rounds} rounds", flush=True)
    with open_rig(size) as rig:
        os.environ.update(rig.environment)
        django.setup()
        known = sections()
        if unknown := set(wanted) - set(known):
            parser.error(f"no such section: {', '.join(unknown)}; there are {', '.join(known)}")
        measured: list[Measurement] = []
        for name in wanted or known:
            print(f"\n{name}", flush=True)
            for line in known[name](rig):
                measured.append(line)
                print(table([line]).splitlines()[-1], flush=True)
        server = f"PostgreSQL {rig.version()}"
        path = keep(rig.folder, size, server, measured, wanted or list(known))
    print(f"\n{table(measured)}\n\n{server}. Kept in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
