"""Every row of docs/results: what is solved, how, and what it is measured against."""

from __future__ import annotations

import dataclasses
from typing import Any

import flows
import wells
from measures import (
    Against,
    FileOf,
    HeldOut,
    Levels,
    MeanSquare,
    Measure,
    Number,
    centre,
    cole_hopf,
    exact,
    experts,
    largest,
    lines,
)

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


EXACT, LINES, COLE_HOPF = (Against(f) for f in (exact, lines, cole_hopf))
EXPERTS = Against(experts)

LINEAR = Section(
    "Linear problems",
    "Relative L2 error per field.",
    (
        Row("heat1d", None, EXACT),
        Row("heat1d", pk.Lines(), EXACT),
        Row("heat2d", None, EXACT),
        Row("wave1d", None, EXACT),
        Row("wave1d", pk.Lines(), EXACT),
        Row("advection", None, EXACT),
        Row("advection_harmonics", None, EXACT),
        Row("advection_harmonics", pk.Lines(), EXACT),
        Row("legendre", None, EXACT),
        Row("poisson2d", None, EXACT),
        Row("poisson2d", pk.LeastSquares(layout=pk.Blocks(x=2, y=2)), EXACT),
        Row("poisson2d", pk.Steady(), EXACT),
        Row("poisson3d", None, EXACT),
        Row("poisson_multiscale", None, EXACT),
        Row("poisson_multiscale", pk.Steady(), EXACT),
        Row("helmholtz2d", None, EXACT),
        Row("helmholtz2d", None, EXACT, None, (("a1", 6), ("a2", 6))),
        Row("helmholtz2d", None, EXACT, None, (("a1", 10), ("a2", 10))),
        Row("helmholtz2d", pk.Steady(), EXACT, None, (("a1", 10), ("a2", 10))),
    ),
)

LOOSE = pk.LeastSquares(tolerance=1e-6)
SINES = pk.LeastSquares(basis=pk.Sine(), tolerance=1e-6)
NONLINEAR = Section(
    "Nonlinear problems",
    "Relative L2 error per field. `Steady` and `Lines` as references share nothing with the "
    "experts but the compiled equations; the tests compare with solvers that share nothing at all.",
    (
        Row("poisson_nonlinear", None, EXACT),
        Row("poisson_nonlinear", pk.Steady(), EXACT),
        Row("burgers", None, COLE_HOPF),
        Row("burgers", LOOSE, COLE_HOPF, remark="tolerance 1e-6"),
        Row("burgers", pk.Lines(), COLE_HOPF),
        Row("burgers", None, COLE_HOPF, None, (("nu", 0.05),)),
        Row("allen_cahn", None, LINES),
        Row("kdv", None, EXACT),
        Row("kdv_periodic", None, LINES),
        Row("kdv_periodic", pk.Lines(), EXPERTS),
        Row("ks_regular", None, LINES),
        Row("ks_regular", pk.Lines(), EXPERTS),
        Row("ks_chaotic", None, LINES),
        Row("ks_chaotic", pk.Lines(), EXPERTS),
        *(
            Row("ks_chaotic", SINES, EXPERTS, remark="random sines, tolerance 1e-6", key=key)
            for key in range(5)
        ),
        Row("gray_scott", None, LINES),
        Row("gray_scott", pk.Lines(), EXPERTS),
    ),
)

