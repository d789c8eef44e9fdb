"""A macro whose rows have drivers, on files of known origin: codes in, codes out."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_macro import CONVERTERS, DRIVER_BITS, ROWS, results

from imccircuit.cli.main import run_command
from imccircuit.errors import UsageError
from imccircuit.exporters.content import content_of
from imccircuit.exporters.export import export_model, replay_export
from imccircuit.exporters.numpy import runtime
from imccircuit.results.read import read_results
from imccircuit.surrogates.data import measured_point
from imccircuit.surrogates.files import load_model
from imccircuit.surrogates.fit import check, fit_results
from imccircuit.surrogates.macro import MacroSurrogate
from imccircuit.surrogates.macro_compose import Composition
from imccircuit.surrogates.macro_drive import drivers_sigma, ideal_drives

LAST = 2**DRIVER_BITS - 1


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return results(tmp_path_factory.mktemp("driven") / "r.h5", driven=True)


@pytest.fixture(scope="module")
def fitted(path: Path) -> MacroSurrogate:
    found = fit_results(path)
    assert isinstance(found, MacroSurrogate)
    return found


def test_codes_of_rows_become_codes_of_columns(fitted: MacroSurrogate, path: Path) -> None:
    assert fitted.verdict.state == "pass", fitted.verdict.reason
    assert fitted.parts.driver is not None
    assert fitted.parts.driver.verdict.state == "pass"
    data = read_results(path).datasets[0]
    differ = 0
    for chip in range(fitted.chips):
        found = fitted.predict(input_code=data["input_code"].values[0, chip], chip=chip)
        differ += int(np.count_nonzero(found["output_code"] != data["output_code"].values[0, chip]))
    assert differ == 0
    # The resistance of the drivers is in the array's, to what its fit leaves open.
    assert fitted.value("array.r_driver_ohm") == pytest.approx(20, abs=0.01)


def test_what_their_levels_are_off_by_is_in_the_codes(fitted: MacroSurrogate) -> None:
    """Steps of levels that are 2 % off by bit move a sum; an ideal driver's are other codes."""
    code = np.random.default_rng(5).integers(0, LAST + 1, (200, ROWS))
    driven = fitted.predict(input_code=code)["sampled_voltage_v"]
    ideal = fitted.predict(voltage_v=0.1 - 0.1 * code / LAST)["sampled_voltage_v"]
    # 0.1 V · 30 kohm · sqrt(Σ G² · (2 % of half a bit weight)²) of 1 to 90 uS is some millivolts.
    assert 1e-3 < np.std(driven - ideal) < 10e-3


