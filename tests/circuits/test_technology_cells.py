"""Transistors of a technology in cells: models, elements, mismatch."""

import pytest

from imccircuit.circuits.technology import Technology, technology_cell
from imccircuit.devices.cards import load_card
from imccircuit.errors import UsageError


def card(tmp_path, device):
    """A technology with other names, of models or of subcircuits."""
    kind = {"model": ".model {} nmos level=1", "subcircuit": ".subckt {} d g s b\n.ends"}[device]
    (tmp_path / "pdk.lib").write_text("\n".join(kind.format(name) for name in ("nch", "pch")))
    text = load_card("mos_generic", "mos").file.read_text()
    text = text.replace('"mos_generic.lib"', '"pdk.lib"').replace("imc_nmos", "nch")
    text = text.replace("imc_pmos", "pch").replace(
        '{ tt = "tt", ff = "ff", ss = "ss" }', '{ tt = "" }'
    )
    (tmp_path / "pdk.toml").write_text(f'device = "{device}"\n{text}')
    return load_card(tmp_path / "pdk.toml", "mos")


def test_models_are_put_in(tmp_path):
    text = technology_cell("inverter", card(tmp_path, "model"))
    assert "Mn out in vss vss nch W={wn} L={l}" in text
    assert "Mp out in vdd vdd pch W={wp} L={lp}" in text


def test_a_library_of_subcircuits_is_called_by_element_x(tmp_path):
    technology = Technology(card(tmp_path, "subcircuit"), "tt", 1.0)
    assert "XMn out in vss vss nch W={wn} L={l}" in technology.cell("inverter")
    line = technology.line("1", "pmos", ("d", "g", "s", "b"), 1e-6, 2e-7)
    assert line == "XM1 d g s b pch W=1e-06 L=2e-07"
    with pytest.raises(UsageError, match=r"mismatch.*allowed"):
        technology.line("1", "pmos", ("d", "g", "s", "b"), 1e-6, 2e-7, delta_vth_v=1e-3)
    assert technology.include_line == f".include '{tmp_path / 'pdk.lib'}'"


def test_mismatch_of_a_model(tmp_path):
    technology = Technology(card(tmp_path, "model"), "tt", 1.0)
    width, length = technology.size("nmos", widths=2.0)
    line = technology.line(
        "7", "nmos", ("d", "g", "s", "0"), width, length, delta_vth_v=2e-3, mobility=0.9
    )
    assert line == "M7 d g s 0 nch W=2.4e-07 L=6e-08 delvto=0.002 mulu0=0.9"
