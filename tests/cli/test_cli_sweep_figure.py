"""A variable over a swept key: the lines are the numbers of the results file."""

import numpy as np
import pytest

from imccircuit.cli.main import run_command
from imccircuit.cli.sweep_figure import draw_over
from imccircuit.errors import UsageError
from imccircuit.results.read import read_results


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Three driver resistances times two sizes, two chips."""
    path = tmp_path_factory.mktemp("swept") / "r.h5"
    sweep = (
        'sweep=[{circuit.cols=[2, 3]}, {circuit.driver_resistance=["3 ohm", "1 ohm", "2 kohm"]}]'
    )
    words = ["run", "crossbar_ir_drop", "-o", str(path), "--set", "engine=nodal", "--set", sweep,
             "--set", "circuit.rows=2", "--set", "stimulus.batch=1", "--samples", "2",
             "--set", 'variation.quantities=["conductance"]']  # fmt: skip
    assert run_command(words) == 0
    return read_results(path)


def test_lines_are_means_over_chips_in_order_of_the_key(results):
    figure = draw_over(results, "output_current", "circuit.driver_resistance")
    (ax,) = figure.axes
    assert ax.get_xlabel() == "Driver resistance (kohm)"
    assert len(ax.lines) == 5  # two columns and three columns
    first = results.datasets[0]
    expected = first["output_current"].values[[1, 0, 2], :, 0, 0].mean(axis=1)
    line = next(item for item in ax.lines if item.get_label() == "cols 2, batch 0 col 0")
    np.testing.assert_allclose(line.get_xdata(), [1e-3, 3e-3, 2.0])
    np.testing.assert_allclose(line.get_ydata(), expected * 1e6, rtol=1e-12)


def test_paired_keys_are_one_axis_and_texts_stand_side_by_side(tmp_path):
    path = tmp_path / "r.h5"
    sweep = 'sweep=[{circuit.rows=[2, 4], circuit.cols=[3, 3], circuit.device_card=["rram_techB", "rram_techC"]}]'  # noqa: E501
    words = ["run", "crossbar_ir_drop", "-o", str(path), "--set", "engine=nodal", "--set", sweep]
    assert run_command([*words, "--set", "stimulus.batch=1"]) == 0
    loaded = read_results(path)
    figure = draw_over(loaded, "output_current", "circuit.rows")
    assert [line.get_label() for line in figure.axes[0].lines] == [
        "batch 0 col 0", "batch 0 col 1", "batch 0 col 2",
    ]  # fmt: skip
    with pytest.raises(UsageError, match=r"name one of the swept keys with --over: circuit\.rows"):
        draw_over(loaded, "output_current", "")
    with pytest.raises(UsageError, match=r"'circuit\.cell' was not swept; allowed: circuit\.rows"):
        draw_over(loaded, "output_current", "circuit.cell")
    by_name = draw_over(loaded, "output_current", "circuit.device_card").axes[0]
    assert [tick.get_text() for tick in by_name.get_xticklabels()] == ["rram_techB", "rram_techC"]
    np.testing.assert_array_equal(by_name.lines[0].get_xdata(), [0, 1])


def test_what_cannot_be_drawn(results):
    with pytest.raises(UsageError, match=r"no variable 'x'; allowed: .*output_current"):
        draw_over(results, "x", "circuit.cols")
    with pytest.raises(UsageError, match="is no number that was measured"):
        draw_over(results, "reason", "circuit.cols")


def test_the_verb(results, capsys, tmp_path):
    target = tmp_path / "p.png"
    words = ["plot", str(results.path), "--variable", "output_current", "-o", str(target)]
    assert run_command([*words, "--over", "circuit.driver_resistance"]) == 0
    assert target.stat().st_size > 10_000
    assert run_command(["plot", str(results.path), "--over", "circuit.cols"]) == 1
    assert "--over needs --variable" in capsys.readouterr().err
