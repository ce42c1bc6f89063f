from dataclasses import dataclass

import pytest

from snnbench.errors import UsageError
from snnbench.parameters import NoParameters, as_known_to, describe, param, resolve


@dataclass(frozen=True)
class Knobs:
    rate: float = param(0.5, "a rate", low=0.0, high=1.0, source="a paper")
    count: int = param(3, "a count", low=1)
    loud: bool = param(False, "whether")
    kind: str = param("soft", "which", choices=("soft", "hard"))
    label: str = param("", "anything")
    sigma: float | None = param(None, "step size", low=0.0)
    scale: float = param(1.0, "no range")


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("rate", "0.25", 0.25),
        ("rate", 1, 1.0),
        ("rate", "1e-3", 1e-3),
        ("count", "12", 12),
        ("loud", "yes", True),
        ("loud", "FALSE", False),
        ("loud", "1", True),
        ("kind", "hard", "hard"),
        ("label", "none", "none"),
        ("sigma", "none", None),
        ("sigma", "auto", None),
        ("sigma", None, None),
        ("sigma", "0.5", 0.5),
        ("sigma", 2, 2.0),
    ],
)
def test_values_are_parsed_to_the_parameters_type(name, given, expected):
    value = getattr(resolve(Knobs, {name: given}, "knobs"), name)
    assert value == expected
    assert type(value) is type(expected)


def test_defaults_stay_where_nothing_is_set():
    assert resolve(Knobs, {}, "knobs") == Knobs()
    assert resolve(Knobs, {"count": "4"}, "knobs") == Knobs(count=4)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("rate", "1.5", r"rate=1.5 is outside \[0, 1\]"),
        ("rate", -0.1, r"outside \[0, 1\]"),
        ("rate", "nan", "rate must be finite"),
        ("scale", "inf", "scale must be finite"),
        ("count", "0", r"count=0 is outside \[1, inf\]"),
        ("count", "2.5", "count must be int, got '2.5'"),
        ("count", 2.5, "count must be int, got 2.5"),
        ("count", True, "count must be int, got True"),
        ("rate", True, "rate must be float"),
        ("rate", "fast", "rate must be float, got 'fast'"),
        ("rate", None, "rate must be float, got None"),
        ("loud", "maybe", "loud must be true or false"),
        ("loud", 1, "loud must be bool"),
        ("kind", "loud", r"kind=loud is outside \{soft, hard\}"),
        ("kind", 3, "kind must be str"),
        ("sigma", "-1", r"sigma=-1.0 is outside \[0, inf\]"),
        ("raet", "1", r"unknown parameter of knobs 'raet'; did you mean rate\?"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_range(name, given, words):
    with pytest.raises(UsageError, match=words) as caught:
        resolve(Knobs, {name: given}, "knobs")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_integer_beyond_floats_is_measured_against_its_range():
    assert resolve(Knobs, {"count": 10**400}, "knobs").count == 10**400


def test_nothing_can_be_set_where_there_are_no_parameters():
    with pytest.raises(UsageError, match="knobs has no parameters; cannot set 'rate'"):
        resolve(NoParameters, {"rate": "1"}, "knobs")


def test_describe_gives_one_row_per_parameter():
    rows = {row["name"]: row for row in describe(Knobs)}
    assert list(rows) == ["rate", "count", "loud", "kind", "label", "sigma", "scale"]
    assert rows["rate"] == {
        "name": "rate",
        "type": "float",
        "default": 0.5,
        "range": "[0, 1]",
        "doc": "a rate",
        "source": "a paper",
    }
    assert rows["count"]["range"] == "[1, inf]"
    assert rows["kind"]["range"] == "{soft, hard}"
    assert rows["sigma"]["type"] == "float"
    assert rows["sigma"]["default"] is None
    assert rows["scale"]["range"] == ""
    assert describe(NoParameters()) == []


def test_a_record_is_compared_without_parameters_that_came_later():
    recorded = {"rate": 0.5, "gone": 1}
    now = {"rate": 0.7, "new": 3, "chosen": 4}
    assert as_known_to(recorded, now, ["chosen"]) == {"rate": 0.7, "chosen": 4}
