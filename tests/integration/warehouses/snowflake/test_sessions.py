"""Which session is handed out: the one at hand, or a new one where the service is about to end it."""

from __future__ import annotations

from adapters.warehouses.snowflake.options import parse
from adapters.warehouses.snowflake.sessions import Sessions
from tests.support.emulator import Emulator


def test_a_session_is_handed_out_again_as_long_as_it_is_used(emulator: Emulator, database: str) -> None:
    sessions = Sessions(parse("warehouse", emulator.options(database)))
    assert sessions.get() is sessions.get()
    sessions.close()


def test_a_session_that_was_not_used_for_long_is_signed_out_and_another_one_signed_in(
    emulator: Emulator, database: str
) -> None:
    sessions = Sessions(parse("warehouse", emulator.options(database)), expires_s=0.0)
    first, second = sessions.get(), sessions.get()
    assert (first.is_usable, second.is_usable, first.id == second.id) == (False, True, False)
    sessions.close()
