import json
from pathlib import Path
from typing import Any

import pytest

from adapters.transform.artifacts import read, sanitized
from pipeline.ports.transformer import NodeResult, TransformResult


def _result(name: str, status: str, **more: Any) -> dict[str, Any]:
    return {"unique_id": name, "status": status, "execution_time": 0.5, "message": "said canary", **more}


def test_results_are_read_without_dbt_s_own_messages(tmp_path: Path) -> None:
    file = tmp_path / "run_results.json"
    results = [
        _result("model.shop.fct_orders", "success", adapter_response={"rows_affected": 7}),
        _result("test.shop.unique_x.0a1b2c", "fail", failures=3),
        _result("test.shop.not_null_x.0a1b2c", "warn", failures=1),
        _result("test.shop.accepted_x.0a1b2c", "pass", failures=0),
        _result("model.shop.broken", "error", message="Runtime Error in model x (y.sql)\n  Conversion Error: 'canary'"),
        _result("model.shop.behind", "skipped"),
        _result("model.shop.nothing", "no-op"),
        _result("model.shop.odd", "runtime error", message=None),
    ]
    file.write_text(json.dumps({"results": results}))
    assert read(file, seconds=2.0) == TransformResult(
        nodes=(
            NodeResult("fct_orders", "model", "success", 0.5, rows=7),
            NodeResult("unique_x", "test", "fail", 0.5, message="3 rows fail"),
            NodeResult("not_null_x", "test", "warn", 0.5, message="1 rows fail"),
            NodeResult("accepted_x", "test", "pass", 0.5),
            NodeResult("broken", "model", "error", 0.5, message="Runtime Error, Conversion Error"),
            NodeResult("behind", "model", "skipped", 0.5),
            NodeResult("nothing", "model", "skipped", 0.5),
            NodeResult("odd", "model", "error", 0.5, message="error without a class"),
        ),
        seconds=2.0,
    )


def test_no_file_means_that_there_was_nothing_to_do(tmp_path: Path) -> None:
    assert read(tmp_path / "run_results.json", seconds=0.1) == TransformResult(nodes=(), seconds=0.1)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Database Error in model x (x.sql)\n  100038 (22018): Numeric value 'canary' is not recognized",
         "Database Error, 100038 (22018)"),
        ("Compilation Error in model x (x.sql)\n  audit: 3 rows fail the test unique_x_id\n  > in macro",
         "3 rows fail the test unique_x_id; the previous table stays"),
        ("Compilation Error in model x (x.sql)\n  another build of this mart got further meanwhile\n  > in macro",
         "another build of this mart got further meanwhile; this one changed nothing"),
        ("Runtime Error in model x\n  Constraint Error: Duplicate key canary", "Runtime Error, Constraint Error"),
        ("Database Error\nCanary Error", "Database Error"),
        ("Database Error\n  100038 (22018): Numeric value '123456 (CANRY): x' is not recognized",
         "Database Error, 100038 (22018)"),
        ("canary", "error without a class"),
        ("the canary Some Canary Error", "error without a class"),
    ],
)  # fmt: skip
def test_messages_keep_classes_and_codes_alone(text: str, kept: str) -> None:
    assert sanitized(text) == kept
