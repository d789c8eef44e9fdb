"""HDF5 files, archives and databases of a stranger: numbers and texts, or refused."""

import faulthandler
import os
import shutil
import signal
import sqlite3
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from attack import command, one_line

from imccircuit.benches.problem import Answer, OperatingPoint, Probe, Problem, Run
from imccircuit.devices.npz import npz_names, read_npz
from imccircuit.engines.contract import Status
from imccircuit.engines.extract import fits
from imccircuit.engines.store import AnswerStore, Stored
from imccircuit.results import hdf5
from imccircuit.results.hdf5 import NotPlainError, check_plain, schema_of

RUN = Run(np.zeros(1), {"out": np.ones((1, 2))})
STORED = Stored(Answer((RUN,)), "default", "ab")


def external_link(file):
    file["x"] = h5py.ExternalLink("other.h5", "/secret")


def soft_link(file):
    file["x"] = h5py.SoftLink("/provenance")


def cycle(file):
    file["provenance/x"] = file["/"]


def virtual(file):
    layout = h5py.VirtualLayout(shape=(3,), dtype="f8")
    layout[:] = h5py.VirtualSource("other.h5", "secret", shape=(3,))
    file.create_virtual_dataset("x", layout)


def outside_storage(file):
    file.create_dataset("x", shape=(8,), dtype="i1", external=[("secret", 0, 8)])


def objects_of_bytes(file):
    # A type of this name makes h5py build Python objects of whatever bytes are there.
    kind = h5py.h5t.create(h5py.h5t.OPAQUE, 8)
    kind.set_tag(b"NUMPY:|O")
    h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create_simple((2,)))


def objects_in_an_attribute(file):
    kind = h5py.h5t.create(h5py.h5t.OPAQUE, 8)
    kind.set_tag(b"NUMPY:|O")
    space = h5py.h5s.create(h5py.h5s.SCALAR)
    if h5py.h5a.exists(file.id, b"schema"):
        h5py.h5a.delete(file.id, b"schema")
    h5py.h5a.create(file.id, b"schema", kind, space)


def references(file):
    made = file.create_dataset("x", shape=(2,), dtype=h5py.ref_dtype)
    made[0] = file.ref


def compound(file):
    file["x"] = np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])


def huge(file):
    file.create_dataset("x", shape=(10**9, 10**3), dtype="f8", chunks=(1000, 1000))


def unknown_filter(file):
    file.create_dataset("x", data=np.zeros(100), chunks=(100,), compression="lzf")


def deep(file):
    file.create_group("/".join("x" * 20))


def named_type(file):
    file["x"] = np.dtype("f8")


def list_of_references(file):
    space = h5py.h5s.create(h5py.h5s.SCALAR)
    kind = h5py.h5t.vlen_create(h5py.h5t.vlen_create(h5py.h5t.NATIVE_INT32))
    h5py.h5a.create(file["provenance"].id, b"DIMENSION_LIST", kind, space)


