"""What it takes to check or repeat a run: settings, digests, versions, machine."""

import os
import platform
from collections.abc import Mapping
from typing import Any

from recsys.fingerprint import versions_of
from recsys.settings import Settings
from recsys.store import Manifest

LIBRARIES = ("keras", "matplotlib", "numpy", "pandas", "prefect", "pyarrow", "scikit-learn", "tensorflow")


def run_manifest(settings: Settings, artefacts: Mapping[str, Manifest], code: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of manifest.json.

    Args:
        settings: the run's; where its output went is left out.
        artefacts: name -> manifest of what was read.
        code: module -> digest of the code that made the numbers.
    """
    return {
        "settings": settings.model_dump(mode="json", exclude={"output", "refresh"}),
        "artefacts": {
            name: {"key": made["key"], "files": made["files"], "seconds": made["seconds"]}
            for name, made in artefacts.items()
        },
        "code": dict(code),
        "versions": versions_of(LIBRARIES),
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
        },
    }
