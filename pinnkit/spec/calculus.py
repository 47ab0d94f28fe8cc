"""Vector calculus that expands at once into partial derivatives of scalar fields.

Every operator takes the space coordinates explicitly, e.g. `laplacian(u, x, y)`, or infers them
as all coordinates of the fields except those named in `time`.
"""

from collections.abc import Sequence

import sympy as sp

from pinnkit.errors import SpecError
from pinnkit.spec.symbols import Coordinate, is_input, is_unknown, normal


def _space(expressions: Sequence[sp.Expr], axes: Sequence[sp.Symbol]) -> tuple[sp.Symbol, ...]:
    if axes:
        return tuple(axes)
    found: dict[sp.Symbol, None] = {}
    for expression in expressions:
        functions = [a for a in sp.preorder_traversal(expression) if is_unknown(a) or is_input(a)]
        for function in functions:
            found.update(dict.fromkeys(function.args))
    if not found:
        for expression in expressions:
            names = sorted(expression.atoms(Coordinate), key=lambda s: s.name)
            found.update(dict.fromkeys(names))
    space = tuple(axis for axis in found if axis.name != "t")
    if not space:
        raise SpecError(
            "A vector operator found no space coordinate. Name them: laplacian(u, x, y)."
        )
    return space


def grad(u: sp.Expr, *axes: sp.Symbol) -> tuple[sp.Expr, ...]:
    """Gradient (u_x, u_y, …). Without `axes`: all coordinates of u but the one named "t"."""
    return tuple(sp.diff(u, axis) for axis in _space([u], axes))


def div(vector: Sequence[sp.Expr], *axes: sp.Symbol) -> sp.Expr:
    """Divergence of as many components as there are axes."""
    space = _space(vector, axes)
    if len(vector) != len(space):
        raise SpecError(
            f"div: {len(vector)} components on {len(space)} axes "
            f"({', '.join(a.name for a in space)}). Name the axes: div((u, v), x, y)."
        )
    return sp.Add(*(sp.diff(c, axis) for c, axis in zip(vector, space, strict=True)))


def curl(vector: Sequence[sp.Expr], *axes: sp.Symbol) -> sp.Expr | tuple[sp.Expr, ...]:
    """Curl: the scalar v_x - u_y in two dimensions, a triple in three."""
    space = _space(vector, axes)
    if len(vector) == len(space) == 2:
        (u, v), (x, y) = vector, space
        return sp.diff(v, x) - sp.diff(u, y)
    if len(vector) == len(space) == 3:
        (u, v, w), (x, y, z) = vector, space
        return (
            sp.diff(w, y) - sp.diff(v, z),
            sp.diff(u, z) - sp.diff(w, x),
            sp.diff(v, x) - sp.diff(u, y),
        )
    raise SpecError(
        f"curl: {len(vector)} components on {len(space)} axes. It needs 2 on 2 or 3 on 3; "
        "name the axes: curl((u, v), x, y)."
    )


def laplacian(u: sp.Expr, *axes: sp.Symbol) -> sp.Expr:
    """Laplacian, the sum of the second derivatives over the space axes."""
    return sp.Add(*(sp.diff(u, axis, 2) for axis in _space([u], axes)))


def normal_derivative(u: sp.Expr, *axes: sp.Symbol) -> sp.Expr:
    """Outward normal derivative n · grad u, for conditions on boundary regions."""
    return sp.Add(*(normal(axis) * sp.diff(u, axis) for axis in _space([u], axes)))
