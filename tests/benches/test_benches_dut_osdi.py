"""A netlist with a compiled model: refused, unless the user says that it may run.

The model is a resistor in C with the binary interface of compiled Verilog-A (OSDI 0.3).
"""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PySpice.Spice.Netlist import Circuit

from imccircuit.benches.problem import NOISE_VECTOR, Noise, OperatingPoint, Probe, Problem
from imccircuit.cli.main import run_command
from imccircuit.engines import deck
from imccircuit.engines.contract import Status
from imccircuit.engines.ngspice import NgspiceEngine, probe, require_osdi
from imccircuit.errors import ExitCode, InputError, SetupError
from imccircuit.recipes.load import load_recipe
from imccircuit.recipes.plan import Plan
from imccircuit.results.read import read_results

HERE = Path(__file__).parent
SOURCE = HERE / "foreign_osdi" / "osdi_resistor.c"
LOADS = ".control\npre_osdi Res.osdi\n.endc\n"
MODEL = ".model unit testres(r=1k)\n.ENDS"
PORTS = {"VIN": "input", "CK": "clock", "AVDD": "supply", "VREFP": "reference",
         "AVSS": "ground", "B2": "bit_2", "B1": "bit_1", "B0": "bit_0"}  # fmt: skip
KEYS = {"dut": "flash3.spice:FLASH3", "bits": 3, "reference_voltage": "0.8 V",
        "conversion_time": "30 ns"}  # fmt: skip


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The compiled resistor, in a folder whose name has a blank and capitals."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to make an OSDI model with")
    path = tmp_path_factory.mktemp("osdi") / "My Models" / "Res.osdi"
    path.parent.mkdir()
    subprocess.run([compiler, "-shared", "-fPIC", "-o", path, SOURCE], check=True, timeout=60)
    return path


@pytest.fixture(scope="module")
def engine():
    found = NgspiceEngine()
    try:
        require_osdi(found.ngspice, "it")
    except SetupError as error:
        pytest.skip(str(error))
    return found


@pytest.fixture
def recipe(tmp_path):
    """A recipe whose ladder ends in the compiled resistor; the library is not there yet."""
    text = (HERE / "foreign" / "flash3.spice").read_text()
    text = text.replace("R8 t7 VREFP {rladder}", "N8 t7 VREFP unit").replace(".ENDS", MODEL)
    (tmp_path / "flash3.spice").write_text(LOADS + text)
    lines = [f"{key} = {value!r}" for key, value in KEYS.items()]
    lines += ["[circuit.ports]", *(f"{pin} = {role!r}" for pin, role in PORTS.items())]
    path = tmp_path / "mine.toml"
    path.write_text('bench = "dut_adc"\n[circuit]\n' + "\n".join(lines))
    return path


def divider(native):
    """Two resistors of 1.5 kohm in parallel, compiled, above one of 3 kohm."""
    circuit = Circuit("divider")
    circuit.raw_spice = (
        "vin top 0 dc 1 ac 1\nn1 top mid unit m=2\nr2 mid 0 3k\nc1 mid 0 1p\n"
        ".model unit testres (r=3k)\n"
    )
    probes = (Probe("mid", ("v(mid)",), (), 5.0),)
    return Problem(circuit, OperatingPoint(), probes, ({"vin": 1.0}, {"vin": 2.0}),
                   native=(str(native),))  # fmt: skip


@pytest.mark.ngspice
def test_compiled_models_in_one_process_with_others(library, engine):
    # Three circuits in one process: ngspice 46 crashes if a model is loaded after a circuit.
    noise = Problem(
        divider(library).circuit,
        Noise("mid", "vin", 1.0, 1e14),
        (Probe("noise", (NOISE_VECTOR,), (), 1.0),),
        native=(str(library),),
    )
    outcomes = engine.solve([divider(library), noise, divider(library)])
    assert [outcome.status for outcome in outcomes] == [Status.GOOD] * 3
    for index in (0, 2):
        # Two thirds: 1.5 kohm above 3 kohm; of a linear circuit only rounding is left.
        np.testing.assert_allclose(outcomes[index].answer.final("mid"), [2 / 3, 4 / 3], rtol=1e-9)
    # kT/C of 1 pF at 27 degC; the band ends 5 decades beyond the corner at 160 MHz, which leaves
    # out 2/π of 1e-5. ngspice sums trapezoids in a decade's 100 points, good to a thousandth.
    expected = np.sqrt(1.380649e-23 * 300.15 / 1e-12)
    assert outcomes[1].answer.final("noise")[0] == pytest.approx(expected, rel=1e-3, abs=0)


@pytest.mark.ngspice
def test_a_broken_library_is_named(tmp_path, engine):
    broken = tmp_path / "broken.osdi"
    broken.write_text("no library at all")
    (outcome,) = engine.solve([divider(broken)])
    assert outcome.status is Status.REFUSED
    assert "broken.osdi" in outcome.reason


