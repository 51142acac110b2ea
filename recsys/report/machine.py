"""What computer this is."""

import os
import platform
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

CPUINFO = Path("/proc/cpuinfo")
"""Where Linux, of which `platform` knows no more than the kind of processor, tells its name."""


class Machine(BaseModel):
    """A computer; `memory_gb` is in 10⁹ bytes, `cores` None where the system does not tell."""

    model_config = ConfigDict(frozen=True)

    python: str
    system: str
    processor: str
    cores: int | None
    memory_gb: float


def this_machine() -> Machine:
    """Return what is known of the computer that this runs on."""
    return Machine(
        python=platform.python_version(),
        system=platform.platform(),
        processor=processor_name(),
        cores=os.cpu_count(),
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
    )


def processor_name(cpuinfo: Path = CPUINFO) -> str:
    """Return the name of the processor, or else its kind, such as "x86_64"."""
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
