"""Files that are no ratings, or not quite: the file, and the sentence that its user gets after its name."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import struct
import zipfile
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.data.tokenizer import MISQUOTED

HEADER = "userId,movieId,rating\n"
ROWS = "1,1,5\n1,2,3\n2,1,4\n2,2,1\n"
LINE = "; correct the line, or set such rows aside with --bad-rows quarantine."
FEW = (
    " is its first line; ratings need user, item and rating, with commas, tabs, semicolons, pipes, double colons or "
    "blanks between them: write it so, or leave out lines above the table with --skip-lines."
)
ROW = "; correct the row, or set such rows aside with --bad-rows quarantine."
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89"


def text(content: str, encoding: str = "utf-8") -> bytes:
    return content.encode(encoding)


def zipped(files: dict[str, str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def encrypted() -> bytes:
    """An archive whose flags say that its member is encrypted."""
    archive = bytearray(zipped({"ratings.csv": HEADER + ROWS}))
    archive[6] |= 1
    archive[archive.index(b"PK\x01\x02") + 8] |= 1
    return bytes(archive)


def with_wrong_checksum() -> bytes:
    checksum = struct.pack("<I", zlib.crc32(text(HEADER + ROWS)))
    return zipped({"ratings.csv": HEADER + ROWS}).replace(checksum, b"\1\2\3\4")


def zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, "zstd", asbytes=True))


def parquet(**columns: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def zeroed(content: bytes, start: int, end: int) -> bytes:
    return content[:start] + bytes(end - start) + content[end:]


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.eye(3))
    return file.getvalue()


BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (
        b"",
        " is empty; give a file with one rating per line.",
    ),
    "blank lines": (
        b"\n\n  \n\r\n",
        " holds only blank lines; give a file with one rating per line.",
    ),
    "blanks alone": (
        b"     ",
        " holds only blank lines; give a file with one rating per line.",
    ),
    "a BOM alone": (
        b"\xef\xbb\xbf",
        " is empty; give a file with one rating per line.",
    ),
    "only a header": (
        text(HEADER),
        " holds a header but no ratings; give a file with one rating per line.",
    ),
    "a header and a blank line": (
        text(HEADER + "\n"),
        " holds a header but no ratings; give a file with one rating per line.",
    ),
    "one column": (
        text("rating\n5\n4\n"),
        " has only one column, 'rating'" + FEW,
    ),
    "two columns": (
        text("userId,rating\n1,5\n2,4\n"),
        " has only two columns, 'userId,rating'" + FEW,
    ),
    "no rating column": (
        text("userId,movieId,genre\n1,1,drama\n"),
        " has no column that looks like the rating among its columns (userId, movieId, genre); name it "
        "with --rating-column, or say --header no if its first line is a rating already.",
    ),
    "no user column": (
        text("movieId,rating,genre\n1,5,x\n"),
        " has no column that looks like the user among its columns (movieId, rating, genre); name it "
        "with --user-column, or say --header no if its first line is a rating already.",
    ),
    "no item column": (
        text("userId,rating,genre\n1,5,x\n"),
        " has no column that looks like the item among its columns (userId, rating, genre); name it with"
        " --item-column, or say --header no if its first line is a rating already.",
    ),
    "a header in a foreign language": (
        text("utilisateur,film,valeur\n1,1,5\n"),
        " has no column that looks like the user among its columns (utilisateur, film, valeur); name it "
        "with --user-column, or say --header no if its first line is a rating already.",
    ),
    "two columns of one name": (
        text("userId,movieId,rating,rating\n1,1,5,4\n"),
        " has more than one column that may be the rating (rating, rating); say which with --rating-column.",
    ),
    "two columns that may be the rating": (
        text("userId,movieId,stars,score\n1,1,5,4\n"),
        " has more than one column that may be the rating (stars, score); say which with --rating-column.",
    ),
    "a field too few": (
        text(HEADER + ROWS + "3,1\n"),
        ", line 6: it has 2 fields instead of 3" + LINE,
    ),
    "a field too many": (
        text(HEADER + ROWS + "3,1,5,9\n"),
        ", line 6: it has 4 fields instead of 3" + LINE,
    ),
    "a comma at the end of a line": (
        text(HEADER + ROWS + "3,1,5,\n"),
        ", line 6: it has 4 fields instead of 3" + LINE,
    ),
    "an unclosed quote": (
        text(HEADER + ROWS + '3,"1,5\n4,1,2\n'),
        f", line 6: {MISQUOTED}{LINE}",
    ),
    "a quote in the middle of a field": (
        text(HEADER + ROWS + '3,a"b"c,5,\n'),
        ", line 6: it has 4 fields instead of 3" + LINE,
    ),
    "text after a closing quote": (
        text(HEADER + ROWS + '3,"a"b,5\n'),
        f", line 6: {MISQUOTED}{LINE}",
    ),
    "an unclosed quote in the header": (
        text('userId,"movieId,rating\n1,1,5\n'),
        f", line 1: {MISQUOTED}; correct the line, or say --header no if it is a rating.",
    ),
    "rows between two stray quotes": (
        text(HEADER + ROWS + '3,"1,5\n4,1,2\n5,1",2\n'),
        ", line 6: the quoted field that begins with '\"1,5' runs over 3 lines, which look like rows; say --quoting "
        "none if quotes are ordinary characters in this file, or --quoting standard if the field is meant.",
    ),
    "a rating that is a word": (
        text(HEADER + ROWS + "3,1,good\n"),
        ", line 6: rating 'good' is not a number" + LINE,
    ),
    "a rating that is missing": (
        text(HEADER + ROWS + "3,1,\n"),
        ", line 6: the rating is missing" + LINE,
    ),
    "a rating that is a blank": (
        text(HEADER + ROWS + "3,1,  \n"),
        ", line 6: the rating is missing" + LINE,
    ),
    "a rating with a comma before three digits": (
        text(HEADER.replace(",", ";") + "1;1;5\n1;2;3,500\n"),
        ", line 3: rating '3,500' may have a decimal comma or separate the thousands: say --decimal comma if it is "
        "3.500, or write it without the comma" + LINE,
    ),
    "a rating with thousands separators": (
        text(HEADER.replace(",", ";") + "1;1;1.000,5\n"),
        ", line 2: rating '1.000,5' is not a number" + LINE,
    ),
    "a rating with an apostrophe": (
        text(HEADER + ROWS + "3,1,1'000\n"),
        ", line 6: rating '1'000' is not a number" + LINE,
    ),
    "a rating with a blank among its digits": (
        text(HEADER + ROWS + "3,1,1 000\n"),
        ", line 6: rating '1 000' is not a number" + LINE,
    ),
    "a rating with a thin space": (
        text(HEADER + ROWS + "3,1,1\u202f000\n"),
        ", line 6: rating '1\\u202f000' is not a number" + LINE,
    ),
    "a rating in percent": (
        text(HEADER + ROWS + "3,1,80%\n"),
        ", line 6: rating '80%' is not a number" + LINE,
    ),
    "a rating in dollars": (
        text(HEADER + ROWS + "3,1,$5\n"),
        ", line 6: rating '$5' is not a number" + LINE,
    ),
    "a rating in stars": (
        text(HEADER + ROWS + "3,1,★★★\n"),
        ", line 6: rating '★★★' is not a number" + LINE,
    ),
    "a rating in Arabic digits": (
        text(HEADER + ROWS + "3,1,٣\n"),
        ", line 6: rating '٣' is not a number" + LINE,
    ),
    "a rating in full-width digits": (
        text(HEADER + ROWS + "3,1,５\n"),
        ", line 6: rating '５' is not a number" + LINE,
    ),
    "a rating with a Unicode minus": (
        text(HEADER + ROWS + "3,1,−1\n"),
        ", line 6: rating '−1' is not a number" + LINE,
    ),
    "a rating in hexadecimal": (
        text(HEADER + ROWS + "3,1,0x5\n"),
        ", line 6: rating '0x5' is not a number" + LINE,
    ),
    "a rating with an underscore": (
        text(HEADER + ROWS + "3,1,1_0\n"),
        ", line 6: rating '1_0' is not a number" + LINE,
    ),
    "a rating as a fraction": (
        text(HEADER + ROWS + "3,1,3/5\n"),
        ", line 6: rating '3/5' is not a number" + LINE,
    ),
    "a rating as a date": (
        text(HEADER + ROWS + "3,1,2020-01-01\n"),
        ", line 6: rating '2020-01-01' is not a number" + LINE,
    ),
    "a rating as a boolean": (
        text(HEADER + ROWS + "3,1,true\n"),
        ", line 6: rating 'true' stands among numbers" + LINE,
    ),
    "a rating of NaN": (
        text(HEADER + ROWS + "3,1,NaN\n"),
        ", line 6: rating 'NaN' is not a number" + LINE,
    ),
    "a rating of infinity": (
        text(HEADER + ROWS + "3,1,inf\n"),
        ", line 6: rating 'inf' is not a number" + LINE,
    ),
    "a rating of None": (
        text(HEADER + ROWS + "3,1,None\n"),
        ", line 6: rating 'None' is not a number" + LINE,
    ),
    "a rating of #N/A": (
        text(HEADER + ROWS + "3,1,#N/A\n"),
        ", line 6: rating '#N/A' is not a number" + LINE,
    ),
    "a rating beyond a double": (
        text(HEADER + ROWS + "3,1,1e400\n"),
        ", line 6: rating '1e400' is beyond ±1e15, the largest that can be compared" + LINE,
    ),
    "a rating beyond 1e15": (
        text(HEADER + ROWS + "3,1,-2e15\n"),
        ", line 6: rating '-2e15' is beyond ±1e15, the largest that can be compared" + LINE,
    ),
    "a rating of 5000 digits": (
        text(HEADER + ROWS + "3,1," + "9" * 5000 + "\n"),
        (
            ", line 6: rating '99999999999999999999999999999999999999999999999999999999999…' is beyond "
            "±1e15, the largest that can be compared"
        )
        + LINE,
    ),
    "a rating with two points": (
        text(HEADER + ROWS + "3,1,1.2.3\n"),
        ", line 6: rating '1.2.3' is not a number" + LINE,
    ),
    "a rating with two signs": (
        text(HEADER + ROWS + "3,1,--1\n"),
        ", line 6: rating '--1' is not a number" + LINE,
    ),
    "a rating as a formula": (
        text(HEADER + ROWS + "3,1,=5\n"),
        ", line 6: rating '=5' is not a number" + LINE,
    ),
    "a rating with an escape sequence": (
        text(HEADER + ROWS + "3,1,\x1b[31m5\n"),
        ", line 6: rating '\\x1b[31m5' is not a number" + LINE,
    ),
    "a user that is missing": (
        text(HEADER + ROWS + ",1,5\n"),
        ", line 6: the user id is missing" + LINE,
    ),
    "an item that is missing": (
        text(HEADER + ROWS + "3,,5\n"),
        ", line 6: the item id is missing" + LINE,
    ),
    "a user of blanks": (
        text(HEADER + ROWS + "  ,1,5\n"),
        ", line 6: the user id is missing" + LINE,
    ),
    "a NUL in an id": (
        b"userId,movieId,rating\n1,1,5\n1,a\0b,5\n",
        ", line 3: it holds a NUL byte" + LINE,
    ),
    "Latin-1": (
        text(HEADER + ROWS + "José,1,5\n", "latin-1"),
        ", line 6: it is not UTF-8 text (byte 0xe9), name the file's encoding, such as --encoding latin-1" + LINE,
    ),
    "Latin-1 in the header": (
        text("userId,movieId,rating,Größe\n1,1,5,2\n", "latin-1"),
        ", line 1: it is not UTF-8 text (byte 0xf6), name the file's encoding, such as --encoding latin-1; correct the "
        "line, or say --header no if it is a rating.",
    ),
    "Windows-1252 quotes": (
        text(HEADER + ROWS + "“a”,1,5\n", "cp1252"),
        ", line 6: it is not UTF-8 text (byte 0x93), name the file's encoding, such as --encoding latin-1" + LINE,
    ),
    "a cut character of UTF-8": (
        text(HEADER + ROWS) + b"caf\xc3,1,5\n",
        ", line 6: it is not UTF-8 text (byte 0xc3), name the file's encoding, such as --encoding latin-1" + LINE,
    ),
    "surrogates in UTF-8": (
        text(HEADER + ROWS) + b"\xed\xa0\x80,1,5\n",
        ", line 6: it is not UTF-8 text (byte 0xed), name the file's encoding, such as --encoding latin-1" + LINE,
    ),
    "UTF-16, cut": (
        text(HEADER + ROWS, "utf-16")[:-1],
        ", line 5: it is not UTF-16 text" + LINE,
    ),
    "UTF-16 with half a pair of surrogates": (
        text(HEADER + ROWS, "utf-16-le") + b"\0\xd8,\x001\0,\x005\0\n\0",
        ", line 6: it is not UTF-16-LE text" + LINE,
    ),
    "UTF-16 without lines": (
        text("123456789", "utf-16-be"),
        " has only one column, '123456789'" + FEW,
    ),
    "EBCDIC": (
        text(HEADER + ROWS, "cp500"),
        ", line 1: it is not UTF-8 text (byte 0xa4), name the file's encoding, such as --encoding latin-1; correct the "
        "line, or say --header no if it is a rating.",
    ),
    "lines that end in CR": (
        text((HEADER + ROWS).replace("\n", "\r")),
        " has lines that end in CR alone; convert the line ends to LF.",
    ),
    "another separator in one line": (
        text(HEADER + ROWS + "3;1;5\n"),
        ", line 6: it has 1 field instead of 3" + LINE,
    ),
    "blanks as separator": (
        text("1 1 5\n1 2 a b\n"),
        ", line 2: it has 4 fields instead of 3" + LINE,
    ),
    "a line of a million letters": (
        text(HEADER + ROWS + "x" * 20_000_000 + ",1,5\n"),
        ", line 6: the line is longer than 1 MiB; give a file with one rating per line.",
    ),
    "a picture (PNG)": (
        PNG,
        " is not text, it holds NUL bytes; give a text file, or a parquet file.",
    ),
    "a document (PDF)": (
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<</Type/Catalog>>\nendobj\n",
        " is a PDF document; export the table of ratings from it as CSV.",
    ),
    "a program (ELF)": (
        b"\x7fELF\x02\x01\x01" + b"\0" * 60,
        " is not text, it holds NUL bytes; give a text file, or a parquet file.",
    ),
    "a workbook (xlsx)": (
        zipped({"[Content_Types].xml": "<x/>", "xl/workbook.xml": "<x/>"}),
        " is an Excel workbook; save the sheet with the ratings as .csv and give that.",
    ),
    "an old workbook (xls)": (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500,
        " is a document of an old Office, such as Excel's .xls; export the table of ratings from it as CSV.",
    ),
    "a document (docx)": (
        zipped({"[Content_Types].xml": "<x/>", "word/document.xml": "<x/>"}),
        " holds no file that looks like ratings (members: [Content_Types].xml, word/document.xml); "
        "unpack it and give the path of the right one.",
    ),
    "a database (SQLite)": (
        b"SQLite format 3\0" + b"\x10\0\x01\x01\0@  " + b"\0" * 80,
        " is an SQLite database; export the table of ratings from it as CSV.",
    ),
    "an array (NumPy)": (
        array(),
        " is a NumPy array; write it as CSV with one rating per line.",
    ),
    "a pickle": (
        pickle.dumps({"ratings": [1, 2, 3]}),
        " is a pickle, which can run any code when it is read; write it as CSV with one rating per line.",
    ),
    "JSON, a list": (
        text(json.dumps([{"user": 1, "item": 1, "rating": 5}])),
        " is a JSON array; write each rating as an object on a line of its own (JSON lines), as jq -c '.[]' does.",
    ),
    "JSON, an object": (
        text(json.dumps({"ratings": [1, 2]})),
        " is JSON, but has no object on each line; write each rating as an object on a line of its own (JSON lines), "
        "or as CSV.",
    ),
    "JSON lines without an item": (
        text('{"user":1,"item":1,"rating":5}\n{"user":1,"rating":5}\n'),
        ", line 2: the item id is missing" + LINE,
    ),
    "JSON lines, cut": (
        text('{"user":1,"item":1,"rating":5}\n{"user":1,"item":2,"rat'),
        ", line 2: it is no JSON object" + LINE,
    ),
    "JSON lines with a list as an id": (
        text('{"user":1,"item":1,"rating":5}\n{"user":1,"item":[2],"rating":5}\n'),
        ", line 2: 'item' holds a list, which is no item" + LINE,
    ),
    "JSON of a million brackets": (
        text('{"user":1,"item":1,"rating":5}\n' + '{"a":' * 200_000 + "\n"),
        ", line 2: it is no JSON object" + LINE,
    ),
    "JSON lines without ratings": (
        text('{"user":1,"item":1}\n'),
        " has no column that looks like the rating among its columns (user, item); name it with --rating-column.",
    ),
    "a matrix that is cut": (
        text("%%MatrixMarket matrix coordinate real general\n2 2 3\n1 1 5\n2 2 4\n"),
        " has 2 rows, and 3 according to its first lines; write or download it again.",
    ),
    "a matrix without its size": (
        text("%%MatrixMarket matrix coordinate real general\n% rows, columns, entries\n"),
        ", line 3: '' is not the size of a matrix, which is rows, columns and entries in MatrixMarket; write the file "
        "again.",
    ),
    "a network without weights": (
        text("% bip unweighted\n% 2 2 2\n1 1\n2 2\n"),
        " is an unweighted network of KONECT, without ratings; give one that is weighted.",
    ),
    "a comment that may be a row": (
        text("#3,1,5\n" + ROWS),
        ", line 1: '#3,1,5' may be a comment or a row; say --skip-lines 1 if it is a comment, or --skip-lines 0 if it "
        "is a row.",
    ),
    "blocks of items with a rating that is a word": (
        text("1:\n10,5,2005-01-01\n11,x,2005-01-01\n"),
        ", line 3: rating 'x' is not a number" + LINE,
    ),
    "XML": (
        text('<?xml version="1.0"?>\n<ratings>\n<rating user="1"/>\n</ratings>\n'),
        " is a web page or XML; export the table of ratings from it as CSV.",
    ),
    "a web page": (
        text("<!DOCTYPE html>\n<html><head><title>404, not found</title></head>\n<body>\n</body></html>\n"),
        " is a web page or XML; export the table of ratings from it as CSV.",
    ),
    "YAML": (
        text("ratings:\n- user: 1\n  item: 1\n"),
        " has only one column, 'ratings:'" + FEW,
    ),
    "a Git LFS pointer": (
        text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"),
        " is a pointer to a file that Git LFS keeps; fetch that with git lfs pull.",
    ),
    "a letter": (
        text("Dear colleague,\nplease find the ratings attached.\nYours, Ann\n"),
        " has only two columns, 'Dear colleague,'" + FEW,
    ),
    "gzip, cut": (
        gzip.compress(text(HEADER + ROWS * 1000))[:-40],
        " is damaged or cut short, it does not unpack as gzip; download or pack it again.",
    ),
    "gzip, with a flipped bit": (
        flipped(gzip.compress(text(HEADER + ROWS * 1000)), 30),
        " is damaged or cut short, it does not unpack as gzip; download or pack it again.",
    ),
    "gzip, only its header": (
        gzip.compress(b"")[:10],
        " is damaged or cut short, it does not unpack as gzip; download or pack it again.",
    ),
    "gzip of nothing": (
        gzip.compress(b""),
        " is empty; give a file with one rating per line.",
    ),
    "gzip of gzip": (
        gzip.compress(gzip.compress(text(HEADER + ROWS))),
        " is packed twice; unpack it.",
    ),
    "gzip of a tar": (
        gzip.compress(b"ratings.csv" + b"\0" * 246 + b"ustar\0" + b"\0" * 249 + text(HEADER + ROWS)),
        " is a tar archive; unpack it and give the path of the ratings file.",
    ),
    "bzip2, cut": (
        bz2.compress(text(HEADER + ROWS * 1000))[:-10],
        " is damaged or cut short, it does not unpack as bzip2; download or pack it again.",
    ),
    "xz, cut": (
        lzma.compress(text(HEADER + ROWS * 1000))[:-10],
        " is damaged or cut short, it does not unpack as xz; download or pack it again.",
    ),
    "xz, with a flipped bit": (
        flipped(lzma.compress(text(HEADER + ROWS * 1000)), 40),
        " is damaged or cut short, it does not unpack as xz; download or pack it again.",
    ),
    "xz of nothing": (
        lzma.compress(b""),
        " is empty; give a file with one rating per line.",
    ),
    "xz of gzip": (
        lzma.compress(gzip.compress(text(HEADER + ROWS))),
        " is packed twice; unpack it.",
    ),
    "zstandard, cut": (
        zstd(text(HEADER + ROWS * 1000))[:-10],
        " is damaged or cut short, it does not unpack as zstd; download or pack it again.",
    ),
    "zstandard, not one": (
        b"\x28\xb5\x2f\xfd" + b"\x04\x58\x11\0\0abc",
        " is damaged or cut short, it does not unpack as zstd; download or pack it again.",
    ),
    "zstandard of nothing": (
        zstd(b""),
        " is empty; give a file with one rating per line.",
    ),
    "zstandard of xz": (
        zstd(lzma.compress(text(HEADER + ROWS))),
        " is packed twice; unpack it.",
    ),
    "LZ4": (
        b"\x04\x22\x4d\x18\x64\x40\xa7" + b"\0" * 20,
        " is packed with LZ4; unpack it, or pack it with gzip.",
    ),
    "7z": (
        b"7z\xbc\xaf\x27\x1c\0\x04" + b"\0" * 40,
        " is packed with 7-Zip; unpack it, or pack it as .zip.",
    ),
    "rar": (
        b"Rar!\x1a\x07\x01\0" + b"\0" * 40,
        " is packed with RAR; unpack it, or pack it as .zip.",
    ),
    "zip, cut": (
        zipped({"ratings.csv": HEADER + ROWS * 1000})[:-60],
        " is damaged or cut short, it does not unpack as zip; download or pack it again.",
    ),
    "zip of nothing": (
        zipped({}),
        " holds no file; give an archive with a ratings file.",
    ),
    "zip of two tables": (
        zipped({"a.csv": HEADER + ROWS, "b.csv": HEADER + ROWS}),
        " holds no file that looks like ratings (members: a.csv, b.csv); unpack it and give the path of the right one.",
    ),
    "zip without a table": (
        zipped({"a.txt2": "x", "b.png": "y"}),
        " holds no file that looks like ratings (members: a.txt2, b.png); unpack it and give the path of"
        " the right one.",
    ),
    "zip, encrypted": (
        encrypted(),
        " is encrypted; unpack it and give the path of ratings.csv.",
    ),
    "zip with a wrong checksum": (
        with_wrong_checksum(),
        " is damaged or cut short, it does not unpack as zip; download or pack it again.",
    ),
    "zip with a member without a name": (
        zipped({"ratings.csv": HEADER + ROWS}).replace(b"ratings.csvPK", b"\0atings.csvPK"),
        " is damaged or cut short, it does not unpack as zip; download or pack it again.",
    ),
    "zip of a workbook's name": (
        zipped({"ratings.xlsx": "x"}),
        " has only one column, 'x'" + FEW,
    ),
    "parquet, cut": (
        parquet(user=[1, 2], item=[1, 2], rating=[5.0, 4.0])[:-20],
        " is a damaged or cut parquet file; write or download it again.",
    ),
    "parquet, its middle zeroed": (
        zeroed(parquet(user=[1, 2] * 500, item=[1, 2] * 500, rating=[5.0, 4.0] * 500), 40, 100),
        " is a damaged or cut parquet file; write or download it again.",
    ),
    "parquet without rows": (
        parquet(user=pa.array([], pa.int64()), item=pa.array([], pa.int64()), rating=pa.array([], pa.float64())),
        " holds a header but no ratings; give a file with one rating per row.",
    ),
    "parquet without ratings": (
        parquet(user=[1, 2], item=[1, 2]),
        " has no column that looks like the rating among its columns (user, item); name it with --rating-column.",
    ),
    "parquet with ratings as words": (
        parquet(user=[1, 2], item=[1, 2], rating=["good", "bad"]),
        ", row 1: rating 'good' is not a number" + ROW,
    ),
    "parquet with a null rating": (
        parquet(user=[1, 2], item=[1, 2], rating=[5.0, None]),
        ", row 2: the rating is missing" + ROW,
    ),
    "parquet with a null user": (
        parquet(user=[1, None], item=[1, 2], rating=[5.0, 4.0]),
        ", row 2: the user id is missing" + ROW,
    ),
    "parquet with lists": (
        parquet(user=[[1], [2]], item=[1, 2], rating=[5.0, 4.0]),
        ": column user holds list<element: int64> values, which are no user; write it as numbers or text.",
    ),
    "parquet with structs": (
        parquet(user=[{"a": 1}, {"a": 2}], item=[1, 2], rating=[5.0, 4.0]),
        ": column user holds struct<a: int64> values, which are no user; write it as numbers or text.",
    ),
    "parquet with bytes as ids": (
        parquet(user=[b"\xff\xfe", b"b"], item=[1, 2], rating=[5.0, 4.0]),
        ": column user holds binary values, which are no user; write it as numbers or text.",
    ),
    "parquet with NaN": (
        parquet(user=[1, 2], item=[1, 2], rating=[5.0, float("nan")]),
        ", row 2: the rating is missing" + ROW,
    ),
    "parquet with infinity": (
        parquet(user=[1, 2], item=[1, 2], rating=[5.0, float("inf")]),
        ", row 2: rating 'inf' is not a number" + ROW,
    ),
    "parquet with dates as ratings": (
        parquet(user=[1, 2], item=[1, 2], rating=pa.array([1, 2], pa.date32())),
        ", row 1: rating '1970-01-02' is not a number" + ROW,
    ),
    "feather": (
        b"ARROW1\0\0" + b"\xff" * 40,
        " is an Arrow (Feather) file; write it as parquet.",
    ),
    "ORC": (
        b"ORC" + b"\x08\x03\x10" * 20,
        " is an ORC file; write it as parquet.",
    ),
    "CSV with a dollar as quote": (
        text(HEADER + ROWS + "$3$,1,$5$\n"),
        ", line 6: rating '$5$' is not a number" + LINE,
    ),
    "a total under the table": (
        text(HEADER + ROWS + "Total,,13\n"),
        ", line 6: the item id is missing" + LINE,
    ),
    "notes above the table that have as many fields": (
        text("Ratings, of May, by Ann\n" + HEADER.replace("rating", "opinion") + ROWS),
        " has no column that looks like the user among its columns (Ratings, of May, by Ann); name it with "
        "--user-column, or say --header no if its first line is a rating already.",
    ),
    "the header again in the middle": (
        text(HEADER + ROWS + HEADER + ROWS),
        ", line 6: rating 'rating' is not a number" + LINE,
    ),
    "a merge conflict": (
        text(HEADER + ROWS + "<<<<<<< HEAD\n1,1,5\n=======\n"),
        ", line 6: it has 1 field instead of 3" + LINE,
    ),
    "rows that end with a backslash": (
        text(HEADER + ROWS + "3,1,5\\\n"),
        ", line 6: rating '5\\' is not a number" + LINE,
    ),
    "a wide matrix of users and items": (
        text("user,item1,item2,item3\n1,5,4,3\n"),
        " has no column that looks like the item among its columns (user, item1, item2, item3); name it "
        "with --item-column, or say --header no if its first line is a rating already.",
    ),
}
