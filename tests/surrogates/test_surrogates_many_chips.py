"""Two hundred SPICE chips against the spread that independent unit capacitors must give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.results.read import read_results
from imccircuit.surrogates.fit import fit_results
from imccircuit.sweeps.run import RunOptions, run_plan


@pytest.mark.long
@pytest.mark.ngspice
def test_spread_of_two_hundred_chips(tmp_path: Path) -> None:
    """6 bits, units of 2 fF ± 2 %, offset σ 2 mV; everything read back from SPICE's levels.

    With n = 2^6 independent units the weight w_k = C_k/C_a of p = 2^k/n of them has
    σ(w_k) = 2 % · √(p(1 − p)/n) (delta method), and the offset is V_os (C_a + C_p)/C_a.
    """
    bits, chips, units = 6, 200, 64
    settings = [f"circuit.bits={bits}", f"variation.samples={chips}"]
    path = tmp_path / "many.h5"
    summary = run_plan(Plan(load_recipe("adc_sar8_mismatch", settings)), path, RunOptions())
    assert summary.failed == 0
    levels = read_results(path).dataset["forced_level"].values[0]
    offset = levels[:, 0] + levels[:, 1] - levels[:, 2]  # S_1 + S_2 − S_3: the weights cancel
    weights = levels[:, 2 ** np.arange(bits) - 1] - offset[:, None]
    share = 2.0 ** np.arange(bits) / units
    expected = 0.02 * np.sqrt(share * (1 - share) / units)
    # A σ from 200 chips is uncertain by 1/√(2·199) = 5 %; four of those.
    np.testing.assert_allclose(weights.std(axis=0, ddof=1), expected, rtol=0.2)
    assert offset.std(ddof=1) == pytest.approx(2e-3 * (128 + 40) / 128, rel=0.2, abs=0)
    # Means: σ/√200, four of those.
    assert np.all(np.abs(weights.mean(axis=0) - share) < 4 * expected / np.sqrt(chips))
    assert fit_results(path).verdict.state == "pass"
