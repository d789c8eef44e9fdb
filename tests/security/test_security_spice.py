"""SPICE files of a stranger: what ngspice would run in them is refused before there is a deck."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from attack import one_line

from imccircuit.devices.netlist import load_netlist
from imccircuit.devices.spice_library import read_library
from imccircuit.engines.ngspice import locate
from imccircuit.errors import UsageError

CELL = ".subckt cell a b\nR1 a b 1k\n.ends\n"
SHELL = ".control\nshell touch pwned\n.endc\n"
GOOD = ".model diode d(is=1f)\n"
# The model starts a program; its kind and parameter are written so that a check may miss them.
PROCESS = """\
abr [a] [d1] br
abq [a] [clk] br
.model br adc_bridge(in_low=0.1 in_high=0.2)
ap [d1] clk null [q1] p
abx [q1] [x1] dbr
.model dbr dac_bridge
rx1 x1 0 1k
"""
PROGRAMS = {
    "plain": '.model p d_process (process_file="./sh" process_params=["a"])',
    "without a sign": '.model p d_process (process_file "./sh" process_params=["a"])',
    "kind in a text": (
        '.param s="d_process"\n.model p {s} (process_file "./sh" process_params=["a"])'
    ),
    "kind on the next line": '.model p\n+ d_process (process_file "./sh" process_params=["a"])',
    "double backslash": '.model p \\\\\nd_process (process_file "./sh" process_params=["a"])',
    "comma": '.model p,d_process (process_file "./sh" process_params=["a"])',
    "behind a comment": '.model p $ x\n+ d_process (process_file "./sh" process_params=["a"])',
}
NGSPICE = pytest.mark.skipif(
    shutil.which(os.environ.get("IMCCIRCUIT_NGSPICE", "ngspice")) is None, reason="no ngspice"
)


def refused(folder, word=""):
    """The one line in which both readers refuse ``main.spice``."""
    card, text = one_line(lambda: load_netlist(f"{folder}/main.spice:cell"))
    assert card is None
    content, other = one_line(lambda: read_library(folder / "main.spice", None))
    assert content is None
    assert word in text
    assert word in other


def write(folder, **files):
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)


@pytest.mark.parametrize("name", PROGRAMS)
def test_models_that_start_programs(tmp_path, name):
    write(tmp_path, main_spice=f"{PROCESS}{PROGRAMS[name]}\n{CELL}")
    refused(tmp_path)


@NGSPICE
@pytest.mark.ngspice
@pytest.mark.parametrize("name", ["plain", "without a sign", "kind in a text"])
def test_ngspice_would_start_them(tmp_path, name):
    """What the test above rests on; where this fails, ngspice has learnt better."""
    (tmp_path / "sh").write_text("#!/bin/sh\ntouch run\n")
    (tmp_path / "sh").chmod(0o700)
    deck = f"t\nv1 a 0 1\nr1 a 0 1k\n{PROCESS}{PROGRAMS[name]}\n.control\nop\nquit 0\n.endc\n.end\n"
    (tmp_path / "t.cir").write_text(deck)
    subprocess.run([locate(), "-b", "-n", "t.cir"], cwd=tmp_path, timeout=60, check=False,
                   capture_output=True, stdin=subprocess.DEVNULL)  # fmt: skip
    assert (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "line",
    [
        ".include '~/more.inc'", ".include '$HOME/more.inc'", ".include \"'more.inc'\"",
        ".include '`touch pwned`.inc'", ".include more.inc;x", ".include 'more*.inc'",
        ".lib '~/more.inc' tt", ".include", ".include ''", ".include '.'", ".include '..'",
        ".include /dev/zero", ".include /dev/tty", ".include pipe", ".include {x}",
    ],
)  # fmt: skip
def test_paths_that_ngspice_may_read_otherwise(tmp_path, line):
    for name in ("more.inc", "'more.inc'", "more.inc;x", "$HOME", "{x}"):
        (tmp_path / name).write_text(GOOD)
    (tmp_path / "~").mkdir()
    (tmp_path / "~" / "more.inc").write_text(GOOD)
    os.mkfifo(tmp_path / "pipe")
    write(tmp_path, main_spice=f"{line}\n{CELL}")
    refused(tmp_path)


@pytest.mark.parametrize("depth", [1, 2])
def test_links_are_read_where_ngspice_reads_them(tmp_path, depth):
    """A link to a file: what that file includes lies, for ngspice, beside the link."""
    real = tmp_path / "real"
    real.mkdir()
    (real / "part.inc").write_text(".include 'more.inc'\n")
    (real / "more.inc").write_text(GOOD)
    (tmp_path / "part.inc").symlink_to(real / "part.inc")
    (tmp_path / "more.inc").write_text(SHELL)
    (tmp_path / "first.inc").write_text(".include 'part.inc'\n")
    name = "part.inc" if depth == 1 else "first.inc"
    write(tmp_path, main_spice=f".include '{name}'\n{CELL}")
    refused(tmp_path, ".control")
    (tmp_path / "more.inc").write_text(GOOD)
    card = load_netlist(f"{tmp_path}/main.spice:cell")
    assert tmp_path / "more.inc" in card.source_files()


def test_folders_that_are_links(tmp_path):
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "deep")
    (tmp_path / "real" / "deep" / "part.inc").write_text(".include '../more.inc'\n")
    (tmp_path / "more.inc").write_text(GOOD)
    (tmp_path / "real" / "more.inc").write_text(SHELL)
    write(tmp_path, main_spice=f".include 'link/part.inc'\n{CELL}")
    refused(tmp_path, ".control")


@pytest.mark.parametrize("line", [SHELL, "*# shell touch pwned\n", PROGRAMS["plain"] + "\n"])
def test_sections_that_are_not_taken(tmp_path, line):
    """ngspice opens what they include, whether it takes the section or not."""
    write(
        tmp_path, main_lib=f".lib tt\n{GOOD}.endl\n.lib ss\n.inc 'bad.inc'\n.endl\n", bad_inc=line
    )
    with pytest.raises(UsageError, match=r"bad\.inc line 1"):
        read_library(tmp_path / "main.lib", "tt")
    # A technology may come without the files of corners that are not used.
    (tmp_path / "bad.inc").unlink()
    assert "diode" in read_library(tmp_path / "main.lib", "tt").models


def test_files_that_bring_in_each_other_without_end(tmp_path):
    write(tmp_path, main_spice=f".include 'a.inc'\n{CELL}", a_inc=".include 'main.spice'\n")
    assert load_netlist(f"{tmp_path}/main.spice:cell").pins == ("a", "b")
    for number in range(30):
        (tmp_path / f"{number}.inc").write_text(f".include '{number + 1}.inc'\n")
    (tmp_path / "30.inc").write_text(GOOD)
    write(tmp_path, main_spice=f".include '0.inc'\n{CELL}")
    refused(tmp_path, "in a row")


@pytest.mark.parametrize("name", ["a\n.control\nshell x\n.endc\n", "it's", "a`b`"])
def test_names_of_files_that_no_deck_can_hold(tmp_path, name):
    (tmp_path / name).write_text(CELL)
    with pytest.raises(UsageError, match=r"no deck can hold|not a netlist"):
        load_netlist(f"{tmp_path / name}:cell")
    with pytest.raises(UsageError, match="no deck can hold"):
        read_library(tmp_path / name, None)


def test_what_no_file_of_the_system_is(tmp_path):
    """Reading ends, whatever is named: a pipe, a device, a file of the kernel."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), Path("/proc/self/status"), tmp_path):
        content, text = one_line(lambda path=path: read_library(path, "tt"))
        assert content is None
        assert text
