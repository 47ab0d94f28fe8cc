"""Values and solutions that bypass the package, for the tests of several rooms."""

import numpy as np
from scipy.integrate import solve_ivp

CAVITY_U = (
    -0.051894,
    -0.092375,
    -0.128702,
    -0.156537,
    -0.161252,
    -0.126915,
    -0.049579,
    0.068365,
    0.295986,
)
CAVITY_V = (
    0.094072,
    0.133628,
    0.136871,
    0.109656,
    0.050131,
    -0.039851,
    -0.138990,
    -0.194759,
    -0.147106,
)
"""u(0.5, y) and v(x, 0.5) at 0.1 ... 0.9 for the lid 16 x^2 (1 - x)^2 at Re 100: Chebyshev
streamfunction collocation, good to 1e-6."""


def kuramoto_sivashinsky(times, x, modes=48, rtol=1e-10, a=5.0, b=0.5, g=0.005):
    """u_t + a u u_x + b u_xx + g u_xxxx = 0, periodic on [-1, 1] from -sin(pi x): (times, x).

    The solution stays odd, so u = sum_k c_k(t) sin(k pi x). The projection of (u^2)_x onto sines
    is exact by the midpoint rule on 2 * modes places of [0, 1]; the coefficients are stepped by
    Radau IIA of order 5, which starts anew at each time, as its interpolant is of lower order.
    """
    k = np.pi * np.arange(1, modes + 1)
    places = (np.arange(2 * modes) + 0.5) / (2 * modes)
    sines = np.sin(np.outer(places, k))
    push = a * k[:, None] * np.cos(np.outer(k, places)) / len(places)
    growth = b * k**2 - g * k**4

    def rate(_, c):
        return growth * c + push @ (sines @ c) ** 2

    def slope(_, c):
        return np.diag(growth) + 2 * push @ ((sines @ c)[:, None] * sines)

    c, start, found = np.eye(modes)[0] * -1.0, 0.0, []
    for end in times:
        span, atol = (start, end), 1e-2 * rtol
        c = solve_ivp(rate, span, c, "Radau", jac=slope, rtol=rtol, atol=atol).y[:, -1]
        start = end
        found.append(np.sin(np.outer(x, k)) @ c)
    return np.array(found)
