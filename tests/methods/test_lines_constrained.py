"""Periodic evolution beside constraints: streamfunctions, potentials and pressures."""

from pathlib import Path

import jax
import numpy as np
import pytest
from sympy import Eq, cos, exp, pi, sin

import pinnkit as pk
from pinnkit import Equation, Initial, Integral, Periodic, laplacian, precision
from pinnkit.compile import compile_problem
from pinnkit.errors import MethodError
from pinnkit.methods.base import Run
from pinnkit.methods.constrained import ConstrainedModal
from pinnkit.methods.lines import Lines
from tests.oracles import vorticity_on_torus

PROBLEMS = Path(__file__).resolve().parents[2] / "problems"
t, x, y = pk.coordinates("t x y")
u, v, p = (pk.field(name, t, x, y) for name in "uvp")
a, b = pk.field("a", t, x), pk.field("b", t, x)
TORUS = pk.Box(t=(0, 1), x=(0, 2 * pi), y=(0, 2 * pi), time="t")
CIRCLE = pk.Box(t=(0, 1), x=(0, 2 * pi), time="t")
GRID = 2 * np.pi * np.arange(64) / 64


def on_circle(*conditions):
    return compile_problem(pk.Problem("circle", CIRCLE, (*conditions, Periodic(x))))


def march(system, points, times, steps):
    """Fields on one grid by name, each (times, …grid)."""
    with precision.scope("float64"):
        modal = ConstrainedModal(system, dict.fromkeys(system.domain.space_axes, points))
        found = modal.solve(np.asarray(times, float), steps)
    return dict(zip(system.fields, np.moveaxis(found, 1, 0), strict=True))


def refusal(system):
    return Lines().supports(system) or ""


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def test_static_fields_are_told_from_those_that_evolve():
    bound = compile_problem(pk.load(PROBLEMS / "ns_torus.py")).constrained
    assert bound is not None and bound.static == ("psi",)
    assert [rate.field for rate in bound.rates] == ["w"]
    (constraint,) = bound.constraints
    assert constraint.homogeneous
    assert {str(term): c for term, c in constraint.linear.items()} == {
        "psi_xx": -1.0,
        "psi_yy": -1.0,
        "w": -1.0,
    }
    assert compile_problem(pk.load(PROBLEMS / "kdv_periodic.py")).constrained is None


def stirred(x, y):
    """The initial vorticity of ns_torus, by hand."""
    return (
        2 * np.sin(x + y)
        + 2 * np.cos(2 * x - 1)
        + 2.5 * np.sin(2 * x - y)
        + 2 * np.cos(x + 2 * y + 2)
    )


def test_decaying_vorticity_agrees_with_plain_numpy():
    system = compile_problem(pk.load(PROBLEMS / "ns_torus.py"))
    found = march(system, 64, [0, 0.25, 0.5], 128)
    psi, w = found["psi"][-1], found["w"][-1]
    (expected,) = vorticity_on_torus([0.5], stirred)
    assert relative(w, expected) < 2e-7
    k = np.fft.fftfreq(64, 1 / 64)
    square = k[:, None] ** 2 + k[None, :] ** 2
    square[0, 0] = np.inf
    assert relative(psi, np.fft.ifft2(np.fft.fft2(expected) / square).real) < 2e-7
    speed = np.hypot(*(np.fft.ifft2(1j * q * np.fft.fft2(psi)).real for q in np.meshgrid(k, k)))
    assert 2.5 < speed.max() < 3.5


def test_taylor_green_by_streamfunction_and_by_pressure():
    nodes, decay = GRID[::4], np.exp(-0.2)
    solution = pk.solve(pk.load(PROBLEMS / "taylor_green_vorticity.py"), Lines(points=16))
    assert solution.status.ok and max(solution.error_estimate.values()) < 1e-12
    found = solution(t=1.0, x=nodes[:, None], y=nodes[None, :])
    expected = np.cos(nodes[:, None]) * np.cos(nodes) * decay
    assert relative(found["w"], 2 * expected) < 1e-12
    assert relative(found["psi"], expected) < 1e-12
    system = compile_problem(pk.load(PROBLEMS / "taylor_green.py"))
    found = march(system, 16, [0, 0.5, 1], 32)
    pressure = -(np.cos(2 * nodes[:, None]) + np.cos(2 * nodes)) / 4 * decay**2
    assert relative(found["p"][-1], pressure) < 1e-12
    assert relative(found["u"][-1], -np.cos(nodes[:, None]) * np.sin(nodes) * decay) < 1e-12


def navier_stokes(start, nu=0.01):
    """Velocity and pressure, from (psi_y, -psi_x)."""

    def momentum(w, slope):
        return Eq(w.diff(t) + u * w.diff(x) + v * w.diff(y) + slope, nu * laplacian(w, x, y))

    return compile_problem(
        pk.Problem(
            "flow",
            TORUS,
            (
                Equation(momentum(u, p.diff(x)), name="momentum x"),
                Equation(momentum(v, p.diff(y)), name="momentum y"),
                Equation(u.diff(x) + v.diff(y), name="continuity"),
                Initial(u, start.diff(y)),
                Initial(v, -start.diff(x)),
                Periodic(x),
                Periodic(y),
            ),
        )
    )


