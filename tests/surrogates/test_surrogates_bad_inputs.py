"""Inputs that are no bits, no voltages or no whole numbers are refused, and numpy's own are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import synthetic_macro
from synthetic import (
    adc_population,
    array_and_drive,
    crossbar_chip,
    crossbar_settings,
    write,
)
from synthetic_columns import (
    SLOPE,
    bits_of,
    charge_chip,
    charge_population,
    charge_settings,
    ramp_population,
    time_chip,
)

from imccircuit.errors import UsageError
from imccircuit.metrics.adc import NO_CODE
from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.domain import DomainWarning
from imccircuit.surrogates.fit import fit_results

ROWS, COLS = 16, 2
LARGEST_SEED = 2**64 - 1


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Models by name, each fitted once."""
    made: dict[str, Surrogate] = {}

    def get(name: str) -> Any:
        if name not in made:
            made[name] = fit_results(WRITERS[name](tmp_path_factory.mktemp(name) / "r.h5"))
        return made[name]

    return get


def write_adc(path: Path) -> Path:
    chips = [
        {**chip, "noise_sigma": np.asarray(5e-2)} for chip in adc_population(6, seed=1, bits=4)
    ]
    return write(path, "adc_sar8_mismatch", ["circuit.bits=4"], chips)


def write_ramp(path: Path) -> Path:
    chips = ramp_population(np.array([0.99, 1.0, 1.01, 1.005, 0.995, 1.0]), 3, 1e-3, bits=4)
    known = [{**chip, "noise_sigma": np.asarray(5e-2)} for chip in chips]
    settings = ["circuit.bits=4", "circuit.columns=3"]
    return write(path, "adc_ramp8_mismatch", settings, known)


def write_charge(path: Path, product: str = "and") -> Path:
    chips = charge_population([0.01] * 4, ROWS, COLS, 40)
    if product == "xnor":  # x·w of −1 and 1 is a product of one where they are equal
        x, w = bits_of(ROWS, COLS, 40)
        equal = x @ w + (1 - x) @ (1 - w)
        chips = [
            {**charge_chip(np.ones((ROWS, COLS)), x, w), "input": 2 * x - 1, "weight": 2 * w - 1,
             "active_products": equal.astype(np.int64), "output_voltage": 0.04 * equal}
        ]  # fmt: skip
    settings = charge_settings(ROWS, COLS, 40, f'circuit.product="{product}"')
    return write(path, "charge_array", settings, chips)


def write_time(path: Path) -> Path:
    volts = np.random.default_rng(1).uniform(0.05, 0.4, (12, 4, 2))
    chip = time_chip(np.zeros((4, 2, 2)), volts)
    return write(path, "aidac_small", ["circuit.arrays=2", "stimulus.vectors=12"], [chip])


def write_crossbar(path: Path) -> Path:
    g, drive = array_and_drive(4, 3, 12)
    chip = crossbar_chip(g, drive, r_row=20.0, r_col=30.0)
    return write(path, "crossbar_ir_drop", crossbar_settings(4, 3, 12), [chip])


