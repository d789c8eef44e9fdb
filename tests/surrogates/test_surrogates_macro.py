"""A macro's surrogate on files of known origin: parts and the whole from plain numpy."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.stats import norm
from synthetic import write
from synthetic_macro import BATCH, BITS, COLS, CONVERTERS, LSB, ROWS, SETTINGS, macro_chip, results

from imccircuit.errors import FileFormatError, UsageError
from imccircuit.exporters.export import export_model
from imccircuit.metrics.adc import compute_tree_levels
from imccircuit.results.read import read_results
from imccircuit.surrogates.base import Surrogate
from imccircuit.surrogates.domain import DomainWarning
from imccircuit.surrogates.files import load_model
from imccircuit.surrogates.fit import check, fit_results
from imccircuit.surrogates.macro import MacroSurrogate
from imccircuit.surrogates.macro_compose import Composition
from imccircuit.surrogates.testing import SurrogateContract

WRITTEN: list[Path] = []


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Surrogate:
    path = results(tmp_path_factory.mktemp("macro") / "r.h5")
    WRITTEN[:] = [path]
    return fit_results(path)


class TestMacro(SurrogateContract):
    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, fitted: Surrogate) -> Surrogate:
        return fitted

    @pytest.fixture
    def inputs(self) -> dict[str, Any]:
        return {"input": np.random.default_rng(9).random((7, ROWS)), "chip": 3}

    @pytest.fixture
    def draws(self) -> bool:
        return True

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {
            "output_code": (7, CONVERTERS),
            "sampled_voltage_v": (7, CONVERTERS),
            "output_current_a": (7, COLS),
        }

    def carried(self) -> dict[str, str]:
        return {"latency": "s"}

    def outside(self) -> dict[str, Any]:
        return {"voltage_v": np.full((1, ROWS), 0.2)}

    def refused(self) -> tuple[dict[str, Any], ...]:
        row = np.full((1, ROWS), 0.5)
        return ({}, {"input": row, "chip": 99}, {"input": row[:, 1:]},
                {"input": row, "voltage_v": row / 20})  # fmt: skip

    def fitted_results(self, model: Surrogate) -> Path:
        (path,) = WRITTEN
        return path

    def other_results(self, folder: Path) -> Path:
        return results(folder / "others.h5", seed=21, chips=2)

    def spoil(self) -> str:
        return "converter_1.transition_level"


def test_parts_that_are_fitted_alone_give_the_codes_of_the_whole(fitted: Surrogate) -> None:
    verdict = fitted.verdict
    assert verdict.state == "pass", str(verdict)
    assert verdict.chips == 5
    # The dense solution and ours agree to 1e-9 of the currents, here to a nanovolt or so.
    assert verdict.errors[0].max < 1e-6 * LSB
    assert "part array, converter_0, converter_1: pass" in " ".join(verdict.notes)


def test_converters_of_all_columns_are_one_population(fitted: MacroSurrogate) -> None:
    """12 chips of 2 converters, 5 chips held out: mean and covariance of the 14 others."""
    parts = fitted.parts.converters
    seen = np.concatenate(
        [
            np.column_stack([part.array("bit_weight"), part.array("level_offset")])[
                part.array("held_out") == 0
            ]
            for part in parts
        ]
    )
    assert len(seen) == 14
    for part in parts:
        assert part.value("fitted_chips") == 14
        assert part.verdict.chips == 10
        np.testing.assert_allclose(part.array("population_mean"), seen.mean(axis=0), rtol=1e-12)
        own = np.cov(seen, rowvar=False)
        np.testing.assert_allclose(part.array("population_covariance"), own, rtol=1e-9, atol=1e-18)
        assert "2 converters of each chip" in part.verdict.notes[-1]
    # Each has the levels of its own column: as measured, for this converter is what the law says.
    with h5py.File(WRITTEN[0]) as file:
        measured = file["transition_level"][0]
    for j, part in enumerate(parts):
        np.testing.assert_allclose(part.levels_v(0), measured[0, j], atol=1e-9)
        assert part.array("sample").tolist() == list(range(12))


def test_a_part_carries_what_a_conversion_costs(fitted: Surrogate, tmp_path: Path) -> None:
    """Six of seven blocks at 1 fJ each; a whole that was not measured has no energy."""
    model = fit_results(results(tmp_path / "r.h5", costs=1.0))
    assert isinstance(model, MacroSurrogate)
    for part in model.parts.converters:
        energy = part.model.parameters["energy"]
        assert energy.value == pytest.approx(6e-15, abs=1e-27)
        assert "without common_mode: not modelled" in energy.note
        assert part.value("latency") == pytest.approx(60e-9, abs=1e-20)
        assert "area" not in part.model.parameters
    assert not {"energy", "area"} & set(model.model.parameters)
    assert "converter_0.energy" not in fitted.model.parameters


def test_the_whole_carries_energy_and_area_of_its_parts(tmp_path: Path) -> None:
    rng, power = np.random.default_rng(2), 1e-6 * np.linspace(1, 3, BATCH)
    chips = [{**macro_chip(rng, costs=1.0, area=5e-10), "array_power": power} for _ in range(12)]
    settings = (*SETTINGS, "stimulus.energy_inputs=2")
    model = fit_results(write(tmp_path / "r.h5", "macro_sar8", settings, chips))
    # 2 uW for 66 ns, and six blocks of 1 fJ in each of two converters.
    assert model.value("array.power") == pytest.approx(2e-6, abs=1e-18)
    assert model.value("array.energy") == pytest.approx(132e-15, abs=1e-25)
    energy = model.model.parameters["energy"]
    assert energy.value == pytest.approx(144e-15, abs=1e-25)
    assert "without front ends: not modelled" in energy.note
    assert "without common_mode: not modelled" in energy.note
    area = model.model.parameters["area"]
    assert (area.unit, area.value) == ("m**2", pytest.approx(1e-9, abs=1e-21))
    assert area.note == "2 converters, counted; without array and front ends: not counted"
    model.save(tmp_path / "m.h5")
    (folder,) = export_model(tmp_path / "m.h5", ["zigzag"], tmp_path / "out")
    found = json.loads((folder / "costs.json").read_text())
    given = {name: found[name]["energy_j"] for name in ("macro", "array", "adc")}
    assert given == pytest.approx({"macro": 144e-15, "array": 132e-15, "adc": 6e-15}, abs=1e-25)
    given = {name: found[name]["area_m2"] for name in ("macro", "adc")}
    assert given == pytest.approx({"macro": 1e-9, "adc": 5e-10}, abs=1e-21)
    assert found["array"]["area_m2"] is None


def test_copies_of_one_macro_are_one_chip(tmp_path: Path) -> None:
    chip = macro_chip(np.random.default_rng(3))
    model = fit_results(write(tmp_path / "r.h5", "macro_sar8", SETTINGS, [chip] * 12))
    assert isinstance(model, MacroSurrogate)
    assert model.chips == 1


def test_one_column_with_a_curvature_leaves_no_other_without_decisions(tmp_path: Path) -> None:
    """Columns that share capacitors are fitted apart; exports take all of them or none."""
    rng, code = np.random.default_rng(3), np.arange(1, 2**BITS)
    bow = 0.2 * LSB * 4 * (code / 2**BITS) * (1 - code / 2**BITS)
    chips = [macro_chip(rng) for _ in range(12)]
    for chip in chips:
        chip["forced_level"] = chip["forced_level"] + np.stack([np.zeros_like(bow), bow])
        chip["transition_level"] = compute_tree_levels(chip["forced_level"], BITS)
        chip["converter_noise"] = LSB * np.array([0.1, 0.7])
    shared = ("circuit.converter.group_size=2", "circuit.converter.columns=3")
    model = fit_results(write(tmp_path / "r.h5", "macro_sar8", (*SETTINGS, *shared), chips))
    assert isinstance(model, MacroSurrogate)
    parts = model.parts.converters
    assert ["shared_level" in part.model.arrays for part in parts] == [False, True]
    for j, part in enumerate(parts):
        found = part.array("decision_level")
        np.testing.assert_allclose(found, [c["forced_level"][j] for c in chips], rtol=0, atol=1e-12)
        # One noise for all: the mean power, (0.01 + 0.49)/2.
        assert part.value("noise_sampled") == pytest.approx(0.5 * LSB, abs=1e-12)


def test_converters_are_noisy_where_a_seed_is_given(fitted: MacroSurrogate) -> None:
    inputs = np.repeat(np.random.default_rng(4).random((1, ROWS)), 4000, axis=0)
    quiet = fitted.predict(input=inputs, chip=3)
    noisy = fitted.predict(input=inputs, chip=3, seed=5)
    # Each code as often as a normal law puts the input between its levels: 5 σ of a binomial count.
    for j, part in enumerate(fitted.parts.converters):
        v = quiet["sampled_voltage_v"][0, j]
        share = np.diff(norm.cdf([-np.inf, *part.levels_v(3), np.inf], v, 0.3 * LSB))
        found = np.bincount(noisy["output_code"][:, j], minlength=2**BITS) / 4000
        assert np.all(np.abs(found - share) <= 5 * np.sqrt(share * (1 - share) / 4000) + 1e-9)
    assert not np.array_equal(noisy["output_code"][:, 0], noisy["output_code"][:, 1])
    parts = [fitted.predict(input=inputs[k : k + 2000], chip=3, seed=5, first_index=k)
             for k in (0, 2000)]  # fmt: skip
    np.testing.assert_array_equal(
        np.concatenate([part["output_code"] for part in parts]), noisy["output_code"]
    )
    assert "converters: where a seed is given" in fitted.domain["noise"]
    with pytest.raises(UsageError, match="noise of other converters is not known"):
        fitted.predict(
            input=inputs, seed=5, transition_level=[p.levels_v(1) for p in fitted.parts.converters]
        )


def test_converters_that_share_capacitors_are_judged_apart(tmp_path: Path) -> None:
    settings = (*SETTINGS, "circuit.converter.group_size=2", "circuit.converter.columns=3")
    model = fit_results(results(tmp_path / "r.h5", settings=settings))
    assert isinstance(model, MacroSurrogate)
    one, other = model.parts.converters
    assert one.value("fitted_chips") == 7
    assert not np.array_equal(one.array("population_mean"), other.array("population_mean"))


def test_an_error_that_only_the_whole_has_is_in_the_verdict(tmp_path: Path) -> None:
    """A load moves every sampled voltage by 0.4 LSB: no part alone shows it."""
    verdict = fit_results(results(tmp_path / "r.h5", moved_v=0.4 * LSB)).verdict
    assert verdict.state == "fail"
    assert not any(gate.holds for gate in verdict.gates), str(verdict)
    of_model, of_chain = verdict.errors
    assert of_model.rms == pytest.approx(0.4 * LSB, abs=1e-4 * LSB)
    assert of_chain.rms == pytest.approx(0.4 * LSB, abs=1e-9 * LSB)


def test_codes_that_the_levels_do_not_explain_are_an_error(tmp_path: Path) -> None:
    """The whole samples what it should, and gives the next code: a reference that gave way."""
    rng = np.random.default_rng(2)
    table = [macro_chip(rng) for _ in range(12)]
    for chip in table:
        chip["output_code"] = chip["output_code"] + 1
    verdict = fit_results(write(tmp_path / "r.h5", "macro_sar8", SETTINGS, table)).verdict
    assert verdict.state == "fail"
    # From inside a code's interval to its end: rms of a uniform number is 1/√3 of an LSB, and 100
    # of them tell that to a tenth.
    assert verdict.errors[0].rms / LSB == pytest.approx(3**-0.5, abs=0.06)


def test_a_smaller_error_is_predicted_not_excused(tmp_path: Path, fitted: Surrogate) -> None:
    """0.05 LSB of common error keeps the first gate; the count and the distance judge the rest."""
    moved = results(tmp_path / "r.h5", moved_v=0.05 * LSB, seed=11)
    verdict = check(fitted, read_results(moved))
    assert verdict.errors[0].rms == pytest.approx(0.05 * LSB, abs=1e-3 * LSB)
    gates = {gate.name.split(",")[0]: gate for gate in verdict.gates}
    assert gates["input_error"].holds
    assert gates["transition_distance"].value <= 0.05 * 1.001


def test_chips_that_the_fit_never_saw_are_judged(tmp_path: Path, fitted: Surrogate) -> None:
    verdict = check(fitted, read_results(results(tmp_path / "r.h5", seed=12, chips=3)))
    assert (verdict.state, verdict.chips) == ("pass", 3)


def test_few_chips_are_not_judged(tmp_path: Path) -> None:
    model = fit_results(results(tmp_path / "r.h5", chips=4))
    assert model.verdict.state == "not judged"
    assert "too few" in model.verdict.reason
    # Its own gates, not those of its parts.
    gates = "input_error <= 0.1 LSB, transition_distance <= 0.3 LSB"
    assert model.verdict.notes[-1] == f"gates that were not judged: {gates}"


def test_a_part_below_its_gate_fails_the_whole(tmp_path: Path, fitted: MacroSurrogate) -> None:
    """Exact codes on these inputs do not excuse a part that its own verdict failed."""
    part = "converter_1"
    own = json.loads(fitted.model.settings[f"{part}.verdict"])
    spoilt = json.dumps({**own, "state": "fail", "reason": "max_error: 2 LSB exceeds 1 LSB"})
    model = MacroSurrogate(
        replace(fitted.model, settings={**fitted.model.settings, f"{part}.verdict": spoilt})
    )
    verdict = check(model, read_results(results(tmp_path / "r.h5", seed=12, chips=3)))
    assert all(gate.holds for gate in verdict.gates)
    assert verdict.state == "fail"
    assert verdict.reason == "part converter_1 failed: max_error: 2 LSB exceeds 1 LSB"
    assert "part converter_1: fail (max_error: 2 LSB exceeds 1 LSB)" in verdict.notes
    array = fitted.parts.array.verdict
    assert f"part array, converter_0: {array.state} ({array.reason})" in verdict.notes


def test_results_of_another_shape_are_refused(tmp_path: Path, fitted: Surrogate) -> None:
    settings = [s.replace("converters=2", "converters=1") for s in SETTINGS]
    rng = np.random.default_rng(1)
    chip = macro_chip(rng)
    for name in ("output_code", "sampled_voltage"):
        chip[name] = chip[name][:, :1]
    for name in ("forced_level", "transition_level", "null_residual", "bit_capacitor",
                 "comparator_offset", "latch_offset", "converter_energy", "converter_noise",
                 "converter_latency", "converter_area"):  # fmt: skip
        chip[name] = chip[name][:1]
    other = write(tmp_path / "r.h5", "macro_sar8", settings, [chip])
    with pytest.raises(UsageError, match="with converters 1, the model one with 2"):
        check(fitted, read_results(other))


def test_a_part_that_is_not_whole_is_refused(tmp_path: Path, fitted: Surrogate) -> None:
    fitted.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "a") as file:
        del file["arrays/converter_1.bit_weight"]
    with pytest.raises(FileFormatError, match=r"converter_1\.bit_weight"):
        load_model(tmp_path / "m.h5")


def test_columns_draw_converters_of_their_own(fitted: Surrogate) -> None:
    drawn = fitted.sample_chips(4, seed=3)
    levels = drawn["transition_level"]
    assert levels.shape == (4, CONVERTERS, 2**BITS - 1)
    middle = np.stack([fitted.parts.converters[j].levels_v(0) for j in range(CONVERTERS)])
    assert not np.allclose(*np.moveaxis(levels - middle, 1, 0), atol=1e-5)
    found = fitted.predict(
        input=np.full((1, ROWS), 0.5), transition_level=levels[1],
        input_offset_v=drawn["input_offset"][1], output_offset_v=drawn["output_offset"][1],
    )  # fmt: skip
    assert found["output_code"].shape == (1, CONVERTERS)


@pytest.mark.parametrize("signed", ["differential", "offset"])
def test_an_integer_product_is_as_wrong_as_the_converters_steps(
    fitted: MacroSurrogate, signed: Any
) -> None:
    """Bit-serial one-bit digits: a column's sum is 0 to 6, and a code is less than one of it."""
    rng = np.random.default_rng(6)
    layout = Composition(3, 3, 1, 1, signed)
    x, w = rng.integers(0, 8, (5, ROWS)), rng.integers(-3, 4, (ROWS, 4))
    found = fitted.matrix_product(x, w, layout)
    # A cell that is on adds 30 kohm · 0.1 V · 38.3 uS = 0.115 V, 3.7 codes. Half a code, offsets
    # and levels of 5 mV, and wires of 0.5 % of 0.8 V: 0.2 of a sum; times the weights of three
    # passes (7), of two or three slices, and of two halves or one.
    most = 0.25 * 7 * (7 if signed == "offset" else 2 * 3)
    assert np.max(np.abs(found - x @ w)) <= most
    assert np.corrcoef(found.ravel(), (x @ w).ravel())[0, 1] > 0.9
    with pytest.raises(UsageError, match="rows of weights"):
        fitted.matrix_product(np.ones((1, 9), int), np.ones((9, 1), int), layout)


def test_conductances_outside_the_domain_warn_once_or_are_refused(fitted: MacroSurrogate) -> None:
    fresh = MacroSurrogate(fitted.model)
    g, drive = fresh.parts.array.conductance_s(), np.full((1, ROWS), 0.05)
    with pytest.warns(DomainWarning, match="conductance_s of .* is outside"):
        fresh.predict(voltage_v=drive, conductance_s=1000 * g)
    fresh.predict(voltage_v=drive, conductance_s=1000 * g)  # a second warning would be an error
    with pytest.raises(UsageError, match="conductance_s of"):
        fresh.predict(voltage_v=drive, conductance_s=1000 * g, strict=True)
    # What the card may program is inside, and so are rows at rest on the bias.
    for name in ("off_conductance", "on_conductance"):
        programmed = np.full_like(g, fresh.value(name))
        fresh.predict(input=np.zeros((1, ROWS)), conductance_s=programmed, strict=True)
    assert fresh.domain["drive voltage"] == "0 V to 100 mV, at rest, on a bias of 100 mV"
    assert fresh.limits["voltage_v"] == pytest.approx((0.0, 0.1), abs=1e-15)
