"""Raw files, unfinished work and the cache, of which anything may be wrong."""

import hashlib
import json
import shutil
import sqlite3

import numpy as np
import pytest
from attack import EVIL, NUMBERS, command, damaged, fuzz, one_line
from hypothesis import strategies as st

from imccircuit.benches.problem import Answer, Run
from imccircuit.engines.rawfile import RawFileError, read_plots
from imccircuit.engines.store import AnswerStore, Stored
from imccircuit.sweeps.ledger import work_folder
from imccircuit.sweeps.shards import read_shard, write_shard

RUN = ["run", "crossbar_ir_drop", "-j", "1", "-o", "out.h5", "--samples", "6",
       "--set", "engine=nodal", "--set", "circuit.rows=3", "--set", "circuit.cols=2",
       "--set", 'variation.quantities=["conductance"]']  # fmt: skip
RAW = (
    b"Title: deck\nDate: Thu\nPlotname: Transient Analysis\nFlags: real\nNo. Variables: 2\n"
    b"No. Points: 3\nVariables:\n\t0\ttime\ttime\n\t1\tv(out)\tvoltage\nBinary:\n"
) + np.arange(6.0).tobytes()
rngs = st.randoms(use_true_random=False)


def body_raw(inside, rng):
    content = RAW * rng.randint(1, 3)
    if rng.random() < 0.5:
        words = content.split(b" ")
        value = rng.choice([*EVIL, *map(str, NUMBERS), str(10**15), str(2**61)])
        words[rng.randrange(len(words))] = value.encode("utf-8", "surrogatepass") + b"\n"
        content = b" ".join(words)
    (inside / "x.raw").write_bytes(damaged(rng, content))
    plots, _ = one_line(lambda: read_plots(inside / "x.raw"), RawFileError)
    assert sum(plot.data.nbytes for plot in plots or ()) < 10 * len(content)


def body_shards(inside, rng):
    path = inside / "work" / "shards" / "00000000.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_shard(path, [{"a": np.ones(3), "b": np.zeros((2, 2))}, {"a": np.ones(3)}])
    path.write_bytes(damaged(rng, path.read_bytes()))
    _, text = one_line(lambda: read_shard(path))
    assert not text or "shard 00000000.npz is damaged" in text


@pytest.fixture(scope="session")
def unfinished(tmp_path_factory):
    """Work folder of a run that was ended between its last entry and its results file."""
    folder = tmp_path_factory.mktemp("unfinished")
    patch = pytest.MonkeyPatch()
    with patch.context() as here:
        here.chdir(folder)
        here.setattr("imccircuit.sweeps.ledger.Ledger.clear", lambda *_, **__: None)
        assert command(*RUN).code == 0
    (folder / "out.h5").unlink()
    return work_folder(folder / "out.h5")


def change_entry(rng, entry):
    """One change to an entry of the ledger."""
    value = rng.choice([*EVIL, *NUMBERS, None, [], {}, [[]], True])
    key = rng.choice(sorted(entry))
    rows = entry.get("records")
    if rows and rng.random() < 0.7:
        row = rng.choice(rows)
        row[rng.randrange(len(row))] = value
        if rng.random() < 0.1:
            rows.append(list(row))
    elif rng.random() < 0.2:
        del entry[key]
    else:
        entry[key] = value


def body_ledger(unfinished, inside, rng):
    work = inside / "out.h5.work"
    for path in inside.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(unfinished, work)
    ledger, shards = work / "ledger.jsonl", sorted((work / "shards").iterdir())
    kind = rng.randrange(5)
    if kind == 0:
        ledger.write_bytes(damaged(rng, ledger.read_bytes()))
    elif kind == 1:
        shard = rng.choice(shards)
        shard.write_bytes(damaged(rng, shard.read_bytes()))
    elif kind == 2:
        shapes = [(3,), (), (0,), (40, 2)]
        names = ["output_current", "x", "status", "row_voltage", "../x"]
        arrays = {name: np.zeros(rng.choice(shapes)) for name in rng.sample(names, 2)}
        write_shard(shards[0], [arrays] * rng.randint(0, 7))
    else:
        lines = [json.loads(line) for line in ledger.read_text().splitlines()]
        change_entry(rng, rng.choice(lines[1:] if rng.random() < 0.8 else lines))
        ledger.write_text("".join(json.dumps(line) + "\n" for line in lines))
    command("status", "out.h5")
    command(*RUN, "--resume")
    assert {path.name for path in inside.iterdir()} <= {"out.h5", "out.h5.work", "out.h5.log"}


def body_cache(inside, rng):
    folder = inside / "cache"
    shutil.rmtree(folder, ignore_errors=True)
    store = AnswerStore(folder)
    run = Run(np.zeros(1), {"out": np.ones((1, 2))})
    store.put({b"key": Stored(Answer((run,)), "default", "ab")})
    store.close()
    if rng.random() < 0.2:
        store.path.write_bytes(damaged(rng, store.path.read_bytes()))
    else:
        connection = sqlite3.connect(store.path)
        (row,) = connection.execute("SELECT row FROM answers").fetchone()
        body = damaged(rng, row[16:])
        if rng.random() < 0.5:
            size = int.from_bytes(row[16:24], "little")
            header = json.loads(row[24 : 24 + size])
            values = [
                *EVIL,
                *NUMBERS,
                None,
                [1e400],
                [-1],
                [2**40],
                {"out": [2**40]},
                {"out": [-2]},
            ]
            header[rng.choice(sorted(header))] = rng.choice(values)
            head = json.dumps(header).encode()
            body = len(head).to_bytes(8, "little") + head + row[24 + size :]
        # A stranger knows how to make a checksum.
        whole = hashlib.blake2b(body, digest_size=16).digest() + body
        connection.execute("UPDATE answers SET row = ?", (whole,))
        connection.commit()
        connection.close()
    found = AnswerStore(folder)
    for stored in found.get([b"key"]).values():
        assert isinstance(stored.rung, str)
    found.put({b"other": Stored(Answer((run,)), "default", "ab")})
    found.close()


test_raw, test_raw_long = fuzz(150, rng=rngs)(body_raw)
test_shards, test_shards_long = fuzz(60, rng=rngs)(body_shards)
test_ledger, test_ledger_long = fuzz(15, rng=rngs)(body_ledger)
test_cache, test_cache_long = fuzz(40, rng=rngs)(body_cache)