def test_pressure_and_streamfunction_give_one_flow():
    """Two formulations, one by projection, one by inversion, of a flow that is not steady."""
    start = sin(x + y) + cos(2 * x - 1) / 2 + sin(2 * x - y) / 2 + 2 * cos(x + 2 * y + 2) / 5
    times = [0, 0.125, 0.25]
    system = navier_stokes(start)
    assert Lines().supports(system) is None
    flow = march(system, 64, times, 64)
    one, two = flow["u"][-1], flow["v"][-1]
    stirred = compile_problem(pk.load(PROBLEMS / "ns_torus.py"))
    psi = march(stirred, 64, times, 64)["psi"][-1]
    k = 1j * np.fft.fftfreq(64, 1 / 64)
    modes = np.fft.fft2(psi)
    assert relative(one, np.fft.ifft2(k[None, :] * modes).real) < 1e-6
    assert relative(two, np.fft.ifft2(-k[:, None] * modes).real) < 1e-6
    divergence = np.fft.ifft2(k[:, None] * np.fft.fft2(one) + k[None, :] * np.fft.fft2(two)).real
    assert np.abs(divergence).max() < 1e-10


def test_initial_values_that_break_the_constraints_are_refused():
    system = navier_stokes(sin(x + y))
    problem = system.problem
    diverging = tuple(
        Initial(u, sin(x)) if c.kind.value == "initial" and c.target == u else c
        for c in problem.conditions
    )
    with pytest.raises(MethodError, match="constraints of 'flow' leave"):
        march(compile_problem(problem.replace(conditions=diverging)), 16, [0, 1], 8)
    charged = on_circle(
        Equation(Eq(a.diff(t), b.diff(x))),
        Equation(Eq(b.diff(x, 2), a)),
        Initial(a, 1 + cos(x)),
    )
    with pytest.raises(MethodError, match="No periodic b can balance"):
        march(charged, 16, [0, 1], 8)


def test_constraint_with_a_source_a_mean_and_a_nonlinear_part():
    """b'' - 4 b = a^2 + f and b'' = a_x + f: manufactured, one determines the mean of b."""
    wanted_a, wanted_b = exp(-t) * cos(x), sin(2 * x) * cos(t) + t
    whole = b.diff(x, 2) - 4 * b - a**2
    rate = a.diff(t) - a.diff(x, 2) / 10 - a * b
    exact = {a: wanted_a, b: wanted_b}

    def source(left):
        return left.subs(exact).doit()

    system = on_circle(
        Equation(Eq(rate, source(rate))), Equation(Eq(whole, source(whole))), Initial(a, cos(x))
    )
    assert Lines().supports(system) is None
    found = march(system, 32, [0, 0.5, 1], 64)
    nodes = GRID[::2]
    assert relative(found["a"][-1], np.exp(-1) * np.cos(nodes)) < 1e-7
    assert relative(found["b"][-1], np.sin(2 * nodes) * np.cos(1) + 1) < 1e-7

    half = b.diff(x, 2) - a.diff(x)
    system = on_circle(
        Equation(Eq(rate, source(rate))),
        Equation(Eq(half, source(half))),
        Initial(a, cos(x)),
        Integral(b, 2 * pi * t),
    )
    found = march(system, 32, [0, 0.5, 1], 64)
    assert relative(found["b"][-1], np.sin(2 * nodes) * np.cos(1) + 1) < 1e-7


def test_cahn_hilliard_by_its_potential():
    """u_t = mu_xx, mu = u^3 - u - e u_xx is u_t = (u^3 - u)_xx - e u_xxxx; the mean stays."""
    e = pk.parameter("e", 0.05)
    split = on_circle(
        Equation(Eq(a.diff(t), b.diff(x, 2))),
        Equation(Eq(b, a**3 - a - e * a.diff(x, 2))),
        Initial(a, cos(x) / 2 + sin(2 * x) / 5),
    )
    values = march(split, 48, [0, 0.5, 1], 400)["a"]
    assert relative(values[-1], march(split, 48, [0, 0.5, 1], 800)["a"][-1]) < 1e-6
    assert np.abs(values.mean(axis=1)).max() < 1e-13
    k = np.fft.rfftfreq(48, 1 / 48)
    slope = np.fft.irfft(1j * k * np.fft.rfft(values, axis=1), 48, axis=1)
    energy = ((values**2 - 1) ** 2 / 4 + 0.05 * slope**2 / 2).mean(axis=1)
    assert (np.diff(energy) < 0).all()


def test_what_a_mean_or_a_mode_leaves_open_is_told():
    steered = on_circle(
        Equation(Eq(a.diff(t), b)), Equation(Eq(b.diff(x, 2), a)), Initial(a, cos(x))
    )
    assert r"add Integral(b, 0)" in refusal(steered)
    resonant = on_circle(
        Equation(Eq(a.diff(t), b)), Equation(Eq(b.diff(x, 2) + 4 * b, a)), Initial(a, cos(x))
    )
    assert "do not determine b on 1 Fourier modes" in refusal(resonant)
    curved = on_circle(Equation(Eq(a.diff(t), b)), Equation(Eq(b + b**3, a)), Initial(a, cos(x)))
    assert "b enters a constraint nonlinearly" in refusal(curved)
    given = on_circle(
        Equation(Eq(a.diff(t), b)), Equation(Eq(b, a)), Initial(a, cos(x)), Integral(b, 0)
    )
    assert "the equations determine the mean of b" in refusal(given)
    problem = pk.load(PROBLEMS / "taylor_green_vorticity.py")
    free = problem.replace(
        conditions=tuple(c for c in problem.conditions if c.kind.value != "integral")
    )
    with precision.scope("float64"):
        solution = Lines(points=16).run(compile_problem(free), Run(jax.random.key(0)))
    assert solution.stats["mean psi"] == "left open by the problem, set to zero"
