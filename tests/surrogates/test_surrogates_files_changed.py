"""Model files that were changed by hand: what contradicts itself is not read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import synthetic_macro
from synthetic import adc_population, write
from synthetic_columns import charge_population, charge_settings

from imccircuit.errors import FileFormatError
from imccircuit.surrogates.base import Parameter, Surrogate
from imccircuit.surrogates.files import load_model
from imccircuit.surrogates.fit import fit_results
from imccircuit.surrogates.model_units import written_unit
from imccircuit.surrogates.physical import impossible
from imccircuit.surrogates.registry import get_kind, kind_names


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of a converter whose verdict is pass."""
    folder = tmp_path_factory.mktemp("passed")
    chips = adc_population(20, seed=1, bits=5)
    chips = [{**chip, "noise_sigma": np.asarray(1e-4)} for chip in chips]
    model = fit_results(write(folder / "r.h5", "adc_sar8_mismatch", ["circuit.bits=5"], chips))
    assert model.verdict.state == "pass"
    model.save(folder / "m.h5")
    return folder / "m.h5"


@pytest.fixture
def model_file(passed: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "m.h5"
    copy.write_bytes(passed.read_bytes())
    return copy


@pytest.fixture
def failed_file(passed: Path, tmp_path: Path) -> Path:
    """The same with a limit that its error exceeds."""
    model = load_model(passed)
    gates = tuple(
        replace(gate, limit=gate.value / 2, holds=False) if gate.name == "max_error" else gate
        for gate in model.verdict.gates
    )
    limits = {**model.model.gates, "max_error": gates[0].limit}
    verdict = replace(model.verdict, state="fail", reason=str(gates[0]), gates=gates)
    type(model)(replace(model.model, gates=limits, verdict=verdict)).save(tmp_path / "f.h5")
    return tmp_path / "f.h5"


def edit_verdict(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    with h5py.File(path, "a") as file:
        raw = json.loads(file["verdict/json"][()])
        change(raw)
        file["verdict/json"][()] = json.dumps(raw)


def refusal(path: Path) -> str:
    with pytest.raises(FileFormatError) as caught:
        load_model(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: not a whole model file ")


def test_a_failed_verdict_is_read_as_it_is(failed_file: Path) -> None:
    assert load_model(failed_file).verdict.state == "fail"


def test_a_failed_model_is_not_made_to_pass(failed_file: Path) -> None:
    edit_verdict(failed_file, lambda raw: raw.update(state="pass"))
    expected = "(verdict contradicts itself: state is pass, gate max_error does not hold)"
    assert refusal(failed_file) == expected


def test_nor_by_its_gate(failed_file: Path) -> None:
    edit_verdict(failed_file, lambda raw: raw["gates"][0].update(holds=True))
    assert "holds of gate max_error is True" in refusal(failed_file)


def test_nor_by_its_limit(failed_file: Path) -> None:
    edit_verdict(failed_file, lambda raw: raw["gates"][0].update(holds=True, limit=1e9))
    assert "gates/max_error is" in refusal(failed_file) or "verdict/state" in refusal(failed_file)


def test_the_attribute_is_the_state(model_file: Path) -> None:
    with h5py.File(model_file, "a") as file:
        file["verdict"].attrs["state"] = "fail"
    assert refusal(model_file) == "(verdict/state is 'fail', in verdict/json 'pass')"


def test_the_reason_is_the_reason(model_file: Path) -> None:
    edit_verdict(model_file, lambda raw: raw.update(reason="I say so"))
    text = refusal(model_file)
    assert text.startswith("(verdict/reason is 'every gate holds")
    assert text.endswith("in verdict/json 'I say so')")


def test_limits_of_gates_are_the_same_everywhere(model_file: Path) -> None:
    with h5py.File(model_file, "a") as file:
        limit = float(file["gates/max_error"][()])
        file["gates/max_error"][()] = 10 * limit
    assert refusal(model_file) == (
        f"(gates/max_error is {10 * limit:g}, in verdict/json {limit:g})"
    )


@pytest.mark.parametrize(
    ("key", "unit", "right"),
    [
        ("arrays/transition_level", "mV", "V"),
        ("arrays/population_covariance", "V", "V**2"),
        ("parameters/reference_voltage", "mV", "V"),
        ("parameters/bit_weight_3", "A", "V"),
        ("parameters/fitted_chips", "V", "1"),
    ],
)
def test_units_are_those_that_the_kind_writes(
    model_file: Path, key: str, unit: str, right: str
) -> None:
    with h5py.File(model_file, "a") as file:
        file[key].attrs["units"] = unit
    assert refusal(model_file) == f"(units of {key} are {unit!r}; allowed: {right!r})"


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("reference_voltage", -1.0, "which is not positive"),
        ("reference_voltage", 0.0, "which is not positive"),
        ("noise_sampled", -1.0, "which must not be negative"),
        ("noise_decision", np.nan, "which must not be negative"),
        ("offset_sigma", -1e-3, "which must not be negative"),
    ],
)
def test_what_is_impossible_is_said_and_no_pass(
    model_file: Path, name: str, value: float, why: str
) -> None:
    model = load_model(model_file)
    with h5py.File(model_file, "a") as file:
        file[f"parameters/{name}"][()] = value
    problem = f"{name} is {value:g}, {why}"
    assert refusal(model_file) == f"(verdict is pass, but {problem})"
    assert problem in spoiled(model, name, value).admissibility()


def spoiled(model: Surrogate, name: str, value: float) -> Surrogate:
    parameters = {
        **model.model.parameters,
        name: replace(model.model.parameters[name], value=value),
    }
    return type(model)(replace(model.model, parameters=parameters))


def test_a_sigma_is_none_below_zero(passed: Path) -> None:
    model = load_model(passed).model
    bad = {**model.parameters, "offset": Parameter("offset", 0.0, "V", -1.0)}
    found = impossible(replace(model, parameters=bad))
    assert found == ("sigma of offset is -1, which must not be negative",)


def test_a_charge_column_has_a_supply_and_a_spread(tmp_path: Path) -> None:
    chips = charge_population([0.01] * 4, 8, 2, 30)
    model = fit_results(write(tmp_path / "r.h5", "charge_array", charge_settings(8, 2, 30), chips))
    assert model.admissibility() == ()
    for name in ("supply", "sigma_capacitor", "noise"):
        assert any(p.startswith(f"{name} is -1,") for p in spoiled(model, name, -1).admissibility())


def test_parts_of_a_macro_are_checked(tmp_path: Path) -> None:
    """Names of parts are those of their kinds, behind the part's."""
    model = fit_results(synthetic_macro.results(tmp_path / "r.h5"))
    for name, array in model.model.arrays.items():
        assert written_unit("macro", name, model.model.settings) == array.units
    for name, parameter in model.model.parameters.items():
        assert written_unit("macro", name, model.model.settings) == parameter.unit
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        file["arrays/converter_1.transition_level"].attrs["units"] = "mV"
    assert refusal(tmp_path / "m.h5") == (
        "(units of arrays/converter_1.transition_level are 'mV'; allowed: 'V')"
    )


def test_a_pulse_is_in_seconds_and_a_level_in_volts() -> None:
    assert written_unit("dac", "number", {"converter": "pulse_width"}) == "s"
    assert written_unit("dac", "population_covariance", {"converter": "r2r"}) == "V**2"
    assert written_unit("macro", "driver.lsb", {"driver.converter": "r2r"}) == "V"


@pytest.mark.parametrize("kind", kind_names())
def test_every_kind_says_the_units_of_what_it_requires(kind: str) -> None:
    found = get_kind(kind)
    for name in (*found.required, *found.required_parameters):
        assert written_unit(kind, name, {"converter": "r2r"}) is not None, name


def test_kinds_of_ones_own_have_their_own_units() -> None:
    assert written_unit("mean_offset", "offset", {}) is None
    assert written_unit("adc", "made_up", {}) is None
