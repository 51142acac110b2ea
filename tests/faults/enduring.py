"""Many runs in one process, and what it holds after each: python enduring.py SETTINGS RUNS, which prints JSON."""

import json
import sys
import threading
from pathlib import Path

import psutil

from flows.compare import compare
from recsys.memory import return_unused_memory
from recsys.settings import Settings

SEEDS = 10
"""Every third run has a new seed until there are so many; the others find everything cached."""


def main() -> None:
    settings = Settings.model_validate_json(Path(sys.argv[1]).read_bytes())
    store = Path(settings.output.store)
    process = psutil.Process()
    held = []
    for run in range(int(sys.argv[2])):
        compare(settings.model_copy(update={"seed": min(run // 3, SEEDS - 1)}))
        return_unused_memory()  # what nobody uses is not held, though it may be kept for later
        held.append(
            {
                "files": process.num_fds(),
                "threads": threading.active_count(),
                "megabytes": process.memory_info().rss / 1e6,
                "processes": len(process.children(recursive=True)),
                "artefacts": len(list(store.glob("[!.]*/[!.]*/artefact.json"))),
                "store": sum(file.stat().st_size for file in store.rglob("*") if file.is_file()) / 1e6,
            }
        )
    print(json.dumps(held))


if __name__ == "__main__":
    main()
