"""One line for each fault that a person can write into a file."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from imccircuit.errors import InputError
from imccircuit.units import Resistance, Temperature
from imccircuit.validation import MISSING, validate


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Normal(Part):
    kind: Literal["normal"]
    sd: Resistance


class Log(Part):
    kind: Literal["log"]
    normal: float = 1  # named like a branch of the union on purpose
    m: Annotated[int, Field(ge=1, le=5)] = 1

    @model_validator(mode="after")
    def small(self):
        if self.normal > 5:
            raise ValueError("normal is too large; allowed: up to 5")
        return self


class Recipe(Part):
    name: str
    mode: Literal["a", "b"] = "a"
    v: Annotated[Normal | Log, Field(discriminator="kind")] | None = None
    axes: dict[Annotated[str, Field(pattern=r"^[a-z.]+$")], list[float] | Normal] = {}
    many: list[Log] = []
    q: Temperature = 27.0
    t: tuple[float, ...] = ()
    u: int | str = 1


QUANTITY = 'a string such as "1.5 kohm"'


@pytest.mark.parametrize(
    ("data", "key", "value", "problem", "allowed"),
    [
        ({}, "name", MISSING, "a required key", "a string"),
        ({"nam": "x"}, "nam", "x", "unknown key, perhaps 'name' is meant",
         "name, mode, v, axes, many, q, t, u"),
        ({"name": 3}, "name", 3, "wrong type", "a string"),
        ({"mode": "c"}, "mode", "c", "unknown choice", "'a' or 'b'"),
        ({"v": {"kind": "z"}}, "v.kind", "z", "unknown choice", "'normal', 'log'"),
        ({"v": {}}, "v.kind", MISSING, "a required key", "'normal', 'log'"),
        ({"v": 3}, "v", 3, "wrong type", "a table"),
        ({"v": {"kind": "normal"}}, "v.sd", MISSING, "a required key", "a quantity in ohm"),
        ({"v": {"kind": "normal", "sd": 4}}, "v.sd", 4, "not a quantity with a unit", QUANTITY),
        ({"v": {"kind": "normal", "sd": "-4 ohm"}}, "v.sd", "-4 ohm", "out of range", ">= 0 ohm"),
        ({"v": {"kind": "normal", "sd": "4 V"}}, "v.sd", "4 V", "wrong dimension",
         'a quantity in ohm, such as "1.5 kohm"'),
        ({"v": {"kind": "log", "mm": 1}}, "v.mm", 1, "unknown key, perhaps 'm' is meant",
         "kind, normal, m"),
        ({"v": {"kind": "log", "m": 9}}, "v.m", 9, "out of range", "<= 5"),
        ({"v": {"kind": "log", "normal": "k"}}, "v.normal", "k", "wrong type", "a number"),
        ({"v": {"kind": "log", "normal": 7}}, "v", {"kind": "log", "normal": 7},
         "normal is too large", "up to 5"),
        ({"axes": {"circuit.bits": 3}}, 'axes."circuit.bits"', 3, "wrong type",
         "a list or a table"),
        ({"axes": {"circuit.bits": [1, "k"]}}, 'axes."circuit.bits"[1]', "k", "wrong type",
         "a number"),
        ({"axes": {"b": {"kind": "normal", "sd": 3}}}, "axes.b.sd", 3,
         "not a quantity with a unit", QUANTITY),
        ({"axes": {"A": [1]}}, "axes.A", "A", "not accepted", "text that matches ^[a-z.]+$"),
        ({"many": [{"kind": "log"}, {"kind": "log", "m": 0}]}, "many[1].m", 0, "out of range",
         ">= 1"),
        ({"q": "-300 degC"}, "q", "-300 degC", "out of range", ">= -273.15 degC"),
        ({"t": [1, "x"]}, "t[1]", "x", "wrong type", "a number"),
        ({"u": [1]}, "u", [1], "wrong type", "a whole number or a string"),
    ],
)  # fmt: skip
def test_faults(data, key, value, problem, allowed):
    if not ({"name", "nam"} & data.keys()) and data:
        data = {"name": "x", **data}
    with pytest.raises(InputError) as caught:
        validate(Recipe, data, file="r.toml")
    error = caught.value
    assert (error.file, error.key, error.value) == ("r.toml", key, value)
    assert (error.problem, error.allowed) == (problem, allowed)
    assert "\n" not in str(error)


def test_good_data_and_context():
    data = {"name": "x", "v": {"kind": "normal", "sd": 4.0}}
    recipe = validate(Recipe, data, file="r.toml", context={"trusted": True})
    assert recipe.v == Normal(kind="normal", sd="4 ohm")


def test_not_a_table():
    with pytest.raises(InputError, match=r"r\.toml: wrong type; allowed: a table"):
        validate(Recipe, 3, file="r.toml")
