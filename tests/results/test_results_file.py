"""The results file: its schema, seen by h5py, xarray and pandas, and files that are none."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imccircuit.benches.bench import Variable
from imccircuit.engines.contract import Status
from imccircuit.errors import FileFormatError, StorageError
from imccircuit.recipes.load import check_recipe, load_recipe, recipe_of_results
from imccircuit.recipes.plan import Plan
from imccircuit.results.read import read_results
from imccircuit.results.schema import Coordinate, Provenance, ShapeGroup, TaskRecord
from imccircuit.results.write import write_results
from imccircuit.sweeps.run import RunOptions, run_plan

VARIABLES = (
    Variable("level", ("code",), "V", "a level"),
    Variable("count", ("code",), "1", "a count", "int"),
    Variable("scalar", (), "LSB", "a number"),
)
PROVENANCE = Provenance(
    recipe_name="r",
    recipe_text="bench = 'x'\n" + "# long\n" * 20_000,  # beyond the 64 KiB of an attribute
    recipe_resolved="{}",
    inputs={"circuit.g": np.arange(6.0).reshape(2, 3)},
    bench="adc_transfer",
    title="",
    seed=2**70,
    digest="0" * 64,
    file_hashes={"a.toml": "1" * 64},
    versions={"engine": "ngspice"},
)


def group(points, codes=3, swept=None):
    return ShapeGroup(
        points=np.array(points),
        sizes={"code": codes},
        variables=VARIABLES,
        coordinates={"code": np.arange(1, codes + 1)},
        swept=swept or {},
    )


def good(point, sample, codes=3):
    value = 100.0 * point + sample
    arrays = {
        "level": value + np.arange(codes),
        "count": np.full(codes, point, dtype=np.int32),
        "scalar": np.asarray(value),
    }
    return TaskRecord(point, sample, Status.GOOD, deck_sha256="ab cd", arrays=arrays)


def write(path, groups, samples, records, complete=True):
    write_results(path, groups, samples, records, PROVENANCE, {"host": "h"}, complete=complete)


@pytest.fixture
def path(tmp_path):
    """Two points, two samples; one failed, one not run."""
    path = tmp_path / "r.h5"
    swept = {
        "circuit.cycle_time": Coordinate(np.array([1e-9, 2e-9]), "s"),
        "circuit.cell": Coordinate(np.array(["a", "b"], dtype=object), ""),
    }
    records = [
        good(1, 1),
        TaskRecord(0, 1, Status.NO_CONVERGENCE, "no µA"),
        good(0, 0),
    ]
    write(path, [group([0, 1], swept=swept)], 2, records, complete=False)
    return path


def test_h5py_sees_the_schema(path):
    with h5py.File(path) as file:
        assert file.attrs["schema"] == "imccircuit-results-1"
        assert file.attrs["complete"] == 0
        assert file.attrs["title"] == "r"
        assert file["level"].shape == (2, 2, 3)
        assert [dim[0].name for dim in file["level"].dims] == ["/point", "/sample", "/code"]
        assert file["level"].attrs["units"] == "V"
        assert file["level"].attrs["long_name"] == "a level"
        assert np.isnan(file["level"].attrs["_FillValue"])
        assert file["count"].dtype == np.int32
        assert file["count"].attrs["_FillValue"] == -1
        assert file["status"].dtype == np.int8
        assert file["status"].attrs["_FillValue"] == -1
        meanings = file["status"].attrs["flag_meanings"].split()
        flags = file["status"].attrs["flag_values"]
        assert dict(zip(meanings, flags, strict=True)) == {s.name.lower(): s for s in Status}
        np.testing.assert_array_equal(file["status"], [[0, 2], [1, 0]])
        np.testing.assert_array_equal(file["level"][0, 0], [0, 1, 2])
        np.testing.assert_array_equal(file["level"][1, 1], [101, 102, 103])
        assert np.isnan(file["level"][0, 1]).all()
        assert np.isnan(file["scalar"][1, 0])
        np.testing.assert_array_equal(file["count"][0, 1], [-1, -1, -1])
        assert file["reason"][0, 1].decode() == "no µA"
        assert file["circuit.cycle_time"].attrs["units"] == "s"
        assert file["inputs/circuit.g"][1, 2] == 5.0
        assert file["provenance/recipe_text"][()].decode() == PROVENANCE.recipe_text
        assert file["provenance/seed"][()].decode() == str(2**70)
        assert json.loads(file["provenance/versions"][()]) == {"engine": "ngspice"}
        assert dict(file["run"].attrs)["host"] == "h"
        for name, item in file.items():
            if isinstance(item, h5py.Dataset) and item.attrs.get("NAME", b"")[:4] != b"This":
                assert item.attrs["long_name"], name
                assert item.dtype.kind == "O" or item.attrs["units"], name


def test_plain_xarray_reads_it(path):
    with xarray.open_dataset(path, engine="h5netcdf") as data:
        assert data["level"].dims == ("point", "sample", "code")
        assert set(data["level"].coords) == {
            "point", "sample", "code", "circuit.cycle_time", "circuit.cell"}  # fmt: skip
        assert data["circuit.cycle_time"].dtype == float
        assert list(data["circuit.cell"].values) == ["a", "b"]
        assert data["level"].sel(code=2).values[1, 1] == 102
        assert data["code"].dtype.kind == "i"
        assert np.isnan(data["count"].values[0, 1]).all()  # xarray masks the fill value
    with xarray.open_dataset(path, engine="h5netcdf", group="provenance") as data:
        assert str(data["recipe_name"].values) == "r"


def test_pandas_reads_it(path):
    frame = read_results(path).dataset["level"].to_dataframe()
    assert list(frame.index.names) == ["point", "sample", "code"]
    assert frame.loc[(1, 1, 3), "level"] == 103
    assert frame.loc[(1, 1, 3), "circuit.cell"] == "b"
    assert frame["level"].isna().sum() == 6


def test_read_results_by_text(path):
    assert read_results(str(path)).path == path


def test_read_results(path):
    results = read_results(path)
    assert not results.complete
    assert results.failures() == [(0, 1, "no_convergence", "no µA"), (1, 0, "not_run", "")]
    assert results.dataset["count"].values[0, 1, 0] == -1
    assert results.dataset["count"].dtype == np.int32
    assert results.run["host"] == "h"
    provenance = results.provenance
    assert (provenance.seed, provenance.file_hashes) == (2**70, {"a.toml": "1" * 64})
    np.testing.assert_array_equal(provenance.inputs["circuit.g"], PROVENANCE.inputs["circuit.g"])


def test_shape_groups(tmp_path):
    path = tmp_path / "r.h5"
    groups = [group([0, 2], codes=3), group([1], codes=5)] + [
        group([k], codes=k) for k in range(6, 16)
    ]
    write(path, groups, 1, [good(1, 0, 5), good(2, 0, 3), good(12, 0, 12)])
    results = read_results(path)
    assert [list(d["point"].values) for d in results.datasets[:3]] == [[0, 2], [1], [6]]
    assert list(results.datasets[8]["point"].values) == [12]  # shape_10 comes after shape_9
    assert results.datasets[1]["level"].values[0, 0, 4] == 104
    assert results.failures()[0] == (0, 0, "not_run", "")
    assert [point for point, *_ in results.failures()] == [0, *[k for k in range(6, 16) if k != 12]]
    with pytest.raises(FileFormatError, match="points have 12 shapes"):
        _ = results.dataset
    with xarray.open_dataset(path, engine="h5netcdf", group="shape_1") as data:
        assert data.sizes["code"] == 5


@pytest.mark.parametrize("samples", [1, 4])
@pytest.mark.parametrize("block", [1, 3, 1000])
def test_any_order_and_any_block_give_the_same_values(tmp_path, monkeypatch, samples, block):
    from imccircuit.results import write as module

    monkeypatch.setattr(module, "_BLOCK_RECORDS", block)
    tasks = [(p, s) for p in range(7) for s in range(samples)]
    order = np.random.default_rng(0).permutation(len(tasks))[: len(tasks) - 2]
    records = []
    for index in order:
        point, sample = tasks[index]
        bad = index % 5 == 0
        bad_record = TaskRecord(point, sample, Status.TIMEOUT, "late")
        records.append(bad_record if bad else good(point, sample))
    path = tmp_path / "r.h5"
    write(path, [group([0, 2, 4, 6]), group([1, 3, 5])], samples, records, complete=False)
    expected = {(r.point, r.sample): r for r in records}
    seen = 0
    for data in read_results(path).datasets:
        for row, point in enumerate(data["point"].values):
            for sample in range(samples):
                record = expected.get((int(point), sample))
                status = Status.NOT_RUN if record is None else record.status
                assert data["status"].values[row, sample] == status
                value = data["level"].values[row, sample]
                if status is Status.GOOD:
                    np.testing.assert_array_equal(value, record.arrays["level"])
                    assert data["deck_sha256"].values[row, sample] == "ab cd"
                else:
                    assert np.isnan(value).all()
                    assert data["reason"].values[row, sample] == (record.reason if record else "")
                seen += 1
    assert seen == len(tasks)


def test_ten_thousand_chips_are_written_in_seconds(tmp_path):
    import time

    started = time.process_time()
    write(tmp_path / "r.h5", [group([0])], 10_000, (good(0, k) for k in range(10_000)))
    # 0.5 s on the machine this was written on; one write a record took 30 s.
    assert time.process_time() - started < 10
    assert read_results(tmp_path / "r.h5").dataset["scalar"].values[0, 9_999] == 9_999


# -- from a run --------------------------------------------------------------------------------


def test_dims_and_names_of_the_benches(tmp_path):
    sets = ["engine=nodal", "circuit.rows=4", "circuit.cols=3", "stimulus.batch=2"]
    run_plan(Plan(load_recipe("crossbar_ir_drop", sets)), tmp_path / "x.h5", RunOptions(jobs=1))
    data = read_results(tmp_path / "x.h5").dataset
    assert data["output_current"].dims == ("point", "sample", "batch", "col")
    assert data["cell_voltage"].dims == ("point", "sample", "batch", "row", "col")
    assert data["cell_voltage"].shape == (1, 1, 2, 4, 3)
    adc = Plan(load_recipe("adc_sar8"))
    dims = {v.name: ("point", "sample", *v.dims) for v in adc.groups[0].variables}
    assert dims["transition_level"] == ("point", "sample", "code")
    assert dims["loop_code"] == ("point", "sample", "loop")
    assert list(adc.groups[0].coordinates["code"][[0, -1]]) == [1, 255]


def test_a_file_makes_its_plan_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", g=np.full((2, 3), 1e-6), h=np.full((2, 4), 1e-6))
    sweep = 'sweep=[{"circuit.conductances"=["a.npz:g","a.npz:h"]}]'
    plan = Plan(load_recipe("crossbar_ir_drop", ["engine=nodal", sweep, "variation.samples=2"]))
    run_plan(plan, Path("r.h5"), RunOptions(jobs=1))
    results = read_results(Path("r.h5"))
    Path("a.npz").unlink()
    again = Plan(recipe_of_results(results))
    assert again.digest == plan.digest == results.provenance.digest
    assert again.tasks == 4
    assert results.complete
    np.testing.assert_array_equal(again.parameters(1).circuit.conductances, np.full((2, 4), 1e-6))
    assert {"engine", "version", "solver", "imccircuit", "numpy", "pyspice"} <= set(
        results.provenance.versions
    )


# -- files that cannot be ----------------------------------------------------------------------


def refusal(path):
    with pytest.raises(FileFormatError) as caught:
        read_results(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_missing_and_foreign_files(tmp_path):
    assert "no such results file" in refusal(tmp_path / "none.h5")
    assert "no such results file" in refusal(tmp_path)
    assert refusal(tmp_path / ("x" * 500))
    (tmp_path / "text.h5").write_text("hello")
    assert "not a whole results file" in refusal(tmp_path / "text.h5")
    (tmp_path / "empty.h5").write_bytes(b"")
    assert "not a whole results file" in refusal(tmp_path / "empty.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.ones(3)
    assert "schema None is not 'imccircuit-results-1'" in refusal(tmp_path / "other.h5")
    with h5py.File(tmp_path / "array.h5", "w") as file:
        file.attrs["schema"] = np.arange(100)
    assert refusal(tmp_path / "array.h5")
    with h5py.File(tmp_path / "newer.h5", "w") as file:
        file.attrs["schema"] = "imccircuit-results-9"
    assert "'imccircuit-results-9' is not" in refusal(tmp_path / "newer.h5")


@pytest.mark.parametrize("missing", ["provenance", "inputs", "run", "status"])
def test_a_part_is_missing(path, missing):
    with h5py.File(path, "a") as file:
        del file[missing]
    refusal(path)


@settings(max_examples=40, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(share=st.floats(0, 0.999))
def test_a_torn_file_is_one_line(path, share):
    content = path.read_bytes()
    torn = path.with_name("torn.h5")
    torn.write_bytes(content[: int(share * len(content))])
    refusal(torn)


def test_nothing_is_left_when_writing_fails(tmp_path):
    path = tmp_path / "r.h5"
    write(path, [group([0])], 1, [good(0, 0)])
    before = path.read_bytes()

    def torn():
        yield good(0, 0)
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match=r"r\.h5 cannot be written: No space left on device"):
        write(path, [group([0])], 1, torn())
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["r.h5"]


@pytest.mark.parametrize("mode", ["new", "resume", "fresh"])
def test_a_folder_that_cannot_be_written(mode):
    plan = Plan(check_recipe("r", "r.toml", "", {"bench": "crossbar_mvm", "engine": "nodal"}))
    with pytest.raises(StorageError, match=r"/proc/none/r\.h5\.work cannot be written"):
        run_plan(plan, Path("/proc/none/r.h5"), RunOptions(jobs=1, mode=mode))


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write(tmp_path / "file" / "r.h5", [group([0])], 1, [good(0, 0)])
