import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from recsys import energy
from recsys.energy import Energy, measured_energy, working


@dataclass
class Measurement:
    cpu_energy: dict[int, float] | None
    dram_energy: dict[int, float] | None = None
    gpu_energy: dict[int, float] = field(default_factory=lambda: {0: 3600.0})


Use = Callable[[Measurement | Exception | None], None]


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    energy._monitor.cache_clear()
    yield
    energy._monitor.cache_clear()


@pytest.fixture
def counters(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Return a function that lets Zeus measure something, fail, or be missing (None)."""

    def use(measured: Measurement | Exception | None) -> None:
        class ZeusMonitor:
            def begin_window(self, name: str, **_: Any) -> None:
                if isinstance(measured, Exception):
                    raise measured

            def end_window(self, name: str, **_: Any) -> Any:
                return measured

        module = types.ModuleType("zeus.monitor")
        module.ZeusMonitor = ZeusMonitor  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "zeus", types.ModuleType("zeus") if measured else None)
        monkeypatch.setitem(sys.modules, "zeus.monitor", module if measured else None)

    return use


def test_watt_hours_are_of_processors_and_memory_and_of_cards_that_trained(counters: Use) -> None:
    counters(Measurement({0: 1800.0, 1: 900.0}, {0: 900.0}))
    with working(), measured_energy() as found:
        pass
    assert found.facts("CPU", 0.0) == {"watt_hours": 1.0, "energy_unmeasured": None}
    assert found.facts("GPU", 0.0)["watt_hours"] == 2.0


@pytest.mark.parametrize(
    ("measured", "why"),
    [(None, "library"), (PermissionError(), "counters"), (Measurement(None), "counters")],
)
def test_what_cannot_be_read_is_not_guessed(counters: Use, measured: Measurement | None, why: str) -> None:
    counters(measured)
    with working(), measured_energy() as found:
        pass
    assert found.facts("CPU", 0.0) == {"watt_hours": None, "energy_unmeasured": why}


def shared(one: Callable[[], Energy]) -> bool:
    return one().facts("CPU", 0.0) == {"watt_hours": None, "energy_unmeasured": "shared"}


def test_a_training_beside_which_another_task_ran_is_not_measured(counters: Use) -> None:
    counters(Measurement({0: 3600.0}))

    def beside_an_earlier() -> Energy:
        with working(), working(), measured_energy() as found:
            return found

    def beside_a_later() -> Energy:
        with working(), measured_energy() as found, working():
            return found

    def in_one_of_several_processes() -> Energy:
        with working(), measured_energy(among_others=True) as found:
            return found

    assert all(map(shared, (beside_an_earlier, beside_a_later, in_one_of_several_processes)))


def test_a_training_that_was_resumed_is_not_measured(counters: Use) -> None:
    counters(Measurement({0: 3600.0}))
    with working(), measured_energy() as found:
        pass
    assert found.facts("CPU", 60.0) == {"watt_hours": None, "energy_unmeasured": "resumed"}


def test_zeus_reads_a_package_and_its_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rapl = pytest.importorskip("zeus.device.cpu.rapl")
    cpu = pytest.importorskip("zeus.device.cpu")
    package, memory = tmp_path / "intel-rapl:0", tmp_path / "intel-rapl:0" / "intel-rapl:0:0"
    memory.mkdir(parents=True)

    def write(place: Path, name: str, microjoules: float) -> None:
        for file, text in (
            ("name", name),
            ("energy_uj", f"{microjoules:.0f}"),
            ("max_energy_range_uj", "262143328850"),
        ):
            (place / file).write_text(f"{text}\n")

    write(package, "package-0", 1e6)
    write(memory, "dram", 1e6)
    monkeypatch.setattr(rapl, "RAPL_DIR", str(tmp_path))
    monkeypatch.setattr(cpu, "_cpus", None)
    rapl.rapl_is_available.cache_clear()
    with working(), measured_energy() as found:
        write(package, "package-0", 1e6 + 3600e6)
        write(memory, "dram", 1e6 + 1800e6)
    assert found.facts("CPU", 0.0) == {"watt_hours": 1.5, "energy_unmeasured": None}