PROFILES = {re: flows.Profiles(re) for re in (100, 400, 1000)}
FLOWS = Section(
    "Flows",
    "Relative L2 error per field against closed forms; the largest difference of velocities (of "
    "order one) on both centre lines of the cavity from tables; relative errors of coefficients.",
    (
        Row("kovasznay", None, EXACT),
        Row("kovasznay", pk.PINN(), EXACT, 60),
        Row("kovasznay", pk.Steady(), EXACT),
        Row("taylor_green", None, EXACT),
        Row("cavity", None, PROFILES[100]),
        Row("cavity", pk.Steady(), PROFILES[100]),
        Row("cavity_streamfunction", None, PROFILES[100]),
        Row("cavity_streamfunction", None, PROFILES[400], None, (("Re", 400),)),
        Row("cavity_streamfunction", None, PROFILES[1000], None, (("Re", 1000),)),
        Row("cavity_parabolic", LOOSE, flows.VelocityFile(), remark="tolerance 1e-6"),
        Row("channel_cylinder", None, flows.Cylinder()),
    ),
)

CURVED = Section(
    "Curved domains and corners",
    "Relative error of u(0, 0), and of the largest value.",
    (
        Row("four_disks", None, Number("u(0, 0), converged", 0.2335849223, centre, 1e-10)),
        Row(
            "four_disks",
            LOOSE,
            Number("u(0, 0), converged", 0.2335849223, centre, 1e-10),
            remark="tolerance 1e-6",
        ),
        Row("poisson_disks", None, Number("u(0, 0), converged", 0.2335849223, centre, 1e-10)),
        Row("l_shape", None, Number("largest value, converged", 0.1494123986, largest, 1e-9)),
    ),
)

ROOTS = "transcendental equations, bisected with 40 digits"
SIX_LEVELS = pk.Eigen(levels=6)
WELLS = Section(
    "Levels of wells and membranes",
    "The largest relative error of the first four levels, or as many as the row says.",
    (
        Row("well_infinite", None, Levels(wells.hard_walls, "n^2 pi^2", 1e-16)),
        Row("well_harmonic", None, Levels(wells.oscillator, "2 n + 1", 1e-16)),
        Row("well_finite", None, Levels(wells.well, ROOTS, 1e-16)),
        Row("well_unit", None, Levels(wells.well_in_unit_box, ROOTS, 1e-16)),
        Row("well_barrier", None, Levels(wells.barrier, ROOTS, 1e-16)),
        Row("well_quartic", None, Levels(wells.quartic, "Bender & Orszag", 1e-16)),
        Row("well_double", None, Levels(wells.razavy, "Razavy, three levels", 1e-16, 3)),
        Row("mathieu", None, Levels(wells.mathieu, "characteristic numbers (SciPy)", 1e-15)),
        Row("sturm_liouville", None, Levels(wells.annulus, "Bessel cross products", 1e-15)),
        Row("membrane_square", SIX_LEVELS, Levels(wells.square_membrane, "six levels", 1e-16, 6)),
        Row("membrane_disk", SIX_LEVELS, Levels(wells.drum, "zeros of J_m, six levels", 1e-15, 6)),
        Row("gross_pitaevskii", None, Levels(wells.condensate, "Newton on 160 sines", 1e-12, 1)),
    ),
)

