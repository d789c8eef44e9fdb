"""What `fit` and `check` say of results whose run was interrupted."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from cli_case import Cli

from imccircuit.engines.contract import Status

SAMPLES = 12


@pytest.fixture
def interrupted(cli: Cli, tmp_path: Path) -> Path:
    """Three points of twelve chips; two chips of point 1 and all of point 2 were never run."""
    path = tmp_path / "r.h5"
    settings = ["engine=nodal", "circuit.cols=3", "stimulus.batch=12",
                "sweep=[{circuit.sense_resistance=['1 ohm', '2 ohm', '3 ohm']}]",
                f"variation.samples={SAMPLES}", "circuit.rows=4"]  # fmt: skip
    arguments = [item for setting in settings for item in ("--set", setting)]
    assert cli("run", "crossbar_ir_drop", "-o", path, *arguments).code == 0
    with h5py.File(path, "r+") as file:
        file.attrs["complete"] = 0
        status = file["status"]
        status[1, :2] = Status.NOT_RUN
        status[2] = Status.NOT_RUN
        for name, variable in file.items():
            if not isinstance(variable, h5py.Dataset) or variable.shape[:2] != status.shape:
                continue
            if variable.dtype.kind == "f":
                values = variable[()]
                values[status[()] != Status.GOOD] = np.nan
                file[name][...] = values
    return path


GO_ON = "; go on with the command that began it and --resume\n"


def test_a_fit_says_what_is_missing(cli: Cli, interrupted: Path) -> None:
    model = interrupted.with_name("m.h5")
    ended = cli("fit", interrupted, "--point", 1, "-o", model)
    assert ended.err == (
        f"imccircuit: {interrupted} is unfinished: 2 of 12 chips of point 1 were not run, "
        f"14 of 36 of all points{GO_ON}"
    )
    assert model.exists()
    whole = cli("fit", interrupted, "--point", 0, "-o", model)
    assert "0 of 12 chips of point 0 were not run" in whole.err
    again = cli("check", model, "--against", interrupted, "--point", 0)
    assert again.err == whole.err


def test_a_point_that_was_never_run(cli: Cli, interrupted: Path) -> None:
    ended = cli("fit", interrupted, "--point", 2)
    assert ended.code == 1
    assert ended.err == (
        f"imccircuit: no chip of point 2 is good: {interrupted} is unfinished: 12 of 12 chips of "
        f"point 2 were not run, 14 of 36 of all points{GO_ON}"
    )


def test_a_whole_file_says_nothing(cli: Cli, crossbar_results: Path, tmp_path: Path) -> None:
    assert cli("fit", crossbar_results, "-o", tmp_path / "m.h5").err == ""
