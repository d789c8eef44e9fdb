"""What every picture must say: units, conventions, counts, worst places."""

import numpy as np
import pytest

from imccircuit.errors import UsageError
from imccircuit.metrics import compute_inl_dnl
from imccircuit.plots import (
    house_style,
    make_figure,
    plot_histogram,
    plot_inl_dnl,
    plot_ir_drop,
    plot_parity,
    plot_transfer,
)


@pytest.fixture(autouse=True)
def style():
    with house_style():
        yield


def chips(count, bits=6, spread=0.1, seed=0):
    codes = np.arange(1, 2**bits)
    noise = np.random.default_rng(seed).normal(0, spread, (count, len(codes)))
    return (codes + np.sort(noise)) / 2**bits


def texts(ax):
    return [text.get_text() for text in ax.texts]


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_transfer_is_a_staircase_through_the_levels():
    _, (ax,) = make_figure()
    levels = np.array([0.12, 0.26, 0.36, 0.5, 0.63, 0.74, 0.9])
    assert plot_transfer(ax, levels, 1.0) is ax
    stairs, ideal = ax.lines
    np.testing.assert_array_equal(stairs.get_xdata(), [0, *levels, 1])
    np.testing.assert_array_equal(stairs.get_ydata(), [0, 1, 2, 3, 4, 5, 6, 7, 7])
    assert stairs.get_drawstyle() == "steps-post"
    # Step d of the ideal converter spans d/8 … (d+1)/8 V, so its centre is at (d + 1/2)/8 V.
    np.testing.assert_allclose(ideal.get_xdata(), [0.5 / 8, 7.5 / 8], rtol=1e-15)
    np.testing.assert_allclose(ideal.get_ydata(), [0, 7], atol=1e-14)
    assert ax.get_xlabel() == "Input voltage (V)"
    assert ax.get_ylabel() == "Output code"
    assert ax.get_title() == "3-bit transfer, 1 LSB = 125 mV"


def test_transfer_of_chips_with_a_zoom_and_a_negative_level():
    _, (ax,) = make_figure()
    levels = np.concatenate([chips(5) - 0.05, np.full((1, 63), np.nan)])
    plot_transfer(ax, levels, 1.0, zoom_code=63)
    assert len(ax.lines) == 5 + 1  # the chip without levels is left out
    assert ax.get_xlim()[0] == levels[:5].min() < 0
    (inset,) = ax.child_axes
    assert inset.get_ylim() == (53.5, 63.5)  # ten codes, pushed back inside the range
    assert legend_texts(ax)[0] == "5 converters"


@pytest.mark.parametrize("method", ["end-point", "best-fit"])
def test_inl_dnl_of_one_chip(method):
    _, axes = make_figure(2)
    figures = compute_inl_dnl(chips(1)[0], method=method)
    plot_inl_dnl(*axes, figures)
    assert axes[0].get_title() == f"{method} line, 1 LSB = {float(figures.q_v) * 1e3:.4g} mV"
    assert [ax.get_ylabel() for ax in axes] == ["INL (LSB)", "DNL (LSB)"]
    assert axes[1].get_xlabel() == "Code"
    np.testing.assert_array_equal(axes[0].lines[0].get_ydata(), figures.inl_lsb)
    np.testing.assert_array_equal(axes[1].lines[0].get_ydata(), figures.dnl_lsb)
    worst = f"{float(figures.worst_inl_lsb):+.2f} LSB at {figures.worst_inl_code}"
    assert texts(axes[0]) == [worst.replace("-", "−")]
    # line, worst code, zero
    assert [len(ax.lines) for ax in axes] == [3, 3]


def test_inl_dnl_of_chips_draws_each_and_their_envelope():
    _, axes = make_figure(2)
    levels = chips(7)
    levels[3, 5] = np.nan
    figures = compute_inl_dnl(levels)
    plot_inl_dnl(*axes, figures)
    assert len(axes[0].lines) == 6 + 2 + 1 + 1  # chips, envelope, worst code, zero
    np.testing.assert_array_equal(axes[0].lines[6].get_ydata(), np.nanmin(figures.inl_lsb, axis=0))
    assert "6 converters (1 left out)" in axes[0].get_title()
    assert axes[0].get_title().startswith("end-point line, mean LSB = ")
    worst = np.nanargmax(np.abs(figures.worst_inl_lsb))
    assert texts(axes[0])[0].endswith(f" at {figures.worst_inl_code[worst]}")


def test_missing_codes_are_marked():
    _, axes = make_figure(2)
    plot_inl_dnl(*axes, compute_inl_dnl([1.0, 2.0, 2.05, 3.0, 3.04, 6.0, 7.0]))
    assert legend_texts(axes[1]) == ["2 missing codes"]
    marks = [line for line in axes[1].lines if line.get_marker() == "x"]
    assert marks[0].get_xdata().tolist() == [2, 4]
    assert axes[0].get_legend() is None


def test_an_ideal_converter_does_not_fill_the_picture_with_rounding():
    _, axes = make_figure(2)
    plot_inl_dnl(*axes, compute_inl_dnl(np.arange(1, 256) * 0.1))
    assert axes[0].get_ylim()[1] >= 0.1


