from adapters.transform.selection import arguments


def test_everything_is_selected_without_arguments() -> None:
    assert arguments(None, ()) == []


def test_a_pipeline_s_own_selection_is_taken_as_it_is() -> None:
    assert arguments(None, ("tag:shop", "path:models/x")) == ["--select", "tag:shop", "path:models/x"]


def test_tables_select_what_is_behind_them_whatever_their_source_is_called() -> None:
    assert arguments({"shop__b", "shop__a"}, ()) == ["--select", "source:*.shop__a+", "source:*.shop__b+"]


def test_tables_are_met_with_each_part_of_the_selection() -> None:
    assert arguments(["shop__a", "shop__b"], ("tag:x", "tag:y")) == [
        "--select",
        "source:*.shop__a+,tag:x",
        "source:*.shop__a+,tag:y",
        "source:*.shop__b+,tag:x",
        "source:*.shop__b+,tag:y",
    ]


def test_what_is_behind_absent_tables_is_left_out() -> None:
    left_out = ["--exclude", "source:*.fx__a+", "source:*.fx__b+"]
    assert arguments(None, (), absent=("fx__b", "fx__a")) == left_out
    assert arguments({"shop__a"}, ("tag:x",), absent=("fx__a", "fx__b")) == [
        "--select",
        "source:*.shop__a+,tag:x",
        *left_out,
    ]
