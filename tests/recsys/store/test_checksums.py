from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import DamagedArtefact
from recsys.store.artifacts import verified, with_checksum

documents = st.dictionaries(
    st.text().filter(lambda name: name != "seal"),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda parts: st.lists(parts) | st.dictionaries(st.text(), parts),
        max_leaves=5,
    ),
)


@given(documents)
def test_a_document_comes_back(document: dict[str, object]) -> None:
    assert verified(with_checksum(document), "it") == document


@given(documents, st.data())
def test_no_flipped_bit_changes_what_is_read(document: dict[str, object], data: st.DataObject) -> None:
    content = bytearray(with_checksum(document))
    at, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    content[at] ^= 1 << bit
    with suppress(DamagedArtefact):
        assert verified(bytes(content), "it") == document


@pytest.mark.parametrize("content", [b"", b"\0" * 40, b"[]", b"7", b'{"a": 1}', b"\xff", b"[" * 100_000])
def test_what_is_no_document_is_damaged(content: bytes) -> None:
    with pytest.raises(DamagedArtefact, match="it cannot be read"):
        verified(content, "it")