DEEP = pk.nn.DeepONet(
    modes=50,
    branch=pk.nn.Branch(width=64, depth=3, activation="tanh"),
    trunk=pk.nn.MLP(64, 3, frequency=0),
)
REACTION: dict[str, Any] = {"samples": 500, "resolution": 50, "frames": 50, "batch": 50}
UNSEEN = pk.Operator(
    DEEP,
    **REACTION,
    steps=2000,
    stages=(pk.SOAP(2000, pk.OneCycle(5e-3, 2000)),),
    physics=pk.Physics(data=0),
)
WAVES = pk.Operator(
    pk.nn.FNO(modes=16),
    samples=1000,
    resolution=128,
    frames=1,
    steps=3000,
    batch=20,
    learning_rate=2e-3,
)
POROUS: dict[str, Any] = {"samples": 500, "resolution": 64, "batch": 10, "learning_rate": 2e-3}
OPERATORS = Section(
    "Operators",
    "Mean relative L2 error over test functions that training never saw, after a fixed number of "
    "steps; seconds with the making of the data. Settings: `scripts/benchmarks/rows.py`. Errors "
    "of Burgers are those at t = 1, in which the viscosity has left a sixtieth (nu = 0.1) and a "
    "third (0.01) of the initial states, whose mean is zero.",
    (
        *(
            Row(
                "antiderivative_family",
                pk.Operator(resolution=100, samples=1000, steps=2000, batch=64),
                MeanSquare(),
                key=key,
            )
            for key in range(3)
        ),
        *(
            Row(
                "diffusion_reaction_family",
                pk.Operator(**REACTION, steps=3000, learning_rate=3e-3),
                HeldOut(),
                key=key,
            )
            for key in range(3)
        ),
        *(
            Row("diffusion_reaction_family", UNSEEN, HeldOut(), remark="no data", key=key)
            for key in range(3)
        ),
        *(
            Row("burgers_family", WAVES, HeldOut(), parameters=(("nu", nu),), key=key)
            for nu in (0.1, 0.01)
            for key in range(3)
        ),
        *(
            Row(
                "darcy_family", pk.Operator(architecture, **POROUS, steps=steps), HeldOut(), key=key
            )
            for key in range(3)
            for architecture, steps in ((pk.nn.FNO(width=24), 1200), (pk.nn.MgNO(), 1500))
        ),
        *(
            Row(name, pk.Operator(network, samples=500, resolution=32, steps=1500), HeldOut())
            for name in ("laplace_edge_family", "heated_rod_family")
            for network in (pk.nn.FNO(32, 12, 3), pk.nn.DeepONet())
        ),
    ),
)

SHOCK = FileOf("burgers/burgers_shock.mat", "Raissi et al.", 3e-12, (("usol", "u"),))
PHASES = FileOf("allen_cahn/AC.mat", "Raissi et al.", 1e-5, (("uu", "u"), ("tt", "t")))
KURAMOTO = FileOf("kuramoto_sivashinsky/ks.mat", "jaxpi", 7e-11, (("usol", "u"),))
DISKS = FileOf("poisson_disks/poisson1_cg_data.dat", "PINNacle", 1e-3)
FILES = Section(
    "Against files of others",
    "Relative L2 error at the files' own points. The files are not part of this repository: "
    "`--reference-data FOLDER` says where they stand, under the names in the table. The floor is "
    "how good a file is; differences below it are agreement with the file.",
    (
        Row("burgers", None, SHOCK),
        Row("burgers", pk.Lines(), SHOCK),
        Row("allen_cahn", None, PHASES),
        Row("allen_cahn", pk.Lines(), PHASES),
        Row("ks_regular", None, KURAMOTO),
        Row("ks_regular", pk.Lines(), KURAMOTO),
        Row("four_disks", None, DISKS),
        Row("poisson_disks", None, DISKS),
        Row("poisson_disks", pk.PINN(), DISKS, 60),
    ),
)

SIX = (("a1", 6), ("a2", 6))
NETWORKS = Section(
    "Networks: error within a budget",
    "`pk.solve(problem, pk.PINN(), seconds=budget, key=key)` with nothing else given; compilation "
    "counts. Every process had one of two cores, which it shared with other work.",
    tuple(
        Row(problem, pk.PINN(), measure, seconds, parameters, key=key)
        for problem, measure, seconds, parameters in (
            ("burgers", COLE_HOPF, 60, ()),
            ("burgers", COLE_HOPF, 600, ()),
            ("allen_cahn", LINES, 60, ()),
            ("allen_cahn", LINES, 600, ()),
            ("poisson2d", EXACT, 60, ()),
            ("heat1d", EXACT, 60, ()),
            ("wave1d", EXACT, 60, ()),
            ("helmholtz2d", EXACT, 100, SIX),
            ("helmholtz3d", EXACT, 100, ()),
            ("poisson5d", EXACT, 60, ()),
            ("cavity", PROFILES[100], 60, ()),
            ("cavity", PROFILES[400], 120, (("Re", 400),)),
            ("kdv", EXACT, 300, ()),
        )
        for key in range(3)
    ),
)

