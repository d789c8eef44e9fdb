"""Fifty fresh SPICE chips against the law of independent units, and against wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import test_surrogates_statistics as law

from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.results.read import read_results
from imccircuit.surrogates.statistics import check_statistics
from imccircuit.sweeps.run import RunOptions, run_plan

CHIPS = 50


@pytest.mark.long
@pytest.mark.ngspice
def test_fifty_spice_chips_fit_their_law_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5 bits, units of 2 fF ± 2 %, offset σ 2 mV, levels by the null method and one conversion.

    The offset at the input is V_os·(C_a + C_p)/C_a with C_a = 64 fF and C_p = 40 fF.
    """
    settings = [
        f"circuit.bits={law.BITS}", f"variation.samples={CHIPS}", "variation.seed=3",
        "stimulus.loop_input=[0.5]",
    ]  # fmt: skip
    path = tmp_path / "fresh.h5"
    summary = run_plan(Plan(load_recipe("adc_sar8_mismatch", settings)), path, RunOptions(jobs=1))
    assert summary.failed == 0
    monkeypatch.setattr(law, "SIGMA", 0.02)
    monkeypatch.setattr(law, "OFFSET", 2e-3 * (64 + 40) / 64)
    fresh = read_results(path)
    right = check_statistics(law.known(tmp_path), fresh)
    # Of 50 chips a σ is uncertain by 10 % and its interval reaches beyond the band: never "agrees".
    assert (right.state, right.chips) == ("open", CHIPS), str(right)
    assert right.test is not None
    assert right.test.p_value > 0.01
    # A third too small or large is 3 or more of those 10 %.
    for factor in (0.67, 1.5):
        wrong = check_statistics(law.known(tmp_path, factor), fresh)
        assert wrong.state == "disagrees", str(wrong)
