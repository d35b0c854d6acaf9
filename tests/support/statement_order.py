"""What is wrong with the order in which sessions sent their statements, as the emulator saw them arrive.

The rules are those of a load on a service where DDL commits: the checkpoint first, no DDL within a transaction, a
rollback after any error, nothing left open. A rebuild from or to a view is none, but moves the checkpoint, too, before
it records the mode.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from tests.support.emulator import Seen

_MOVE = re.compile(r'UPDATE "PIPELINE"\."checkpoint[_ ]', re.IGNORECASE)
_LOADS = re.compile(
    r'COPY INTO "(CHANGELOG|QUARANTINE)"|(MERGE INTO|INSERT INTO|DELETE FROM) "STAGING"'
    r'|INSERT INTO "PIPELINE"\."LOADS"|MERGE INTO "PIPELINE"\."STREAMS"'
)
_MODE = re.compile(r'UPDATE "PIPELINE"\."STREAMS"')
_DDL = re.compile(r"(CREATE|ALTER|DROP|COMMENT|TRUNCATE|GRANT|REVOKE|USE)\b", re.IGNORECASE)


#: How a session may end, whatever it has open: the service rolls that back.
ENDS = ("(cut off)", "(signed out)")


def complaints(seen: Iterable[Seen]) -> list[str]:
    """A phrase for each rule that a session broke; none if all is well."""
    ordered = sorted(seen, key=lambda each: each.session)  # stable: each session's own order stays
    return [
        f"session {session}: {phrase}"
        for session, statements in groupby(ordered, key=lambda each: each.session)
        for phrase in _of_session(list(statements))
    ]


def _of_session(statements: list[Seen]) -> Iterator[str]:
    open_ones: list[Seen] | None = None
    has_moved = False
    for each in statements:
        if each.text in ENDS:
            open_ones = None
            continue
        word = each.text.split(maxsplit=1)[0].upper()
        if word == "BEGIN":
            if open_ones is not None:
                yield "a transaction begins within another"
            open_ones = []
        elif word in {"COMMIT", "ROLLBACK"}:
            if word == "COMMIT" and open_ones and any(one.error for one in open_ones):
                yield "a transaction is committed after an error"
            open_ones = None if each.error is None else open_ones
        elif open_ones is None:
            yield from _outside(each, has_moved=has_moved)
            has_moved = bool(_MOVE.match(each.text)) or (has_moved and not _MODE.match(each.text))
        else:
            yield from _within(each, open_ones)
            open_ones.append(each)
    if open_ones is not None:
        yield "a transaction is left open"


def _outside(each: Seen, *, has_moved: bool) -> Iterator[str]:
    if _LOADS.match(each.text):
        yield f"a load outside of a transaction: {_brief(each)}"
    if _MODE.match(each.text) and not has_moved:
        yield f"a mode is recorded without the checkpoint moved: {_brief(each)}"


def _within(each: Seen, before: list[Seen]) -> Iterator[str]:
    if _DDL.match(each.text):
        yield f"DDL within a transaction: {_brief(each)}"
    if before and before[-1].error is not None:
        yield f"after an error no rollback, but: {_brief(each)}"
    if (_LOADS.match(each.text) or _MODE.match(each.text)) and not _MOVE.match(before[0].text if before else ""):
        yield f"the checkpoint does not come first, but: {_brief(before[0] if before else each)}"


def _brief(each: Seen) -> str:
    return " ".join(each.text.split())[:60]
