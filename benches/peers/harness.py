"""What every peer's script shares: options, thread set-up before heavy imports, timing, JSON lines, serving repeats.

A script registers `(workload, variant) -> build`, where `build()` returns a `Task`.  Building and the first call (which
compiles) are never part of a repeat.  A repeat is an inner loop of at least `--min-time` seconds; `wall_s` is its time
divided by the number of calls.
"""
import argparse
import importlib.metadata
import json
import os
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Callable


@dataclass
class Task:
    """`call` runs the workload once and returns when the result is there; `report` runs it once more for its facts."""

    call: Callable[[], object]
    report: Callable[[], dict]


def start(peer, packages):
    """Parses the command line and pins threads.  Call before importing jax or torch: both read this at import."""
    parser = argparse.ArgumentParser(description=f"W1-W3 by {peer}; one JSON line each")
    parser.add_argument("names", nargs="*", help="WORKLOAD or WORKLOAD/VARIANT; all without")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--min-time", type=float, default=0.2, help="seconds of one repeat at least")
    parser.add_argument("--serve", action="store_true", help="read WORKLOAD/VARIANT lines, answer each with one repeat")
    parser.add_argument("--list", action="store_true", help="print the names and leave")
    a = parser.parse_args()
    if a.threads < 1 or a.repeats < 1 or a.min_time <= 0:
        parser.error("--threads, --repeats and --min-time must be positive")
    a.peer, a.packages = peer, packages
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(a.threads)
    pin(a.threads)
    os.environ["JAX_PLATFORMS"] = "cpu"
    if a.threads == 1:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
    return a


def pin(threads):
    """Keeps this process on `threads` of the cores it may use; XLA sizes some pools by this mask alone."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, set(cores[-threads:]))


class Clock:
    """Builds and warms a task once, then times repeats of it."""

    def __init__(self, task, min_time):
        self.task, self.min_time, self.first_call_s = task, min_time, 0.0
        self.first_call_s = self.repeat(1)[0]
        # The second call is the first without compilation.
        estimate = self.repeat(1)[0]
        self.inner = max(1, round(min_time / max(estimate, 1e-7)))
        self.facts = task.report()

    def repeat(self, inner=None):
        """(wall seconds, CPU seconds) of one call, averaged over the inner loop."""
        inner = inner or self.inner
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(inner):
            self.task.call()
        wall = time.perf_counter() - wall
        return wall / inner, (time.process_time() - cpu) / inner


def line(a, name, clock, repeats):
    """One measurement as the JSON object both modes print."""
    workload, variant = name
    times = [clock.repeat() for _ in range(repeats)]
    walls = [w for w, _ in times]
    return {
        "workload": workload,
        "variant": variant,
        "peer": a.peer,
        "wall_s": statistics.median(walls),
        "wall_min_s": min(walls),
        # On a shared machine this is nearer to what an idle core would take.
        "cpu_s": statistics.median(c for _, c in times),
        "first_call_s": clock.first_call_s,
        "repeats": repeats,
        "threads": a.threads,
        **clock.facts,
        "versions": {p: importlib.metadata.version(p) for p in a.packages},
    }


def say(row):
    print(json.dumps({k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in row.items()}), flush=True)


def main(a, tasks):
    """Runs what the command line asks of `tasks`."""
    names = {f"{w}/{v}" if v else w: (w, v) for w, v in tasks}
    if a.list:
        print("\n".join(names))
    elif a.serve:
        serve(a, tasks, names)
    else:
        wanted = [n for n in names.values() if not a.names or n[0] in a.names or "/".join(n) in a.names]
        unknown = [n for n in a.names if n not in names and n not in {w for w, _ in tasks}]
        if unknown:
            sys.exit(f"unknown: {', '.join(unknown)}; --list prints the names")
        for name in wanted:
            say(line(a, name, Clock(tasks[name](), a.min_time), a.repeats))


def serve(a, tasks, names):
    """Says it is ready, then one answer a line until the input ends; the first request of a name compiles it."""
    clocks = {}
    say({"ready": a.peer})
    for request in map(str.strip, sys.stdin):
        name = names.get(request)
        if name is None:
            say({"error": f"unknown workload {request!r}"})
            continue
        try:
            if name not in clocks:
                clocks[name] = Clock(tasks[name](), a.min_time)
            say(line(a, name, clocks[name], 1))
        except Exception as e:  # The driver reports it and goes on with the other rows.
            say({"error": f"{request}: {type(e).__name__}: {e}"})
