"""Cards: every shipped one loads, and every way to write a bad one is one clear line."""

import shutil

import numpy as np
import pytest
from numpy.testing import assert_allclose

from imccircuit import library
from imccircuit.devices.cards import CARDS, list_cards, load_card
from imccircuit.errors import InputError, UsageError

SHIPPED = library.path("device_models")


@pytest.fixture
def folder(tmp_path):
    """A user's copy of all shipped cards and data."""
    shutil.copytree(SHIPPED, tmp_path / "device_models")
    shutil.copytree(library.path("data"), tmp_path / "data")
    return tmp_path / "device_models"


def refused(folder, name, kind, old, new):
    """Text of the error after replacing ``old`` by ``new`` in a card."""
    path = folder / f"{name}.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError) as error:
        load_card(f"{name}.toml", kind, folder=folder)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"{name}.toml: ")
    return error.value


def test_all_shipped_cards_load():
    cards = list_cards()
    assert len(cards) >= 7
    for name, kind in cards.items():
        card = load_card(name, kind)
        assert isinstance(card, CARDS[kind])
        assert card.file == SHIPPED / f"{name}.toml"
        assert all(file.is_file() for file in card.source_files())


def test_source_files_include_what_a_card_names():
    names = [file.name for file in load_card("mos_generic", "mos").source_files()]
    assert names == ["mos_generic.toml", "mos_generic.lib"]
    names = [file.name for file in load_card("rram_techC", "rram").source_files()]
    assert names == ["rram_techC.toml", "rram_relax_stats.csv"]


def test_values_are_si_and_keep_their_source():
    card = load_card("rram_techC", "rram")
    assert card.on_conductance.value == 39e-6
    assert "rram_relax_stats" in card.on_conductance.source
    assert load_card("mos_generic", "mos").nmos.a_vt.value == pytest.approx(
        2.5e-9, rel=1e-14, abs=0
    )


def test_conduction_laws():
    v = np.array([-0.2, 0.0, 0.1])
    linear = load_card("rram_techC", "rram")
    assert_allclose(linear.current_a(1e-5, v), 1e-5 * v)
    bent = load_card("rram_sinh", "rram")
    assert_allclose(bent.current_a(1e-5, v), 1e-5 * 0.3 * np.sinh(v / 0.3), rtol=1e-15)


def test_simple_and_absent_spread(folder):
    card = load_card("rram_sinh", "rram")
    assert_allclose(card.spread_at().sd_of(10e-6), 0.4e-6)
    with pytest.raises(UsageError, match="no read time"):
        card.spread_at(1.0)
    text = (folder / "rram_sinh.toml").read_text()
    (folder / "ideal.toml").write_text(text[: text.index("[spread]")])
    ideal = load_card("ideal", "rram", folder)
    drawn = ideal.spread_at().draw(np.random.default_rng(0), np.array([1e-6, 39e-6]))
    assert_allclose(drawn, [1e-6, 39e-6], rtol=1e-15)


def test_a_users_library_comes_before_the_shipped_cards(folder):
    path = folder / "wire_generic.toml"
    path.write_text(path.read_text().replace('"2 ohm"', '"3 ohm"', 1))
    assert load_card("wire_generic", "wire").row_resistance.value == 2
    assert load_card("wire_generic", "wire", folder).row_resistance.value == 3
    assert load_card("wire_generic.toml", "wire", folder=folder).row_resistance.value == 3
    assert load_card(path, "wire").file == path.resolve()
    (folder / "mine.toml").write_text(path.read_text())
    assert list_cards(folder)["mine"] == "wire"


def test_a_foundry_library_anywhere(folder, tmp_path):
    kit = tmp_path / "kit"
    kit.mkdir()
    (kit / "top.l").write_text("* kit\n.LIB TYP\n.include 'core/n.mod'\n.lib 'p.l' pt\n.ENDL\n")
    (kit / "core").mkdir()
    (kit / "core" / "n.mod").write_text(".model NCH.1 nmos level=14\n.model nch.2 nmos\n")
    (kit / "p.l").write_text(".lib pt\n.model pch pmos level=14\n.endl\n.lib other\n.endl\n")
    path = folder / "mos_generic.toml"
    text = path.read_text().replace('"mos_generic.lib"', f'"{kit}/top.l"')
    text = text.replace("imc_nmos", "nch").replace("imc_pmos", "pch")
    text = text.replace('{ tt = "tt", ff = "ff", ss = "ss" }', '{ tt = "typ" }')
    path.write_text(text)
    card = load_card(path, "mos")
    assert [file.name for file in card.source_files()] == [
        "mos_generic.toml", "top.l", "n.mod", "p.l",
    ]  # fmt: skip
    (kit / "p.l").write_text(".lib wrong\n.endl\n")
    with pytest.raises(InputError, match=r"p\.l has no section 'pt'"):
        load_card(path, "mos")


