"""Quantities: what the quick way gives is what pint gives, to the last digit kept."""

import pint
import pytest

from imccircuit.units import format_quantity, parse_quantity


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
        ("3 µm²", "m**2"), ("2 1/V**2", "1/V**2"),
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
    assert parse_quantity(text, unit) == float(f"{magnitude:.15g}")


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


@pytest.mark.parametrize(
    ("value", "unit", "digits", "text"),
    [(2e-15, "F", 4, "2 fF"), (-1.2345e-6, "V", 4, "-1.234 µV"), (0.0, "V", 4, "0 V"),
     (-0.0, "V", 4, "0 V"), (450e-6, "ohm", 2, "450 µohm"), (1.2e5, "1", 2, "1.2e+05"),
     (450.0, "degC", 2, "450 degC"), (0.5, "LSB", 4, "0.5 LSB"), (0.012, "1", 4, "0.012"),
     # The digits decide the prefix.
     (999.9996e-6, "V", 4, "1 mV"), (996e-6, "V", 2, "1 mV"), (999.4e-6, "V", 4, "999.4 µV"),
     # A prefix is squared with its unit.
     (693e-12, "m**2", 4, "693 µm²"), (9e-9, "m**2", 4, "9000 µm²"), (2e-8, "m**2", 4, "0.02 mm²"),
     (9999.99e-12, "m**2", 4, "0.01 mm²"), (0.445, "1/V", 4, "0.445 1/V"),
     (-3.939e-15, "1/V**2", 4, "-3.939e-15 1/V**2"), (2e-6, "V**2", 4, "2e-06 V**2"),
     # It multiplies a first unit that stands alone.
     (1.5e-4, "A/V**2", 4, "150 µA/V**2"), (3e-9, "s/V", 4, "3 ns/V"), (0.02, "%", 4, "0.02 %"),
     (float("nan"), "V", 4, "nan V"), (float("inf"), "1", 4, "inf")],
)  # fmt: skip
def test_what_is_printed(value, unit, digits, text):
    assert format_quantity(value, unit, digits) == text


@pytest.mark.parametrize(
    "unit", ["V", "ohm", "F", "m", "m**2", "1/V", "1/V**2", "A/V**2", "s/V", "ohm/A", "V**2", "LSB"]
)
def test_what_is_printed_is_read_again(unit):
    for power in range(-20, 14):
        for number in (-1.2346, 4.5, 9.9999):
            value = number * 10.0**power
            read = parse_quantity(format_quantity(value, unit), unit)
            assert read == pytest.approx(value, abs=5.1e-4 * abs(value))
