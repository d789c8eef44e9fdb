"""What a macro of linear parts gives, in plain numpy: no generator, bench or solver of ours."""

import numpy as np


def front_ends(g, drive, r_row, r_col, gain, feedback, r_in, hold, r_drive=0.0):
    """Column currents and outputs (batch, col) of an array whose bit lines end in amplifiers.

    An amplifier gives A·(hold − v), so it draws (v − A·(hold − v))/R_f + v/R_in from the node at v;
    all have one ``hold``, or each its own.
    """
    matrix, into, bit, end = nodal(g, drive, r_row, r_col, r_drive)
    matrix[end, end] += (1 + gain) / feedback + 1 / r_in
    into[end] += np.reshape(gain * hold / feedback, (-1, 1))
    voltage = np.linalg.solve(matrix, into)
    current = (voltage[bit[-1]] - voltage[end]).T / r_col
    return current, gain * (hold - voltage[end].T)


def ends_of(g, drive, r_row, r_col, end_v):
    """Column currents (batch, col) of an array whose bit lines' ends stand at ``end_v``."""
    matrix, into, bit, end = nodal(g, drive, r_row, r_col)
    matrix[end] = 0.0
    matrix[end, end] = 1.0
    into[end] = np.transpose(np.broadcast_to(end_v, (len(drive), len(end))))
    voltage = np.linalg.solve(matrix, into)
    return (voltage[bit[-1]] - voltage[end]).T / r_col


def nodal(g, drive, r_row, r_col, r_drive=0.0):
    """Matrix, right-hand sides (node, batch), and nodes of bit lines and of their ends.

    All nodes of word lines and bit lines at once; nothing hangs on the ends yet. A row's source has
    its ``r_drive`` (row,) before the first segment.
    """
    rows, cols = g.shape
    word = np.arange(rows * cols).reshape(rows, cols)
    bit, end = word + rows * cols, 2 * rows * cols + np.arange(cols)
    size = 2 * rows * cols + cols
    matrix, into = np.zeros((size, size)), np.zeros((size, len(drive)))
    first = 1 / (r_row + np.broadcast_to(r_drive, rows))

    def conductor(a, b, siemens):
        for p, q in ((a, b), (b, a)):
            matrix[p, p] += siemens
            matrix[p, q] -= siemens

    for i in range(rows):
        matrix[word[i, 0], word[i, 0]] += first[i]
        into[word[i, 0]] += drive[:, i] * first[i]
        for j in range(cols):
            conductor(word[i, j], bit[i, j], g[i, j])
            if j:
                conductor(word[i, j - 1], word[i, j], 1 / r_row)
            conductor(bit[i, j], bit[i + 1, j] if i + 1 < rows else end[j], 1 / r_col)
    return matrix, into, bit, end


def static_levels(caps, dummy, parasitic, offset_v):
    """Levels of all codes by the balance of charges, 1 V full scale.

    The offset is at the top plate, where an input arrives by C_a/(C_a + C_p).
    """
    array = caps.sum() + dummy
    on = np.arange(1, 2 ** len(caps))[:, None] >> np.arange(len(caps)) & 1
    return on @ caps / array - offset_v * (array + parasitic) / array


def search(levels, bits, voltage):
    """One successive approximation, bit by bit."""
    code = 0
    for k in reversed(range(bits)):
        if voltage > levels[(code | 1 << k) - 1]:
            code |= 1 << k
    return code


def ladder(parts, code, rest, full, on_ohm, off_ohm):
    """Open voltage and output resistance of an R-2R ladder, all its nodes at once.

    ``parts``: legs LSB first, terminator, rungs from the terminator on. Node k is where leg k
    meets the rungs, the last one the output; node bits + k is where leg k meets its switches.
    """
    bits = len(parts) // 2
    legs, terminator, rungs = parts[:bits], parts[bits], parts[bits + 1 :]
    matrix, into = np.zeros((2 * bits, 2 * bits)), np.zeros(2 * bits)
    for a, b, ohm in [(k, bits + k, legs[k]) for k in range(bits)] + [
        (k, k + 1, rungs[k]) for k in range(bits - 1)
    ]:
        matrix[[a, b], [a, b]] += 1 / ohm
        matrix[[a, b], [b, a]] -= 1 / ohm
    matrix[0, 0] += 1 / terminator
    into[0] += rest / terminator
    for k in range(bits):
        to_full, to_rest = (on_ohm, off_ohm) if code >> k & 1 else (off_ohm, on_ohm)
        matrix[bits + k, bits + k] += 1 / to_full + 1 / to_rest
        into[bits + k] += full / to_full + rest / to_rest
    push = np.zeros(2 * bits)
    push[bits - 1] = 1.0
    open_v, per_ampere = np.linalg.solve(matrix, np.column_stack([into, push])).T
    return open_v[bits - 1], per_ampere[bits - 1]
