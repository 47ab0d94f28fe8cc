"""Every row of docs/results: what is solved, how, and what it is measured against."""

from __future__ import annotations

import dataclasses

import wells
from measures import Against, FileOf, HeldOut, Levels, Measure, cole_hopf, exact, lines, steady

import pinnkit as pk
from pinnkit.compile import compile_problem
from pinnkit.methods.base import Method
from pinnkit.methods.choose import choose


@dataclasses.dataclass(frozen=True)
class Row:
    """One call of `solve`: a problem, a method (None: the default), what to compare with."""

    problem: str
    method: Method | None
    measure: Measure
    seconds: float | None = None
    parameters: tuple[tuple[str, float], ...] = ()
    remark: str = ""
    key: int = 0

    @property
    def subject(self) -> str:
        """First column."""
        return self.problem + "".join(f" {k}={v:g}" for k, v in self.parameters)

    def manner(self, problem: pk.Problem) -> str:
        """Second column: the method and what sets it apart."""
        method = self.method or choose(compile_problem(problem))[0]
        name = method.name if self.method else f"{method.name} (default)"
        layout = getattr(method, "layout", None)
        architecture = getattr(method, "architecture", None)
        for part in (layout, architecture):
            name += f" {type(part).__name__}" if part is not None else ""
        name += f", {self.remark}" if self.remark else ""
        name += f", budget {self.seconds:g} s" if self.seconds else ""
        return name + (f", key {self.key}" if self.key else "")


@dataclasses.dataclass(frozen=True)
class Section:
    """A table with its heading and the sentences under it."""

    title: str
    text: str
    rows: tuple[Row, ...]


EDGES = (-1, -0.4, -0.15, -0.06, -0.025, -0.01, 0, 0.01, 0.025, 0.06, 0.15, 0.4, 1)
SLABS = (0, 0.2, 0.3, 0.36, 0.42, 0.5, 0.65, 0.8, 1)
GRADED = pk.LeastSquares(layout=pk.Graded(x=EDGES), slabs=SLABS)
EXACT, LINES, STEADY, COLE_HOPF = (Against(f) for f in (exact, lines, steady, cole_hopf))

FORWARD = Section(
    "Forward problems",
    "Relative L2 error per field. Graded experts on Burgers use edges and slabs placed by hand, "
    "knowing where the front stands.",
    (
        Row("heat1d", None, EXACT),
        Row("heat1d", pk.PINN(), EXACT, 60),
        Row("heat1d", pk.Lines(), EXACT),
        Row("heat2d", None, EXACT),
        Row("wave1d", None, EXACT),
        Row("wave1d", pk.Lines(), EXACT),
        Row("advection", None, EXACT),
        Row("poisson2d", None, EXACT),
        Row("poisson2d", pk.LeastSquares(layout=pk.Blocks(x=2, y=2)), EXACT),
        Row("poisson2d", pk.PINN(), EXACT, 60),
        Row("poisson2d", pk.Steady(), EXACT),
        Row("poisson3d", None, EXACT),
        Row("helmholtz2d", None, EXACT),
        Row("helmholtz2d", None, EXACT, None, (("a1", 6), ("a2", 6))),
        Row("poisson_nonlinear", pk.LeastSquares(), EXACT),
        Row("poisson_nonlinear", pk.Steady(), EXACT),
        Row("burgers", None, COLE_HOPF, 120),
        Row("burgers", GRADED, COLE_HOPF),
        Row("burgers", pk.Lines(), COLE_HOPF),
        Row("kovasznay", None, EXACT, 60),
        Row("kovasznay", pk.Steady(), EXACT),
        Row("cavity", None, STEADY, 120),
        Row("allen_cahn", None, LINES, 100),
    ),
)

ROOTS = "transcendental equations, bisected with 40 digits"
WELLS = Section(
    "Levels of wells",
    "The largest relative error of the first four levels.",
    (
        Row("well_infinite", None, Levels(wells.hard_walls, "n^2 pi^2", 1e-16)),
        Row("well_harmonic", None, Levels(wells.oscillator, "2 n + 1", 1e-16)),
        Row("well_finite", None, Levels(wells.well, ROOTS, 1e-16)),
        Row("well_barrier", None, Levels(wells.barrier, ROOTS, 1e-16)),
    ),
)

SHORT = "500 samples, 600 steps"
OPERATORS = Section(
    "Operators",
    "Mean relative L2 error over test functions that training never saw.",
    tuple(
        Row(
            "darcy_family",
            pk.Operator(architecture, samples=500, steps=600),
            HeldOut(),
            remark=SHORT,
        )
        for architecture in (pk.nn.DeepONet(), pk.nn.MgNO())
    ),
)

SHOCK = FileOf("burgers/burgers_shock.mat", "Raissi et al.", 3e-12, (("usol", "u"),))
PHASES = FileOf("allen_cahn/AC.mat", "Raissi et al.", 1e-5, (("uu", "u"), ("tt", "t")))
WAVES = FileOf("kuramoto_sivashinsky/ks.mat", "jaxpi", 7e-11, (("usol", "u"),))
DISKS = FileOf("poisson_disks/poisson1_cg_data.dat", "PINNacle", 1e-3)
FILES = Section(
    "Against files of others",
    "Relative L2 error at the files' own points. The files are not part of this repository: "
    "`--reference-data FOLDER` says where they stand, under the names in the table. The floor is "
    "how good a file is; differences below it are agreement with the file.",
    (
        Row("burgers", pk.PINN(), SHOCK, 100),
        Row("burgers", pk.Lines(), SHOCK),
        Row("allen_cahn", pk.PINN(), PHASES, 100),
        Row("allen_cahn", pk.Lines(), PHASES),
        Row("ks_regular", None, WAVES),
        Row("poisson_disks", pk.PINN(), DISKS, 60),
    ),
)

PILOT = pk.PINN(points=2500, stages=(pk.SSBFGS(steps=1000),))
CAUSAL_PILOT = pk.PINN(causality=1.0, points=2500, stages=(pk.SSBFGS(steps=1000),))
CAUSAL = Section(
    "Causal weights",
    "`PINN(causality=1.0, points=2500, stages=(SSBFGS(steps=1000),))` and the same without.",
    tuple(
        Row("burgers", method, COLE_HOPF, remark=remark, key=key)
        for key in range(5)
        for method, remark in (
            (CAUSAL_PILOT, "1000 steps, causal weights"),
            (PILOT, "1000 steps, none"),
        )
    ),
)

FAILURES = Section(
    "What failed",
    "Runs whose own status says that their result should not be used, in its words.",
    (
        Row("ks_regular", pk.PINN(), LINES, 60),
        Row("ks_regular", pk.LeastSquares(), LINES, 150),
        Row("kdv", pk.LeastSquares(), EXACT, 150),
        Row("allen_cahn", pk.LeastSquares(), LINES, 150),
        Row("burgers", pk.LeastSquares(), COLE_HOPF, 180, (("nu", 0.05),)),
        Row("kdv", pk.Lines(), EXACT),
    ),
)

SECTIONS = (FORWARD, WELLS, OPERATORS, FILES, CAUSAL, FAILURES)
