"""Figures are files that do not change by themselves, made without global state."""

import os
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.metrics import compute_inl_dnl
from imccircuit.plots import (
    house_style,
    make_figure,
    plot_inl_dnl,
    plot_ir_drop,
    save_figure,
    scale_unit,
)

MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


def draw(path):
    with house_style():
        figure, axes = make_figure(3, share_x=False)
        plot_inl_dnl(*axes[:2], compute_inl_dnl([1.0, 2.3, 3.4, 4.0, 5.8, 7.0, 8.2]))
        plot_ir_drop(axes[2], np.arange(6.0).reshape(2, 3) * 1e-3)
        return save_figure(figure, path)


@pytest.mark.parametrize("suffix", MAGIC)
def test_the_same_figure_gives_the_same_bytes(tmp_path, suffix):
    first = draw(tmp_path / f"first{suffix}").read_bytes()
    assert first.startswith(MAGIC[suffix])
    assert draw(tmp_path / f"second{suffix}").read_bytes() == first
    for word in (b"CreationDate", b"dc:date", b"matplotlib.org"):
        assert word not in first


def test_another_process_and_another_style_give_the_same_bytes(tmp_path):
    code = (
        "import matplotlib as mpl, runpy, sys;"
        "mpl.rcParams.update({'font.size': 20, 'lines.linewidth': 5, 'axes.grid': False});"
        f"draw = runpy.run_path({__file__!r})['draw'];"
        f"draw({str(tmp_path / 'other.svg')!r})"
    )
    environment = dict(os.environ, PYTHONHASHSEED="7", SOURCE_DATE_EPOCH="86400")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100, env=environment)
    here = draw(tmp_path / "here.svg").read_bytes()
    assert (tmp_path / "other.svg").read_bytes() == here


@pytest.mark.parametrize("name", ["plot.jpg", "plot", "plot.png.txt", "plot.eps"])
def test_other_suffixes_are_refused(tmp_path, name):
    figure, _ = make_figure()
    with pytest.raises(UsageError, match=r"\.png, \.svg or \.pdf") as caught:
        save_figure(figure, tmp_path / name)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_capital_suffix_is_one_and_a_missing_folder_is_a_user_error(tmp_path):
    figure, _ = make_figure()
    assert save_figure(figure, tmp_path / "plot.PNG").read_bytes().startswith(MAGIC[".png"])
    with pytest.raises(UsageError, match="cannot write"):
        save_figure(figure, tmp_path / "none" / "plot.png")


def test_no_global_state_is_left_behind():
    before = dict(mpl.rcParams)
    with house_style():
        make_figure(2)
        assert mpl.rcParams["font.size"] == 8
    assert dict(mpl.rcParams) == before


def test_pyplot_is_never_loaded():
    code = "import sys, imccircuit.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


def test_figures_are_one_column_wide():
    figure, axes = make_figure(2)
    assert figure.get_size_inches()[0] == 3.5
    assert len(axes) == 2


@pytest.mark.parametrize(
    ("values", "unit", "answer"),
    [
        ([2e-15, 1e-15], "F", (1e15, "fF")),
        ([39e-6, np.nan], "S", (1e6, "µS")),
        ([-0.2], "V", (1e3, "mV")),
        ([1.0], "V", (1.0, "V")),
        ([999.9], "ohm", (1.0, "ohm")),
        ([1000.0], "ohm", (1e-3, "kohm")),
        ([1e-3], "LSB", (1.0, "LSB")),
        ([0.0], "V", (1.0, "V")),
        ([], "V", (1.0, "V")),
        ([1e-30], "A", (1e18, "aA")),
        ([0.5], "", (1.0, "")),
    ],
)
def test_scale_unit(values, unit, answer):
    factor, scaled = scale_unit(values, unit)
    assert scaled == answer[1]
    assert factor == pytest.approx(answer[0], rel=1e-15, abs=0)
