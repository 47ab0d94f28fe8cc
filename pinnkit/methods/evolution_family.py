"""Evolution families: random initial states, coefficients, forcing or boundary values."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from pinnkit.compile import System
from pinnkit.derivatives import Axis, ChebyshevAxis, FourierAxis, GradedAxis, UniformAxis
from pinnkit.errors import MethodError
from pinnkit.methods import constrained
from pinnkit.methods.evolution import (
    initial_conditions,
    initial_values,
    space_axes,
    unsolvable,
    walls_first,
)
from pinnkit.methods.families import (
    Ensemble,
    Family,
    Inputs,
    around,
    boundary_of,
    differences,
    input_axes,
    law_of,
    modes_of,
    require_finite,
    side_rows,
    starting_from_zero,
)
from pinnkit.methods.marching import Clock, Level, March
from pinnkit.methods.modal import parities, unsuited
from pinnkit.methods.schemes import FourierScheme, GridScheme, Scheme, Start, declared_start
from pinnkit.methods.stiff_march import StiffMarch

PILOTS, TOLERANCE, REPEATS = 4, 1e-4, 3
MOST_STEPS, CONTRADICTION = 4096, 1e-4
MOST_STRIDE = {"modes": (8, 2, 1), "grid": (4, 2, 1)}
GRID_POINTS = (32, 16, 8)
SPACE_ACCURACY, TIME_ACCURACY = 4, 6


class EvolutionFamily(Family):
    """Semi-linear evolution for a random initial state, coefficient, forcing or boundary value.

    Steps of ETDRK4: Fourier modes on periodic axes or between symmetry planes, collocation between
    other walls and for ordinary differential equations. `frames` intervals in time are stored, from
    `after` on; inputs are then the states at `after`, if the initial state is random. An input
    function of time, as those at walls are, has as many intervals as an axis in space, and so have
    solutions.

    `stride` (points of the solver for each interval of the sensors, or for each 32, 16 or 8 of a
    collocation grid in one to three dimensions) and `steps` (in time, per frame) are chosen with
    the help of four pilot members, if not given; members that need more steps then get them.

    Where walls outrank initial states that contradict them, solutions begin with jumps: then
    differences between neighbouring nodes and implicit steps (`StiffMarch`).
    """

    def __init__(
        self,
        system: System,
        resolution: int,
        frames: int,
        spread: float,
        after: float | None = None,
        stride: int | None = None,
        steps: int | None = None,
    ) -> None:
        if resolution % 2 or (steps or 2) % 2:
            raise MethodError("its resolution and its steps must be even, for error estimates")
        if system.evolution is None and system.constrained is None:
            raise MethodError("its equations cannot be solved for the time derivatives")
        self.system, self.resolution = system, resolution
        self._stride, self._steps = stride, steps
        self.rows = side_rows(system)
        self.space = space_axes(system)
        self.of_time = bool(system.inputs) and input_axes(system) == (system.time,)
        self.frames = resolution if self.of_time else frames
        self._require_known_walls()
        self.varied = self._varied()
        self.parities = parities(system, self.rows) or {}
        self.boundary = tuple(self._kind(name) for name in self.space)
        if self.of_time:
            self.boundary = ("free",)
        self._lay_out(after)
        self.inputs = self._inputs(spread)
        self.modal = self._suits_modes()
        if self.system.inputs == () and not self.modal:
            raise MethodError(f"its batches of solutions need Fourier modes, but it has {self.why}")
        modes = modes_of(self.inputs.law) if self.modal and self.varied is not None else 0
        enough = (2 * modes + 1) / resolution
        self.march = March(self.inputs, self._scheme, self.clock, self.modal, enough)
        self.jumps = False  # while it is found out
        self.jumps = self._jumps()
        if self.jumps:
            self._scheme.cache_clear()
            self.march = StiffMarch(self.inputs, self._scheme, self.clock)

    def _lay_out(self, after: float | None) -> None:
        time = self.system.time or ""
        lo, hi = self.system.domain.bounds[time]
        begin = lo if after is None else float(after)
        if after is not None and set(self.space) - set(self.system.traits.periodic):
            raise MethodError("its frames begin with the initial state, as it is not periodic")
        if not lo <= begin < hi or (after is not None and self.of_time):
            raise MethodError(f"its frames cannot begin after {time} = {after}")
        times = UniformAxis(time, begin, hi, self.frames + 1, TIME_ACCURACY)
        own = tuple(self._sensor(name) for name in self.space)
        where = self.system.axes.index(time)
        self.clock = Clock(lo, begin, hi, self.frames, where, self.of_time)
        self.grid = (*own[:where], times, *own[where:])
        self.sensors = (times,) if self.of_time else own
        self.walls = tuple(self._fixed(axis.name) for axis in self.grid)

    def _sensor(self, name: str) -> Axis:
        lo, hi = self.system.domain.bounds[name]
        if name in self.system.traits.periodic:
            return FourierAxis(name, lo, hi, self.resolution)
        return UniformAxis(name, lo, hi, self.resolution + 1, SPACE_ACCURACY)

    def _require_known_walls(self) -> None:
        """Raises MethodError where a condition at a wall holds what is not known of the input."""
        for row in (row for row in self.rows if row.varies):
            name = row.residual.name
            if not self.of_time:
                raise MethodError(
                    f"condition '{name}' holds its input function, which there must depend on time"
                )
            if self.system.traits.time_order[row.field] > 1:
                raise MethodError(
                    f"condition '{name}' holds its input function, and {row.field} has a second "
                    "time derivative; declare its rate as a field of its own"
                )

    def _orders(self, axis: str, field: str) -> set[tuple[int, ...]]:
        mine = [r for r in self.rows if r.field == field and r.axis == axis]
        ends = {r.end for r in mine}
        return {tuple(r.coefficients) for r in mine} if ends == {0, 1} else {()}

    def _fixed(self, axis: str) -> bool:
        return all((0,) in self._orders(axis, f) for f in self.system.fields)

    def _kind(self, axis: str) -> str:
        """What the conditions say of the solution at the ends of an axis."""
        if axis in self.system.traits.periodic:
            return "periodic"
        found = [self._orders(axis, field) for field in self.system.fields]
        for kind, order in (("dirichlet", (0,)), ("neumann", (1,))):
            if all(orders == {order} for orders in found):
                return kind
        return "free"

    def _varied(self) -> tuple[str, int] | None:
        """Component of the state whose initial value the input function enters, if it does."""
        system = self.system
        if not system.inputs:
            return system.rates[0].field, 0
        name, residuals = system.inputs[0], system.residuals
        users = [i for i, r in enumerate(residuals) if name in r.input_plan.fields]
        held = [t for r in residuals for t in r.input_plan.terms if t.along(system.time or "")]
        if held:
            raise MethodError(f"it holds {held[0]}, a time derivative of its input function")
        given = initial_conditions(system)
        return next((c for c, i in given.items() if i in users), None)

    def _suits_modes(self) -> bool:
        """Whether Fourier modes fit; if not, `why` is the reason.

        Raises MethodError where nothing fits.
        """
        system = self.system
        self.why = None
        if system.constrained is not None:
            self.why = constrained.refusal(system, system.constrained)
            if self.why is None and not constrained.is_elliptic(system.constrained):
                self.why = "multipliers, which not every initial state admits"
            if self.why is not None:
                raise MethodError(self.why)
            return True
        if system.evolution is None:
            raise MethodError(unsolvable(system))
        self.why = unsuited(starting_from_zero(system), self.rows)
        law = boundary_of(self.inputs.law)
        wrong = [k for k in self.boundary if law not in (k, "any")]
        if self.varied is None:
            wrong = [k for k in wrong if k == "periodic"]
        if wrong and "periodic" in wrong:
            raise MethodError(
                f"the law of {self.inputs.name} has boundary '{law}', but the conditions "
                "ask for 'periodic'"
            )
        if wrong and self.why is None:
            self.why = f"a law with boundary '{law}' where the conditions ask for '{wrong[0]}'"
        return self.why is None

    def _jumps(self) -> bool:
        """Whether initial states contradict the conditions at the walls, which outrank them.

        Raises MethodError where nothing says which of them yields.
        """
        if self.modal or not (self.varied or any(row.varies for row in self.rows)):
            return False
        scheme = self._scheme(1)
        assert isinstance(scheme, GridScheme)
        functions = self._first(scheme.nodes)
        wrong = float(jnp.max(jax.jit(jax.vmap(scheme.contradiction))(functions)))
        if wrong <= CONTRADICTION:
            return False
        if self.of_time:
            raise MethodError(
                f"its boundary values contradict the initial state (by {wrong:.1e} of their "
                f"size); multiply {self.inputs.name} with a function that vanishes at "
                f"{self.system.time} = {self.clock.lo:g}, or choose a law with boundary='dirichlet'"
            )
        if not walls_first(self.system):
            raise MethodError(
                f"its random initial states contradict the conditions at the walls (by {wrong:.1e} "
                "of their size); choose a law with the boundary of the conditions, multiply the "
                "input function with one that vanishes there, or give all walls a priority above "
                "that of the initial states"
            )
        return True

    def _inputs(self, spread: float) -> Inputs:
        if self.system.inputs:
            bounds = tuple((axis.lo, axis.hi) for axis in self.sensors)
            law = law_of(self.system, [a for a in (self.space, (self.system.time or "",)) if a])
            return Inputs(self.system.inputs[0], law, bounds)
        bounds = tuple((axis.lo, axis.hi) for axis in self.sensors)
        kinds = set(self.boundary)
        if len(kinds) > 1 or "free" in kinds:
            raise MethodError(
                f"its axes have no common boundary conditions ({', '.join(sorted(kinds))})"
            )
        zero_mean = self.system.constrained is not None
        component = self.varied or (self.system.fields[0], 0)

        def declared(nodes: Sequence[np.ndarray]) -> np.ndarray:
            mesh = np.meshgrid(*nodes, indexing="ij")
            z = {axis.name: jnp.asarray(x) for axis, x in zip(self.sensors, mesh, strict=True)}
            return np.asarray(initial_values(self.system, component[0], component[1], z))

        return around(component[0], bounds, kinds.pop(), declared, spread, zero_mean)

    def _start(self) -> Start:
        if self.system.inputs:
            return declared_start(self.system)

        def start(z, component, function):
            field, j = component
            return (
                function if component == self.varied else initial_values(self.system, field, j, z)
            )

        return start

    @functools.cache  # noqa: B019  (the object lives as long as one data set)
    def _scheme(self, stride: float) -> Scheme:
        own = tuple(axis for axis in self.grid if axis.name != self.system.time)
        if self.modal:
            points = {a.name: int(self.resolution * stride) for a in own}
            return FourierScheme(self.system, self.parities, points, own, self._start())
        base = GRID_POINTS[max(len(own) - 1, 0)]
        count = int(base * stride) + 1
        points = {a.name: count - isinstance(a, FourierAxis) for a in own}
        between = GradedAxis if self.jumps else ChebyshevAxis
        return GridScheme(self.system, self.rows, points, own, self._start(), self._mean, between)

    def _mean(self, nodes: Sequence[np.ndarray]) -> np.ndarray:
        return self._first(nodes).mean(axis=0)

    def _first(self, nodes: Sequence[np.ndarray]) -> np.ndarray:
        """Input functions of pilot members at the nodes, those of time at the initial one."""
        if self.of_time:
            return self.inputs.draw([np.array([self.clock.lo])], range(PILOTS), 0)[:, 0]
        return self.inputs.draw(nodes, range(PILOTS), 0)

    def solve(self, samples: range, seed: int) -> Ensemble:
        outputs, errors = self._solved(self.level, samples, seed)
        level = self.level
        for _ in range(REPEATS if self._steps is None else 0):
            bad = np.flatnonzero(~np.isfinite(errors))
            if not len(bad):
                break
            level = Level(level.stride, 4 * level.steps)
            outputs[bad], errors[bad] = self._solved(level, [samples[i] for i in bad], seed)
        require_finite(outputs, samples, seed)
        nodes = [axis.nodes for axis in self.sensors]
        declared = None if self.inputs.declared is None else self.inputs.declared(nodes)
        inputs = self.inputs.draw(nodes, samples, seed)
        if self.clock.begin > self.clock.lo and self.varied is not None and self.varied[1] == 0:
            field = self.system.fields.index(self.varied[0])
            inputs = np.take(outputs[:, field], 0, axis=self.clock.where + 1)
        return Ensemble(inputs, outputs, errors, declared)

    def _solved(
        self, level: Level, samples: Sequence[int], seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Solutions and their errors, which are not finite where half the steps are too few."""
        outputs, states = self.march.run(level, samples, seed)
        rough, _ = self.march.run(level.halved(), samples, seed, (level, states))
        return outputs, self._gaps(outputs, rough)

    @functools.cached_property
    def level(self) -> Level:
        """Points and steps at which half of either changes pilot members little.

        Raises MethodError where no number of steps does.
        """
        most = MOST_STRIDE["modes" if self.modal else "grid"][max(len(self.space) - 1, 0)]
        level = Level(self._stride or 1, self._steps or 2)
        while True:
            fine = self.march.run(level, range(PILOTS), 0)
            if self._steps is None and self._changed(fine, level, 1, 2):
                level = Level(level.stride, 2 * level.steps)
                if level.steps > MOST_STEPS:
                    raise MethodError(
                        f"Its solutions change with the steps even at {MOST_STEPS} for each "
                        "frame: they are unstable or chaotic. Give steps=..., or shorten the time."
                    )
            elif self._stride or level.stride >= most or not self.space:
                return level
            elif self._changed(fine, level, 2, 1):
                level = Level(2 * level.stride, level.steps)
            else:
                return level

    def _changed(self, fine, level: Level, points: int, steps: int) -> bool:
        """Whether pilot solutions change, if points or steps are divided by these numbers."""
        outputs, states = fine
        fewer = Level(level.stride / points, level.steps // steps)
        found, _ = self.march.run(fewer, range(PILOTS), 0, (level, states))
        return not self._gaps(outputs, found).max() < TOLERANCE / 2

    def _gaps(self, fine: np.ndarray, rough: np.ndarray) -> np.ndarray:
        """Differences of solutions, behind the first frame where that holds a jump."""
        if self.jumps:
            later = (slice(None),) * (self.clock.where + 2) + (slice(1, None),)
            fine, rough = fine[later], rough[later]
        return differences(fine, rough)
