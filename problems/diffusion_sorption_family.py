"""Diffusion with sorption, R(u) u_t = D u_xx: a solute enters a column of soil that holds it back.

R = 1 + (1 - phi) / phi rho k n u^(n - 1) for the isotherm of Freundlich, with u cut off at 1e-6 in
R; u = 1 at the inlet, u = -D u_x at the outlet, and any constant between 0 and 0.2 at first, which
yields to both. Takamoto et al., "PDEBench" (NeurIPS 2022 Datasets and Benchmarks, appendix);
Chalapathi, Du and Krishnapriyan (ICLR 2024, arXiv:2402.13412).

Both papers have u = D u_x at the outlet. With that sign exp(x / D) satisfies the condition and
grows at the rate 1 / (R D), some 500 per day; grids coarser than D do not see it, and absorb at the
outlet. With the sign of an outward flux the equations do the same on all grids.
"""

from sympy import Eq, Max

from pinnkit import (
    Box,
    Dirichlet,
    Equation,
    Initial,
    Problem,
    Robin,
    UniformConstant,
    coordinates,
    field,
    input_function,
)


def problem(diffusivity=5e-4, end=500.0):
    """The family; lengths in metres, times in days."""
    porosity, density, freundlich, exponent = 0.29, 2880, 3.5e-4, 0.874
    t, x = coordinates("t x")
    u = field("u", t, x)
    a = input_function("a", x, law=UniformConstant(0, 0.2))
    held = (1 - porosity) / porosity * density * freundlich * exponent
    retardation = 1 + held * Max(u, 1e-6) ** (exponent - 1)
    slow = retardation * u.diff(t)
    return Problem(
        name="diffusion_sorption_family",
        domain=Box(time="t", t=(0, end), x=(0, 1)),
        conditions=[
            Equation(Eq(slow, diffusivity * u.diff(x, 2)), name="transport"),
            Initial(u, a),
            Dirichlet(u, 1, on="x-", priority=1),
            Robin(u, 1, diffusivity, 0, on="x+", priority=1),
        ],
    )
