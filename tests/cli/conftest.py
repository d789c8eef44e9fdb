from __future__ import annotations

from pathlib import Path

import pytest
from cli_case import Cli, Ended

from imccircuit.cli.main import run_command


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command line in this process."""
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: object) -> Ended:
        code = run_command([str(item) for item in arguments])
        captured = capsys.readouterr()
        return Ended(int(code), captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def crossbar_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 4 × 3 crossbar, 40 input vectors, nodal."""
    path = tmp_path_factory.mktemp("cli") / "crossbar.h5"
    settings = ["engine=nodal", "circuit.rows=4", "circuit.cols=3", "stimulus.batch=40"]
    arguments = ["run", "crossbar_ir_drop", "-o", str(path)]
    for setting in settings:
        arguments += ["--set", setting]
    assert run_command(arguments) == 0
    return path


@pytest.fixture(scope="session")
def adc_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 4-bit converter with capacitors out of ratio, ngspice."""
    path = tmp_path_factory.mktemp("cli") / "adc.h5"
    setting = 'circuit.bit_capacitors=["2 fF", "4.1 fF", "7.9 fF", "16 fF"]'
    assert run_command(["run", "adc_sar8", "-o", str(path), "--set", setting]) == 0
    return path