ATTACKS = [
    external_link, soft_link, cycle, virtual, outside_storage, objects_of_bytes,
    objects_in_an_attribute, references, compound, huge, unknown_filter, deep, named_type,
    list_of_references,
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("name", ["crossbar.h5", "adc.model.h5"])
def test_what_no_file_of_ours_holds(good, inside, attack, name):
    shutil.copy(good / name, "x.h5")
    with h5py.File("other.h5", "w") as other:
        other["secret"] = np.arange(3.0)
    (inside / "secret").write_text("secret!!")
    with h5py.File("x.h5", "a") as file:
        attack(file)
    with pytest.raises(NotPlainError, match="no file of ours does that") as caught:
        check_plain(inside / "x.h5")
    assert "\n" not in str(caught.value)
    lines = [["show", "x.h5"], ["export", "x.h5", "--to", "bundle"]]
    if name == "crossbar.h5":
        lines += [["fit", "x.h5"], ["plot", "x.h5"], ["netlist", "x.h5"], ["status", "x.h5"]]
    for line in lines:
        assert command(*line).code == 1


def test_files_of_ours_are_plain(good):
    for path in sorted(good.glob("*.h5")):
        check_plain(path)


def test_a_foreign_file_is_no_place_for_results(good, inside):
    """It is not taken for a torn file of ours, which may be replaced."""
    for attack in (external_link, compound, huge, objects_in_an_attribute):
        with h5py.File("out.h5", "w") as file:
            file.create_group("provenance")
            attack(file)
        before = (inside / "out.h5").read_bytes()
        ended = command("run", "crossbar_ir_drop", "--set", "engine=nodal", "-o", "out.h5")
        assert ended.code == 1
        assert "not replaced" in ended.err
        assert (inside / "out.h5").read_bytes() == before


def crash(_file):
    faulthandler.disable()
    os.kill(os.getpid(), signal.SIGSEGV)


def run_for_ever(_file):
    while True:
        pass


def take_all_memory(_file):
    return str(len(bytearray(10**12)))


@pytest.mark.parametrize("harm", [crash, run_for_ever, take_all_memory])
def test_a_reader_that_crashes_or_does_not_end(good, inside, monkeypatch, harm):
    """As the HDF5 library does on some damaged files: it is one line, and this process lives."""
    shutil.copy(good / "crossbar.h5", "x.h5")
    monkeypatch.setattr(hdf5, "_CPU_S", 0)
    monkeypatch.setattr(hdf5._Look, "file", lambda _, file: harm(file))
    ended = command("fit", "x.h5")
    assert ended.code == 1
    assert "not a whole results file" in ended.err


def children():
    """Process ids of this process's children, the ended ones nobody waited for among them."""
    return {
        int(number)
        for file in Path("/proc/self/task").glob("*/children")
        for number in file.read_text().split()
    }


def test_a_look_leaves_nothing_behind(good):
    before = len(list(Path("/proc/self/fd").iterdir()))
    mine = children()
    for _ in range(5):
        assert schema_of(good / "adc.h5") == "imccircuit-results-1"
        with pytest.raises(OSError, match=r"file signature|Unable"):
            check_plain(good / "levels.csv")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert children() <= mine


def archive(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)


def npy(header, data=b""):
    head = header.encode() + b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + data


def header(shape, kind="<f8"):
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"


@pytest.mark.parametrize(
    "content",
    [
        npy(header("(1000000000000,)")),
        npy(header("(100000, 100000)"), b"\x00" * 800),
        npy(header("(2,)"), b"\x00" * 8),
        npy(header("(-1,)"), b"\x00" * 8),
        npy(header("(True,)"), b"\x00" * 8),
        npy(header("(2,)", "|O"), b"\x00" * 16),
        npy(header("(2,)", "|V8"), b"\x00" * 16),
        npy("__import__('os').system('touch pwned')"),
        npy("(" * 100),
        npy("{'descr': [('a', 'O')], 'fortran_order': False, 'shape': (1,)}"),
        b"\x93NUMPY\x03\x00\xff\xff\xff\xff",
        b"\x93NUMPY",
        b"",
        b"cos\nsystem\n(S'touch pwned'\ntR.",
    ],
)
def test_arrays_that_are_no_numbers(inside, content):
    archive("x.npz", {"g.npy": content})
    started = time.monotonic()
    found, text = one_line(lambda: read_npz(inside / "x.npz"), ValueError)
    assert found is None
    assert text
    (inside / "r.toml").write_text('bench = "crossbar_mvm"\n[circuit]\nconductances = "x.npz:g"\n')
    assert command("run", "r.toml", "--dry-run").code == 1
    assert time.monotonic() - started < 60


def test_an_archive_that_unpacks_to_far_more(inside):
    """One array may have 2 GiB; this one is refused by its size before it is unpacked."""
    zeros = b"\x00" * 10_000_000
    archive(
        "x.npz", {"g.npy": npy(header("(1250000,)"), zeros), "h.npy": npy(header("()"), b"x" * 8)}
    )
    assert (inside / "x.npz").stat().st_size < 20_000
    assert read_npz(inside / "x.npz", {"g"})["g"].size == 1_250_000
    with pytest.raises(ValueError, match="more data than it may have"):
        read_npz(inside / "x.npz", {"g"}, most_bytes=1_000_000)
    assert set(read_npz(inside / "x.npz", {"h"}, most_bytes=1000)) == {"h"}


def test_arrays_that_are_numbers(inside):
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.asfortranarray(np.eye(3)), "c": np.int8(3),
              "d": np.zeros((0, 3)), "e": np.array(["x", "yz"]), "../f": np.ones(1)}  # fmt: skip
    np.savez_compressed("x.npz", **arrays)
    found = read_npz(inside / "x.npz")
    assert set(found) == set(arrays) == set(npz_names(inside / "x.npz"))
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == np.asarray(array).dtype


