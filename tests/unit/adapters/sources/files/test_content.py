"""Texts of files: whatever their encoding, in pieces, and up to where they can be read."""

from __future__ import annotations

import gzip
import io

import pyarrow as pa
import pytest

from adapters.sources.files.content import Text, legible


class Slowly(io.BytesIO):
    """Gives one byte at a time."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(1, size) if size is not None and size >= 0 else 1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1"])
def test_a_text_is_the_same_in_every_encoding_and_in_every_size_of_pieces(encoding: str) -> None:
    content = "Ärger, 100 ß\n".encode(encoding)
    named = "" if encoding in {"utf-8", "utf-8-sig", "utf-16"} else encoding
    assert Text(io.BytesIO(content), named).read().decode() == "Ärger, 100 ß\n"
    assert Text(Slowly(content[:2] + content[2:]), encoding).read().decode() == "Ärger, 100 ß\n"


def test_bytes_of_no_encoding_are_marked_and_shown_as_escapes() -> None:
    text = Text(io.BytesIO(b"a\xffb\xc3"), "")
    shown = text.read().decode()
    assert text.has_odd_bytes
    assert legible(shown, limit=10) == "a\\xffb\\xc3"
    assert not Text(io.BytesIO("äöü".encode()), "").has_odd_bytes


def test_bytes_given_back_are_read_again() -> None:
    text = Text(io.BytesIO(b"abcdef"), "")
    head = text.read(4)
    text.unread(head[2:])
    assert (head, text.read(3), text.read(), text.read(1)) == (b"abcd", b"cde", b"f", b"")


def test_what_comes_before_a_break_is_given_before_the_error() -> None:
    whole = gzip.compress(b"".join(b"%d\n" % (number * 7919 % 104729) for number in range(50_000)))
    cut = io.BytesIO(whole[: len(whole) // 2])
    text = Text(pa.CompressedInputStream(pa.PythonFile(cut, mode="r"), "gzip"), "", piece_bytes=4096)
    assert len(text.read()) > 50_000
    with pytest.raises(OSError, match="Truncated"):
        text.read()


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 4, 5])
def test_a_character_that_pieces_share_is_whole_also_where_plain_ones_follow(piece_bytes: int) -> None:
    content = b"\xef\xbb\xbfab\xc3\xa4cdef\xe2\x82\xacgh\xc3ij"
    assert Text(io.BytesIO(content), "", piece_bytes=piece_bytes).read() == Text(io.BytesIO(content), "").read()
    assert Text(io.BytesIO(content[:-3]), "", piece_bytes=piece_bytes).read().decode() == "abäcdef€gh"
