"""The text of decks."""

from dataclasses import replace

from contract import array_problem

from imccircuit.benches.problem import Transient
from imccircuit.circuits.sar_adc import SarAdc, sar_adc
from imccircuit.engines.deck import (
    LADDER,
    control_lines,
    deck_sha256,
    deck_text,
    vectors_of,
    write_options,
)
from imccircuit.engines.driven import drive


def control_block(text):
    return text.partition(".control\n")[2].partition(".endc")[0].splitlines()


def test_each_run_alters_marks_analyses_and_writes():
    problem, _ = array_problem(1, rows=2, cols=1, batch=2)
    lines = control_lines(problem, drive(problem), LADDER[0], "x.raw")
    start = lines.index(f"alter vin_0 = {problem.alterations[0]['vin_0']!r}")
    per_run = ["alter", "alter", "alter", "op", "write", "destroy"]
    assert [line.split()[0] for line in lines[start:]] == 2 * per_run
    assert [line for line in lines if "imc_run" in line] == [
        "alter v_imc_run = 0",
        "alter v_imc_run = 1",
    ]


def test_numbers_keep_all_their_digits():
    problem, _ = array_problem(2)
    problem = replace(problem, analysis=Transient(0.1 + 0.2, 1e-9 / 3, 2e-9 / 3))
    lines = control_lines(problem, drive(problem), LADDER[0], "x.raw")
    (tran,) = {line for line in lines if line.startswith("tran")}
    assert [float(word) for word in tran.split()[1:]] == [1e-9 / 3, 0.1 + 0.2, 0, 2e-9 / 3]
    for name, value in problem.alterations[1].items():
        assert f"alter {name} = {value!r}" in lines


def test_nothing_is_destroyed_between_transients_of_a_deck():
    """`destroy all` leaves XSPICE logic dead in the next transient (see tests/circuits)."""
    problem, _ = array_problem(1)
    adc = SarAdc([1e-15, 2e-15], 1e-15, 0.0, 1.0, 0.5, 0.0, 1e-8, 100.0, 1e12)
    loop = replace(
        problem,
        circuit=sar_adc(adc, "loop"),
        analysis=Transient(adc.loop_stop_s, 1e-9, 1e-9),
        alterations=({"vin": 0.1}, {"vin": 0.9}),
    )
    for rung in LADDER:
        text = deck_text(loop, title="imccircuit x", options={"klu": ""}, rung=rung)
        words = {line.split()[0] for line in control_block(text)}
        assert not words & {"destroy", "reset", "remcirc"}


def test_rungs_reach_the_deck():
    problem, _ = array_problem(1)
    problem = replace(problem, options={"method": "trap", "reltol": 1e-5})
    for rung in LADDER:
        text = deck_text(problem, title="t", options={"klu": ""}, rung=rung)
        (line,) = [line for line in text.splitlines() if line.startswith(".options")]
        given = dict(word.partition("=")[::2] for word in line.split()[1:])
        assert "klu" in given
        assert given["reltol"] == "1e-05"
        for key, value in rung.options.items():
            assert given[key] == str(value)
        for command in rung.commands:
            assert control_block(text).index(command) < control_block(text).index("op")


def test_options():
    assert write_options({"klu": "", "gmin": 1e-15}) == ".options klu gmin=1e-15"


def test_each_vector_once():
    problem, _ = array_problem(1, rows=2, cols=2)
    probe = problem.probes[1]
    twice = replace(problem, probes=(probe, replace(probe, name="again")))
    assert vectors_of(twice) == list(probe.vectors)


def test_hash_is_of_what_is_solved():
    problem, _ = array_problem(1)

    def digest(problem, **options):
        given = {"title": "imccircuit a", "options": {"klu": ""}, **options}
        return deck_sha256(deck_text(problem, **given))

    same = digest(problem)
    assert same == digest(problem, title="imccircuit b", raw_name="7.raw", standalone=False)
    assert same != digest(problem, options={})
    assert same != digest(replace(problem, temperature_degc=85.0))
    assert same != digest(replace(problem, alterations=problem.alterations[:1]))
    assert same != digest(array_problem(2)[0])