def test_a_deck_loads_before_everything_else():
    text = deck.deck_text(divider("/a b/Res.osdi"), title="t", options={})
    control = text[text.index(".control") :].splitlines()
    assert control[1] == "pre_osdi '/a b/Res.osdi'"
    assert control.count(control[1]) == 1


@pytest.mark.ngspice
def test_run_needs_permission(recipe, library, engine, capsys):
    shutil.copy(library, recipe.parent)
    output = recipe.parent / "out.h5"
    before = sorted(recipe.parent.iterdir())
    words = ["run", str(recipe), "-o", str(output)]
    assert run_command(words) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "'Res.osdi'" in said
    assert "--allow-native" in said
    assert sorted(recipe.parent.iterdir()) == before
    assert run_command([*words, "--allow-native"]) == ExitCode.GOOD
    results = read_results(output)
    # The ladder of the plain netlist; bisection to 0.01 LSB of 0.1 V.
    taps = np.cumsum([1, 1, 1, 1.1, 0.9, 1, 1]) / 8 * 0.8
    np.testing.assert_allclose(results.dataset["transition_level"].values[0, 0], taps, atol=1e-3)
    assert "Res.osdi" in results.provenance.file_hashes
    capsys.readouterr()
    # A results file comes from anybody as well; its deck may need problems before it to be run.
    assert run_command(["netlist", str(output)]) == ExitCode.USAGE
    assert "--allow-native" in capsys.readouterr().err
    assert run_command(["netlist", str(output), "--allow-native"]) == ExitCode.GOOD
    assert "pre_osdi" in capsys.readouterr().out


def test_the_digest_follows_the_library(recipe):
    library = recipe.parent / "Res.osdi"
    digests = []
    for text in ("one", "two"):
        library.write_text(text)
        digests.append(Plan(load_recipe(str(recipe), allow_native=True)).digest)
    assert digests[0] != digests[1]


def test_an_ngspice_without_osdi(tmp_path, recipe, monkeypatch, capsys):
    # It says what 39 of a distribution that leaves OSDI out says, and solves the probe's divider.
    fake = tmp_path / "fake_ngspice"
    fake.write_text(
        "#!/bin/sh\necho ngspice-39\necho 'v(2) = 5.000000e-01'\n"
        "echo 'osdi: no such command available in ngspice' >&2\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("IMCCIRCUIT_NGSPICE", str(fake))
    (recipe.parent / "Res.osdi").write_text("x")
    with pytest.raises(SetupError, match="built without"):
        require_osdi(probe(str(fake)), "Res.osdi")
    before = sorted(recipe.parent.iterdir())
    words = ["run", str(recipe), "--allow-native", "-o", str(recipe.parent / "out.h5")]
    assert run_command(words) == ExitCode.ENVIRONMENT
    assert "Res.osdi needs OSDI, which ngspice 39 was built without" in capsys.readouterr().err
    assert sorted(recipe.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (".control\npre_osdi nowhere.osdi\n.endc", "no such file"),
        (".control\npre_osdi ../outside.osdi\n.endc", "outside the recipe's folder"),
        (".control\npre_osdi 'Res.osdi;shell'\n.endc", "a plain path"),
        (".control\npre_osdi Res.osdi\nshell ls\n.endc", r"\.control is refused"),
        (".control\npre_osdi Res.osdi", r"\.control is refused"),
        (".endc\npre_osdi Res.osdi\n.control", r"\.endc is refused"),
        (f"{LOADS}{LOADS}", r"\.control is refused"),
    ],
)
def test_control_blocks_that_are_refused(recipe, block, words):
    (recipe.parent / "Res.osdi").write_text("x")
    netlist = recipe.parent / "flash3.spice"
    netlist.write_text(netlist.read_text().replace(LOADS, f"{block}\n"))
    with pytest.raises(InputError, match=words) as caught:
        load_recipe(str(recipe), allow_native=True)
    assert "\n" not in str(caught.value)


def test_a_block_in_a_file_that_is_included(recipe):
    netlist = recipe.parent / "flash3.spice"
    netlist.write_text(netlist.read_text().replace(LOADS, ".include parts.inc\n"))
    (recipe.parent / "parts.inc").write_text(LOADS)
    (recipe.parent / "Res.osdi").write_text("x")
    with pytest.raises(InputError, match=r"parts.inc line 1: \.control is refused"):
        load_recipe(str(recipe), allow_native=True)


def test_a_model_whose_first_parameter_ngspice_would_lose(recipe):
    (recipe.parent / "Res.osdi").write_text("x")
    netlist = recipe.parent / "flash3.spice"
    # In the netlist itself the blank is put there; MODEL has none.
    parameters = load_recipe(str(recipe), allow_native=True).parameters({})
    assert ".model unit testres (r=1k)" in parameters.circuit.dut.text
    (recipe.parent / "parts.inc").write_text(".model coil l(ind=1)\n.model part testres(r=1k)\n")
    netlist.write_text(netlist.read_text() + ".include parts.inc\n")
    with pytest.raises(InputError, match=r"parts.inc line 2: ngspice loses the first parameter"):
        load_recipe(str(recipe), allow_native=True)
