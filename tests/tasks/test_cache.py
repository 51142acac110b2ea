"""How tasks are cached: Prefect's records, in a store that machines share."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import cloudpickle
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from prefect.results import ResultStore
from prefect.serializers import JSONSerializer

from recsys.errors import DamagedArtefact
from recsys.settings import Settings, SplitSettings
from recsys.store.artifacts import verified, with_checksum
from recsys.store.fingerprint import Fingerprint
from recsys.store.remote import WORKING_COPIES
from recsys.store.store import Manifest, Store
from tasks.cache import RECORDS, RESULTS, VerifiedRecords, cached_in, recorded
from tasks.data import SUBSAMPLE, encode
from tasks.report import SCORE

KEY = "0123456789abcdef"
FINGERPRINT = Fingerprint(task="encode", layer="codes", inputs={}, settings={}, code={}, versions={})

Machine = Callable[[str], VerifiedRecords]


@pytest.fixture
def on(memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a function that opens the records of the store on a machine."""

    def open_on(machine: str) -> VerifiedRecords:
        monkeypatch.setenv(WORKING_COPIES, str(tmp_path / machine))
        return VerifiedRecords(store=memory)

    return open_on


def finish(records: VerifiedRecords, serializer: str = "json") -> dict[str, Manifest]:
    """Do what Prefect does when a task has finished, and return the task's result."""
    store = Store(records.store)
    result = {"codes": store.make(FINGERPRINT, lambda folder: {"bytes": (folder / "a.txt").write_text("alpha")})}
    value = store.root / RESULTS / KEY
    value.parent.mkdir(parents=True)
    value.write_text(json.dumps(result))
    metadata = {"storage_key": str(value), "serializer": {"type": serializer}}
    records.write_path(KEY, json.dumps(metadata).encode())
    return result


def test_another_machine_reads_the_record_of_one_and_has_the_files_that_it_names(on: Machine) -> None:
    result = finish(on("one"))
    other = on("other")
    metadata = json.loads(other.read_path(KEY))
    store = Store(other.store)
    assert metadata["storage_key"] == str(store.root / RESULTS / KEY)
    assert json.loads(Path(metadata["storage_key"]).read_bytes()) == result
    assert (store.root / result["codes"]["files"][0]["path"]).read_text() == "alpha"


def test_a_record_is_read_where_the_store_is_now(tmp_path: Path) -> None:
    result = finish(VerifiedRecords(store=str(tmp_path / "before")))
    (tmp_path / "before").rename(tmp_path / "now")
    now = tmp_path / "now"
    assert recorded(str(now), KEY) == result
    metadata = json.loads(VerifiedRecords(store=str(now)).read_path(KEY))
    assert metadata["storage_key"] == str(now / RESULTS / KEY)
    (now / RESULTS / KEY).write_text("{}")
    with pytest.raises(DamagedArtefact, match="has changed"):
        recorded(str(now), KEY)


@pytest.mark.parametrize("place", ["/etc/passwd", "results/values/another", "", None])
def test_a_record_of_another_file_is_refused(tmp_path: Path, place: str | None) -> None:
    records = VerifiedRecords(store=str(tmp_path))
    finish(records)
    path = tmp_path / RECORDS / KEY
    path.write_bytes(with_checksum(verified(path.read_bytes(), path) | {"storage_key": place}))
    with pytest.raises(DamagedArtefact, match="points elsewhere"):
        recorded(str(tmp_path), KEY)
    with pytest.raises(DamagedArtefact, match="points elsewhere"):
        records.read_path(KEY)


def test_a_task_keeps_its_results_in_the_working_copy_of_the_machine_that_runs_it(
    on: Machine, memory: str, tmp_path: Path
) -> None:
    on("one")
    sent = cloudpickle.dumps(cached_in(memory, encode))
    on("other")
    task = cloudpickle.loads(sent)
    storages = ResultStore(
        result_storage=task.result_storage, metadata_storage=task.cache_policy.key_storage, serializer=JSONSerializer()
    )
    result = storages.create_result_record({}, key=KEY)
    assert result.metadata.storage_key == str(Store(memory).root / RESULTS / KEY)
    assert str(tmp_path / "other") in result.metadata.storage_key
    storages.persist_result_record(result)
    assert recorded(memory, KEY) == {}


