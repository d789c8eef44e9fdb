"""Levels from a CSV file: what is read, and what is refused."""

import numpy as np
import pytest

from imccircuit.cli.import_levels import read_levels
from imccircuit.cli.main import run_command
from imccircuit.errors import UsageError
from imccircuit.results.read import read_results


def table(tmp_path, text):
    path = tmp_path / "levels.csv"
    path.write_text(text)
    return path


def test_rows_in_any_order_with_units_and_chips(tmp_path):
    text = "chip, Level, code\nA, 0.2 V, 2\nA, 100 mV, 1\nA,300 mV,3\nB,110,1\nB,210,2\nB,310,3\n"
    levels = read_levels(table(tmp_path, text), "mV")
    np.testing.assert_array_equal(levels, [[0.1, 0.2, 0.3], [0.11, 0.21, 0.31]])


def test_results_file_of_imported_levels(tmp_path, capsys):
    rows = "".join(f"{code},{code * 100}\n" for code in range(1, 8))
    path = table(tmp_path, "code,level\n" + rows)
    output = tmp_path / "r.h5"
    words = ["import-levels", str(path), "--unit", "mV", "--reference", "0.8 V", "-o", str(output)]
    assert run_command(words) == 0
    results = read_results(output)
    np.testing.assert_array_equal(
        results.dataset["transition_level"].values[0, 0], np.arange(1, 8) / 10
    )
    assert results.provenance.versions["engine"] == "imported numbers"
    assert "SHA-256" in results.provenance.recipe_text
    assert run_command(["show", str(output)]) == 0
    assert run_command(["plot", str(output)]) == 0
    assert run_command(["fit", str(output), "-o", str(tmp_path / "m.h5")]) == 0
    assert "not judged" in capsys.readouterr().out
    assert run_command(["netlist", str(output)]) == 1
    assert "simulates nothing" in capsys.readouterr().err


def test_many_imported_chips_are_judged_on_held_out_ones(tmp_path, capsys):
    weights = np.random.default_rng(1).normal([1, 2, 4, 8], 0.02 * np.sqrt([1, 2, 4, 8]), (60, 4))
    levels = (np.arange(1, 16)[:, None] >> np.arange(4) & 1) @ weights.T / 16
    levels = np.maximum.accumulate(levels, axis=0)
    rows = [
        f"{chip},{code + 1},{level!r}"
        for chip, column in enumerate(levels.T.tolist())
        for code, level in enumerate(column)
    ]
    path = table(tmp_path, "chip,code,level\n" + "\n".join(rows))
    output = str(tmp_path / "r.h5")
    assert run_command(["import-levels", str(path), "--unit", "V", "-o", output]) == 0
    assert run_command(["fit", output, "-o", str(tmp_path / "m.h5")]) == 0
    printed = capsys.readouterr().out
    assert "verdict: pass" in printed
    # Who brings levels in does not say what made the chips differ, nor how warm they were.
    unknown = "not known: the chips were measured elsewhere"
    assert f"domain varied from chip to chip: {unknown}\n" in printed
    assert f"domain temperature: {unknown}\n" in printed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("code,volt\n1,1\n", "no column 'level'"),
        ("", "no column 'code'"),
        ("code,level\n", "no levels in it"),
        ("code,level\n1,0.1\n", "line 2: level '0.1': no unit"),
        ("code,level\n0,0.1 V\n", "line 2: code '0'"),
        ("code,level\n1,0.1 A\n", "line 2: level '0.1 A': wrong dimension"),
        ("code,level\n1,nan\n", "line 2: level 'nan'"),
        ("code,level\n1,0,1 V\n", "line 2: more fields than columns"),
        ("code,level\n1,0.1 V\n1,0.2 V\n", "line 3: code 1 is there twice"),
        ("code,level\n1,0.1 V\n3,0.2 V\n", "no level for code 2 of 1 to 3"),
        ("chip,code,level\nA,1,1 V\nB,3,1 V\n", "no level of chip A for code 2"),
    ],
)
def test_tables_that_are_refused(tmp_path, text, words):
    with pytest.raises(UsageError) as caught:
        read_levels(table(tmp_path, text))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("1,0.1 V\n2,0.2 V\n", "has 2 levels a chip; allowed: 2^bits − 1"),
        ("1,0.2 V\n2,0.1 V\n3,0.3 V\n", "levels of chip 0 fall from code 1 to 2"),
    ],
)
def test_levels_that_are_no_converter(tmp_path, capsys, rows, words):
    path = table(tmp_path, "code,level\n" + rows)
    output = tmp_path / "r.h5"
    assert run_command(["import-levels", str(path), "-o", str(output)]) == 1
    assert words in capsys.readouterr().err
    assert not output.exists()