PILOT = pk.PINN(network=pk.nn.MLP(30, 3, frequency=0), points=2500, stages=(pk.SSBFGS(steps=1000),))
CAUSAL_PILOT = dataclasses.replace(PILOT, causality=pk.Causal(epsilons=(1.0,), stop=False))
CAUSAL = Section(
    "Causal weights",
    "`PINN(network=MLP(30, 3, frequency=0), points=2500, stages=(SSBFGS(steps=1000),))`, and the "
    "same with `causality=Causal(epsilons=(1.0,), stop=False)`.",
    tuple(
        Row("burgers", method, COLE_HOPF, remark=remark, key=key)
        for key in range(5)
        for method, remark in (
            (CAUSAL_PILOT, "1000 steps, causal weights"),
            (PILOT, "1000 steps, none"),
        )
    ),
)

LORENZ = pk.PINN(
    network=pk.nn.MLP(40, 3),
    stages=(pk.Adam(steps=12000, learning_rate=5e-3, decay_steps=600),),
    points=256,
    sampling=pk.sampling.Even(),
    windows=1,
)
CAUSAL_LORENZ = dataclasses.replace(LORENZ, causality=pk.Causal(epsilons=(1e3,), stop=False))
ADAM = Section(
    "Causality on Lorenz",
    "To t = 1.5 in one window: `PINN(network=MLP(40, 3), stages=(Adam(steps=12000, "
    "learning_rate=5e-3, decay_steps=600),), points=256, sampling=Even(), windows=1)`, and the "
    "same with `causality=Causal(epsilons=(1e3,), stop=False)`. The floor is what `Lines` "
    "estimates, without rounding.",
    tuple(
        Row("lorenz", method, LINES, parameters=(("end", 1.5),), remark=remark, key=key)
        for key in range(3)
        for method, remark in ((CAUSAL_LORENZ, "causal weights"), (LORENZ, "none"))
    ),
)

RELAXED = pk.PINN(
    network=pk.nn.MLP(20, 2),
    stages=(pk.LevenbergMarquardt(steps=300, resample_every=5),),
    points=256,
    sampling=pk.sampling.Even(),
    windows=1,
)
STEPPED = dataclasses.replace(RELAXED, pseudo_time=pk.PseudoTime())
PSEUDO_TIME = Section(
    "Pseudo-time on Lorenz",
    "To t = 1.5 in one window: `PINN(network=MLP(20, 2), stages=(LevenbergMarquardt(steps=300, "
    "resample_every=5),), points=256, sampling=Even(), windows=1)`, and the same with "
    "`pseudo_time=PseudoTime()`. The floor is what `Lines` estimates, without rounding.",
    tuple(
        Row("lorenz", method, LINES, parameters=(("end", 1.5),), remark=remark, key=key)
        for key in range(3)
        for method, remark in ((STEPPED, "pseudo-time"), (RELAXED, "no pseudo-time"))
    ),
)

TENTH = (("end", 0.1),)


def march(windows: int, units: int, layers: int, harmonics: int = 1, **options: Any) -> pk.PINN:
    """One network of `layers` x `units` after another."""
    network = pk.nn.MLP(units, layers)
    return pk.PINN(network=network, windows=windows, harmonics=harmonics, **options)


