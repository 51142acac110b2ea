"""`flows/compare.py` as it is, but that it marks in a file what it begins: python marked_run.py MARKS [OPTIONS].

In the environment, HOLD names a task and a place in its work, as "train_mf begun" or "train_mf written": there it stays
until it is killed or asked to end, or there is a file MARKS.go, and marks that it does.
"""

import os
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path

from flows.stdio import handle_early_interrupt

MARKS = Path(sys.argv.pop(1))
HOLD = os.environ.get("HOLD")
HELD = "held"
GO = MARKS.with_suffix(".go")


def mark(what: str) -> None:
    descriptor = os.open(MARKS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{what}\n".encode())
    os.close(descriptor)


def come_to(place: str) -> None:
    from tasks.progress import STOP, Stopped

    if place != HOLD:
        return
    mark(HELD)
    while not STOP.is_set():
        if GO.exists():
            return
        time.sleep(0.02)
    raise Stopped(f"{place} was stopped")


def mark_builds() -> None:
    from recsys.store.fingerprint import Fingerprint
    from recsys.store.store import Facts, Manifest, Store

    build_unmarked = Store._build

    def build_marked(store: Store, fingerprint: Fingerprint, build: Callable[[Path], Facts]) -> Manifest:
        def building(folder: Path) -> Facts:
            come_to(f"{fingerprint.task} begun")
            facts = build(folder)
            come_to(f"{fingerprint.task} written")
            return facts

        mark(fingerprint.task)
        return build_unmarked(store, fingerprint, building)

    Store._build = build_marked  # type: ignore[method-assign, assignment]


handle_early_interrupt()
mark("start")
mark_builds()
runpy.run_path("flows/compare.py", run_name="__main__")
