"""SUNDIALS (CVODE, CVODES) in C on workload W4, with analytic Jacobians.

The two C programs beside this file are compiled on first use with `cc -O3 -march=native` against the SUNDIALS in
`SUNDIALS_PREFIX` (default /usr; Debian: libsundials-dev, libsuitesparse-dev) and time their own inner loops.
"""
import harness

ARGS = harness.start("sundials", ["numpy"])

import json  # noqa: E402
import os  # noqa: E402
import pathlib  # noqa: E402
import subprocess  # noqa: E402
import tempfile  # noqa: E402

import numpy as np  # noqa: E402
from workloads import Brusselator, Robertson, relative_error  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PREFIX = pathlib.Path(os.environ.get("SUNDIALS_PREFIX", "/usr"))
SCRATCH = tempfile.TemporaryDirectory()
CORE = ["sundials_nvecserial", "sundials_generic", "m"]
LIBRARIES = {
    "cvodes_robertson": ["sundials_cvodes", "sundials_sunmatrixdense", "sundials_sunlinsoldense", *CORE],
    "cvode_brusselator": [
        "sundials_cvodes", "sundials_sunmatrixsparse", "sundials_sunlinsolklu", "sundials_sunlinsolspgmr",
        "klu", "amd", "colamd", "btf", "suitesparseconfig", *CORE],
}


def program(name):
    """The compiled program's path."""
    target = pathlib.Path(SCRATCH.name) / name
    if not target.exists():
        folders = [d for d in (PREFIX / "lib", *PREFIX.glob("lib/*-linux-gnu")) if d.is_dir()]
        paths = [f for d in folders for f in (f"-L{d}", f"-Wl,-rpath,{d}")]
        flags = [f"-I{PREFIX}/include", f"-I{PREFIX}/include/suitesparse", *paths]
        links = [f"-l{lib}" for lib in LIBRARIES[name]]
        subprocess.run(["cc", "-O3", "-march=native", "-w", *flags, str(HERE / f"{name}.c"), "-o", str(target), *links], check=True)
    return str(target)


class CTask:
    """A C program times itself: one repeat is one run of it."""

    def __init__(self, command, facts):
        self.command, self.facts = command, facts

    def run(self):
        done = subprocess.run(self.command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
        return json.loads(done.stdout)


# Libraries that were unpacked and not installed find each other only by this.
LIBRARY_PATH = ":".join([str(d) for d in PREFIX.glob("lib/*-linux-gnu")] + [os.environ.get("LD_LIBRARY_PATH", "")])
ENVIRONMENT = {**os.environ, "LD_LIBRARY_PATH": LIBRARY_PATH.strip(":")}


class CClock:
    """As harness.Clock, for programs that time themselves."""

    def __init__(self, task, min_time):
        self.task, self.first_call_s = task, 0.0
        self.facts = task.facts(task.run())

    def repeat(self):
        result = self.task.run()
        return result["wall_s"], result["cpu_s"]


def observations():
    path = pathlib.Path(SCRATCH.name) / "observations.bin"
    with open(path, "wb") as f:
        np.int64(len(Robertson.TIMES)).tofile(f)
        Robertson.TIMES.tofile(f)
        Robertson.data().tofile(f)
    return str(path)


def robertson(mode):
    command = [program("cvodes_robertson"), mode, str(Robertson.RTOL), str(Robertson.ATOL), observations()]

    def facts(d):
        if mode == "fwd":
            error = np.abs(np.array(d["y"]) - Robertson.end()) / np.abs(Robertson.end())
            return dict(nfe=d["nfe"], accepted=d["steps"], err_rel=float(error.max()))
        return dict(nfe=d["nfe"], accepted=d["steps"], grad_rel_err=relative_error(d["g"], Robertson.gradient()))

    return CTask(command, facts)


def brusselator(solver):
    out = pathlib.Path(SCRATCH.name) / "brusselator.bin"
    p = Brusselator
    command = [program("cvode_brusselator"), str(p.N), str(p.RTOL), str(p.ATOL), solver, str(out)]
    facts = lambda d: dict(nfe=d["nfe"], accepted=d["steps"], err_rel=relative_error(np.fromfile(out), p.end()))
    return CTask(command, facts)


def tasks():
    table = {("robertson", "cvode"): lambda: robertson("fwd")}
    for mode, name in (("fsa", "forward"), ("asa", "adjoint")):
        table["robertson-gradient", f"cvodes-{name}"] = lambda mode=mode: robertson(mode)
    for solver in ("klu", "kluamd"):
        table["brusselator", f"cvode-{solver}"] = lambda solver=solver: brusselator(solver)
    return table


if __name__ == "__main__":
    harness.Clock = CClock
    harness.main(ARGS, tasks())
