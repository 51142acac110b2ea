"""MovieLens from a server on this computer; the archives are made here, in GroupLens' forms."""

import hashlib
import io
import os
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import ValidationError

from recsys.data import download
from recsys.data.datasets import DATASETS, Dataset
from recsys.data.download import DatasetFiles
from recsys.errors import DatasetUnavailable
from recsys.progress import silent
from recsys.settings import DataSettings

CSV = {"ratings.csv": b"userId,movieId,rating,timestamp\n1,31,2.5,1\n", "movies.csv": b"movieId,title,genres\n"}
Publish = Callable[..., None]
OFFLINE = "https://example.invalid"


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def published(tmp_path: Path) -> Path:
    (tmp_path / "published").mkdir()
    return tmp_path / "published"


@pytest.fixture
def base_url(published: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(published))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def archive(members: dict[str, bytes], folder: str = "ml-latest-small") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{folder}/{name}", content)
    return buffer.getvalue()


def fetch(name: str, downloads: Path, base_url: str) -> DatasetFiles:
    return download.fetch(replace(DATASETS[name], url=f"{base_url}/{name}.zip"), downloads, silent)


@pytest.fixture
def publish(published: Path, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Return what publishes an archive under a name, whose digest is known from then on."""

    def with_its_digest(content: bytes, name: str = "ml-latest-small") -> None:
        (published / f"{name}.zip").write_bytes(content)
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        monkeypatch.setitem(DATASETS, name, replace(DATASETS[name], digest=digest))

    return with_its_digest


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
def test_each_record_can_be_chosen_downloaded_and_read(dataset: Dataset) -> None:
    assert DATASETS[dataset.name] is dataset
    assert DataSettings(dataset=dataset.name).is_downloaded == (dataset.url is not None)
    assert DataSettings.model_validate(dataset.reader)
    assert dataset.digest.startswith("sha256:" if dataset.url is None else ("sha256:", "md5:"))
    assert (dataset.max_rows or 1) <= dataset.rows
    assert dataset.licence.endswith(".")


def test_another_name_is_refused_with_the_names_that_there_are() -> None:
    with pytest.raises(ValidationError) as refused:
        DataSettings(dataset="ml-9")
    (error,) = refused.value.errors()
    assert all(f"'{name}'" in error["msg"] for name in DATASETS)


def test_ratings_and_movies_are_taken_out_of_the_archive(tmp_path: Path, publish: Publish, base_url: str) -> None:
    publish(archive({**CSV, "tags.csv": b"", "../../evil": b"!"}))
    files = fetch("ml-latest-small", tmp_path / "cache", base_url)
    assert files.ratings.read_bytes() == CSV["ratings.csv"]
    assert files.titles
    assert files.titles.read_bytes() == CSV["movies.csv"]
    assert files.ratings == tmp_path / "cache/ml-latest-small/ratings.csv"
    assert sorted(os.listdir(files.ratings.parent)) == ["movies.csv", "ratings.csv"]
    assert not list(tmp_path.rglob("evil"))


def test_old_releases_have_dat_files(tmp_path: Path, publish: Publish, base_url: str) -> None:
    publish(archive({"ratings.dat": b"1::2::3::4\n", "movies.dat": b""}, "ml-10M100K"), "ml-10m")
    assert fetch("ml-10m", tmp_path, base_url).ratings.read_bytes() == b"1::2::3::4\n"


def test_an_archive_with_another_digest_than_the_known_one_is_refused(
    tmp_path: Path, published: Path, base_url: str
) -> None:
    (published / "ml-1m.zip").write_bytes(archive({"ratings.dat": b"", "movies.dat": b""}, "ml-1m"))
    with pytest.raises(DatasetUnavailable, match="c4d9eecfca2ab87c1945afe126590906"):
        fetch("ml-1m", tmp_path / "cache", base_url)


def test_the_second_time_needs_no_network(tmp_path: Path, publish: Publish, base_url: str) -> None:
    publish(archive(CSV))
    first = fetch("ml-latest-small", tmp_path / "cache", base_url)
    assert fetch("ml-latest-small", tmp_path / "cache", OFFLINE) == first


def test_the_archive_may_be_deleted_to_save_room(tmp_path: Path, publish: Publish, base_url: str) -> None:
    publish(archive(CSV))
    fetch("ml-latest-small", tmp_path / "cache", base_url)
    (tmp_path / "cache/ml-latest-small.zip").unlink()
    assert fetch("ml-latest-small", tmp_path / "cache", OFFLINE).ratings.exists()


def test_a_file_that_was_cut_is_taken_out_again(tmp_path: Path, publish: Publish) -> None:
    content = archive(CSV)
    publish(content)
    (tmp_path / "ml-latest-small.zip").write_bytes(content)
    files = fetch("ml-latest-small", tmp_path, OFFLINE)
    files.ratings.write_bytes(CSV["ratings.csv"][:-3])
    assert fetch("ml-latest-small", tmp_path, OFFLINE).ratings.read_bytes() == CSV["ratings.csv"]


def test_without_network_the_ways_out_are_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetUnavailable) as error:
        fetch("ml-1m", tmp_path, "http://127.0.0.1:1")
    assert str(error.value) == (
        "127.0.0.1 refuses the connection; run the same command again later, or download "
        f"http://127.0.0.1:1/ml-1m.zip elsewhere and save it as {tmp_path}/ml-1m.zip, "
        "or leave out --dataset to use the embedded sample."
    )


def damaged(content: bytes) -> bytes:
    middle = content.index(b"movieId")
    return content[:middle] + b"MOVIEID" + content[middle + 7 :]


def stored(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(f"ml-latest-small/{name}", content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no archive at all", "File is not a zip file"),
        (archive({"ratings.csv": b""}), "There is no item named 'ml-latest-small/movies.csv' in the archive"),
        (damaged(stored(CSV)), "Bad CRC-32 for file 'ml-latest-small/ratings.csv'"),
    ],
)
def test_an_archive_that_cannot_be_used_is_named(
    tmp_path: Path, publish: Publish, base_url: str, content: bytes, reason: str
) -> None:
    publish(content)
    with pytest.raises(
        DatasetUnavailable, match=r"is not the expected archive of MovieLens latest small \((.*)\)"
    ) as error:
        fetch("ml-latest-small", tmp_path / "cache", base_url)
    assert reason in str(error.value)
    assert not (tmp_path / "cache/ml-latest-small/movies.csv").exists()


def test_a_member_of_absurd_size_is_not_unpacked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, publish: Publish, base_url: str
) -> None:
    publish(archive({"ratings.csv": bytes(2_000_000), "movies.csv": b""}))
    monkeypatch.setattr(download, "MAX_MEMBER_BYTES", 1_000_000)
    with pytest.raises(DatasetUnavailable, match=r"would take 0\.0 GB"):
        fetch("ml-latest-small", tmp_path / "cache", base_url)


def test_two_runs_at_once_share_one_download(tmp_path: Path, publish: Publish, base_url: str) -> None:
    publish(archive(CSV))
    found: list[bytes] = []

    def run() -> None:
        found.append(fetch("ml-latest-small", tmp_path / "cache", base_url).ratings.read_bytes())

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CSV["ratings.csv"]] * 3


def test_each_licence_says_whether_the_data_may_be_redistributed() -> None:
    assert "neither redistributed nor used commercially without permission" in DATASETS["ml-1m"].licence
    assert "be redistributed under the same conditions" in DATASETS["ml-32m"].licence
