"""The ngspice engine: one process for many problems, and no trust in its exit code.

A problem is good if and only if the process ended by itself with exit code 0, the sentinel of its
deck was printed, no line of the output reports a failure, and every run brought a plot of its own
with every vector, finite and within its physical bound. Whatever is not good in a shared process
is run again alone, through a ladder of convergence options whose rung is recorded.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from imccircuit.benches.problem import Problem
from imccircuit.engines import deck
from imccircuit.engines.contract import Outcome, Status
from imccircuit.engines.deck_files import DeckFiles
from imccircuit.engines.extract import NotGoodError, extract_answer
from imccircuit.engines.halt import Halt
from imccircuit.engines.process import Finished, run
from imccircuit.engines.rawfile import RawFileError, read_plots
from imccircuit.engines.said import (
    analysis_times,
    check_exit,
    check_memory,
    check_signal,
    check_time,
    complaint_of,
)
from imccircuit.engines.scratch import check_room, scratch_folder
from imccircuit.errors import SetupError

Solver = Literal["auto", "klu", "sparse"]

INSTALL_HINT = "install ngspice 42 or later, or set IMCCIRCUIT_NGSPICE to its path"
_SHARED_S = 60.0
# What a simulator looks like that could not write.
_WITHOUT_ROOM = (Status.BAD_OUTPUT, Status.CRASH, Status.REFUSED, Status.NO_CONVERGENCE)
_VERSION = re.compile(r"ngspice-(\d+(?:\.\d+)*)")


@dataclass(frozen=True)
class Ngspice:
    """An ngspice found on this machine.

    Attributes
    ----------
    path : the executable.
    version : such as ``46``.
    has_klu : it solves with KLU when asked, seen on a deck and not read from the version.
    has_xspice : it has the code models that SAR logic needs, seen on a deck.
    """

    path: str
    version: str
    has_klu: bool
    has_xspice: bool


def _environment(threads: int = 1) -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH")
            if key in os.environ}  # fmt: skip
    # Where an ngspice that was moved has its code models. What lies there is run, -n or not: the
    # user's own, unless it depends on the folder that the user stands in.
    for key in ("SPICE_SCRIPTS", "SPICE_LIB_DIR"):
        if Path(os.environ.get(key, "")).is_absolute():
            kept[key] = os.environ[key]
    # Debian's builds spread BSIM4 over OpenMP threads, many times slower on shared cores.
    return {
        **kept,
        "OMP_NUM_THREADS": f"{threads}",
        "OMP_THREAD_LIMIT": f"{threads}",
        "LC_ALL": "C",
    }


def locate() -> str:
    """Path of the ngspice to use: ``IMCCIRCUIT_NGSPICE``, else the one on the PATH.

    Raises
    ------
    SetupError : there is none.
    """
    named = os.environ.get("IMCCIRCUIT_NGSPICE")
    found = shutil.which(named or "ngspice")
    if found is None:
        raise SetupError(f"no executable {named or 'ngspice'!r}; {INSTALL_HINT}")
    return found


_PROBE = """imccircuit probe
v1 1 0 1
r1 1 2 1k
r2 2 0 1k
abridge [2] [d2] bridge
.model bridge adc_bridge(in_low=0.1 in_high=0.2)
.options klu
.control
op
print v(2)
quit 0
.endc
.end
"""


@lru_cache(maxsize=8)
def probe(path: str) -> Ngspice:
    """Run a real deck and see which version, solver and code models answer.

    Raises
    ------
    SetupError : it does not solve a voltage divider.
    """
    with scratch_folder() as folder:
        answers = []
        for text in (_PROBE, _PROBE.replace("abridge", "*").replace(".model bridge", "*")):
            (folder / "probe.cir").write_text(text)
            command = [path, "-b", "-n", "probe.cir"]
            try:
                ended = run(command, folder, timeout_s=20.0, env=_environment())
            except OSError as error:
                raise SetupError(
                    f"{path} cannot be run: {error.strerror}; {INSTALL_HINT}"
                ) from None
            answers.append(ended.stdout + ended.stderr)
    solved = ["5.000000e-01" in answer for answer in answers]
    if not any(solved):
        raise SetupError(f"{path} does not solve a voltage divider; {INSTALL_HINT}")
    version = _VERSION.search("".join(answers))
    return Ngspice(
        path=path,
        version=version.group(1) if version else "unknown",
        has_klu="Using KLU" in answers[0] + answers[1],
        has_xspice=solved[0],
    )


_OSDI_PROBE = """imccircuit probe
.control
osdi imccircuit_none.osdi
quit 0
.endc
.end
"""


@lru_cache(maxsize=8)
def _has_osdi(path: str) -> bool:
    with scratch_folder() as folder:
        (folder / "probe.cir").write_text(_OSDI_PROBE)
        command = [path, "-b", "-n", "probe.cir"]
        ended = run(command, folder, timeout_s=20.0, env=_environment())
    return "imccircuit_none.osdi" in ended.stdout + ended.stderr


def require_osdi(ngspice: Ngspice, file: str) -> None:
    """Check, on a deck, that this ngspice loads compiled Verilog-A models such as ``file``.

    Raises
    ------
    SetupError : it was built without.
    """
    if not _has_osdi(ngspice.path):
        raise SetupError(
            f"{Path(file).name} needs OSDI, which ngspice {ngspice.version} was built without; "
            "allowed: one from 39 on that was built with it"
        )


class NgspiceEngine:
    """Engine of one ngspice executable.

    Parameters
    ----------
    executable : path; default `locate`.
    solver : ``auto`` takes KLU where it exists.
    timeout_s : longest time for one problem. Problems that share a process get the sum of theirs,
        but no more than a minute beyond one: whoever is not done by then is run again alone.
    keep_failed : folder for the decks of problems that failed; default: not kept.
    memory_bytes : address space of one process; 0 does not limit it.
    threads : cores that the models of one process may use.
    processes : so many share the problems of one call, side by side.
    """

    name = "ngspice"

    def __init__(
        self,
        *,
        executable: str | None = None,
        solver: Solver = "auto",
        timeout_s: float = 600.0,
        keep_failed: Path | None = None,
        memory_bytes: int = 0,
        threads: int = 1,
        processes: int = 1,
    ) -> None:
        self.ngspice = probe(executable or locate())
        if solver == "klu" and not self.ngspice.has_klu:
            raise SetupError(f"ngspice {self.ngspice.version} has no KLU; {INSTALL_HINT}")
        use_klu = self.ngspice.has_klu and solver != "sparse"
        # KLU's own pivot threshold lost digits (1e-6 of the current) on an amplifier with its
        # offset in a source of its own; 0.5 gives them back and costs nothing up to 256 × 256.
        self.options: dict[str, str | float] = {"klu": "", "pivrel": 0.5} if use_klu else {}
        self.solver = "klu" if use_klu else "sparse"
        self.timeout_s = timeout_s
        self.keep_failed = keep_failed
        self.memory_bytes = memory_bytes
        self.threads = threads
        self.processes = processes

    def versions(self) -> dict[str, str]:
        """Version and linear solver."""
        return {"engine": "ngspice", "version": self.ngspice.version, "solver": self.solver}

    def solve(self, problems: Sequence[Problem]) -> list[Outcome]:
        """All problems in few processes; those that are not good again, each alone."""
        if not problems:
            return []
        for file in dict.fromkeys(path for problem in problems for path in problem.native):
            require_osdi(self.ngspice, file)
        outcomes = self._side_by_side(problems)
        if len(problems) > 1:
            for index, outcome in enumerate(outcomes):
                if outcome.status is not Status.GOOD:
                    outcomes[index] = self._process([problems[index]], deck.LADDER[0])[0]
        for index, problem in enumerate(problems):
            outcomes[index] = self._climb(problem, outcomes[index])
        return outcomes

    def _side_by_side(self, problems: Sequence[Problem]) -> list[Outcome]:
        count = min(self.processes, len(problems))
        if count == 1:
            return self._process(problems, deck.LADDER[0])
        halt = Halt()

        def work(part: Sequence[Problem]) -> list[Outcome]:
            with halt.over():
                return self._process(part, deck.LADDER[0])

        # Threads: each waits for its simulator nearly all the time.
        with ThreadPoolExecutor(count) as pool:
            try:
                parts = list(pool.map(work, [problems[k::count] for k in range(count)]))
            except BaseException:
                halt.throw()
                raise
        outcomes: list[Outcome] = [Outcome(Status.BAD_OUTPUT)] * len(problems)
        for k, part in enumerate(parts):
            outcomes[k::count] = part
        return outcomes

    def _climb(self, problem: Problem, first: Outcome) -> Outcome:
        """The ladder. If no rung helps, the reason of the first failure stands."""
        outcome = first
        for rung in deck.LADDER[1:]:
            if outcome.status not in (Status.NO_CONVERGENCE, Status.UNPHYSICAL):
                break
            outcome = self._process([problem], rung)[0]
        if outcome.status is Status.GOOD:
            return outcome
        kept = self._keep(problem, first)
        return replace(first, kept_deck=str(kept) if kept else "")

    def _keep(self, problem: Problem, outcome: Outcome) -> Path | None:
        if self.keep_failed is None:
            return None
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", problem.label) or outcome.deck_sha256[:12]
        path = self.keep_failed / f"{name}.cir"
        text = deck.deck_text(problem, title=f"imccircuit {name}", options=self.options)
        note = f"* failed: {outcome.reason}\n* again: ngspice -b -n {path.name}\n"
        title, _, rest = text.partition("\n")
        try:
            self.keep_failed.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.write_text(f"{title}\n{note}{rest}")
        except OSError:  # a full disk must not end a run because of this deck
            return None
        return path

    def _process(self, problems: Sequence[Problem], rung: deck.Rung) -> list[Outcome]:
        """One ngspice process for all; every outcome is judged by itself."""
        nonce = secrets.token_hex(8)
        started = time.monotonic()
        with scratch_folder() as folder:
            hashes = self._write_decks(folder, problems, rung, nonce)
            ended = run(
                [self.ngspice.path, "-b", "-n", "main.cir"],
                folder,
                timeout_s=min(self.timeout_s * len(problems), self.timeout_s + _SHARED_S),
                env=_environment(self.threads),
                memory_bytes=self.memory_bytes,
            )
            complaint = complaint_of(ended)
            said = ended.stdout.splitlines()
            times = analysis_times(said, nonce)
            lines = frozenset(said)
            outcomes = [
                self._judge(problem, folder, ended, lines, complaint, nonce, index)
                for index, problem in enumerate(problems)
            ]
            if any(outcome.status in _WITHOUT_ROOM for outcome in outcomes):
                check_room(folder)
        share = (time.monotonic() - started) / len(problems)
        return [
            replace(
                outcome,
                rung=rung.name,
                wall_s=share,
                analysis_s=times.get(index, 0.0),
                deck_sha256=digest,
            )
            for index, (outcome, digest) in enumerate(zip(outcomes, hashes, strict=True))
        ]

    def _write_decks(
        self, folder: Path, problems: Sequence[Problem], rung: deck.Rung, nonce: str
    ) -> list[str]:
        hashes, files = [], DeckFiles()
        main = ["imccircuit main", "v0 1 0 0", "r0 1 0 1", ".control"]
        # A model that is loaded after a circuit makes ngspice 46 crash when it frees that circuit.
        main += deck.load_commands(dict.fromkeys(p for problem in problems for p in problem.native))
        for index, problem in enumerate(problems):
            text = deck.deck_text(
                problem,
                title=f"imccircuit {nonce}-{index}",
                options=self.options,
                rung=rung,
                raw_name=f"{index}.raw",
                standalone=False,
                threads=self.threads,
            )
            (folder / f"{index}.cir").write_text(text)
            hashes.append(deck.deck_sha256(files.portable(text)))
            main += [f"source {index}.cir", "remcirc", "destroy all"]
        main += [f"echo {deck.SENTINEL} {nonce}", "quit 0", ".endc", ".end", ""]
        (folder / "main.cir").write_text("\n".join(main))
        return hashes

    def _judge(
        self,
        problem: Problem,
        folder: Path,
        ended: Finished,
        said: frozenset[str],
        complaint: str,
        nonce: str,
        index: int,
    ) -> Outcome:
        title = f"imccircuit {nonce}-{index}"
        finished = f"{deck.SENTINEL} {nonce}-{index}" in said
        try:
            check_time(ended, self.timeout_s)
            check_memory(ended, self.memory_bytes)
            check_signal(ended, self.memory_bytes)
            if complaint:
                # A deck that was loaded goes on to its sentinel whatever its analyses do.
                raise NotGoodError(Status.NO_CONVERGENCE if finished else Status.REFUSED, complaint)
            check_exit(ended)
            if not finished or f"{deck.SENTINEL} {nonce}" not in said:
                raise NotGoodError(
                    Status.BAD_OUTPUT, "ngspice did not reach the end of its commands"
                )
            plots = read_plots(folder / f"{index}.raw")
            return Outcome(Status.GOOD, extract_answer(problem, plots, title))
        except NotGoodError as error:
            return Outcome(error.status, reason=str(error))
        except FileNotFoundError:
            return Outcome(Status.BAD_OUTPUT, reason="ngspice wrote no raw file")
        except RawFileError as error:
            return Outcome(Status.BAD_OUTPUT, reason=f"raw file: {error}")