ESTIMATE = HeldOut("its own estimate")
TEN = (("end", 10),)
LONG = Section(
    "Long times",
    "`PINN(network=MLP(units, layers), windows=n, harmonics=h)`, and the classical solver beside "
    "it. The whole of the chaotic problem, and how errors grow on the way: "
    "[`chaos.md`](chaos.md).",
    (
        *(
            Row(
                "ks_chaotic",
                march(2, 20, 3, 5),
                EXPERTS,
                160,
                TENTH,
                "2 windows, 20 x 3, h = 5",
                k,
            )
            for k in range(3)
        ),
        Row("ks_chaotic", pk.Lines(), EXPERTS, parameters=TENTH),
        Row(
            "ks_regular",
            march(20, 20, 3, 2),
            LINES,
            500,
            (),
            "20 windows, 20 x 3, h = 2",
        ),
        Row(
            "ks_regular",
            march(20, 20, 3, 2, warm_start=True),
            LINES,
            500,
            (),
            "20 windows, 20 x 3, h = 2, warm_start=True",
        ),
        Row(
            "kdv_periodic",
            march(10, 20, 3, 2),
            LINES,
            300,
            (),
            "10 windows, 20 x 3, h = 2",
        ),
        Row("lorenz", march(80, 10, 2), LINES, 300, TEN, "80 windows, 10 x 2"),
        Row("lorenz", march(160, 10, 2), LINES, 600, (), "160 windows, 10 x 2"),
        Row("lorenz", pk.Lines(), ESTIMATE),
        Row("ns_torus", pk.PINN(), LINES, 300),
        Row("ns_torus", pk.Lines(), ESTIMATE),
        Row("taylor_green", pk.PINN(), EXACT, 60),
        Row("taylor_green", pk.Lines(), EXACT),
    ),
)

PULSE_NET, STEP = pk.nn.MLP(20, 2), 0.05
EVOLVING = Section(
    "Evolving",
    "Networks in space whose weights are carried through time; relative L2 error over space and "
    "time.",
    (
        Row("advection_pulse", pk.Evolving(PULSE_NET, pk.ImplicitRungeKutta(STEP)), EXACT),
        Row(
            "advection_pulse",
            pk.Evolving(PULSE_NET, pk.ImplicitMidpoint(STEP)),
            EXACT,
            remark="midpoint rule",
        ),
        Row("advection_pulse", pk.Lines(), EXACT),
        Row(
            "burgers",
            pk.Evolving(pk.nn.MLP(12, 2), pk.ImplicitRungeKutta(0.02)),
            COLE_HOPF,
            parameters=(("nu", 0.05),),
        ),
        Row(
            "burgers",
            pk.Evolving(pk.nn.MLP(12, 2), pk.Projected(0.05)),
            COLE_HOPF,
            parameters=(("nu", 0.05),),
            remark="projected rates",
        ),
        Row("heat2d", pk.Evolving(pk.nn.MLP(12, 2), pk.ImplicitMidpoint(0.05)), EXACT),
    ),
)

PLAIN = pk.PINN(network=pk.nn.MLP(30, 3), windows=1)
PLAIN_ADAM = dataclasses.replace(PLAIN, stages=(pk.Adam(steps=100_000),))
FAST, SLOW = (("c", 50),), (("c", 2),)
MOVING = Section(
    "Moving frames",
    "The same problems on labels that move with the flow, `Lagrangian(PINN())`, and at places: "
    "`PINN()` as it is, and plain networks, `PINN(network=MLP(30, 3), windows=1)` with its default "
    "stages or with `stages=(Adam(steps=100_000),)`.",
    (
        *(Row("advection", pk.Lagrangian(), EXACT, 60, (("c", c),)) for c in (2, 30, 50, 70)),
        *(Row("advection", pk.Lagrangian(), EXACT, 60, FAST, key=key) for key in (1, 2)),
        *(Row("advection", pk.PINN(), EXACT, 60, FAST, key=key) for key in range(3)),
        Row("advection", PLAIN, EXACT, 60, SLOW, "plain"),
        *(Row("advection", PLAIN, EXACT, 60, FAST, "plain", key) for key in range(3)),
        Row("advection", PLAIN_ADAM, EXACT, 60, FAST, "plain, Adam"),
        Row("advection", pk.Lines(), EXACT, parameters=FAST),
        *(Row("burgers_periodic", pk.Lagrangian(), COLE_HOPF, 60, key=key) for key in range(3)),
        Row("burgers_periodic", pk.Lagrangian(pk.Lines()), COLE_HOPF),
        *(Row("burgers_periodic", pk.PINN(), COLE_HOPF, 60, key=key) for key in range(3)),
        Row("burgers_periodic", None, COLE_HOPF),
    ),
)


