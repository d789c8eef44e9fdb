"""A training layer's pass and slopes on a CPU, each one compiled call.

A layer is so small that calling a dozen operations of torch takes longer than what they do. The
twins are the operations of `imccircuit.networks.hardware_layer`, which run where the tensors are.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from imccircuit.networks.level_search import sum_codes


@njit(cache=True, nogil=True)
def current_shares(x, weight, cells, input_range, full_scale, low):  # type: ignore[no-untyped-def]
    """Column currents (1, batch, col) over the range that fills a converter, in current mode."""
    inputs, outputs = weight.shape[1], weight.shape[0]
    rows = np.empty_like(x)
    for b in range(len(x)):
        for i in range(inputs):
            rows[b, i] = min(max(x[b, i] / input_range, np.float32(0.0)), np.float32(1.0))
    largest = np.max(np.abs(weight))
    step = (np.float32(1.0) - low) / largest
    matrix = np.empty((inputs, 2 * outputs), dtype=np.float32)
    for i in range(inputs):
        for o in range(outputs):
            w = weight[o, i]
            up = low + step * max(w, np.float32(0.0))
            down = low + step * max(-w, np.float32(0.0))
            matrix[i, o] = up * cells[i, o] / full_scale
            matrix[i, outputs + o] = down * cells[i, outputs + o] / full_scale
    return np.dot(rows, matrix).reshape(1, len(x), 2 * outputs)


@njit(cache=True, nogil=True)
def charge_shares(x, weight, cells, input_range, full_scale, slices, passes):  # type: ignore[no-untyped-def]
    """Active products (pass, batch, col) over the number that fills a converter, in charge mode."""
    inputs, outputs = weight.shape[1], weight.shape[0]
    most, across = np.float32(2**passes - 1), 2 * outputs
    digits = np.empty((passes, len(x), inputs), dtype=np.float32)
    for b in range(len(x)):
        for i in range(inputs):
            part = min(max(x[b, i] / input_range, np.float32(0.0)), np.float32(1.0))
            whole = np.int32(np.rint(part * most))
            for p in range(passes):
                digits[p, b, i] = (whole >> p) & 1
    largest, top = np.max(np.abs(weight)), np.float32(2**slices - 1)
    matrix = np.zeros((inputs, slices * across), dtype=np.float32)
    for i in range(inputs):
        for o in range(outputs):
            w = weight[o, i] / largest
            column = o if w > 0 else outputs + o
            whole = np.int32(np.rint(abs(w) * top))
            for s in range(slices):
                if (whole >> s) & 1:
                    matrix[i, s * across + column] = cells[i, s * across + column] / full_scale
    flat = digits.reshape(passes * len(x), inputs)
    return np.dot(flat, matrix).reshape(passes, len(x), slices * across)


@njit(cache=True, nogil=True)
def bend(shares, front):  # type: ignore[no-untyped-def]
    """Send shares (vector, col) through front ends (col, 4), in place."""
    half = np.float32(0.5)
    for b in range(shares.shape[0]):
        for j in range(shares.shape[1]):
            offset, gain, bow, asymmetry = front[j]
            x = shares[b, j] - half
            inside = min(max(x, -half), half)
            y = half + offset + (np.float32(1.0) + gain) * x
            y += (np.float32(1.0) - np.float32(4.0) * inside * inside) * (bow + asymmetry * inside)
            # Beyond its ends a curve goes on straight, with the slope it has there.
            side = np.float32(1.0) if x > 0 else np.float32(-1.0)
            slope = -side * np.float32(4.0) * bow - np.float32(2.0) * asymmetry
            shares[b, j] = y + slope * (x - inside)


@njit(cache=True, nogil=True)
def coded_products(shares, levels, weights, scale):  # type: ignore[no-untyped-def]
    """Products (batch, out): codes of shares (pass, batch, col), summed, halves subtracted."""
    sums = sum_codes(levels, shares, weights)
    outputs = sums.shape[1] // 2
    found = np.empty((len(sums), outputs), dtype=np.float32)
    for b in range(len(sums)):
        for o in range(outputs):
            found[b, o] = (sums[b, o] - sums[b, outputs + o]) * scale
    return found


@njit(cache=True, nogil=True)
def slopes(x, weight, found, up, low):  # type: ignore[no-untyped-def]
    """Slopes along inputs (batch, in) and weights (out, in), with the pull of the filled range.

    Σ (found - x @ W.T)·up needs no second product: Σ (x @ W.T)·up = Σ W·(up.T @ x).
    """
    batch, inputs = x.shape
    outputs = len(weight)
    one = np.float32(1.0)
    along = np.dot(np.ascontiguousarray(up.T), x)
    mean = np.zeros(inputs, dtype=np.float32)
    for b in range(batch):
        for i in range(inputs):
            mean[i] += x[b, i] / np.float32(batch)
    largest, row, col, straight = np.float32(-1.0), 0, 0, 0.0
    by_input = np.zeros(inputs, dtype=np.float32)
    for o in range(outputs):
        for i in range(inputs):
            size = abs(weight[o, i])
            by_input[i] += size / np.float32(outputs)
            straight += weight[o, i] * along[o, i]
            if size > largest:
                largest, row, col = size, o, i
    filled, total, error = 0.0, np.float32(0.0), -straight
    for i in range(inputs):
        by_input[i] = by_input[i] * (one - low) + low * largest
        filled += mean[i] * by_input[i]
        total += mean[i]
    for b in range(batch):
        for o in range(outputs):
            error += found[b, o] * up[b, o]
    pull = np.float32(error / filled)
    share = pull * (one - low) / np.float32(outputs)
    for o in range(outputs):
        for i in range(inputs):
            along[o, i] += np.sign(weight[o, i]) * mean[i] * share
    along[row, col] += pull * low * total * np.sign(weight[row, col])
    back = np.dot(up, weight)
    for b in range(batch):
        for i in range(inputs):
            back[b, i] += by_input[i] * (pull / np.float32(batch))
    return back, along
