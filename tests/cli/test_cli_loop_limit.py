"""The warning that whole conversions contradict static levels."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray
from cli_case import Cli

from imccircuit.cli.loop_limit import loop_warnings


def results(difference, against=None, gate="0.1 LSB", status=((0, 0), (0, 0))):
    """Two points, two samples, three conversions each."""
    arrays = {
        "loop_difference": (("point", "sample", "loop"), np.asarray(difference, dtype=float)),
        "status": (("point", "sample"), np.asarray(status)),
    }
    if against is not None:
        arrays["static_against_loop"] = (("point", "sample"), np.asarray(against, dtype=float))
    gates = {} if gate is None else {"max_error": gate}
    text = json.dumps({"gates": gates})
    data = xarray.Dataset(arrays, coords={"point": [3, 7]})
    return SimpleNamespace(datasets=(data,), provenance=SimpleNamespace(recipe_resolved=text))


def differences(worst):
    found = np.zeros((2, 2, 3))
    found[1, 0, 2] = worst
    return found


def test_within_the_gate_there_is_no_warning():
    assert loop_warnings(results(differences(0.1))) == []
    assert loop_warnings(results(differences(0.1), np.full((2, 2), 0.1))) == []


@pytest.mark.parametrize("gate", ["0.1 LSB", 0.1])
def test_beyond_the_gate_one_line_says_where(gate):
    (line,) = loop_warnings(results(differences(0.25), gate=gate))
    assert "0.25 LSB (point 7, sample 0), 1 of 4 by more than 0.1 LSB (gates.max_error)" in line


def test_the_bracketed_distance_counts_where_it_was_measured():
    against = np.array([[0.0, 0.0], [np.nan, 0.3]])
    (line,) = loop_warnings(results(differences(0.25), against))
    assert "0.3 LSB (point 7, sample 1), 2 of 4" in line


def test_without_a_gate_a_tenth_of_an_lsb_is_allowed():
    assert loop_warnings(results(differences(0.09), gate=None)) == []
    (line,) = loop_warnings(results(differences(0.11), gate=None))
    assert "gates" not in line


def test_what_failed_does_not_count():
    assert loop_warnings(results(differences(0.5), status=((0, 0), (8, 0)))) == []


@pytest.mark.ngspice
def test_run_and_show_say_it(cli: Cli, tmp_path: Path) -> None:
    """A latch's kick is 1e-3 LSB of 2 bits: with a gate below that, both say so."""
    out = tmp_path / "a.h5"
    settings = ("circuit.bits=2", "circuit.unit_capacitor=64 fF", "circuit.comparator=strongarm",
                "stimulus.loop_tolerance=2e-4 LSB", "stimulus.energy_inputs=0",
                "gates.max_error=1e-5 LSB")  # fmt: skip
    ran = cli("run", "adc_sar8", *(f"--set={setting}" for setting in settings), "-o", out)
    assert ran.code == 0
    words = "warning: closed loop and static levels differ by"
    assert words in ran.err
    assert words in cli("show", out).out
    (line,) = json.loads(cli("show", out, "--json").out)["warnings"]
    assert line.startswith(words)
