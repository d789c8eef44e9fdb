"""SPICE files of a stranger: what ngspice would run in them is refused, what describes is not."""

from pathlib import Path

import pytest

from imccircuit.devices.cards import load_card
from imccircuit.devices.netlist import load_netlist
from imccircuit.devices.spice_library import read_library
from imccircuit.errors import InputError, UsageError

CIRCUIT = ".subckt cell a b\nR1 a b 1k\n.ends\n"
SHIPPED = Path(load_card("mos_generic", "mos").file)

# Lines that ngspice runs or follows, and ways to write them past a check that is less exact.
RUNS = [
    ("*# shell touch x\n", "runs comments that begin with"),
    ("  *#shell touch x\n", "runs comments that begin with"),
    (".control\nshell touch x\n.endc\n", r"\.control is refused"),
    (" .CONTROL\nshell touch x\n.endc\n", r"\.control is refused"),
    (".model p d_process(process_file=sh)\n", "kind d_process"),
    (".model p\n+ d_process (process_file=sh)\n", "kind d_process"),
    (".model p $ a comment\n+ d_process (process_file=sh)\n", "kind d_process"),
    (".model p\x0bd_process (process_file=sh)\n", "kind d_process|a sign that no netlist needs"),
    (".model s filesource(amploffset=[0])\n", "kind filesource"),
    (".model s s_xfer(gain=1)\nA1 a b s file = '/etc/passwd'\n", "file = … reads a file"),
    (".include 'more.inc'odd\n", "brings in no file"),
    (".include\x0b'more.inc'\n", "it would be run|is refused|a sign that no netlist needs"),
    (".incl more.inc\n", "brings in no file|is refused"),
    (".lib 'more.inc'tt\n", "brings in no file"),
    (".lib\r'more.inc' tt\n", "more.inc|a sign that no netlist needs"),
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "more.inc").write_text(".control\nshell touch x\n.endc\n")
    return tmp_path


def write(path, text):
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(("text", "words"), RUNS)
@pytest.mark.parametrize("place", ["netlist", "included", "library"])
def test_what_runs_is_refused(folder, text, words, place):
    main = folder / "main.spice"
    if place == "netlist":
        write(main, text + CIRCUIT)
    else:
        write(main, ".include 'part.inc'\n" + CIRCUIT)
        write(folder / "part.inc", text)
    with pytest.raises(UsageError, match=words) as caught:
        read_library(main, None) if place == "library" else load_netlist(f"{main}:cell")
    assert "\n" not in str(caught.value)


def test_what_describes_is_taken(folder):
    text = (
        "* a comment with #, *# inside and a file = name\n"
        ".param profile=3\r\n"
        "* * between\n"
        '.include "parts of mine.inc"  $ beside\n'
        ".lib 'parts.lib' tt ; beside\n"
        ".subckt cell a b profile=2\n"
        "R1 a b\n"
        "* within\n"
        "+ 1k\n"
        ".ends\n.end\n"
    )
    main = write(folder / "main.spice", text)
    write(folder / "parts of mine.inc", ".model d1 d(is=1f)\n")
    write(folder / "parts.lib", ".lib tt\n.model d2 d(is=1f)\n.endl tt\n")
    card = load_netlist(f"{main}:CELL")
    assert card.pins == ("a", "b")
    assert card.text.splitlines() == [
        ".param profile=3",
        f".include '{folder}/parts of mine.inc'  $ beside",
        f".lib '{folder}/parts.lib' tt ; beside",
        ".subckt cell a b profile=2",
        "R1 a b 1k",
        ".ends",
    ]
    assert {path.name for path in card.source_files()} == {
        "main.spice", "parts of mine.inc", "parts.lib",
    }  # fmt: skip


def test_names_a_netlist_may_not_have(folder):
    path = write(folder / "it's.spice", CIRCUIT)
    with pytest.raises(UsageError, match="a path that no deck can hold"):
        load_netlist(f"{path}:cell")


def test_a_subcircuit_that_is_there_twice(folder):
    path = write(folder / "main.spice", CIRCUIT + CIRCUIT.replace("a b", "b a"))
    with pytest.raises(UsageError, match="has 2 subcircuits 'cell'"):
        load_netlist(f"{path}:cell")


@pytest.mark.parametrize("text", ["*# shell touch x\n", ".control\nshell touch x\n.endc\n"])
def test_a_technology_card_whose_library_would_run_something(folder, text):
    card = folder / "mine.toml"
    card.write_text(SHIPPED.read_text())
    library = SHIPPED.with_suffix(".lib").read_text()
    write(folder / "mos_generic.lib", library.replace(".lib tt\n", ".lib tt\n.inc part.inc\n"))
    write(folder / "part.inc", "* good\n")
    assert load_card(card, "mos")
    write(folder / "part.inc", text)
    with pytest.raises((InputError, UsageError), match=r"part\.inc line 1"):
        load_card(card, "mos")
