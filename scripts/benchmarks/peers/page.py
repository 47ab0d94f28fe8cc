"""docs/results/peers.md and docs/images/peers.png from the rows that compare.py and rates.py keep.

python scripts/benchmarks/peers/page.py
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import rates
import tally
from common import PROBLEMS, ROOT
from compare import PACKAGES, summary
from matplotlib.ticker import NullFormatter
from tally import Row

from pinnkit.files import atomic
from pinnkit.report.style import LINES, figure, save, style

TITLES = {
    "burgers": "Burgers, ν = 0.01/π",
    "allen_cahn": "Allen–Cahn",
    "poisson": "Poisson, unit square",
    "helmholtz": "Helmholtz, a = (6, 6)",
}
FILES = {
    "burgers": "burgers.py",
    "allen_cahn": "allen_cahn.py",
    "poisson": "poisson2d.py",
    "helmholtz": "helmholtz2d.py",
}
NAMES = {"deepxde": "DeepXDE"}
REFERENCES = {
    "burgers": "Cole–Hopf, 101 x 401 points",
    "allen_cahn": "`pk.Lines()`, 101 x 401 points",
    "poisson": "closed form, 201 x 201 points",
    "helmholtz": "closed form, 201 x 201 points",
}
MOMENTS = (5, 10, 20, 50)
UNFAIR = """\
- **To the peers.** The settings of `pk.PINN()` were found with these very problems among others; \
theirs were chosen here from the few of the table at the end, in single runs of 30 s with key 0. \
Somebody who knows a package better may do better with it.
- **To the peers.** One core of a CPU. DeepXDE and jinns are written for GPUs as well, where \
larger networks and batches pay; nothing here tells about that.
- **To jinns and pinnkit.** Compilation counts, which takes them ten seconds and more of a short \
budget and DeepXDE on PyTorch nothing. jinns compiles each of its two algorithms anew.
- **To pinnkit.** The settings of the peers differ from problem to problem and are the best of \
several; `pk.PINN()` is called with nothing given. For Poisson and Helmholtz the peers were given \
sums of products like pinnkit's default where that helped: jinns has them (`SPINN_MLP`), for \
DeepXDE they were written here.
- **To all.** Wall-clock time on a machine that other work may have shared; processor seconds \
stand beside it, and are a third fewer for the peers' runs of key 2 on Burgers and Allen–Cahn. \
The peers' runs were made first and pinnkit's after them, on the other of two cores. A run ends \
with the first look at the clock after its budget: every 50 iterations of DeepXDE's L-BFGS, \
every 5 of jinns' second algorithm, within half a second in pinnkit, which \
then still compiles and takes its held-out residuals before it returns. A \
compilation that is under way at the end of the budget is waited for.
- Imports and the evaluation of errors are not counted for anybody."""
HOW = """\
```
make peers
python scripts/benchmarks/peers/references.py
python scripts/benchmarks/peers/compare.py --seconds {seconds:g} --keys {keys}
python scripts/benchmarks/peers/page.py
```"""


def page(rows: list[Row], tried: list[Row], measured: list[Row]) -> str:
    """The whole text; budgets apart, the longest first."""
    parts = ["# Beside other packages", head(rows)]
    for (budget,), members in sorted(tally.groups(rows, ("budget",)).items(), reverse=True):
        parts += [f"## Errors within {budget:g} s", medians(members)]
        parts += ["![error against time](../images/peers.png)"] if budget == longest(rows) else []
        parts += [f"### All runs of {budget:g} s", runs(members)]
    parts += ["## Settings and versions", METHODS, settings(rows)]
    parts += ["## What is unfair to whom", UNFAIR]
    if measured:
        parts += ["## Rates of training steps", RATES, rates.tables(measured)]
    if tried:
        parts += ["## Settings that were tried", TRIED, trials(tried)]
    return "\n\n".join(parts) + "\n"


METHODS = """\
`pk.solve(problem, pk.PINN(), seconds=S, key=K)`, nothing else given; DeepXDE by Adam, then \
L-BFGS, on PyTorch, as its JAX backend has no L-BFGS; jinns by Adam where it helped, then \
SSBroyden, or its natural gradient where that did better. Where the second algorithm ends or \
breaks off by itself, it is begun anew with the weights found. Points of the curve are the weights \
that a run would have returned at that moment, which for pinnkit are the best by its validation \
batch and for the others the present ones; errors are evaluated after the run."""
RATES = """\
Adam on the full batch of fixed points with soft conditions, the same work for all; the residual, \
its gradient and the update. `hand-written JAX` is what an expert would write for this one problem \
alone. Steps per processor second: medians of two rounds side by side on one core, 2026-11-23 \
where a table has no date of its own, while other work ran on the other; the first compilation is \
wall-clock time. `pinnkit: nested forward mode` is pinnkit with `--method jvp`: all else is equal \
but the derivatives. \
Settings: `scripts/benchmarks/run_pinnkit.py`; table: `scripts/benchmarks/peers/rates.py`. \
The runners of the others are not part of this repository, but for those of jinns and PINA on \
Allen–Cahn.

