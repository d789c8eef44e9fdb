"""Results and model files of which anything may be wrong: read, or refused in one line."""

import contextlib
import shutil
import warnings

import h5py
import numpy as np
import pytest
from attack import EVIL, NUMBERS, command, damaged, fuzz
from hypothesis import strategies as st

from imccircuit.surrogates.domain import DomainWarning

# Numbers that do not fit together may be divided by zero on the way to a figure that is not one.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

RESULTS = ("crossbar", "sweep", "adc")
MODELS = ("crossbar", "adc")
rngs = st.randoms(use_true_random=False)


def any_value(rng):
    return rng.choice([
        rng.choice([n for n in NUMBERS if abs(n) < 2**62 or n != n]), rng.choice(EVIL[:-5]),
        np.zeros((2, 3)), np.arange(5), np.array([]), np.zeros((0, 4)), True, np.int8(1),
        np.full((1, 1, 40, 3), np.nan), np.array(["a", "b"], dtype=object),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    ])  # fmt: skip


def put(holder, name, value):
    if isinstance(value, str):
        value = value.replace("\x00", "")
    is_text = isinstance(value, np.ndarray) and value.dtype == object
    holder.create_dataset(name, data=value, dtype=h5py.string_dtype() if is_text else None)


def link(rng, group, name):
    group[name] = rng.choice([
        h5py.SoftLink("/"), h5py.SoftLink("/nothing"), h5py.ExternalLink("good.h5", "/"), group,
    ])  # fmt: skip


def change(rng, file):
    """One change to any object of the file, its attributes or its values."""
    paths = []
    file.visit(paths.append)
    item = file[rng.choice(sorted(paths))]
    name = item.name.rpartition("/")[2]
    kind = rng.randrange(9)
    is_array = isinstance(item, h5py.Dataset)
    if kind == 0:
        del item.parent[name]
    elif kind == 1:
        free = [n for n in ("x", "status", "point", "shape_x", "a$b'") if n not in item.parent]
        item.parent.move(name, rng.choice(free))
    elif kind in (2, 3):
        parent = item.parent
        del parent[name]
        put(parent, name, any_value(rng)) if kind == 2 else link(rng, parent, name)
    elif kind == 4:
        holder = rng.choice([item, file])
        names = [n for n in holder.attrs if n not in ("DIMENSION_LIST", "REFERENCE_LIST")]
        value = any_value(rng)
        if isinstance(value, str):
            value = value.replace("\x00", "")
        if not (isinstance(value, np.ndarray) and value.dtype == object):
            holder.attrs[rng.choice(names or ["x"])] = value
    elif kind == 5 and len(item.attrs):
        del item.attrs[rng.choice(sorted(item.attrs))]
    elif is_array and item.dtype.kind in "fi" and item.size:
        values = [0, -1, 1, 127, -100] if item.dtype.kind == "i" else [0, -1, np.nan, np.inf, 1e300]
        where = ... if rng.random() < 0.5 else tuple(rng.randrange(n) for n in item.shape)
        item[where] = rng.choice(values)
    elif is_array and h5py.check_string_dtype(item.dtype) and item.shape is not None:
        where = tuple(rng.randrange(n) for n in item.shape) if item.size else ...
        text = rng.choice(EVIL[:-5]).replace("\x00", "")
        if item.shape == () and rng.random() < 0.5:
            old = item.asstr()[()]
            place = rng.randrange(len(old) + 1)
            text = old[:place] + text[:10] + old[place + rng.randrange(4) :]
        if item.size:
            item[where] = text


def changed(rng, source, target):
    shutil.copy(source, target)
    if rng.random() < 0.3:
        target.write_bytes(damaged(rng, source.read_bytes()))
        return
    with h5py.File(target, "a") as file:
        for _ in range(rng.choice([1, 1, 2, 3])):
            with contextlib.suppress(ValueError, TypeError):  # h5py itself refuses some
                change(rng, file)


def body_results(good, inside, rng):
    shutil.copy(good / "crossbar.h5", inside / "good.h5")
    name = rng.choice(RESULTS)
    changed(rng, good / f"{name}.h5", inside / "x.h5")
    model = good / ("adc.model.h5" if name == "adc" else "crossbar.model.h5")
    lines = [
        ["show", "x.h5"], ["show", "x.h5", "--json"], ["fit", "x.h5", "--point", "0"],
        ["plot", "x.h5"], ["netlist", "x.h5", "-o", "x.cir"], ["status", "x.h5"],
        ["check", model, "--against", "x.h5"],
        ["plot", "x.h5", "--variable", "energy", "--over", "circuit.rows"],
    ]  # fmt: skip
    for line in rng.sample(lines, 2):
        command(*line)


def body_models(good, inside, rng):
    name = rng.choice(MODELS)
    changed(rng, good / f"{name}.model.h5", inside / "x.h5")
    lines = [
        ["show", "x.h5"], ["show", "x.h5", "--json"],
        ["export", "x.h5", "--to", "numpy,bundle", "-o", "out", "--force"],
        ["check", "x.h5", "--against", good / f"{name}.h5"],
    ]  # fmt: skip
    with warnings.catch_warnings():
        # Vectors of a changed file may lie outside its domain; saying so is all that is wanted.
        warnings.simplefilter("ignore", DomainWarning)
        for line in rng.sample(lines, 2):
            command(*line)


test_results, test_results_long = fuzz(25, rng=rngs)(body_results)
test_models, test_models_long = fuzz(25, rng=rngs)(body_models)