def test_ir_drop_map_starts_at_zero_and_marks_the_worst_cell():
    figure, (ax,) = make_figure()
    drop = np.linspace(1e-3, 20e-3, 12).reshape(3, 4)
    drop[1, 2] = 42.5e-3
    drop[2, 0] = np.nan
    plot_ir_drop(ax, drop)
    (image,) = ax.images
    assert image.get_clim() == (0.0, 42.5)  # mV
    np.testing.assert_allclose(image.get_array().compressed(), 1e3 * drop[~np.isnan(drop)])
    assert image.get_array().mask.sum() == 1
    assert figure.axes[1].get_ylabel() == "IR drop (mV)"
    assert "worst 42.5 mV at row 1, column 2" in ax.get_title()
    mark = ax.lines[0]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (2, 1)
    assert "Driver side" in ax.get_ylabel()
    assert "Sense side" in ax.get_xlabel()
    assert ax.get_ylim() == (2.5, -0.5)  # row 0 on top, sense below the last row


def test_ir_drop_map_of_both_signs_is_symmetric():
    _, (ax,) = make_figure()
    plot_ir_drop(ax, np.array([[1e-3, -2e-3], [0.0, 1e-3]]))
    assert ax.images[0].get_clim() == (-2.0, 2.0)
    assert "−2.00 mV" in ax.get_title()


@pytest.mark.parametrize("drop", [np.zeros((3, 3)), np.full((3, 3), -1e-17)])
def test_ir_drop_map_without_wires_shows_no_rounding(drop):
    _, (ax,) = make_figure()
    plot_ir_drop(ax, drop)
    assert ax.images[0].get_clim() == (0.0, 1.0)


def test_histogram_counts_and_law_share_an_axis():
    _, (ax,) = make_figure()
    rng = np.random.default_rng(2)
    samples = rng.normal(39e-6, 1.5e-6, 400)
    samples[:3] = np.nan

    def law(x):
        return np.exp(-(((x - 39e-6) / 1.5e-6) ** 2) / 2) / (1.5e-6 * np.sqrt(2 * np.pi))

    plot_histogram(ax, samples, unit="S", quantity="LRS", law_pdf=law, law_label="normal\nσ 1.5 µS")
    assert sum(patch.get_height() for patch in ax.patches) == 397
    assert ax.get_xlabel() == "LRS (µS)"
    assert ax.get_ylabel() == "Samples per bin (count)"
    assert ax.get_title() == "3 of 400 samples without a value"
    assert legend_texts(ax) == ["397 samples", "normal\nσ 1.5 µS"] or legend_texts(ax) == [
        "normal\nσ 1.5 µS",
        "397 samples",
    ]
    # The law integrates to the number of samples times the bin width; it is drawn a little beyond
    # the samples, where less than 1 % of it is left.
    x, y = ax.lines[0].get_data()
    width = ax.patches[0].get_width()
    assert np.trapezoid(y, x) / width == pytest.approx(397, rel=0.01, abs=0)


def test_parity_with_an_inset_and_with_axes_for_the_error():
    rng = np.random.default_rng(4)
    spice = rng.uniform(0, 3e-6, 50)
    surrogate = spice + rng.normal(0, 2e-9, 50)
    spice[0] = np.nan
    _, (ax,) = make_figure()
    plot_parity(ax, spice, surrogate, "A", quantity="Column current")
    assert ax.get_xlabel() == "Column current, SPICE (µA)"
    assert ax.get_ylabel() == "Column current,\nsurrogate (µA)"
    assert legend_texts(ax) == ["equal", "49 values"]
    (inset,) = ax.child_axes
    assert inset.get_xlabel() == "error (nA)"
    largest = np.nanmax(np.abs(surrogate - spice)) * 1e9
    assert inset.get_title() == f"largest |error| {largest:.3g} nA"

    _, axes = make_figure(2)
    plot_parity(axes[0], spice, surrogate, "A", ax_error=axes[1])
    assert not axes[0].child_axes
    assert axes[0].get_ylabel() == "surrogate (µA)"
    assert axes[0].get_xlabel() == ""  # shared with the axes below
    assert axes[1].get_ylabel() == "Error (nA)"
    np.testing.assert_allclose(axes[1].lines[1].get_ydata(), (surrogate - spice)[1:] * 1e9)


def test_nothing_to_plot_is_refused_in_one_line():
    _, (ax, other) = make_figure(2)
    nothing = np.full((2, 7), np.nan)
    for call in (
        lambda: plot_transfer(ax, nothing, 1.0),
        lambda: plot_inl_dnl(ax, other, compute_inl_dnl(nothing)),
        lambda: plot_ir_drop(ax, nothing),
        lambda: plot_ir_drop(ax, np.ones(4)),
        lambda: plot_histogram(ax, nothing, unit="V", quantity="x"),
        lambda: plot_parity(ax, nothing, nothing, "V"),
        lambda: plot_parity(ax, np.ones(2), np.ones(3), "V"),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert "\n" not in str(caught.value)