def test_a_database_that_runs_things(inside):
    """Triggers and views would be run along with our own queries."""
    store = AnswerStore(inside / "cache")
    store.put({b"key": STORED})
    store.close()
    forever = ("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
               "SELECT count(*) FROM c")  # fmt: skip
    with sqlite3.connect(store.path) as connection:
        connection.execute(f"CREATE TRIGGER t AFTER INSERT ON answers BEGIN {forever}; END")
    connection.close()
    again = AnswerStore(inside / "cache")
    again.put({b"other": STORED})
    assert again.get([b"key"]) == {}
    again.clear()
    again.close()
    fresh = AnswerStore(inside / "cache")
    fresh.put({b"key": STORED})
    assert b"key" in fresh.get([b"key"])
    fresh.close()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(()),
        Answer((RUN, RUN)),
        Answer((Run(np.zeros(1), {}),)),
        Answer((Run(np.zeros(1), {"out": np.ones((1, 3))}),)),
        Answer((Run(np.zeros(2), {"out": np.ones((1, 2))}),)),
        Answer((Run(np.zeros(0), {"out": np.ones((0, 2))}),)),
        Answer((Run(np.zeros(1), {"out": np.full((1, 2), np.nan)}),)),
        Answer((Run(np.zeros(1), {"out": np.full((1, 2), 6.0)}),)),
        Answer((Run(np.zeros(1), {"out": np.ones((1, 2)), "x": np.ones((1, 2))}),)),
    ],
)
def test_kept_answers_to_other_questions(answer):
    problem = Problem(None, OperatingPoint(), (Probe("out", ("v(a)", "v(b)"), (2,), 5.0),))
    assert fits(problem, Answer((RUN,)))
    assert not fits(problem, answer)


def test_statuses_are_numbers_that_mean_something(good, inside):
    shutil.copy(good / "crossbar.h5", "x.h5")
    with h5py.File("x.h5", "a") as file:
        file["status"][...] = max(Status) + 1
    assert "an unknown status" in command("show", "x.h5").err


def test_texts_of_a_file_do_not_steer_a_terminal(good, inside):
    shutil.copy(good / "crossbar.h5", "x.h5")
    with h5py.File("x.h5", "a") as file:
        file.attrs["title"] = "\x1b]52;c;cGF5bG9hZA==\x07 \u202e [/bold] [link=http://x]y[/link]"
        file["status"][...] = int(Status.CRASH)
        file["reason"][...] = "a\nb\x1b[2J"
        file["output_current"].attrs["long_name"] = "[/red] $\\frac{"
    out = command("show", "x.h5").out
    assert "\\x1b]52;c;cGF5bG9hZA==\\x07 \\u202e [/bold] [link=http://x]y[/link]" in out
    assert "b\\x1b[2J" in out
    assert not {"\x1b", "\x07", "\u202e"} & set(out)


def test_a_picture_of_names_with_signs_of_its_own(good, inside):
    """What matplotlib would read as a formula is a name."""
    shutil.copy(good / "sweep.h5", "x.h5")
    with h5py.File("x.h5", "a") as file:
        for group in ("shape_0", "shape_1"):
            file[group]["output_current"].attrs["long_name"] = "a $\\frac{ $ b"
    line = ["plot", "x.h5", "--variable", "output_current", "--over", "circuit.rows"]
    assert command(*line, "-o", "x.svg").code == 0
    assert (inside / "x.svg").stat().st_size > 1000
