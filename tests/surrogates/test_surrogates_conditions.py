"""Results of other conditions than those of the fit judge nothing, whatever their numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from synthetic import adc_population, array_and_drive, crossbar_chip, crossbar_settings, write
from synthetic_columns import charge_population, charge_settings, ramp_population

from imccircuit.errors import ExitCode, UsageError
from imccircuit.results.read import read_results
from imccircuit.surrogates.conditions import CONDITIONS
from imccircuit.surrogates.fit import check, fit_results

ADC = ["circuit.bits=6"]
RAMP = ["circuit.bits=6", "circuit.columns=4"]


def adc(path: Path, seed: int, *more: str) -> Path:
    return write(path, "adc_sar8_mismatch", [*ADC, *more], adc_population(12, seed=seed))


def ramp(path: Path, seed: int, *more: str) -> Path:
    chips = ramp_population([1.0 + 0.002 * k for k in range(12)], 4, 3e-3, 6, seed=seed)  # type: ignore[arg-type]
    return write(path, "adc_ramp8_mismatch", [*RAMP, *more], chips)


def charge(path: Path, seed: int, *more: str) -> Path:
    chips = charge_population([0.01] * 12, 16, 2, 40, seed=seed)
    return write(path, "charge_array", charge_settings(16, 2, 40, *more), chips)


def crossbar(path: Path, seed: int, *more: str) -> Path:
    g, drive = array_and_drive(6, 4, 14, seed=seed)
    settings = crossbar_settings(6, 4, 14, *more)
    return write(
        path, "crossbar_ir_drop", settings, [crossbar_chip(g, drive, r_row=2.0, r_col=3.0)]
    )


FILES: dict[str, Any] = {"adc": adc, "ramp": ramp, "charge": charge, "crossbar": crossbar}


@pytest.mark.parametrize(
    ("kind", "setting", "told"),
    [
        ("adc", "conditions.temperature=100 degC",
         "conditions.temperature differs: 100 degC there, 27 degC in the model"),
        ("adc", "circuit.cycle_time=20 ns",
         "circuit.cycle_time differs: 20 ns there, 10 ns in the model"),
        ("ramp", "conditions.temperature=85 degC", "85 degC there, 27 degC in the model"),
        ("ramp", "circuit.clock_period=8 ns",
         "circuit.clock_period differs"),
        ("charge", "conditions.supply=0.8 V", "conditions.supply differs"),
        ("charge", "circuit.share_time=9 ns",
         "circuit.share_time differs: 9 ns there, 6 ns in the model"),
        ("crossbar", "circuit.device_card=rram_techB",
         "circuit.device_card differs: rram_techB ("),
        ("crossbar", "circuit.row_segment_resistance=77 ohm",
         "circuit.row_segment_resistance differs: 77 ohm there"),
    ],
)  # fmt: skip
def test_other_conditions_are_refused(tmp_path: Path, kind: str, setting: str, told: str) -> None:
    model = fit_results(FILES[kind](tmp_path / "r.h5", 1))
    key, _, value = setting.partition("=")
    other = FILES[kind](tmp_path / "o.h5", 2, f'{key}="{value}"')
    with pytest.raises(UsageError) as refused:
        check(model, read_results(other))
    line = str(refused.value)
    assert told in line
    assert "nothing was judged" in line
    assert "\n" not in line
    assert refused.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("adc", ("stimulus.energy_inputs=2", "gates.max_error=0.1 LSB", "variation.seed=9")),
        ("ramp", ("stimulus.loop_tolerance=0.02 LSB", "gates.max_error=0.2 LSB")),
        ("charge", ("stimulus.cost_vectors=3", "variation.seed=9")),
        ("crossbar", ("stimulus.read_voltage=0.15 V", "variation.seed=9")),
    ],
)
def test_other_seeds_gates_and_stimuli_are_judged(
    tmp_path: Path, kind: str, settings: tuple[str, ...]
) -> None:
    model = fit_results(FILES[kind](tmp_path / "r.h5", 1))
    pairs = (setting.partition("=") for setting in settings)
    written = [f'{k}="{v}"' if " " in v else f"{k}={v}" for k, _, v in pairs]
    verdict = check(model, read_results(FILES[kind](tmp_path / "o.h5", 2, *written)))
    assert verdict.points > 0
    assert not any("conditions of its fit" in note for note in verdict.notes)


def test_a_value_that_the_card_gives_may_be_written_out(tmp_path: Path) -> None:
    """The wire card of the recipe by default, and the same resistance by hand."""
    model = fit_results(crossbar(tmp_path / "r.h5", 1))
    key = "circuit.row_segment_resistance"
    text = model.model.settings[CONDITIONS]
    ohm = text.split(f'"{key}": "')[1].split('"')[0]
    check(model, read_results(crossbar(tmp_path / "o.h5", 2, f'{key}="{ohm}"')))


def test_a_model_that_does_not_say_its_conditions_says_so(tmp_path: Path) -> None:
    model = fit_results(adc(tmp_path / "r.h5", 1))
    settings = {k: v for k, v in model.model.settings.items() if k != CONDITIONS}
    older = type(model)(replace(model.model, settings=settings))
    verdict = check(older, read_results(adc(tmp_path / "o.h5", 2)))
    assert verdict.notes[-1].startswith("the model does not say the conditions of its fit")
