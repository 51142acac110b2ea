# ruff: noqa: E501 - sentences are compared as they are read, on one line
import bz2
import gzip
import io
import lzma
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from recsys.data.opening import chunks, open_ratings
from recsys.errors import BadRatings

TEXT = "".join(f"{row},{row * 7919 % 9973},{row % 10 / 2}\n" for row in range(5000)).encode()


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def zipped_alone(content: bytes) -> bytes:
    return zipped({"ml/data.csv": content})


def zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, "zstd", asbytes=True))


PACKERS: list[Callable[[bytes], bytes]] = [bytes, gzip.compress, bz2.compress, lzma.compress, zstd, zipped_alone]


def unpacked(path: Path) -> bytes:
    with open_ratings(path) as source:
        return b"".join(chunks(source))


@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize("name", ["ratings.csv", "ratings.csv.gz", "ratings"])
def test_a_file_is_unpacked_whatever_it_is_called(tmp_path: Path, pack: Callable[[bytes], bytes], name: str) -> None:
    (tmp_path / name).write_bytes(pack(TEXT))
    assert unpacked(tmp_path / name) == TEXT


@pytest.mark.parametrize("pack", PACKERS)
def test_the_position_ends_at_the_size_on_disk(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "f").write_bytes(pack(TEXT))
    with open_ratings(tmp_path / "f") as source:
        for _ in chunks(source):
            assert 0 < source.position() <= source.size
        assert source.size == len(pack(TEXT))
        assert source.position() > 0.9 * source.size - 200


@pytest.mark.parametrize("text", [b"BZhang,1,2\n", b"PAR1,1,2\n", b"PK,1,2\n"])
def test_text_that_begins_like_an_archive_is_text(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "f").write_bytes(text)
    assert unpacked(tmp_path / "f") == text


@pytest.mark.parametrize(
    ("members", "chosen"),
    [
        ({"what.ever": b"1"}, "what.ever"),
        ({"ml/README.txt": b"", "ml/movies.csv": b"", "ml/ratings.csv": b"1", "ml/tags.csv": b""}, "ml/ratings.csv"),
        ({"ml/ratings.dat": b"1", "ml/split_ratings.sh": b"", "ml/users.dat": b""}, "ml/ratings.dat"),
        ({"BX-Book-Ratings.csv": b"1", "BX-Users.csv": b"", "BX-Books.csv": b""}, "BX-Book-Ratings.csv"),
        ({"ml-100k/u.data": b"1", "ml-100k/u.item": b"", "ml-100k/u1.base": b""}, "ml-100k/u.data"),
        ({"yelp/ratings.json": b"1", "yelp/tips.json": b""}, "yelp/ratings.json"),
        ({"ratings.csv": b"1", "__MACOSX/._ratings.csv": b"", ".DS_Store": b""}, "ratings.csv"),
    ],
)
def test_the_ratings_are_found_in_an_archive(tmp_path: Path, members: dict[str, bytes], chosen: str) -> None:
    (tmp_path / "f.zip").write_bytes(zipped(members))
    with open_ratings(tmp_path / "f.zip") as source:
        assert source.member == chosen
    assert unpacked(tmp_path / "f.zip") == b"1"


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"a.csv": b"", "b.csv": b""}, "f.zip holds no file that looks like ratings (members: a.csv, b.csv); unpack it and give the path of the right one."),
        ({"x/ratings1.csv": b"", "x/ratings2.csv": b"", "y": b""}, "f.zip holds more than one file that looks like ratings (members: x/ratings1.csv, x/ratings2.csv); unpack it"),
        ({}, "f.zip holds no file; give an archive with a ratings file."),
        ({"xl/workbook.xml": b"", "ratings.csv": b""}, "f.zip is an Excel workbook; save the sheet with the ratings as .csv and give that."),
    ],
)  # fmt: skip
def test_an_archive_without_one_ratings_file_lists_what_it_holds(
    tmp_path: Path, members: dict[str, bytes], sentence: str
) -> None:
    (tmp_path / "f.zip").write_bytes(zipped(members))
    with pytest.raises(BadRatings, match=re.escape(sentence)):
        unpacked(tmp_path / "f.zip")


def test_an_encrypted_archive_is_named(tmp_path: Path) -> None:
    content = bytearray(zipped_alone(TEXT))
    content[content.index(b"PK\1\2") + 8] |= 1  # the flag in the archive's directory
    (tmp_path / "f.zip").write_bytes(content)
    with pytest.raises(BadRatings, match=r"f\.zip is encrypted; unpack it and give the path of ml/data\.csv"):
        unpacked(tmp_path / "f.zip")


@pytest.mark.parametrize(
    ("pack", "kind"), [(gzip.compress, "gzip"), (bz2.compress, "bzip2"), (lzma.compress, "xz"), (zipped_alone, "zip")]
)
@pytest.mark.parametrize("harm", ["cut", "changed"])
def test_a_damaged_archive_is_named(tmp_path: Path, pack: Callable[[bytes], bytes], kind: str, harm: str) -> None:
    content = bytearray(pack(TEXT))
    if harm == "cut":
        del content[len(content) // 2 :]
    else:
        for position in range(len(content) // 2, len(content) // 2 + 40):
            content[position] ^= 0xFF
    (tmp_path / "f").write_bytes(content)
    sentence = f"f is damaged or cut short, it does not unpack as {kind}; download or pack it again."
    with pytest.raises(BadRatings, match=re.escape(sentence)):
        unpacked(tmp_path / "f")


def test_zstd_that_is_cut_is_named(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(zstd(TEXT)[:-10])
    with pytest.raises(
        BadRatings, match=r"^f is damaged or cut short, it does not unpack as zstd; download or pack it"
    ):
        unpacked(tmp_path / "f")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd])
def test_archives_one_after_the_other_are_unpacked(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "f").write_bytes(pack(TEXT) + pack(b"1,2,3\n"))
    assert unpacked(tmp_path / "f") == TEXT + b"1,2,3\n"


def test_zstd_may_begin_with_a_frame_that_is_skipped(tmp_path: Path) -> None:
    """As pzstd writes it."""
    (tmp_path / "f").write_bytes(b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstd(TEXT))
    assert unpacked(tmp_path / "f") == TEXT


def test_an_unknown_zip_method_is_named(tmp_path: Path) -> None:
    content = bytearray(zipped_alone(TEXT))
    content[content.index(b"PK\1\2") + 10] = 99
    (tmp_path / "f.zip").write_bytes(content)
    with pytest.raises(BadRatings, match=r"f\.zip cannot be unpacked \(.*\); pack it again as an ordinary zip\."):
        unpacked(tmp_path / "f.zip")


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, sentence in [
        (tmp_path, "is a folder; give the path of a ratings file."),
        (tmp_path / "pipe", "is not a regular file; give the path of a ratings file."),
        (tmp_path / "absent.csv", "does not exist; give the path of your ratings file."),
        (tmp_path / ("x" * 300), "cannot be opened"),
        (tmp_path / "a\0b", "cannot be opened"),
    ]:
        with pytest.raises(BadRatings, match=re.escape(sentence)) as caught:
            unpacked(path)
        assert str(caught.value).isprintable()


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f.csv").write_bytes(TEXT)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything
    with pytest.raises(BadRatings, match=r"f\.csv may not be read; give yourself permission to read it\."):
        unpacked(tmp_path / "f.csv")
