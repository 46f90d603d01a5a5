#!/usr/bin/env python3
"""Measures this library against its peers by alternating runs and prints the tables of benches/README.md.

    python benches/compare.py --python VENV/bin/python [--threads 1] [--rounds 5] [--only spiral] [--write]

One round is peer, ours, peer, ours, ... over the rows below; a ratio is the median of ours over the median of that
peer's, from the runs next to each other.  Peers stay up as servers (`--serve`), so compilation is never timed; ours is one
short process a run.  Everything is kept on `--threads` cores.  Any Python >= 3.9 runs this driver; the peers need the
packages named in benches/peers/README.md.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
from collections import namedtuple

BENCHES = pathlib.Path(__file__).resolve().parent
BEGIN, END = "<!-- compare.py writes from here -->", "<!-- to here -->"

# Our workload and variant, the peer, and its variant of the same workload.
Row = namedtuple("Row", "workload variant peer theirs")
# A required ratio against the fastest of the rows that `rows` selects.
Figure = namedtuple("Figure", "title asked rows")


def neural(workload, variants, torch=True):
    """The rows of one neural workload: Diffrax by both methods, torchdiffeq by its one."""
    peers = [("diffrax", "tsit5"), ("diffrax", "dopri5")] + [("torchdiffeq", "dopri5")] * torch
    return [Row(workload, v, peer, f"{v}-{method}") for v in variants for peer, method in peers]


POISSON = ("poisson-2d-512", "poisson-3d-64", "poisson-3d-128")
ROWS = [
    Row("lorenz-single", "", "diffrax", "tsit5"),
    Row("lorenz-single", "", "torchdiffeq", "dopri5"),
    Row("lorenz-ensemble", "own", "diffrax", "own-vmap-tsit5"),
    Row("lorenz-ensemble", "own", "diffrax", "own-laxmap-tsit5"),
    Row("lorenz-ensemble", "shared", "diffrax", "shared-tsit5"),
    Row("lorenz-ensemble", "shared", "torchdiffeq", "shared-dopri5"),
    *neural("spiral-gradient", ["init", "trained"]),
    *neural("spiral-backsolve", ["init", "trained"]),
    *neural("spiral-forward", ["init", "trained"]),
    *neural("mlp-gradient", ["1e-5", "1.4e-8"]),
    *neural("mlp-backsolve", ["1e-5", "1.4e-8"]),
    *neural("mlp-forward", ["1e-5", "1.4e-8"]),
    *(Row(w, "", peer, "") for w in ("mlp-rhs", "mlp-vjp") for peer in ("diffrax", "torchdiffeq")),
    *(Row("cnf-iteration", "", "diffrax_cnf", t) for t in ("one", "own")),
    Row("robertson", "", "sundials", "cvode"),
    Row("robertson", "", "scipy", "lsoda"),
    *(Row("robertson-gradient", "", "sundials", f"cvodes-{how}") for how in ("forward", "adjoint")),
    *(Row("brusselator", "", "sundials", f"cvode-{solver}") for solver in ("klu", "kluamd")),
    Row("brusselator", "", "scipy", "bdf"),
    *(Row("gbm-euler", "", peer, t) for peer, t in (("torchsde", ""), ("diffrax_sde", "tree"), ("diffrax_sde", "unsafe"))),
    *(Row("gbm-adaptive", v, peer, t) for v in ("sosri", "spark") for peer, t in (("torchsde", "srk"), ("diffrax_sde", "spark"))),
    Row("nsde-forward", "", "torchsde", ""),
    Row("nsde-forward", "", "diffrax_sde", "tree"),
    *(Row("nsde-gradient", "", "torchsde", t) for t in ("direct", "adjoint")),
    Row("nsde-gradient", "", "diffrax_sde", "tree"),
    *(Row("brownian-queries", v, "diffrax_sde", "fine" if v == "fine" else "") for v in ("batch", "single", "fine")),
    # PyAMG's largest hierarchies take ten seconds; its fastest there is Ruge-Stueben.
    *(Row(p, "amg", "pyamg", t) for p in POISSON for t in (("rs", "rs-cg") if "128" in p else ("rs", "rs-cg", "sa", "sa-cg"))),
    *(Row(p, "geometric", "pyamg", "rs") for p in POISSON),
    *(Row(p, "cg", "scipy", "cg") for p in POISSON),
    *(Row(f"mgno-{what}", "", "torch_mgno", layout) for what in ("step", "inference") for layout in ("default", "channels-last")),
    *(Row(f"fno-{what}", "", "torch_fno", "") for what in ("step", "inference")),
]


def figure(title, asked, workload, variant, peers=("diffrax", "torchdiffeq")):
    return Figure(title, asked, lambda r: (r.workload, r.variant) == (workload, variant) and r.peer in peers)


DIFFRAX, TORCH = ("diffrax",), ("torchdiffeq",)
STOCHASTIC = ("torchsde", "diffrax_sde")
FIGURES = [
    figure("W1 Lorenz, one trajectory, Tsit5 1e-8", 0.15, "lorenz-single", "", DIFFRAX),
    figure("W1 ensemble of 10 000, own steps each", 0.04, "lorenz-ensemble", "own", DIFFRAX),
    figure("W2 spiral gradient, trained weights", 0.2, "spiral-gradient", "trained", DIFFRAX),
    figure("W2 spiral gradient, trained weights", 0.015, "spiral-gradient", "trained", TORCH),
    figure("W2 spiral, backsolve", 0.3, "spiral-backsolve", "trained", DIFFRAX),
    figure("W3 784-100-784, backsolve", 0.05, "mlp-backsolve", "1e-5", TORCH),
    figure("W3 784-100-784, batch 512, f32, tol 1e-5, gradient", 0.4, "mlp-gradient", "1e-5"),
    figure("W3 forward, tol 1e-5", 0.8, "mlp-forward", "1e-5", DIFFRAX),
    figure("W3 one right-hand side", 0.8, "mlp-rhs", "", DIFFRAX),
    figure("W7 continuous normalising flow, one iteration", 0.3, "cnf-iteration", "", ("diffrax_cnf",)),
    figure("W4 Robertson, one solve", 0.5, "robertson", "", ("sundials",)),
    figure("W4 Robertson, gradient", 0.7, "robertson-gradient", "", ("sundials",)),
    figure("W4 Brusselator 35 x 35 x 2", 0.6, "brusselator", "", ("sundials",)),
    figure("W5 GBM, 1000 paths, 100 Euler steps", 0.3, "gbm-euler", "", STOCHASTIC),
    figure("W5 GBM, adaptive 1e-3", 0.15, "gbm-adaptive", "sosri", STOCHASTIC),
    figure("W5 neural SDE, gradient", 0.35, "nsde-gradient", "", STOCHASTIC),
    figure("W5 Brownian tree, 10 000 queries", 0.1, "brownian-queries", "batch", STOCHASTIC),
    *(figure(f"W6 {p}, algebraic multigrid", 0.5, p, "amg", ("pyamg",)) for p in POISSON),
    *(figure(f"W6 {p}, geometric multigrid", 0.15, p, "geometric", ("pyamg",)) for p in POISSON),
    *(figure(f"W6 {p}, plain CG", 0.5, p, "cg", ("scipy",)) for p in POISSON),
    figure("W8 MgNO 64², C=24, J=5, 4 layers, batch 8, f32, training step", 0.8, "mgno-step", "", ("torch_mgno",)),
    figure("W8 MgNO 64², inference of one sample", 0.5, "mgno-inference", "", ("torch_mgno",)),
]


def label(*parts):
    return " ".join(p for p in parts if p)


class Failed(Exception):
    """One row could not be measured; its text says why."""


class Ours:
    """The bench executable, built once or given."""

    def __init__(self, threads, repeats, executable=None):
        self.command = [executable or self.build(), "--json", "--threads", str(threads), "--repeats", str(repeats)]

    @staticmethod
    def build():
        command = ["cargo", "bench", "--bench", "workloads", "--no-run", "--message-format=json"]
        build = subprocess.run(command, cwd=BENCHES.parent, stdout=subprocess.PIPE, text=True)
        if build.returncode:
            sys.exit(f"{' '.join(command)} failed")
        messages = [json.loads(m) for m in build.stdout.splitlines() if m.startswith("{")]
        found = [m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "workloads"]
        if not found:
            sys.exit("cargo built no bench target named workloads")
        return found[-1]

    def run(self, row):
        variant = ["--variant", row.variant] if row.variant else []
        done = subprocess.run([*self.command, row.workload, *variant], capture_output=True, text=True)
        lines = [json.loads(m) for m in done.stdout.splitlines() if m.startswith("{")]
        if done.returncode or len(lines) != 1:
            reason = (done.stderr.strip().splitlines() or [f"{len(lines)} JSON lines where one was expected"])[-1]
            raise Failed(f"{label('ours', row.workload, row.variant)}: {reason}")
        return lines[0]


class Peer:
    """A peer's script kept up as a server."""

    def __init__(self, name, python, threads, min_time):
        script = BENCHES / "peers" / f"{name}_peer.py"
        self.name = name
        self.process = subprocess.Popen(
            [python, str(script), "--serve", "--threads", str(threads), "--min-time", str(min_time)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # Imports take seconds of the core on which the others are measured.
        try:
            self.answer()
        except Failed as e:
            sys.exit(f"{e}: are its packages installed for {python}? (benches/peers/README.md)")

    def answer(self):
        answer = self.process.stdout.readline()
        if not answer:
            raise Failed(f"{self.name} ended with code {self.process.wait()}")
        return json.loads(answer)

    def run(self, row):
        try:
            self.process.stdin.write(f"{row.workload}/{row.theirs}".rstrip("/") + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failed(f"{self.name} ended with code {self.process.wait()}") from None
        answer = self.answer()
        if "error" in answer:
            raise Failed(f"{self.name}: {answer['error']}")
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def pin(threads):
    """The children inherit the cores chosen here."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < threads:
            sys.exit(f"{threads} threads asked, {len(cores)} cores allowed")
        os.sched_setaffinity(0, set(cores[-threads:]))


def measure(rows, rounds, ours, peers):
    """{row: ([peer's runs], [our runs])}, and what failed."""
    runs, failed = {row: ([], []) for row in rows}, {}
    for i in range(rounds):
        for row in rows:
            if row in failed:
                continue
            try:
                runs[row][0].append(peers[row.peer].run(row))
                if ours:
                    runs[row][1].append(ours.run(row))
            except Failed as e:
                failed[row] = str(e)
                print(f"  {label(row.peer, row.workload, row.theirs)}: {e}", file=sys.stderr)
        print(f"round {i + 1} of {rounds}", file=sys.stderr)
    return {row: pair for row, pair in runs.items() if row not in failed}, failed


def median(runs):
    return statistics.median(r["wall_s"] for r in runs) if runs else None


def error(runs):
    """The error either side reports: of the gradient (relative, 2-norm), else relative (W4: the worst component or the
    2-norm; W6: the true residual), else the largest absolute one of the solution."""
    if not runs:
        return "–"
    last = runs[-1]
    value = last.get("grad_rel_err", last.get("err_rel", last.get("err_max")))
    return "–" if value is None else f"{value:.1e}"


def seconds(value):
    """Three digits with the unit that keeps them readable."""
    if value is None:
        return "–"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size or unit == "µs":
            return f"{value / size:.3g} {unit}"


def work(runs):
    nfe = runs[-1].get("nfe", runs[-1].get("iterations")) if runs else None
    return "–" if nfe is None else f"{nfe:.0f}"


def ratio(pair):
    theirs, ours = median(pair[0]), median(pair[1])
    return None if ours is None else ours / theirs


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(r) + " |" for r in rows])


def figures(runs):
    """Asked against measured; the fastest of a figure's rows is the one it is measured by."""
    lines = []
    for title, asked, select in FIGURES:
        rows = [row for row in runs if select(row)]
        if not rows:
            continue
        best = min(rows, key=lambda row: median(runs[row][0]))
        got = ratio(runs[best])
        verdict = ["–", "–"] if got is None else [f"{got:.3g}", "yes" if got <= asked else "**no**"]
        lines.append([title, label(best.peer, best.theirs), seconds(median(runs[best][0])), seconds(median(runs[best][1])), f"{asked:g}", *verdict])
    return table(["figure", "fastest peer", "peer", "ours", "asked ≤", "measured", "met"], lines)


def rows_table(runs):
    lines = []
    for row, (theirs, ours) in runs.items():
        got = ratio((theirs, ours))
        lines.append([
            label(row.workload, row.variant), label(row.peer, row.theirs),
            seconds(median(theirs)), seconds(median(ours)), "–" if got is None else f"{got:.3g}",
            error(theirs), error(ours), work(theirs), work(ours)])
    return table(["workload", "peer", "peer", "ours", "ratio", "error, peer", "error, ours", "NFE or iterations, peer", "ours"], lines)


def conditions(runs, a):
    versions = {}
    for theirs, _ in runs.values():
        versions.update(theirs[-1].get("versions", {}))
    packages = ", ".join(f"{k} {v}" for k, v in sorted(versions.items()))
    try:
        info = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(s.split(":")[1].strip() for s in info if s.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor() or platform.machine()
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.strip()
    what = "runs of the peers alone" if a.peers_only else "alternating runs"
    command = f"python benches/compare.py --threads {a.threads} --rounds {a.rounds}" + " --peers-only" * a.peers_only
    facts = [f"{datetime.date.today()}, {cpu}, {a.threads} thread{'s' * (a.threads > 1)}, medians of {a.rounds} {what}", rustc, packages]
    return "; ".join(f for f in facts if f) + f"; `{command}`."


def write(text):
    """Replaces what stands between the markers of benches/README.md."""
    readme = BENCHES / "README.md"
    page = readme.read_text(encoding="utf-8")
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        sys.exit(f"{readme} needs the two marker lines {BEGIN} and {END} once each")
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    draft = readme.with_suffix(".part")
    draft.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
    draft.replace(readme)


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="interpreter that has the peers' packages")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5, help="alternations (at least 5 for a table to keep)")
    parser.add_argument("--repeats", type=int, default=3, help="repeats inside one of our runs")
    parser.add_argument("--min-time", type=float, default=0.2, help="seconds of one of the peers' runs at least")
    parser.add_argument("--only", default="", help="rows whose workload, variant or peer contains one of these words, separated by commas")
    parser.add_argument("--executable", help="a build of the bench `workloads` to measure instead of this tree's")
    parser.add_argument("--peers-only", action="store_true", help="leave ours out")
    parser.add_argument("--write", action="store_true", help="put the tables into benches/README.md, if no row failed")
    a = parser.parse_args()
    if min(a.threads, a.rounds, a.repeats) < 1 or a.min_time <= 0:
        parser.error("--threads, --rounds, --repeats and --min-time must be positive")
    if a.write and (a.only or a.executable or a.rounds < 5):
        parser.error("--write is for a whole table: all rows, at least 5 rounds")
    return a


def main():
    a = options()
    rows = [r for r in ROWS if any(word in part for word in a.only.split(",") for part in r)]
    if not rows:
        sys.exit(f"no row contains {a.only!r}")
    ours = None if a.peers_only else Ours(a.threads, a.repeats, a.executable)
    pin(a.threads)
    peers = {name: Peer(name, a.python, a.threads, a.min_time) for name in sorted({r.peer for r in rows})}
    try:
        runs, failed = measure(rows, a.rounds, ours, peers)
    finally:
        for peer in peers.values():
            peer.close()
    parts = [conditions(runs, a), figures(runs), rows_table(runs)]
    if failed:
        parts.append("Not measured: " + "; ".join(f"{label(r.peer, r.workload, r.theirs)} ({why})" for r, why in failed.items()))
    text = "\n\n".join(parts)
    print(text)
    if a.write and not failed:
        write(text)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
