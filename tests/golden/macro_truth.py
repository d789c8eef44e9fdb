"""What a macro of linear parts gives, in plain numpy: no generator, bench or solver of ours."""

import numpy as np


def front_ends(g, drive, r_row, r_col, gain, feedback, r_in, hold):
    """Column currents and outputs (batch, col) of an array whose bit lines end in amplifiers.

    All node voltages of word lines, bit lines and amplifiers' inputs at once. An amplifier gives
    A·(hold − v), so it draws (v − A·(hold − v))/R_f + v/R_in from the node at v.
    """
    rows, cols = g.shape
    word = np.arange(rows * cols).reshape(rows, cols)
    bit, end = word + rows * cols, 2 * rows * cols + np.arange(cols)
    size = 2 * rows * cols + cols
    matrix, into = np.zeros((size, size)), np.zeros((size, len(drive)))

    def conductor(a, b, siemens):
        for p, q in ((a, b), (b, a)):
            matrix[p, p] += siemens
            matrix[p, q] -= siemens

    for i in range(rows):
        matrix[word[i, 0], word[i, 0]] += 1 / r_row
        into[word[i, 0]] += drive[:, i] / r_row
        for j in range(cols):
            conductor(word[i, j], bit[i, j], g[i, j])
            if j:
                conductor(word[i, j - 1], word[i, j], 1 / r_row)
            conductor(bit[i, j], bit[i + 1, j] if i + 1 < rows else end[j], 1 / r_col)
    matrix[end, end] += (1 + gain) / feedback + 1 / r_in
    into[end] += gain * hold / feedback
    voltage = np.linalg.solve(matrix, into)
    current = (voltage[bit[-1]] - voltage[end]).T / r_col
    return current, gain * (hold - voltage[end].T)


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