def test_a_library_without_sections_and_with_subcircuits(folder):
    (folder / "cells.spice").write_text(
        ".subckt fet_n d g s b\n.ends\n.subckt fet_p d g s b\n.ends\n"
    )
    path = folder / "mos_generic.toml"
    text = path.read_text().replace('"mos_generic.lib"', '"cells.spice"\ndevice = "subcircuit"')
    text = text.replace("imc_nmos", "fet_n").replace("imc_pmos", "fet_p")
    path.write_text(text.replace('{ tt = "tt", ff = "ff", ss = "ss" }', '{ tt = "" }'))
    card = load_card(path, "mos")
    assert card.include_line() == f".include '{card.library_path}'"


def test_missing_unit(folder):
    error = refused(folder, "rram_techC", "rram", '"39 uS"', "39")
    assert error.key == "on_conductance.value"
    assert error.value == 39
    assert "unit" in error.problem
    assert '"40 uS"' in error.allowed
    error = refused(folder, "wire_generic", "wire", '"2 ohm"', '"2"')
    assert (error.key, error.problem) == ("row_resistance.value", "no unit")


def test_wrong_dimension(folder):
    error = refused(folder, "rram_techC", "rram", '"39 uS"', '"39 V"')
    assert (error.key, error.problem) == ("on_conductance.value", "wrong dimension")
    error = refused(folder, "mos_generic", "mos", '"2.5 mV*um"', '"2.5 mV"')
    assert (error.key, error.problem) == ("nmos.a_vt.value", "wrong dimension")


def test_missing_or_empty_source(folder):
    old = ', source = "chosen: as row_resistance"'
    error = refused(folder, "wire_generic", "wire", old, "")
    assert (error.key, error.problem) == ("column_resistance.source", "a required key")
    error = refused(folder, "capacitor_pessimistic", "capacitor", '"chosen"', '""')
    assert error.key == "unit_capacitance.source"


def test_unknown_key(folder):
    error = refused(folder, "rram_sinh", "rram", "v0 =", "v00 =")
    assert error.key == "conduction.v00"
    assert error.problem == "unknown key, perhaps 'v0' is meant"
    assert error.allowed == "law, v0"


def test_impossible_values(folder):
    error = refused(folder, "rram_techC", "rram", '"0.3 V"', '"-1 V"')
    assert (error.key, error.allowed) == ("max_voltage.value", "> 0 V")
    error = refused(folder, "rram_sinh", "rram", '"0.74 uS"', '"74 uS"')
    assert "is not above off_conductance" in error.problem


def test_spread_faults(folder):
    error = refused(folder, "rram_sinh", "rram", '"lognormal"', '"normal"')
    assert error.key == "spread.law"
    assert "'lognormal'" in error.allowed
    assert "'normal'" not in error.allowed
    error = refused(folder, "rram_techB", "rram", '"1 s"', '"1e6 s"')
    assert error.key == "spread.read_time.value"
    error = refused(folder, "rram_techC", "rram", '"39 uS"', '"45 uS"')
    assert error.key == "on_conductance.value"
    assert "39.31" in str(error)


def test_two_widths_of_a_spread(folder):
    new = 'sd = { value = "1 uS", source = "x" }\nrelative_sd ='
    error = refused(folder, "rram_sinh", "rram", "relative_sd =", new)
    assert error.allowed == "either sd or relative_sd"


def test_a_law_too_narrow_for_the_spread(folder):
    path = folder / "rram_sinh.toml"
    path.write_text(path.read_text().replace('"lognormal"', '"truncated_normal"'))
    error = refused(folder, "rram_sinh", "rram", '"4 %"', '"120 %"')
    assert (error.key, error.allowed) == ("spread.law", "up to 0.98")


def test_missing_files(folder):
    error = refused(folder, "rram_techC", "rram", "../data/", "../nowhere/")
    assert (error.key, error.problem) == ("spread.table", "no such file")
    error = refused(folder, "mos_generic", "mos", '"mos_generic.lib"', '"none.lib"')
    assert (error.key, error.problem) == ("library", "no such file")


def test_model_or_section_that_the_library_lacks(folder):
    original = (folder / "mos_generic.toml").read_text()
    error = refused(folder, "mos_generic", "mos", '"imc_pmos"', '"pch"')
    assert error.key == "pmos.model"
    assert "imc_nmos, imc_pmos" in error.allowed
    (folder / "mos_generic.toml").write_text(original)
    error = refused(folder, "mos_generic", "mos", 'ff = "ff"', 'ff = "fast"')
    assert (error.key, error.problem) == ("corners.ff", "no such section")
    (folder / "mos_generic.toml").write_text(original)
    error = refused(folder, "mos_generic", "mos", 'corner = "tt"', 'corner = "sf"')
    assert (error.key, error.allowed) == ("default_corner", "tt, ff, ss")


def test_another_kind_is_refused():
    with pytest.raises(InputError, match="kind = 'wire': a card of another kind; allowed: 'rram'"):
        load_card("wire_generic", "rram")


def test_no_such_card(tmp_path):
    with pytest.raises(UsageError, match=r"there are: .*rram_techC"):
        load_card("rram_techD", "rram")
    with pytest.raises(UsageError, match="no card at"):
        load_card("gone.toml", "rram", folder=tmp_path)


def test_torn_toml(folder):
    error = refused(folder, "rram_techC", "rram", "[spread]", "[spread")
    assert "not TOML" in str(error)
