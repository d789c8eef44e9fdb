"""A 1T1R column solved without our generator: a tabulated transistor and Newton's method in numpy.

The transistor is simulated alone, in a deck written here by hand: drain current over drain and
source voltage (bulk at 0 V) at one gate voltage. Cubic splines through the table are the law; the
column is Kirchhoff's current law at every node of its two wires.
"""

import subprocess

import numpy as np
from scipy.interpolate import RectBivariateSpline

from imccircuit.devices.cards import load_card

GRID = np.linspace(-0.02, 0.22, 61)
DECK = """one transistor
.lib '{library}' {corner}
vd d 0 0
vg g 0 {gate}
vs s 0 0
m1 d g s 0 imc_nmos W={width} L=60n {extra}
.options gmin=1e-16 abstol=1e-16 reltol=1e-9
.temp {temperature}
.control
set num_threads=1
dc vd {low} {high} {step} vs {low} {high} {step}
wrdata table.txt -i(vd)
quit 0
.endc
.end
"""


def transistor(folder, gate, *, width="360n", corner="tt", temperature=27, extra=""):
    """Spline of the drain current over (drain, source) voltage."""
    library = load_card("mos_generic", "mos").library_path
    deck = DECK.format(
        library=library, gate=gate, width=width, corner=corner, temperature=temperature,
        extra=extra, low=GRID[0], high=GRID[-1] + 1e-9, step=GRID[1] - GRID[0],
    )  # fmt: skip
    (folder / "one.cir").write_text(deck)
    subprocess.run(["ngspice", "-b", "-n", "one.cir"], cwd=folder, check=True, capture_output=True,
                   timeout=60)  # fmt: skip
    table = np.loadtxt(folder / "table.txt")[:, 1].reshape(len(GRID), len(GRID))
    return RectBivariateSpline(GRID, GRID, table.T)


def column_current(on, off, conductance, active, *, wire=2.0, clamp=20.0, read=0.2):
    """Current out of a column whose source line leaves at the far end from the feed.

    on, off : splines of active and inactive transistors. conductance, active : (row,).
    """
    rows = len(conductance)
    bit, middle, source = (np.full(rows, value) for value in (read, 0.5 * read, 0.0))
    g_wire = 1 / wire
    g_end = 1 / (wire + clamp)
    for _ in range(100):
        i = np.where(active, on(middle, source, grid=False), off(middle, source, grid=False))
        slopes = []
        for dx, dy in ((1, 0), (0, 1)):
            slopes.append(
                np.where(
                    active,
                    on(middle, source, dx=dx, dy=dy, grid=False),
                    off(middle, source, dx=dx, dy=dy, grid=False),
                )
            )
        g_d, g_s = slopes
        cell = conductance * (bit - middle)
        left = np.concatenate([[read], bit[:-1]])
        right = np.concatenate([source[1:], [0.0]])
        g_right = np.append(np.full(rows - 1, g_wire), g_end)
        residual = np.concatenate([cell - g_wire * (left - bit), i - cell, -i])
        residual[: rows - 1] -= g_wire * (bit[1:] - bit[:-1])
        residual[2 * rows :] += g_right * (source - right)
        residual[2 * rows + 1 :] -= g_wire * (source[:-1] - source[1:])
        n = np.arange(rows)
        jacobian = np.zeros((3 * rows, 3 * rows))
        b, m, s = n, rows + n, 2 * rows + n
        jacobian[b, b] = conductance + g_wire + np.append(np.full(rows - 1, g_wire), 0.0)
        jacobian[b, m] = -conductance
        jacobian[b[1:], b[:-1]] = -g_wire
        jacobian[b[:-1], b[1:]] = -g_wire
        jacobian[m, m] = g_d + conductance
        jacobian[m, b] = -conductance
        jacobian[m, s] = g_s
        jacobian[s, m] = -g_d
        jacobian[s, s] = -g_s + g_right + np.append(0.0, np.full(rows - 1, g_wire))
        jacobian[s[:-1], s[1:]] = -g_wire
        jacobian[s[1:], s[:-1]] = -g_wire
        step = np.linalg.solve(jacobian, -residual)
        parts = np.split(step, 3)
        bit, middle, source = bit + parts[0], middle + parts[1], source + parts[2]
        if np.max(np.abs(step)) < 1e-13:
            return source[-1] * g_end
    raise RuntimeError("Newton's method does not converge")