def _projected(method: pk.PINN, steps: int) -> pk.PINN:
    """The method with the last layers solved for in every one of so many steps."""
    stage = pk.VariableProjection(pk.SSBFGS(steps=steps))
    return dataclasses.replace(method, stages=(stage,))


THOUSAND = (pk.SSBFGS(steps=1000),)
ONE = pk.PINN(stages=THOUSAND, windows=1)
FIFTEEN = pk.PINN(network=pk.nn.Mixture(pk.nn.MLP(16, 1), 15), stages=THOUSAND, windows=1)
TEN = dataclasses.replace(ONE, network=pk.nn.Mixture(pk.nn.MLP(12, 2), (2, 5)))
SQUARES = pk.PINN(network=pk.nn.Mixture(pk.nn.MLP(30, 1, frequency=4), (2, 6)), points=2000)
ONCE = (pk.LastLayer(damping=0.0),)
MARCHED = pk.PINN(network=pk.nn.MLP(16, 2), stages=(pk.FactoredSSBFGS(steps=300),), windows=15)
MIXTURES = Section(
    "Mixtures on windows",
    "`PINN(network=MLP(30, 3), stages=(SSBFGS(steps=1000),), windows=1)`, the same with "
    "`Mixture(MLP(16, 1), 15)` (on Allen-Cahn `Mixture(MLP(12, 2), (2, 5))`), and the latter with "
    "`stages=(LastLayer(damping=0.0),)` or `(VariableProjection(SSBFGS(steps=n)),)`; on Helmholtz' "
    "equation `Mixture(MLP(30, 1, frequency=4), (2, 6))` with 2000 points. Beside these one "
    "network after another, `PINN(network=MLP(16, 2), stages=(FactoredSSBFGS(steps=300),), "
    "windows=15)`.",
    (
        *(
            Row("damped_oscillator", method, EXACT, remark=remark, key=key)
            for key in range(3)
            for method, remark in (
                (ONE, "one network, 1000 steps"),
                (FIFTEEN, "15 windows, 1000 steps"),
                (dataclasses.replace(FIFTEEN, stages=ONCE), "15 windows, one solve"),
                (_projected(FIFTEEN, 100), "15 windows, solved throughout, 100 steps"),
                (MARCHED, "15 windows one after another"),
            )
        ),
        Row(
            "helmholtz2d",
            dataclasses.replace(SQUARES, stages=ONCE),
            EXACT,
            remark="12 windows, one solve",
        ),
        Row(
            "helmholtz2d",
            _projected(SQUARES, 30),
            EXACT,
            remark="12 windows, solved throughout, 30 steps",
        ),
        *(
            Row("allen_cahn", method, LINES, remark=remark, key=key)
            for key in range(3)
            for method, remark in (
                (ONE, "one network, 1000 steps"),
                (TEN, "10 windows, 1000 steps"),
            )
        ),
    ),
)

FAILURES = Section(
    "What failed",
    "Runs whose own status says that their result should not be used, in its words.",
    (
        Row("ks_regular", pk.PINN(), LINES, 60),
        Row("kdv", pk.Lines(), EXACT),
    ),
)

SECTIONS = (
    LINEAR,
    NONLINEAR,
    FLOWS,
    CURVED,
    WELLS,
    OPERATORS,
    FILES,
    NETWORKS,
    CAUSAL,
    ADAM,
    PSEUDO_TIME,
    LONG,
    EVOLVING,
    MOVING,
    MIXTURES,
    FAILURES,
)
