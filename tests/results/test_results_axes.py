"""Dimensions with values of their own, and values that are missing on purpose."""

import numpy as np
import xarray

from imccircuit.benches import registry
from imccircuit.benches.bench import Along, Bench, Parameters, Section, Variable
from imccircuit.benches.problem import OperatingPoint, Probe, Problem
from imccircuit.engines.contract import Status
from imccircuit.nodal.array import ResistiveArray
from imccircuit.recipes.load import check_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.results.read import read_results
from imccircuit.sweeps.run import RunOptions, run_plan

VARIABLES = (
    Variable("current", ("voltage",), "A", "current"),
    Variable("energy", ("block",), "J", "energy", missing="not modelled"),
)


def _measure(parameters, variation):
    array = ResistiveArray(np.ones((1, 1)), r_row_ohm=0, r_col_ohm=0, r_driver_ohm=0, r_sense_ohm=0)
    yield Problem(None, OperatingPoint(), (Probe("output_current", ("i(v)",), (1,), 10.0),),
                  array=array, row_voltage_v=np.ones((1, 1)))  # fmt: skip
    volts = parameters.conditions.temperature / 10 * np.arange(3)
    energy = np.array([1e-12, np.nan])
    return {"current": 2 * volts, "energy": energy * (1 if volts[1] < 5 else np.inf)}


def _coordinates(parameters):
    volts = parameters.conditions.temperature / 10 * np.arange(3)
    blocks = np.array(["vref", "logic"], dtype=object)
    return {"voltage": Along(volts, "V", "bit-line voltage"), "block": Along(blocks, "", "block")}


BENCH = Bench("axes", "", Parameters, Section, (), "", lambda _: {"voltage": 3, "block": 2},
              lambda _: VARIABLES, _coordinates, _measure, engines=("nodal",))  # fmt: skip


def run(tmp_path, temperatures, monkeypatch):
    monkeypatch.setitem(registry._BENCHES.modules, "axes", __name__)
    sweep = [{"conditions.temperature": temperatures}]
    recipe = check_recipe(
        "axes", "a.toml", "", {"bench": "axes", "engine": "nodal", "sweep": sweep}
    )
    run_plan(Plan(recipe), tmp_path / "r.h5", RunOptions(jobs=1, mode="fresh"))
    return tmp_path / "r.h5"


def test_axes_with_units_and_names(tmp_path, monkeypatch):
    path = run(tmp_path, ["10 degC"], monkeypatch)
    with xarray.open_dataset(path, engine="h5netcdf") as data:
        np.testing.assert_allclose(data["voltage"].values, [0.0, 1.0, 2.0])
        assert data["voltage"].attrs == {"units": "V", "long_name": "bit-line voltage"}
        assert data["current"].sel(voltage=2.0).item() == 4.0
        assert data["energy"].sel(block="vref").item() == 1e-12
        assert np.isnan(data["energy"].sel(block="logic").item())
        assert data["energy"].attrs["missing"] == "not modelled"
        assert (data["status"] == Status.GOOD).all()


def test_points_with_other_axes_stand_in_groups_of_their_own(tmp_path, monkeypatch):
    path = run(tmp_path, ["10 degC", "20 degC", "10 degC"], monkeypatch)
    first, second = read_results(path).datasets
    assert list(first["point"].values) == [0, 2]
    assert list(second["point"].values) == [1]
    np.testing.assert_allclose(second["voltage"].values, [0.0, 2.0, 4.0])


def test_what_may_be_missing_may_not_be_infinite(tmp_path, monkeypatch):
    path = run(tmp_path, ["60 degC"], monkeypatch)
    assert read_results(path).failures()[0][2:] == ("measurement_failed", "energy is not finite")
