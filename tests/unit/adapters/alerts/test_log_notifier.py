"""Alerts as log lines."""

from __future__ import annotations

from adapters.alerts.log import LogNotifier
from pipeline.domain.finding import Finding, Level

LOST = Finding(Level.ERROR, "slot", "the slot is gone", where="source shop", hint="Copy the streams again.")


class Lines:
    def __init__(self) -> None:
        self.written: list[tuple[str, str, dict[str, object]]] = []

    def error(self, event: str, **facts: object) -> None:
        self.written.append(("error", event, facts))

    def warning(self, event: str, **facts: object) -> None:
        self.written.append(("warning", event, facts))


def test_a_finding_is_told_once_for_each_pipeline() -> None:
    lines = Lines()
    notifier = LogNotifier(lines)
    for pipeline in ("shop", "shop", "crm"):
        notifier.notify(LOST, pipeline=pipeline)
    facts = {
        "check": "slot",
        "where": "source shop",
        "what": "the slot is gone",
        "hint": "Copy the streams again.",
    }
    assert lines.written == [
        ("error", "alert raised", {"pipeline": "shop", **facts}),
        ("error", "alert raised", {"pipeline": "crm", **facts}),
    ]


def test_what_is_no_error_is_a_warning() -> None:
    lines = Lines()
    LogNotifier(lines).notify(Finding(Level.WARNING, "lag", "10 minutes behind"), pipeline="shop")
    assert [level for level, _, _ in lines.written] == ["warning"]
