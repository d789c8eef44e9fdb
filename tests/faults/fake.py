"""The misbehaving ngspice as the tests handle it, and the decks it is given."""

import json
import sys
import time
from pathlib import Path

from PySpice.Spice.Netlist import Circuit

from imccircuit.benches.problem import OperatingPoint, Probe, Problem, Transient
from imccircuit.engines.ngspice import NgspiceEngine

SOURCE = Path(__file__).with_name("fake_ngspice.py")


class Fake:
    """An installed `fake_ngspice.py`, what it was told and what it did."""

    def __init__(self, folder):
        self.path = folder / "ngspice"
        # Isolated and without site-packages: it starts in 10 ms.
        self.path.write_text(f"#!{sys.executable} -IS\n{SOURCE.read_text()}")
        self.path.chmod(0o755)
        self.calls_path = folder / "calls.jsonl"

    def behave(self, name, **told):
        text = json.dumps({"name": name, **told})
        self.path.with_name("behaviour.json").write_text(text)

    def engine(self, timeout_s=20.0, **options):
        return NgspiceEngine(executable=str(self.path), timeout_s=timeout_s, **options)

    def calls(self):
        if not self.calls_path.exists():
            return []
        return [json.loads(line) for line in self.calls_path.read_text().splitlines()]

    def processes(self):
        """Every process it started, itself included."""
        found = {call["pid"] for call in self.calls()}
        return found | {call["child"] for call in self.calls() if "child" in call}


def is_alive(pid):
    """A zombie is dead: it only waits for somebody to read its exit code."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def all_dead(pids, within_s):
    deadline = time.monotonic() + within_s
    while any(is_alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def divider(r_ohm=1000.0, *, transient=False, name="", text="", vectors=("v(b)", "i(v1)")):
    """1 V, then 2 V, over 1 kohm and ``r_ohm``; ``name`` goes into the deck, to be found there."""
    circuit = Circuit("divider")
    circuit.V("1", "a", circuit.gnd, 1.0)
    circuit.R("1", "a", "b", 1e3)
    circuit.R("2", "b", circuit.gnd, r_ohm)
    circuit.raw_spice = (f"* {name}\n" if name else "") + text
    return Problem(
        circuit,
        Transient(5e-9, 1e-9, 1e-9) if transient else OperatingPoint(),
        (Probe("x", vectors, (len(vectors),), 10.0),),
        alterations=({"v1": 1.0}, {"v1": 2.0}),
        label=name or f"divider {r_ohm:g}",
    )
