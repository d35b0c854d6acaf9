"""``adapters/README.md`` stays true: what it names is there, and its code is the example's."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "adapters/README.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "tests/support/example_source/__init__.py").read_text(encoding="utf-8")
#: A path of this repository in backquotes, not one with a place to fill in.
PATHS = sorted(set(re.findall(r"`((?:adapters|entrypoints|src|tests)/[\w./]+)`", PAGE)))
#: Code, without the blanks that put it under its step.
CODE = [textwrap.dedent(code).strip() for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)]


def test_the_page_names_files_and_shows_code() -> None:
    assert len(PATHS) >= 10
    assert len(CODE) == 4


@pytest.mark.parametrize("path", PATHS)
def test_what_the_page_names_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_code_of_the_page_is_the_examples() -> None:
    *shown, line = CODE
    for code in shown:
        assert code in textwrap.dedent(EXAMPLE) or textwrap.indent(code, "    ") in EXAMPLE
    assert line == '"memo": Kind("adapters.sources.memo", extra="memo"),'


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(?:Extraction\.|Kind\.|Rows\.)(\w+)`", PAGE))))
def test_the_words_of_the_page_are_the_extractors(name: str) -> None:
    assert name in (ROOT / "adapters/sources/polling/extractor.py").read_text(encoding="utf-8")


def test_the_example_is_as_small_as_the_page_says() -> None:
    assert 80 <= len(EXAMPLE.splitlines()) <= 130