def test_an_input_is_that_of_the_nearest_code(fitted: MacroSurrogate) -> None:
    code = np.random.default_rng(6).integers(0, LAST + 1, (30, ROWS))
    wanted = fitted.predict(input_code=code)["sampled_voltage_v"]
    moved = np.clip(code / LAST + 0.4 / LAST, 0, 1)
    np.testing.assert_array_equal(fitted.predict(input=moved)["sampled_voltage_v"], wanted)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"input_code": np.full((1, ROWS), LAST + 1)}, "allowed: whole, 0 to 15"),
        ({"input_code": np.full((1, ROWS), -1)}, "allowed: whole, 0 to 15"),
        ({"input_code": np.full((1, ROWS), 1.0)}, "allowed: whole, 0 to 15"),
        ({"input": np.full((1, ROWS), 1.01)}, "allowed: 0 to 1"),
        ({"input": np.full((1, ROWS), np.nan)}, "no finite number; allowed: finite ones"),
        ({"input": np.full((1, ROWS - 1), 0.5)}, "do not fit the drivers"),
        ({"input_code": np.zeros((1, ROWS), int), "input": np.zeros((1, ROWS))}, "given: 2"),
    ],
)
def test_inputs_that_no_driver_has_are_refused(
    fitted: MacroSurrogate, inputs: dict[str, np.ndarray], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        fitted.predict(**inputs)


def test_a_macro_of_sources_takes_no_codes(tmp_path: Path) -> None:
    plain = fit_results(results(tmp_path / "r.h5"))
    with pytest.raises(UsageError, match="has no drivers"):
        plain.predict(input_code=np.zeros((1, ROWS), int))


def test_drivers_that_do_otherwise_in_the_whole_fail_the_verdict(tmp_path: Path) -> None:
    # 2 % of 0.3 V and more is a fifth of an LSB of 31 mV; asked is a tenth.
    found = fit_results(results(tmp_path / "r.h5", driven=True, reported=1.02))
    assert found.verdict.state == "fail"
    assert "input_error" in found.verdict.reason


def test_the_verdict_holds_on_other_chips(fitted: MacroSurrogate, tmp_path: Path) -> None:
    others = read_results(results(tmp_path / "o.h5", seed=31, chips=3, driven=True))
    verdict = check(fitted, others)
    assert verdict.state == "pass", verdict.reason
    off = read_results(results(tmp_path / "f.h5", seed=31, chips=3, driven=True, reported=1.02))
    assert check(fitted, off).state == "fail"


def test_results_of_other_drivers_are_refused(
    fitted: MacroSurrogate, path: Path, tmp_path: Path
) -> None:
    other = results(tmp_path / "r.h5")
    with pytest.raises(UsageError, match="with bits of drivers none, the model one with 4"):
        check(fitted, read_results(other))
    with pytest.raises(UsageError, match="with bits of drivers 4, the model one with none"):
        check(fit_results(other), read_results(path))


def test_whole_chips_are_held_out(fitted: MacroSurrogate) -> None:
    assert fitted.parts.driver is not None
    hidden = fitted.parts.driver.array("held_out").reshape(12, ROWS)
    np.testing.assert_array_equal(hidden, np.repeat(hidden[:, :1], ROWS, axis=1))
    np.testing.assert_array_equal(hidden[:, 0], fitted.array("array.held_out"))


def test_what_is_known_of_drivers_is_what_outputs_are_off_by(
    fitted: MacroSurrogate, path: Path
) -> None:
    """Outputs for levels and resistances that are off by known amounts, drawn many times."""
    measured = measured_point(read_results(path))
    rng = np.random.default_rng(10)
    ohm = 20 + 5 * rng.standard_normal(measured.arrays["driver_resistance"].shape)
    measured = replace(measured, arrays={**measured.arrays, "driver_resistance": ohm})
    drive = measured.arrays["row_voltage"] - 0.1
    g = measured.arrays["conductance"]
    level, drawn = 1e-3, 400
    cells = g.sum(axis=2)[:, None]
    moved = drive + level * rng.standard_normal((drawn, *drive.shape))
    other = 20 + ohm.std() * rng.standard_normal((drawn, *drive.shape))
    off = moved / (1 + other * cells) - drive / (1 + 20 * cells)
    shift = np.einsum("nkbr,krc->nkbc", off, g) * fitted.value("array.transresistance")
    wanted = np.sqrt(np.mean(shift**2, axis=(0, 1, 2)))
    # 400 · 144 sums are sure to 0.3 %; 3 · 90 uS · 20 ohm of a row is a hundredth, and its square
    # nothing.
    np.testing.assert_allclose(drivers_sigma(fitted, measured, level), wanted, rtol=0.015)
    levels_alone = drivers_sigma(fitted, measured, level) / drivers_sigma(fitted, measured, 0.0)
    assert np.all(levels_alone > 1.01)


def test_an_ideal_driver_gives_its_input(path: Path) -> None:
    measured = measured_point(read_results(path))
    found = ideal_drives(measured)
    wanted = -0.1 * measured.arrays["input_code"] / LAST
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-16)
    assert found.min() == -0.1


