"""A stand-in for ngspice that solves resistors and voltage sources, and misbehaves when told to.

It is copied as an executable into a folder of its own; ``behaviour.json`` beside it says what it
does: ``name`` of the behaviour, ``when`` (text that a deck must contain to be treated so; default
every deck) and ``unless`` (text that heals a deck, such as an option of a later rung). Each start
appends a line to ``calls.jsonl``: its process id, that of its child, and the options of its decks.

Only the standard library: it is started often, and with an environment it cannot rely on.
"""

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

HOME = Path(__file__).resolve().parent
FLOOD_BYTES = 50_000_000


def behaviour():
    path = HOME / "behaviour.json"
    return json.loads(path.read_text()) if path.exists() else {"name": "good"}


def log(**entry):
    with (HOME / "calls.jsonl").open("a") as file:
        file.write(json.dumps({"pid": os.getpid(), **entry}) + "\n")


def solve(elements):
    """Modified nodal analysis of {name: (plus, minus, value)}: voltages and source currents."""
    nodes = sorted({node for a, b, _ in elements.values() for node in (a, b)} - {"0"})
    sources = [name for name in elements if name[0] == "v"]
    place = {key: index for index, key in enumerate([*nodes, *sources])}
    size = len(place)
    matrix = [[0.0] * (size + 1) for _ in range(size)]

    def add(row, column, value):
        if row != "0" and column != "0":
            matrix[place[row]][place[column]] += value

    for name, (a, b, value) in elements.items():
        if name[0] == "r":
            for p, q in ((a, b), (b, a)):
                add(p, p, 1 / value)
                add(p, q, -1 / value)
        else:
            for node, sign in ((a, 1.0), (b, -1.0)):
                add(node, name, sign)
                add(name, node, sign)
            matrix[place[name]][size] = value
    for k in range(size):
        best = max(range(k, size), key=lambda row: abs(matrix[row][k]))
        matrix[k], matrix[best] = matrix[best], matrix[k]
        for row in range(size):
            if row != k and matrix[row][k]:
                factor = matrix[row][k] / matrix[k][k]
                matrix[row] = [x - factor * y for x, y in zip(matrix[row], matrix[k], strict=True)]
    found = {key: matrix[i][size] / matrix[i][i] for key, i in place.items()}
    return {f"v({n})": found[n] for n in nodes} | {f"i({s})": found[s] for s in sources}


def write_plot(how, title, names, rows):
    if how == "vector too few":
        names, rows = names[:-1], [row[:-1] for row in rows]
    elif how == "nan":
        rows[-1][-1] = float("nan")
    elif how == "huge":
        rows[-1][-1] = 1e30
    elif how == "stops early":
        rows = rows[:-1]
    elif how == "time is nan":
        rows[-1][0] = float("nan")
    elif how == "time runs back":
        rows = [rows[0], rows[2], rows[1], rows[2]]
    elif how == "foreign title":
        title = "imccircuit 0123456789abcdef-0"
    elif how == "no points":
        rows = []
    points = len(rows) + (1 if how == "more points than data" else 0)
    flags = "complex" if how == "complex" else "real"
    lines = [f"Title: {title.lower()}", "Date: today", "Plotname: Fake", f"Flags: {flags}",
             f"No. Variables: {len(names)}", f"No. Points: {points}", "Variables:"]  # fmt: skip
    lines += [f"\t{index}\t{name}\tvoltage" for index, name in enumerate(names)]
    data = b"".join(struct.pack(f"{len(row)}d", *row) for row in rows)
    return ("\n".join(lines) + "\nBinary:\n").encode() + data


class Deck:
    def __init__(self, path):
        self.text = path.read_text()
        self.lines = self.text.splitlines()
        self.title = self.lines[0]
        self.elements, self.saved, self.unknown, self.tables = {}, [], "", {}
        self.options = " ".join(line for line in self.lines if line.startswith(".options"))
        for line in self.text.replace("\n+", "").splitlines()[1:]:
            words = line.lower().split()
            if words and words[0] == ".control":
                break
            if words and words[0] == ".save":
                self.saved += words[1:]
            elif words and words[0][0] in "rv":
                self.elements[words[0]] = (words[1], words[2], float(words[3].rstrip("v")))
            elif words and " v=pwl(" in line:
                pairs = line.partition(",")[2].rstrip(")").split(",")
                self.tables[f"v_{words[0]}"] = (words[1], words[2], [float(x) for x in pairs[1::2]])
            elif words and words[0][0].isalpha():
                self.unknown = line

    def commands(self):
        inside = False
        for line in self.lines:
            if line in (".control", ".endc"):
                inside = line == ".control"
            elif inside:
                yield line.split()


