"""Archives, models, records, manifests and pickles that somebody has made to do harm."""

import ast
import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recsys.data.ingest import check
from recsys.data.opening import chunks, open_ratings
from recsys.errors import BadRatings, DamagedArtefact
from recsys.settings import DataSettings, MFSettings
from recsys.store.artifacts import FileEntry, Manifest, sha256_of, with_checksum
from recsys.store.store import Store
from tasks.cache import result_of
from tests.faults.conftest import Tell
from tests.processes import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.quick]

HUGE = 6 * 2**20


def zipped(
    content: bytes, name: str = "ratings.csv", method: int = zipfile.ZIP_DEFLATED, mode: int = 0o100644
) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        member = zipfile.ZipInfo(name)
        member.external_attr, member.compress_type = mode << 16, method
        archive.writestr(member, content)
    return file.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda content: gzip.compress(content, 9),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda content: bytes(pa.compress(content, "zstd", asbytes=True)),
    "zip": zipped,
    "zip with bzip2": lambda content: zipped(content, method=zipfile.ZIP_BZIP2),
    "zip with lzma": lambda content: zipped(content, method=zipfile.ZIP_LZMA),
}


@pytest.mark.parametrize("kind", PACKERS)
def test_a_bomb_is_refused_before_it_fills_a_disk(
    kind: str, tmp_path: Path, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsys.data.opening.UNLIMITED_BYTES", HUGE // 3)
    monkeypatch.setattr("recsys.data.opening.BLOCK_BYTES", HUGE // 12)
    bomb = tmp_path / "ratings.packed"
    bomb.write_bytes(PACKERS[kind](b"1,1,5\n" * (HUGE // 6)))
    taken: list[int] = []
    with open_ratings(bomb) as source, pytest.raises(BadRatings, match="more than 100 times its size") as refused:
        taken.extend(map(len, chunks(source)))
    assert "\n" not in str(refused.value)
    read = sum(taken)
    assert 0 < read < HUGE
    tell(f"{kind}: {bomb.stat().st_size:,} bytes that unpack to {HUGE:,}", f"refused after {read:,}")


@pytest.mark.parametrize("name", ["../../out.csv", "/tmp/out.csv", "C:\\out.csv", "a/../../ratings.csv"])
def test_a_member_that_points_outside_is_read_and_written_nowhere(name: str, tmp_path: Path, tell: Tell) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    (inside / "r.zip").write_bytes(zipped(b"1,2,3\n", name))
    before = sorted(tmp_path.rglob("*"))
    with open_ratings(inside / "r.zip") as source:
        assert b"".join(chunks(source)) == b"1,2,3\n"
    assert sorted(tmp_path.rglob("*")) == before
    tell(f"a zip whose member is called {name}", "0 files written")


def test_a_link_in_an_archive_is_not_followed(tmp_path: Path, tell: Tell) -> None:
    (tmp_path / "secret").write_text("1,2,3\n")
    (tmp_path / "r.zip").write_bytes(zipped(str(tmp_path / "secret").encode(), mode=0o120777))
    with open_ratings(tmp_path / "r.zip") as source:
        assert b"".join(chunks(source)) == str(tmp_path / "secret").encode()
    tell("a zip whose member is a symbolic link", "its target was not read")


def crafted(path: Path, change: Callable[[dict[str, object]], None]) -> Path:
    from recsys.models.mf import build_mf
    from recsys.models.serialization import save_model

    save_model(build_mf(5, 6, MFSettings(embedding_size=2), seed=1), path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(parts["config.json"])
    change(config)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, json.dumps(config) if name == "config.json" else content)
    return path


def _layer(module: str | None, name: str, config: dict[str, object]) -> Callable[[dict[str, object]], None]:
    def change(model: dict[str, object]) -> None:
        layers = model["config"]["layers"]  # type: ignore[index]
        layers[2].update({"module": module, "class_name": name, "registered_name": None, "config": config})

    return change


LAMBDA = {"class_name": "__lambda__", "config": {"code": "4wAAAA=="}}


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("a Lambda layer", _layer("keras.layers", "Lambda", {"name": "user_embedding", "function": LAMBDA})),
        ("a class of a module", _layer("subprocess", "Popen", {"args": ["touch", "MARK"]})),
        ("a function of Keras", _layer("keras.utils", "get_file", {"origin": "file:///etc/passwd"})),
        ("unsafe mode switched on", lambda config: config.update(_layer_of("keras.config"))),
    ],
)
def test_a_crafted_model_is_never_executed(
    what: str, change: Callable[[dict[str, object]], None], tmp_path: Path, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recsys.backend import keras
    from recsys.models.serialization import load_model

    path = crafted(tmp_path / "model.keras", change)
    asked: list[object] = []
    monkeypatch.setattr(keras.saving, "load_model", lambda *given, **options: asked.append(given))
    with pytest.raises(DamagedArtefact, match="no model here is made of"):
        load_model(path)
    assert not asked
    tell(f"a .keras file with {what}", "refused before Keras read it")


def _layer_of(module: str) -> dict[str, object]:
    return {"module": module, "class_name": "enable_unsafe_deserialization", "registered_name": None}


def test_a_model_put_into_the_store_is_refused_by_its_digest(tmp_path: Path, tell: Tell) -> None:
    store = Store(tmp_path)
    path = tmp_path / "models" / "k" / "model.keras"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"right")
    entry = FileEntry(path="models/k/model.keras", sha256=sha256_of(path), bytes=5)
    made = Manifest(kind="train_mf", key="k", files=[entry], facts={}, seconds=0)
    assert store.path(made, "model.keras") == path
    crafted(path, _layer("subprocess", "Popen", {}))
    with pytest.raises(DamagedArtefact, match="has changed"):
        store.path(made, "model.keras")
    tell("a crafted model in place of one in the store", "refused by its digest")


@pytest.mark.parametrize("place", ["../secret", "models/k/../../../secret", "{}"])
def test_a_manifest_that_leads_out_of_the_store_is_damaged(place: str, tmp_path: Path, tell: Tell) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    entry = FileEntry(path=place.format(secret), sha256=sha256_of(secret), bytes=1)
    made = Manifest(kind="x", key="k", files=[entry], facts={}, seconds=0)
    store = Store(tmp_path / "store")
    store.root.mkdir()
    with pytest.raises(DamagedArtefact, match="no path in a store"):
        store.verify(made)
    record = {"serializer": {"type": "json"}, "storage_key": str(secret)}
    with pytest.raises(DamagedArtefact, match="points elsewhere"):
        result_of(with_checksum(record), store.root / "results" / "values" / "key")
    tell(f"a manifest that names {place.format('an absolute path')}, with the right digest", "refused")


FORBIDDEN = {"pickle", "cloudpickle", "joblib", "dill", "shelve", "marshal"}


def test_no_code_of_ours_reads_or_writes_pickles(tell: Tell) -> None:
    found, modules = [], 0
    for folder in ("recsys", "tasks", "flows", "deployments"):
        for path in (ROOT / folder).rglob("*.py"):
            modules += 1
            tree = ast.parse(path.read_text())
            for node in ast.walk(tree):
                names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
                names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
                pickling = isinstance(node, ast.keyword) and node.arg == "allow_pickle"
                if {name.split(".")[0] for name in names} & FORBIDDEN:
                    found.append(path.relative_to(ROOT).as_posix())
                assert not pickling or ast.unparse(node.value) == "False", path  # type: ignore[attr-defined]
    assert found == ["recsys/data/sample.py"], "the sample's own, whose digest is pinned"
    tell(f"pickle and its like looked for in {modules} modules", "1 reads one, of a pinned digest")


def test_a_parquet_file_of_more_rows_than_anybody_rates_is_refused(
    tmp_path: Path, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsys.data.opening.UNLIMITED_BYTES", 2**20)
    rows = 5_000_000
    zeros = pa.array(np.zeros(rows, np.int8))
    table = pa.table(dict.fromkeys(("user", "item", "rating"), zeros))
    pq.write_table(table, tmp_path / "ratings.parquet", row_group_size=rows, data_page_size=2**26, compression="zstd")
    size = (tmp_path / "ratings.parquet").stat().st_size
    with pytest.raises(BadRatings, match="unpacks to more than 100 times its size"):
        check(tmp_path / "ratings.parquet", DataSettings())
    tell(f"a parquet file of {size:,} bytes with {rows:,} equal rows", "refused before a row is read")