def test_no_code_is_outside_the_domain(fitted: MacroSurrogate) -> None:
    levels = fitted.sample_chips(20, seed=4)["driver_level"]
    code = np.repeat([[0], [LAST]], ROWS, axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for level in levels:
            fitted.predict(input_code=code, driver_level_v=level, strict=True)
        with pytest.raises(UsageError, match="outside the model's domain"):
            fitted.predict(voltage_v=levels[0][:, LAST][None] - 0.05, strict=True)


@pytest.mark.parametrize("level", [np.zeros(ROWS), np.full((ROWS, LAST + 1), np.nan)])
def test_levels_that_are_none_are_refused(fitted: MacroSurrogate, level: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"allowed: finite (numbers|ones)"):
        fitted.predict(input_code=np.zeros((1, ROWS), int), driver_level_v=level)
    drives = np.full((1, ROWS), 0.05)
    with pytest.raises(UsageError, match="for inputs or codes"):
        fitted.predict(voltage_v=drives, driver_level_v=np.zeros((ROWS, LAST + 1)))


def test_show_and_pictures_take_macros_of_many_chips(path: Path, tmp_path: Path) -> None:
    assert run_command(["show", str(path)]) == 0
    for kind in ("transfer", "inl"):
        picture = tmp_path / f"{kind}.png"
        assert run_command(["plot", str(path), "--kind", kind, "-o", str(picture)]) == 0
        assert picture.stat().st_size > 1000


def test_chips_are_drawn_with_drivers_of_their_own(fitted: MacroSurrogate) -> None:
    drawn = fitted.sample_chips(40, seed=2)
    levels = drawn["driver_level"]
    assert levels.shape == (40, ROWS, LAST + 1)
    # 2 % of a bit's weight of 53 mV; from 240 drivers the estimate is sure to a twentieth of it.
    weight = levels[:, :, 0] - levels[:, :, 8]
    assert weight.mean() == pytest.approx(0.1 * 8 / 15, abs=3e-4)
    assert weight.std() == pytest.approx(0.02 * 0.1 * 8 / 15, abs=3e-4)
    code = np.full((1, ROWS), 8)
    one, two = (
        fitted.predict(input_code=code, driver_level_v=levels[k])["sampled_voltage_v"]
        for k in (0, 1)
    )
    assert np.all(one != two)


def test_multi_bit_digits_are_codes_of_the_drivers(fitted: MacroSurrogate) -> None:
    rng = np.random.default_rng(7)
    x, w = rng.integers(0, 16, (5, ROWS)), rng.integers(-1, 2, (ROWS, 3))
    found = fitted.matrix_product(x, w, Composition(4, 2, 4, 1))
    # A sum's unit is 30 kohm · 0.1 V · 38.3 uS / 15 = 7.7 mV, a code of 31 mV four of them; offsets
    # of 2 mV, levels of 2 % and wires of 0.5 % are 2 more. Two halves of a weight.
    assert np.max(np.abs(found - x @ w)) <= 2 * (4 / 2 + 2)
    with pytest.raises(UsageError, match="pass_bits = 3 on drivers of 4 bits"):
        fitted.matrix_product(x // 2, w, Composition(3, 2, 3, 1))


def test_a_file_keeps_the_drivers(fitted: MacroSurrogate, tmp_path: Path) -> None:
    fitted.save(tmp_path / "m.h5")
    again = load_model(tmp_path / "m.h5")
    code = np.random.default_rng(8).integers(0, LAST + 1, (20, ROWS))
    for name, value in fitted.predict(input_code=code, chip=2).items():
        np.testing.assert_array_equal(again.predict(input_code=code, chip=2)[name], value)


def test_exports_hold_the_levels_and_say_what_inputs_lack(
    fitted: MacroSurrogate, tmp_path: Path
) -> None:
    content = content_of(fitted)
    (item,) = (i for i in content.fidelity if i.quantity == "levels of the rows' drivers")
    levels = content.arrays["driver_level"].values
    code = np.random.default_rng(9).integers(0, LAST + 1, (1, ROWS))
    volts = levels[3, np.arange(ROWS), code[0]]
    np.testing.assert_array_equal(
        fitted.predict(voltage_v=volts[None], chip=3)["output_code"],
        fitted.predict(input_code=code, chip=3)["output_code"],
    )
    ideal = 0.1 - 0.1 * np.arange(LAST + 1) / LAST
    assert item.treatment == "approximated"
    assert item.amount == pytest.approx(np.abs(levels - ideal).max(), abs=1e-15)
    fitted.save(tmp_path / "m.h5")
    (alone,) = export_model(tmp_path / "m.h5", ["numpy"], tmp_path / "alone")
    assert "codes_of_row_codes" in (alone / "README.md").read_text()
    macro = runtime.load(alone)
    assert isinstance(macro, runtime.Macro)
    many = np.random.default_rng(11).integers(0, LAST + 1, (50, ROWS))
    np.testing.assert_array_equal(
        macro.codes_of_row_codes(many, chip=2),
        fitted.predict(input_code=many, chip=2)["output_code"],
    )
    for rows in (many[:, :1], many[:, 1:], many[0]):
        with pytest.raises(ValueError, match="do not fit the drivers of 6 rows"):
            macro.codes_of_row_codes(rows)
    for wrong in (many + LAST, many - LAST - 1, many / 2):
        with pytest.raises(ValueError, match="allowed: whole, 0 to 15"):
            macro.codes_of_row_codes(wrong)
    for folder in export_model(tmp_path / "m.h5", ["numpy", "torch", "spice"], tmp_path / "out"):
        said = json.loads((folder / "fidelity.json").read_text())
        kept = {i["quantity"]: i["treatment"] for i in said}
        assert kept["levels of the rows' drivers"] == "approximated"
        assert kept["drivers: population of chips"] == "dropped"
        assert "DAC" not in kept
        found = replay_export(folder)
        assert found.good
        whole = [d for d in found.differences if "code" in d.quantity]
        assert sum(d.compared for d in whole) >= CONVERTERS * 50
