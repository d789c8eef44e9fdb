"""Transistor card: mismatch law, and the figures of the card against ngspice."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from numpy.testing import assert_allclose

from imccircuit.devices.cards import load_card
from imccircuit.errors import UsageError

needs_ngspice = pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is missing")


def test_mismatch_is_pelgroms_law():
    nmos = load_card("mos_generic", "mos").nmos
    delta, ratio = nmos.draw_mismatch(np.random.default_rng(1), 240e-9, 60e-9, (100_000,))
    # 2.5 mV·µm and 0.8 %·µm over √(0.24 µm · 0.06 µm) = 0.12 µm; five standard errors.
    assert_allclose(delta.std(), 2.5e-3 / 0.12, rtol=5 / np.sqrt(2e5))
    assert_allclose(ratio.std(), 0.8e-2 / 0.12, rtol=5 / np.sqrt(2e5))
    assert abs(delta.mean()) < 5 * 2.5e-3 / 0.12 / np.sqrt(1e5)
    assert abs(ratio.mean() - 1) < 5 * 0.8e-2 / 0.12 / np.sqrt(1e5)
    assert abs(np.corrcoef(delta, ratio)[0, 1]) < 5 / np.sqrt(1e5)
    assert ratio.min() > 0


def test_mismatch_of_no_area_is_refused():
    with pytest.raises(UsageError, match="above 0 m"):
        load_card("mos_generic", "mos").nmos.draw_mismatch(np.random.default_rng(1), 0, 1, ())


def test_include_line_names_the_section():
    card = load_card("mos_generic", "mos")
    assert card.include_line() == f".lib '{card.library_path}' tt"
    assert card.include_line("ss").endswith(" ss")
    with pytest.raises(UsageError, match="no corner 'sf'; there are: tt, ff, ss"):
        card.include_line("sf")


def measure(tmp_path, card, corner):
    """Threshold, on- and off-current of both transistors: name → value, from one ngspice run."""
    lines = [".title card", card.include_line(corner)]
    control = ["set num_threads=1"]
    for name, device, sign in (("n", card.nmos, 1), ("p", card.pmos, -1)):
        w, length = device.width.value, device.length.value
        lines += [f"m{name} d{name} g{name} 0 0 {device.model} w={w} l={length}",
                  f"vd{name} d{name} 0 0", f"vg{name} g{name} 0 0"]  # fmt: skip
        # A little beyond 1.2 V, which a sum of steps may miss by rounding.
        sweep = f"dc vg{name} 0 {sign * 1.21} {sign * 1e-3}"
        at = 100e-9 * w / length
        control += [
            f"save @m{name}[id]", f"alter vd{name} {sign * 0.05}",
            sweep,
            f"meas dc vth{name} when @m{name}[id]={at}", f"alter vd{name} {sign * 1.2}", sweep,
            f"meas dc ion{name} find @m{name}[id] at={sign * 1.2}",
            f"meas dc ioff{name} find @m{name}[id] at=0",
        ]  # fmt: skip
    deck = tmp_path / "card.cir"
    deck.write_text("\n".join([*lines, ".control", *control, "quit 0", ".endc", ".end", ""]))
    done = subprocess.run(
        ["ngspice", "-b", "-n", str(deck)], capture_output=True, text=True, timeout=60, check=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return {
        key: float(value) for key, value in re.findall(r"^(\w+)\s+=\s+(\S+)", done.stdout, re.M)
    }


@pytest.mark.ngspice
@needs_ngspice
def test_card_figures_are_what_ngspice_gives(tmp_path):
    card = load_card("mos_generic", "mos")
    got = measure(tmp_path, card, "tt")
    for name, device in (("n", card.nmos), ("p", card.pmos)):
        # The card gives three digits.
        assert got["vth" + name] == pytest.approx(device.threshold.value, rel=5e-3, abs=0)
        assert abs(got["ion" + name]) == pytest.approx(device.on_current.value, rel=5e-3, abs=0)
        assert abs(got["ioff" + name]) == pytest.approx(device.off_current.value, rel=5e-3, abs=0)


@pytest.mark.ngspice
@needs_ngspice
def test_corners_are_ordered(tmp_path):
    card = load_card("mos_generic", "mos")
    slow, typical, fast = (measure(tmp_path, card, corner) for corner in ("ss", "tt", "ff"))
    for name in "np":
        assert abs(slow["ion" + name]) < abs(typical["ion" + name]) < abs(fast["ion" + name])
        assert abs(slow["vth" + name]) > abs(typical["vth" + name]) > abs(fast["vth" + name])
