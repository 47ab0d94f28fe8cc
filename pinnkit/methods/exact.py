"""The closed-form solution that a problem carries."""

from __future__ import annotations

import sympy as sp

from pinnkit.compile import System
from pinnkit.compile.emit import Emitted
from pinnkit.methods.base import Method, Run
from pinnkit.methods.gridfield import ClosedForm
from pinnkit.solution import Solution, Status
from pinnkit.spec.symbols import function_name


class Exact(Method):
    """Evaluate `problem.exact`; the error estimate is zero, a closed form having none."""

    def supports(self, system: System) -> str | None:
        exact = system.problem.exact
        if not exact:
            return "the problem carries no exact solution (declare exact={u: expression})"
        missing = set(system.fields) - {function_name(u) for u in exact}
        if missing:
            return f"its exact solution lacks {', '.join(sorted(missing))}"
        return None

    def run(self, system: System, run: Run) -> Solution:
        expressions = {
            function_name(u): Emitted(sp.sympify(e).doit(), f"exact solution of '{u}'")
            for u, e in (system.problem.exact or {}).items()
        }
        evaluator = ClosedForm(
            tuple(expressions[name] for name in system.fields), system.axes, system.parameters
        )
        return Solution(
            system.problem,
            evaluator,
            self.name,
            Status(True, "evaluated the closed form"),
            stats={"wall_s": run.elapsed},
            error_estimate=dict.fromkeys(system.fields, 0.0),
            precision=run.precision,
        )