def test_no_path_of_a_machine_travels(on: Machine, tmp_path: Path) -> None:
    finish(on("one"))
    assert not [path for path, file in MemoryFileSystem.store.items() if str(tmp_path).encode() in file.getvalue()]


def test_planning_reads_the_record_and_no_more(on: Machine) -> None:
    result = finish(on("one"))
    other = on("other")
    assert recorded(other.store, KEY) == result
    assert not (Store(other.store).root / "codes").exists()
    with pytest.raises(FileNotFoundError):
        recorded(other.store, "fedcba9876543210")


def test_a_record_whose_files_are_damaged_is_none(on: Machine, caplog: pytest.LogCaptureFixture) -> None:
    result = finish(on("one"))
    MemoryFileSystem.store[f"/bucket/store/{result['codes']['files'][0]['path']}"].write(b"alphA")
    with caplog.at_level(logging.WARNING), pytest.raises(DamagedArtefact):
        on("other").read_path(KEY)
    assert "is damaged (a.txt has changed since it was written); it is made anew" in caplog.text


@pytest.mark.parametrize("folder", [RECORDS, RESULTS])
def test_a_record_of_which_a_part_is_missing_is_none(on: Machine, folder: str) -> None:
    finish(on("one"))
    del MemoryFileSystem.store[f"/bucket/store/{folder}/{KEY}"]
    with pytest.raises(ValueError, match="does not exist"):
        on("other").read_path(KEY)


@pytest.mark.parametrize("document", [b"{", b"[]"])
def test_a_record_that_is_none_is_refused(on: Machine, document: bytes) -> None:
    finish(on("one"))
    MemoryFileSystem().pipe_file(f"/bucket/store/{RECORDS}/{KEY}", document)
    with pytest.raises(DamagedArtefact, match="memory://bucket/store/results/keys/0123456789abcdef cannot be read"):
        on("other").read_path(KEY)


def test_a_record_that_would_be_unpickled_is_refused(on: Machine) -> None:
    finish(on("one"), serializer="pickle")
    with pytest.raises(DamagedArtefact, match="is not JSON"):
        on("other").read_path(KEY)


def test_what_the_bucket_lost_is_sent_again_when_it_is_read_here(on: Machine, memory: str) -> None:
    from recsys.store.remote import remote_at

    result = finish(on("one"))
    MemoryFileSystem.store.clear()
    remote_at.cache_clear()  # another process
    on("one").read_path(KEY)
    assert recorded(on("other").store, KEY) == result


def test_a_record_that_cannot_be_sent_fails_nothing(
    on: Machine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no route to the bucket")

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", fail)
    with caplog.at_level(logging.WARNING):
        finish(on("one"))
    assert "the record of a task was not sent: The store memory://bucket/store cannot be written" in caplog.text
    assert (Store(on("one").store).root / RECORDS / KEY).exists()


def test_a_result_that_is_made_anew_replaces_its_record(on: Machine) -> None:
    one = on("one")
    finish(one)
    value = Store(one.store).root / RESULTS / KEY
    value.write_text("{}")
    one.write_path(KEY, json.dumps({"storage_key": str(value), "serializer": {"type": "json"}}).encode())
    assert recorded(on("other").store, KEY) == {}


def test_what_a_score_tells_of_the_split_counts_and_how_long_a_model_took_does_not(tmp_path: Path) -> None:
    def key(tied: int = 0, seconds: float = 1.0) -> str:
        def made(**facts: object) -> Manifest:
            return {"kind": "made", "key": "k", "files": [], "facts": facts, "seconds": 1.0}

        data = {"codes": made(rows=9), "training": made(ties={"test": {"tied": tied, "of": 9}}), "test": made()}
        models = {"mf": {"1": made(seconds=seconds)}}
        others = {"winners": {}, "split": SplitSettings(), "settings": Settings(), "store": str(tmp_path)}
        return SCORE.fingerprint({"data": data, "models": models, **others}).key

    assert key() == key(seconds=2.0) != key(tied=1)


def test_an_artefact_may_have_no_files(tmp_path: Path) -> None:
    training: Manifest = {"kind": "split", "key": "k", "files": [], "facts": {}, "seconds": 1.0}
    made = SUBSAMPLE.make(lambda folder: {"rows": 0}, training=training, share=0.5, seed=1, store=str(tmp_path))
    assert (made["files"], made["facts"]) == ([], {"rows": 0})
