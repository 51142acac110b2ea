"""Benchmark 6: the whole flow at 20 million ratings, per task: seconds and peak memory; then again, all cached.

    python -m tests.benchmarks.whole_flow [options of flows/compare.py]

Without options: protocol `notebook`, the notebook's epochs and batch size, about an hour on 2 cores.
"""

import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.made_ratings import made_ratings
from tests.benchmarks.measuring import ROOT, report

STARTED, ENDED = re.compile(r"▸ (\w+)"), re.compile(r"[✓✗] (\w+)")
SECONDS_BETWEEN_SAMPLES = 0.25


@dataclass
class Watched:
    """A run of the flow: when each task began and ended, and the memory in between.

    Attributes:
        begun: task -> seconds.
        ended: task -> seconds.
        samples: (seconds, MB in the memory of the run and of its server).
    """

    begun: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    samples: list[tuple[float, float]] = field(default_factory=list)
    seconds: float = 0.0

    def peak_mb(self, task: str | None = None) -> float:
        """Return the largest memory during a task, which others may run beside, or of the whole run."""
        begun, ended = (self.begun[task], self.ended[task]) if task else (0.0, self.seconds)
        margin = 2 * SECONDS_BETWEEN_SAMPLES  # a task may be between two samples
        first, last = begun - margin, ended + margin
        return max(mb for when, mb in self.samples if first <= when <= last)


def watched(*options: str) -> Watched:
    """Run the flow and watch it."""
    command = [sys.executable, "-u", "flows/compare.py", *options]
    found, start = Watched(), time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def sample() -> None:
        while process.poll() is None:
            found.samples.append((time.perf_counter() - start, _resident_mb(process.pid)))
            time.sleep(SECONDS_BETWEEN_SAMPLES)

    sampler = threading.Thread(target=sample)
    sampler.start()
    assert process.stdout
    for line in process.stdout:
        now = time.perf_counter() - start
        print(f"{now:8.1f} s  {line}", end="", file=sys.stderr)
        if match := STARTED.match(line):
            found.begun.setdefault(match[1], now)
        elif match := ENDED.match(line):
            found.begun.setdefault(match[1], now)
            found.ended[match[1]] = now
    if process.wait():
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    found.seconds = time.perf_counter() - start
    sampler.join()
    return found


def _resident_mb(pid: int) -> float:
    """Memory of a process and of its children, in MB, pages of mapped files included, each of them once."""
    total = 0.0
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (str(pid), *children):
            status = Path(f"/proc/{one}/smaps_rollup").read_text()
            total += float(re.search(r"Pss:\s+(\d+)", status)[1])  # type: ignore[index]
    except (OSError, TypeError):
        pass  # ended meanwhile
    return total / 1024


def main(*options: str) -> None:
    """Run the flow twice and print both."""
    options = options or ("--protocol", "notebook")
    with tempfile.TemporaryDirectory() as place:
        where = ("--store", f"{place}/store", "--reports", f"{place}/reports", "--name", "benchmark")
        flow = ("--ratings", str(made_ratings()), *options, *where)
        first = watched(*flow)
        second = watched(*flow)
        comparison = json.loads(Path(place, "reports", "benchmark", "comparison.json").read_text())
        page_mb = Path(place, "reports", "benchmark", "report.html").stat().st_size / 1e6
    models = {f"train_{model['name']}": model for model in comparison["models"]}
    rows = [
        {
            "task": task,
            "seconds": first.ended[task] - first.begun[task],
            "peak MB": first.peak_mb(task),
            "epochs": models[task]["epochs"] if task in models else "",
            "test MSE": models[task]["mse"] if task in models else "",
        }
        for task in first.ended
    ]
    report(
        "whole_flow",
        rows,
        options=" ".join(options),
        rows_of_ratings=comparison["data"]["rows"],
        baselines={row["name"]: row["mse"] for row in comparison["baselines"]},
        whole_seconds=first.seconds,
        whole_peak_mb=first.peak_mb(),
        again_seconds=second.seconds,
        again_peak_mb=second.peak_mb(),
        report_mb=page_mb,
        seconds_ratio=first.seconds / second.seconds,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