WRITERS: dict[str, Callable[[Path], Path]] = {
    "adc": write_adc,
    "ramp": write_ramp,
    "charge": write_charge,
    "xnor": lambda path: write_charge(path, "xnor"),
    "time": write_time,
    "crossbar": write_crossbar,
    "macro": synthetic_macro.results,
}


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(UsageError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("bad", [0.5, 7, -1, 2])
@pytest.mark.parametrize("name", ["x", "w"])
def test_what_is_no_bit_of_a_charge_column_is_refused(fitted: Any, name: str, bad: float) -> None:
    inputs: dict[str, Any] = {"x": np.zeros((1, ROWS)), "w": np.zeros((ROWS, COLS))}
    inputs[name][0, 0] = bad
    text = refusal(lambda: fitted("charge").predict(**inputs))
    assert text == f"{name} holds {bad:g}, which is no bit of this array; allowed: 0, 1"


def test_a_bit_that_is_not_a_number_is_refused(fitted: Any) -> None:
    text = refusal(lambda: fitted("charge").predict(x=np.full((1, ROWS), np.nan)))
    assert text == "x holds nan, which is no finite number; allowed: finite ones"


def test_zero_is_no_bit_of_an_xnor_array(fitted: Any) -> None:
    model = fitted("xnor")
    text = refusal(lambda: model.predict(x=np.zeros((1, ROWS))))
    assert text == "x holds 0, which is no bit of this array; allowed: -1, 1"
    assert model.predict(x=-np.ones((1, ROWS)))["output_voltage_v"].shape == (1, COLS)


def test_truth_values_are_bits(fitted: Any) -> None:
    bits = np.arange(ROWS) < ROWS // 2
    model = fitted("charge")
    as_bits = model.predict(x=bits)["output_voltage_v"]
    np.testing.assert_array_equal(as_bits, model.predict(x=bits.astype(int))["output_voltage_v"])


def test_a_delay_of_no_voltage_has_no_code(fitted: Any) -> None:
    volts = np.full((2, 4, 2), 0.2)
    volts[1, 2, 0] = np.nan
    found = fitted("time").predict(voltage_v=volts)
    lacks = np.isnan(volts).any(axis=-1)
    np.testing.assert_array_equal(found["code"] == NO_CODE, lacks)
    np.testing.assert_array_equal(np.isnan(found["delay_s"]), lacks)


def test_codes_of_time_stay_within_the_converter(fitted: Any) -> None:
    """Far outside the counter stands at an end, as the hand-made law's sign of the delay says."""
    model = fitted("time")
    with pytest.warns(DomainWarning):
        low = model.predict(voltage_v=np.full((1, 4, 2), -2.0))
    high = model.predict(voltage_v=np.full((1, 4, 2), 50.0))
    assert np.all(low["delay_s"] < -SLOPE)
    assert np.all(low["code"] == 0)
    assert np.all(high["code"] == 255)
    inside = model.predict(voltage_v=np.full((1, 4, 2), 0.2))
    np.testing.assert_array_equal(inside["code"], np.rint(255 * inside["product"]))


def test_an_infinite_voltage_has_no_delay(fitted: Any) -> None:
    text = refusal(lambda: fitted("time").predict(voltage_v=np.full((1, 4, 2), np.inf)))
    assert text == "voltage_v holds an infinity; allowed: finite numbers, NaN for none"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_crossbar_refuses_what_is_not_finite(fitted: Any, bad: float) -> None:
    model = fitted("crossbar")
    g, volts = model.conductance_s(), np.full((1, 4), 0.1)
    wrong_v, wrong_g = volts.copy(), g.copy()
    wrong_v[0, 1] = wrong_g[1, 1] = bad
    calls: list[tuple[str, Callable[[], object]]] = [
        ("voltage_v", lambda: model.predict(voltage_v=wrong_v)),
        ("conductance_s", lambda: model.predict(voltage_v=volts, conductance_s=wrong_g)),
        ("voltage_v", lambda: model.one_product(g, wrong_v)),
        ("conductance_s", lambda: model.one_product(wrong_g, volts)),
        ("input_offset_v", lambda: model.one_product(g, volts, np.full(3, bad))),
    ]
    for name, call in calls:
        expected = f"{name} holds {bad:g}, which is no finite number; allowed: finite ones"
        assert refusal(call) == expected


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["input", "voltage_v"])
def test_a_macro_refuses_what_is_not_finite(fitted: Any, name: str, bad: float) -> None:
    model = fitted("macro")
    rows = len(model.parts.array.conductance_s())
    text = refusal(lambda: model.predict(**{name: np.full((1, rows), bad)}))
    assert text == f"{name} holds {bad:g}, which is no finite number; allowed: finite ones"


