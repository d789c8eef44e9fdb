"""The reader of raw files, given whole, torn, foreign and nonsensical ones."""

import contextlib

import numpy as np
import pytest

from imccircuit.engines.rawfile import RawFileError, read_plots


def header(names, points, *, title="Some Deck", flags="real", variables=None):
    lines = [
        f"Title: {title}",
        "Date: Thu Jan  1 00:00:00  1970",
        "Plotname: Transient Analysis",
        f"Flags: {flags}",
        f"No. Variables: {len(names) if variables is None else variables}",
        f"No. Points: {points}",
        "Variables:",
    ]
    lines += [f"\t{index}\t{name}\tvoltage" for index, name in enumerate(names)]
    return ("\n".join(lines) + "\nBinary:\n").encode()


def plot(names, data, **options):
    return header(names, len(data), **options) + np.asarray(data, dtype=np.float64).tobytes()


@pytest.fixture
def read(tmp_path):
    def of(content):
        path = tmp_path / "x.raw"
        path.write_bytes(content)
        return read_plots(path)

    return of


DATA = np.array([[0.0, 1.5, -2.0], [1e-9, 2.5, 3.0]])
NAMES = ["time", "v(Out)", "i(vsense_0)"]


def test_one_plot(read):
    (found,) = read(plot(NAMES, DATA))
    assert found.title == "some deck"
    assert found.names == ("time", "v(out)", "i(vsense_0)")
    np.testing.assert_array_equal(found.data, DATA)


def test_plots_one_after_the_other(read):
    """Runs of one deck repeat their header; another deck's header may follow."""
    parts = [
        plot(NAMES, DATA),
        plot(NAMES, DATA[:1] + 1),
        plot(["v(a)"], [[7.0]], title="Second"),
        plot(NAMES, DATA * 2),
    ]
    found = read(b"".join(parts))
    assert [p.title for p in found] == ["some deck", "some deck", "second", "some deck"]
    assert [p.data.shape for p in found] == [(2, 3), (1, 3), (1, 1), (2, 3)]
    np.testing.assert_array_equal(found[3].data, DATA * 2)
    assert found[2].names == ("v(a)",)


def test_data_that_looks_like_a_header(read):
    """Eight bytes of a number may spell anything, the word Binary included."""
    value = np.frombuffer(b"\nBinary:" + b"\nTitle: ", dtype=np.float64).reshape(1, 2)
    found = read(plot(["v(a)", "v(b)"], value) + plot(["v(a)", "v(b)"], [[1.0, 2.0]]))
    assert len(found) == 2
    np.testing.assert_array_equal(found[1].data, [[1.0, 2.0]])


@pytest.mark.parametrize("count", [1, 2])
def test_torn_at_every_byte(read, count):
    """Whatever is cut off, what is read is a whole plot or nothing; the error is always ours."""
    whole = b"".join(plot(NAMES, DATA + k) for k in range(count))
    ends = [len(plot(NAMES, DATA)) * k for k in range(1, count + 1)]
    for length in range(len(whole)):
        if length in ends:
            assert len(read(whole[:length])) == ends.index(length) + 1
        else:
            with pytest.raises(RawFileError) as caught:
                read(whole[:length])
            assert str(caught.value)
            assert "\n" not in str(caught.value)


def test_every_byte_overwritten(read):
    """A flipped byte gives an error of ours or a plot of the stated shape, never another error."""
    whole = bytearray(plot(NAMES, DATA))
    for place in range(len(whole)):
        for byte in (0x00, 0x0A, 0x20, 0x39, 0xFF):
            old, whole[place] = whole[place], byte
            with contextlib.suppress(RawFileError):
                for found in read(bytes(whole)):
                    assert found.data.shape[1] == len(found.names)
            whole[place] = old


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"no raw file at all", "torn header"),
        (plot(NAMES, DATA, flags="complex"), "complex"),
        (plot(NAMES, DATA, flags=""), "not real"),
        (header(NAMES, 0), "0 points"),
        (header(NAMES, -1), "points"),
        (header(NAMES, "many"), "count"),
        (header(NAMES, 2, variables=4) + DATA.tobytes(), "variables"),
        (header(NAMES, 2, variables=2) + DATA.tobytes(), "variables"),
        (header([], 2), "variables"),
        (header(NAMES, 3) + DATA.tobytes(), "48 of 72 bytes"),
        (header(NAMES, 10**18) + DATA.tobytes(), "bytes"),
        (plot(NAMES, DATA) + b"\0", "torn header"),
        (plot(NAMES, DATA).replace(b"Variables:\n", b"Vectors:\n"), "variables"),
        (plot(NAMES, DATA).replace(b"\tvoltage", b""), "torn list"),
        (plot(NAMES, DATA).replace(b"No. Points", b"Points"), "count"),
    ],
)
def test_refused(read, content, words):
    with pytest.raises(RawFileError, match=words):
        read(content)


def test_flags_of_ngspice(read):
    assert len(read(plot(NAMES, DATA, flags="real padded"))) == 1


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_plots(tmp_path / "missing.raw")