def run_deck(path, told):
    deck = Deck(path)
    how = told["name"]
    if told.get("when", "") not in deck.text or (told.get("unless") or "\0") in deck.text:
        how = "good"
    log(how=how, options=deck.options, commands=[" ".join(words) for words in deck.commands()])
    before_analysis(how, deck)
    if deck.unknown:  # as ngspice: the deck is not loaded, and the process goes on
        sys.stderr.write(f"Error on line 3 or its substitute:\n  {deck.unknown}\nno such model\n")
        return
    rows, plot = [], b""
    for words in deck.commands():
        if words[0] == "alter":
            a, b, _ = deck.elements[words[1]]
            deck.elements[words[1]] = (a, b, float(words[3]))
        elif words[0] == "dc":
            rows, names = [], ["v(v-sweep)", *deck.saved]
            for run in range(int(words[3]) + 1):
                held = {key: (a, b, table[run]) for key, (a, b, table) in deck.tables.items()}
                values = solve({**deck.elements, words[1]: ("imc_run", "0", float(run)), **held})
                rows.append([float(run), *(values[name] for name in deck.saved)])
            plot = write_plot(how, deck.title, names, rows)
        elif words[0] in ("op", "tran"):
            if how == "no second analysis" and plot:
                continue  # as ngspice: `write` then writes the plot of the analysis before
            values = solve(deck.elements)
            rows = [[values[name] for name in deck.saved]]
            names = list(deck.saved)
            if words[0] == "tran":
                stop = float(words[2])
                rows = [[time_s, *rows[0]] for time_s in (0.0, stop / 2, stop)]
                names = ["time", *names]
            plot = write_plot(how, deck.title, names, rows)
        elif words[0] == "write" and how != "no raw":
            cut = len(plot) - 5 if how == "half a raw file" else len(plot)
            with (path.parent / words[1]).open("ab") as file:
                file.write(plot[:cut])
        elif words[0] == "echo" and how != "no sentinel":
            sys.stdout.write(" ".join(words[1:]) + "\n")
        elif words[0] == "rusage":
            sys.stdout.write("Total analysis time (seconds) = 0.001\n")
            if how == "killed in a line":
                sys.stdout.write("Total analysis time (sec")
                sys.stdout.flush()
                os.kill(os.getpid(), signal.SIGKILL)
    if how in ("exit 1", "quits"):
        sys.stdout.flush()
        sys.exit(1 if how == "exit 1" else 0)


def before_analysis(how, deck):
    if how == "hang":
        child = subprocess.Popen(["sleep", "600"])
        log(child=child.pid)
        time.sleep(600)
    elif how == "crash":
        child = subprocess.Popen(["sleep", "600"])
        log(child=child.pid)
        os.kill(os.getpid(), signal.SIGSEGV)
    elif how == "killed":  # by the kernel, for its memory
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "flood":
        line = b"Note: nothing of interest to say, but at length\n" * 1000
        for _ in range(FLOOD_BYTES // len(line)):
            sys.stdout.buffer.write(line)
    elif how == "benign notes":
        sys.stderr.write(
            "Note: No compatibility mode selected!\nTrying gmin =   1.0000E-03\n"
            "Supplies reduced to   0.1000%\nUsing KLU as Direct Linear Solver\n"
            "Warning: v_1: no DC value, transient time 0 value used\n"
            "Note: Starting dynamic gmin stepping\nNote: errors are none\n"
        )
    elif how == "reports":
        sys.stderr.write(f"Note: fine so far\n{behaviour()['line']}\n")


def main():
    text = Path(sys.argv[-1]).read_text()
    told = behaviour()
    if "print v(2)" in text:  # the engine's own probe
        sys.stdout.write("ngspice-99 : fake\nUsing KLU as Direct Linear Solver\n")
        if told["name"] != "no divider":
            sys.stdout.write("v(2) = 5.000000e-01\n")
        return
    for words in Deck(Path(sys.argv[-1])).commands():
        if words[0] == "source":
            run_deck(Path(words[1]), told)
        elif words[0] == "echo":
            sys.stdout.write(" ".join(words[1:]) + "\n")


if __name__ == "__main__":
    main()