INPUTS: dict[str, dict[str, Any]] = {
    "adc": {"voltage_v": [0.3, 0.5]},
    "ramp": {"voltage_v": [0.3, 0.5]},
    "charge": {"x": np.ones((1, ROWS))},
    "time": {"voltage_v": np.full((1, 4, 2), 0.2)},
    "crossbar": {"voltage_v": np.full((1, 4), 0.1)},
}


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("bad", [0.5, 0.0, "a", True, np.nan, [0]])
def test_a_chip_is_whole(fitted: Any, name: str, bad: Any) -> None:
    text = refusal(lambda: fitted(name).predict(**INPUTS[name], chip=bad))
    assert text == f"chip must be a whole number, it is {bad!r}"


@pytest.mark.parametrize("name", INPUTS)
def test_voltages_and_bits_are_numbers(fitted: Any, name: str) -> None:
    key = next(iter(INPUTS[name]))
    for bad in ("a", [[0.1], [0.1, 0.2]], [None], 1j):
        text = refusal(lambda bad=bad: fitted(name).predict(**{key: bad}))  # type: ignore[misc]
        assert text == f"{key} is {bad!r}; allowed: real numbers in one array"


@pytest.mark.parametrize("name", ["adc", "ramp"])
@pytest.mark.parametrize("bad", [1.9, 1.0, -1, 2**64, "a", True, np.float64(1)])
def test_a_seed_is_whole_and_of_64_bits(fitted: Any, name: str, bad: Any) -> None:
    model = fitted(name)
    expected = f"seed must be a whole number between 0 and {LARGEST_SEED}, it is {bad!r}"
    for call in (
        lambda: model.predict(voltage_v=0.3, seed=bad),
        lambda: model.convert(0.3, seed=bad),
        lambda: model.sample_chips(2, bad),
    ):
        assert refusal(call) == expected


@pytest.mark.parametrize("name", ["charge", "adc", "ramp"])
def test_draws_take_whole_numbers(fitted: Any, name: str) -> None:
    model = fitted(name)
    for bad in (1.5, 2**64, -1):
        assert "between 0 and 18446744073709551615" in refusal(
            lambda bad=bad: model.sample_chips(2, bad)  # type: ignore[misc]
        )
    text = refusal(lambda: model.sample_chips(1.5, 2))
    assert text == "number of chips must be a whole number, it is 1.5"


@pytest.mark.parametrize("name", ["adc", "ramp"])
def test_integers_of_numpy_are_whole(fitted: Any, name: str) -> None:
    """They give what the same Python integers give, at every width and for the largest seed."""
    model, volts = fitted(name), np.linspace(0, 0.6, 50)
    for seed in (np.uint8(200), np.int64(2**40 + 3), np.uint64(LARGEST_SEED), np.array(7)):
        own = model.predict(voltage_v=volts, seed=int(seed), chip=1, first_index=3)
        same = model.predict(
            voltage_v=volts, seed=seed, chip=np.uint8(1), first_index=np.int16(3)
        )  # fmt: skip
        np.testing.assert_array_equal(same["code"], own["code"])
        drawn = model.sample_chips(np.int8(2), seed)["transition_level"]
        np.testing.assert_array_equal(drawn, model.sample_chips(2, int(seed))["transition_level"])


@pytest.mark.parametrize("name", ["adc", "ramp"])
def test_the_first_conversion_is_whole(fitted: Any, name: str) -> None:
    for call in (fitted(name).predict, lambda voltage_v, **k: fitted(name).convert(voltage_v, **k)):
        text = refusal(lambda call=call: call(voltage_v=0.3, seed=1, first_index=0.5))
        assert text == "first_index must be a whole number, it is 0.5"


def test_a_ramp_has_whole_columns(fitted: Any) -> None:
    text = refusal(lambda: fitted("ramp").predict(voltage_v=0.3, column=0.5))
    assert text == "column must be a whole number, it is 0.5"


def test_noise_gives_no_code_where_there_is_no_voltage(fitted: Any) -> None:
    for name in ("adc", "ramp"):
        volts = np.array([0.3, np.nan, 0.5])
        codes = fitted(name).predict(voltage_v=volts, seed=5)["code"]
        np.testing.assert_array_equal(codes == NO_CODE, np.isnan(volts))
