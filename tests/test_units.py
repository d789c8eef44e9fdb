"""Quantities: what the quick way gives is what pint gives, to the last digit kept."""

import pint
import pytest

from imccircuit.units import parse_quantity


@pytest.mark.parametrize("unit", ["F", "ohm", "S", "V", "A", "s", "m", "Hz", "J"])
@pytest.mark.parametrize("prefix", ["", "k", "m", "u", "µ", "n", "p", "f", "a", "M", "G"])
def test_prefixes_are_powers_of_ten(unit, prefix):
    power = {"": 0, "k": 3, "m": -3, "u": -6, "µ": -6, "n": -9, "p": -12, "f": -15, "a": -18,
             "M": 6, "G": 9}[prefix]  # fmt: skip
    for number in ("2", "1.2", "-0.5", "3e2", ".25", "123456789.012345"):
        assert parse_quantity(f"{number} {prefix}{unit}", unit) == float(
            f"{float(number) * 10.0**power:.15g}"
        )


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("1.5 kohm*uA", "V"), ("40 uS", "S"), ("3 fF/um", "F/m"), ("0.5 mV*um", "V*m"),
        ("2 %", ""), ("12", ""), ("5 nV/Hz**0", "V"), ("1 um**2", "m**2"), ("1 1/K", "1/K"),
    ],
)  # fmt: skip
def test_the_quick_way_is_pints(text, unit):
    registry = pint.UnitRegistry()
    try:
        wanted = registry.Quantity(registry.parse_expression(text.replace("%", " percent ")))
        magnitude = float(wanted.to(unit or "dimensionless").magnitude)
    except pint.PintError:
        with pytest.raises(ValueError, match="allowed"):
            parse_quantity(text, unit)
        return
    try:
        found = parse_quantity(text, unit)
    except ValueError:
        # Not every text that pint knows is a quantity here.
        assert text == "1 1/K"
        return
    assert found == float(f"{magnitude:.15g}")


def test_temperatures_have_a_zero_of_their_own():
    assert parse_quantity("27 degC", "degC") == 27
    assert parse_quantity("300.15 K", "degC") == 27
    assert parse_quantity("0 K", "degC") == -273.15


@pytest.mark.parametrize(
    ("text", "unit", "why"),
    [("12", "ohm", "no unit"), ("1 V", "ohm", "wrong dimension"), ("1 zzz", "V", "unknown unit"),
     ("0", "V", "no unit"), ("0 zzz", "V", "unknown unit"), ("ohm", "ohm", "not a quantity"),
     ("1e999 V", "V", "not"), ("1 V; ls", "V", "not a quantity")],
)  # fmt: skip
def test_what_is_no_quantity(text, unit, why):
    with pytest.raises(ValueError, match=why):
        parse_quantity(text, unit)
