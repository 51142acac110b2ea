import importlib
import sys
from pathlib import Path

import pytest

from recsys.errors import BadSettings, StoreUnavailable
from recsys.settings import OutputSettings, Settings
from recsys.store.remote import WORKING_COPIES, Remote, anchored, place_of

LOADED = importlib.import_module("fsspec.registry")._registry
"""Protocol -> the file system that fsspec has loaded for it."""


@pytest.fixture
def remote(memory: str) -> Remote:
    return Remote(memory)


@pytest.mark.parametrize("plain", ["{}", "file://{}", "local://{}"])
def test_a_path_is_a_folder_of_this_machine(plain: str, tmp_path: Path) -> None:
    assert place_of(plain.format(tmp_path / "store")) == (tmp_path / "store", None)


def test_a_store_has_the_same_name_in_other_folders_and_a_url_is_one(memory: str) -> None:
    assert anchored("store") == str(Path.cwd() / "store")
    assert anchored("file://store") == str(Path.cwd() / "store")
    settings = Settings(output=OutputSettings(store=memory, reports="reports"))
    assert settings.anchored.output.store == memory
    assert settings.anchored.output.reports == str(Path.cwd() / "reports")


def test_a_url_has_a_working_copy_of_its_own_where_the_environment_says(
    memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WORKING_COPIES, str(tmp_path))
    one, remote = place_of(memory)
    assert remote is not None
    assert one.parent == tmp_path
    assert place_of(f"{memory}/")[0] == one != place_of(f"{memory}/other")[0]


@pytest.mark.parametrize(
    "url", ["s3://me:secret@bucket/name", "sftp://me:secret@host/name", "az://box/name?sas=secret"]
)
def test_credentials_in_a_url_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(BadSettings, match="must not hold a password") as refused:
        place_of(url)
    assert "secret" not in str(refused.value)


def test_a_user_without_a_password_is_no_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fsspec.core.url_to_fs", lambda url: (None, "/name"))
    assert place_of("sftp://me@host/name")[1] is not None


@pytest.mark.parametrize(("url", "package"), [("s3://bucket/a", "s3fs"), ("gs://bucket/a", "gcsfs")])
def test_a_package_that_is_not_there_is_named(url: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(LOADED, url.partition(":")[0], raising=False)
    with pytest.raises(BadSettings, match=rf"{url} needs a package: pip install {package}\."):
        place_of(url)


@pytest.mark.parametrize("url", ["cloud9://bucket/name", "simplecache::s3://bucket/name", "://name"])
def test_a_url_that_nothing_can_be_kept_at_is_refused(url: str) -> None:
    with pytest.raises(BadSettings, match="The store"):
        place_of(url)


def test_files_go_there_and_back(remote: Remote, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"alpha")
    remote.send({"codes/k/a": tmp_path / "a"})
    remote.write("codes/k/deep/b", b"beta")
    assert remote.sizes("codes") == {"codes/k/a": 5, "codes/k/deep/b": 4}
    remote.fetch({"codes/k/deep/b": tmp_path / "new" / "b"})
    assert (tmp_path / "new" / "b").read_bytes() == b"beta"
    remote.remove("codes/k/a")
    assert remote.read("codes/k/a") is None
    assert not remote.has("codes/k/a")
    assert remote.read_all(["codes/k/deep/b", "codes/k/a"]) == [b"beta"]


def test_what_is_not_there_is_no_error_but_where_it_must_be_there(remote: Remote, tmp_path: Path) -> None:
    assert remote.read("codes/none") is None
    assert remote.sizes("codes") == {}
    remote.remove("codes/none")
    with pytest.raises(FileNotFoundError):
        remote.fetch({"codes/none": tmp_path / "none"})


def test_a_remote_that_refuses_is_one_sentence(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("Access\nDenied.")

    monkeypatch.setattr(remote._files, "cat_file", refuse)
    monkeypatch.setattr(remote._files, "pipe_file", refuse)
    with pytest.raises(StoreUnavailable, match=rf"The store {remote.url} cannot be read \(Access Denied\): check"):
        remote.read("a")
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        remote.write("a", b"")