Allen–Cahn was measured later than the rest, all packages anew, on a core that other work shared: \
its rates compare with each other only, and its first compilations include waiting. There jinns \
runs with nested reverse mode, in which it writes its own Burgers equation, and with nested \
forward mode; PINA with its `fast_grad`, taken once of u and once of its derivative; jinns' \
`laplacian_rev` and PINA's `AllenCahnEquation` were slower in single runs. At the first weights \
the losses of both agree with a plain NumPy evaluation to 3e-7 in float32 and to 3e-16 in \
float64 (`loss_error` in their lines). DeepXDE takes the residual at the 512 initial points too. \
The commands, in turn and twice; the runners that are not in this repository ran between them with \
the same flags:

```
scripts/benchmarks/peers/environments.sh jinns pina deepxde
export XLA_FLAGS='--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1'
export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
task="--work W2 --net 4x128 --n 8192 --steps 6 --reps 3"
for round in 1 2; do
  taskset -c 1 python scripts/benchmarks/run_pinnkit.py $task
  taskset -c 1 runs/peers/jinns/bin/python scripts/benchmarks/peers/jinns_steps.py $task
  taskset -c 1 runs/peers/pina/bin/python scripts/benchmarks/peers/pina_steps.py $task
  taskset -c 1 runs/peers/jinns/bin/python scripts/benchmarks/peers/jinns_steps.py $task \\
    --method jvp
done > runs/peers/rates.jsonl
python scripts/benchmarks/peers/rates.py --from runs/peers/rates.jsonl
```"""
TRIED = """\
Single runs with key 0 by which the settings above were chosen, the best error first. Some of them \
had to share their core: their processor seconds fall short of the seconds. The factor of \
DeepXDE's loss, which keeps PyTorch's L-BFGS from stalling at absolute tolerances, came in later \
and was then kept for all problems."""


def longest(rows: Iterable[Row]) -> float:
    return max(row["budget"] for row in rows)


def head(rows: list[Row]) -> str:
    keys = sorted({row["key"] for row in rows})
    where = sorted({row["processor"] for row in rows})
    days = sorted({row["date"] for row in rows})
    how = HOW.format(seconds=longest(rows), keys=" ".join(map(str, keys)))
    return (
        "Four problems, solved by pinnkit, DeepXDE and jinns with the same budget of wall-clock "
        "time, each run a process of its own on one core, the packages in turn. Relative L2 error "
        "of the whole solution; float64. Made by\n\n"
        f"{how}\n\non {'; '.join(where)}, {' to '.join(dict.fromkeys([days[0], days[-1]]))}. "
        "Rows: [`peers.json`](peers.json), with the error at about twelve moments of each run."
    )


def medians(rows: list[Row]) -> str:
    keys = sorted({row["key"] for row in rows})
    named = f"Medians of keys {', '.join(map(str, keys))}" if len(keys) > 1 else f"Key {keys[0]}"
    text = f"{named}; `times`: error over that of pinnkit."
    floors = {row["problem"]: row["floor"] for row in rows if "floor" in row}
    known = [
        [
            f"[`{problem}`](../../problems/{FILES[problem]})",
            REFERENCES[problem],
            f"{floor:.0e}" if floor else "0",
        ]
        for problem, floor in floors.items()
    ]
    table = tally.table(["problem", "compared with", "its own error"], known)
    return f"{text}\n\n{summary(rows)}\n\n{table}"


def runs(rows: list[Row]) -> str:
    lines = [
        [row["problem"], row["package"], row["key"], *outcome(row)]
        for row in sorted(rows, key=lambda row: PROBLEMS.index(row["problem"]))
    ]
    head = ["problem", "package", "key", "error", "steps", "seconds", "CPU seconds"]
    return tally.table(head, lines)


def outcome(row: Row) -> list[str]:
    if "failed" in row:
        return [f"failed: {row['failed']}", "–", "–", "–"]
    return [
        f"{row['error']:.1e}",
        str(row["steps"]),
        f"{row['seconds']:.1f}",
        f"{row['cpu_seconds']:.1f}",
    ]


def settings(rows: list[Row]) -> str:
    """What each package ran with, once."""
    made = [row for row in rows if "settings" in row]
    made.sort(key=lambda row: (PACKAGES.index(row["package"]), PROBLEMS.index(row["problem"])))
    lines = []
    for (package, version, words), members in tally.groups(
        made, ("package", "version", "settings")
    ).items():
        problems = ", ".join(dict.fromkeys(row["problem"] for row in members))
        lines.append([package, version, problems, words])
    return tally.table(["package", "version", "problems", "settings"], lines)


def trials(tried: list[Row]) -> str:
    made = [row for row in tried if "settings" in row]
    made.sort(key=lambda row: PROBLEMS.index(row["problem"]))
    lines = []
    for (_, _), members in tally.groups(made, ("problem", "package")).items():
        for row in sorted(members, key=lambda row: row["error"]):
            names = (row["problem"], row["package"], row["settings"])
            spent = (f"{row['seconds']:.0f}", f"{row['cpu_seconds']:.0f}")
            lines.append([*names, *spent, f"{row['error']:.1e}"])
    names = ["problem", "package", "settings", "seconds", "CPU seconds", "error"]
    return tally.table(names, lines)


def draw(rows: list[Row], path: Path) -> None:
    """Error against time: the run of the median error, and the others faintly."""
    with style():
        drawn = figure(7.2, 5.4)
        panels = drawn.subplots(2, 2, sharex=True).ravel()
        for panel, problem in zip(panels, PROBLEMS, strict=True):
            for package, colour in zip(PACKAGES, LINES, strict=False):
                members = [r for r in rows if (r["problem"], r["package"]) == (problem, package)]
                lines(panel, [row["curve"] for row in members if "curve" in row], package, colour)
            panel.set(title=TITLES[problem], xscale="log", yscale="log")
            panel.set_xticks(MOMENTS, [str(moment) for moment in MOMENTS])
            panel.xaxis.set_minor_formatter(NullFormatter())
        for panel in panels[2:]:
            panel.set_xlabel("seconds, with compilation")
        for panel in panels[::2]:
            panel.set_ylabel("relative L2 error")
        panels[0].legend(loc="lower left")
        save(drawn, path)


def lines(panel: object, curves: list[list[list[float]]], label: str, colour: str) -> None:
    """Runs of one package; curves need not share their moments."""
    if not curves:
        return
    ordered = sorted(curves, key=lambda curve: curve[-1][1])
    middle = ordered[(len(ordered) - 1) // 2]
    for curve in ordered:
        bold = curve is middle
        look = {"lw": 1.8, "label": NAMES.get(label, label)} if bold else {"lw": 0.9, "alpha": 0.35}
        x, y = zip(*curve, strict=True)
        panel.plot(x, y, color=colour, marker="o", ms=2.5 if bold else 1.5, **look)  # pyright: ignore


def main() -> None:
    results = ROOT / "docs/results"
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rows", type=Path, default=results / "peers.json")
    parser.add_argument("--tried", type=Path, default=results / "peers_tried.json")
    parser.add_argument("--rates", type=Path, default=results / "rates.json")
    parser.add_argument("--out", type=Path, default=results / "peers.md")
    parser.add_argument("--image", type=Path, default=ROOT / "docs/images/peers.png")
    o = parser.parse_args()
    rows = tally.read(o.rows)
    if not rows:
        parser.error(f"{o.rows} has no rows. Make them with compare.py.")
    draw([row for row in rows if row["budget"] == longest(rows)], o.image)
    with atomic(o.out) as temporary:
        temporary.write_text(page(rows, tally.read(o.tried), tally.read(o.rates)))


if __name__ == "__main__":
    main()
