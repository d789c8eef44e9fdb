"""A Dask cluster of real processes on loopback, for tests."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from sweep_helpers import children

from imccircuit.engines.process import die_with_parent

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LONG_S = 120.0  # only guards against hangs


def wait_for(what, seconds=LONG_S):
    """The first true answer."""
    until = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)
    return answer


def environment(**more):
    paths = [str(ROOT), str(HERE), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", **more}


def is_alive(pid):
    """A zombie is dead: it only waits for somebody to read its exit code."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


class Cluster:
    """A scheduler and the workers that were added; whatever happens, `end` leaves nothing."""

    def __init__(self, folder, **env):
        self.folder, self.workers = folder, {}
        folder.mkdir()
        self.file = folder / "scheduler.json"
        self.start_scheduler(0, **env)

    def start_scheduler(self, port, **env):
        self.file.unlink(missing_ok=True)
        self.scheduler = self._start(
            "scheduler", ["--port", str(port), "--host", "127.0.0.1", "--no-show",
                          "--scheduler-file", str(self.file)], env)  # fmt: skip
        self.address = wait_for(self._read_address)

    def _read_address(self):
        assert self.scheduler.poll() is None, (self.folder / "scheduler.log").read_text()
        try:
            return json.loads(self.file.read_text())["address"]
        except (OSError, ValueError):
            return ""

    def add(self, name, *, nanny=False, threads=1, **env):
        words = [self.address, "--name", name, "--nthreads", str(threads), "--memory-limit", "0",
                 "--local-directory", str(self.folder), "--death-timeout", "60",
                 "--nanny" if nanny else "--no-nanny"]  # fmt: skip
        self.workers[name] = self._start("worker", words, env, log=name)
        return self.workers[name]

    def _start(self, what, words, env, log=""):
        with (self.folder / f"{log or what}.log").open("ab") as file:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{what}", "--no-dashboard", *words],
                cwd=self.folder,  # it comes first in the path of `python -m`
                env=environment(**env),
                stdout=file,
                stderr=file,
                preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509
            )

    def wait(self, count):
        """Wait until so many workers are there; their addresses by name."""
        import distributed

        with distributed.Client(self.address, set_as_default=False) as client:
            return wait_for(lambda: self._named(client, count))

    @staticmethod
    def _named(client, count):
        workers = client.scheduler_info(n_workers=-1)["workers"]
        found = {worker["name"]: address for address, worker in workers.items()
                 if worker["status"] == "running"}  # fmt: skip
        return found if len(found) == count else None

    def remove(self, name, count):
        """Kill a worker and wait until the scheduler has seen it; so many are left."""
        kill(self.workers.pop(name))
        self.wait(count)

    def measuring(self, name):
        """Process id of a worker, which a nanny's child is."""
        pid = self.workers[name].pid
        return next((child for child in children(pid) if children_work(child)), pid)

    def deaths(self):
        """How many workers went away, as the scheduler logged it."""
        return (self.folder / "scheduler.log").read_text().count("Remove worker addr")

    def end(self):
        below = [pid for worker in self.workers.values() for pid in children(worker.pid)]
        for process in [*self.workers.values(), self.scheduler]:
            kill(process)
        for pid in filter(is_alive, below):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def children_work(pid):
    return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()


def kill(process):
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait()


def start_command(*words, folder, **env):
    """An imccircuit command in a process of its own; it knows the bench of the tests."""
    return subprocess.Popen(
        [sys.executable, str(HERE / "dask_command.py"), *map(str, words)],
        cwd=folder,
        env=environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509
    )


def fake_ngspice(folder):
    """The misbehaving ngspice of the fault tests; it calls itself version 99."""
    source = ROOT / "tests" / "faults" / "fake_ngspice.py"
    path = folder / "ngspice"
    path.write_text(f"#!{sys.executable} -IS\n{source.read_text()}")
    path.chmod(0o755)
    return path
