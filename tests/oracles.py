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


CAVITY_U_400 = (
    -0.094475,
    -0.181708,
    -0.233584,
    -0.196793,
    -0.104045,
    -0.005467,
    0.087608,
    0.168238,
    0.236489,
)
CAVITY_V_400 = (
    0.151312,
    0.202733,
    0.206881,
    0.154786,
    0.062956,
    -0.041149,
    -0.156384,
    -0.292507,
    -0.286196,
)
"""The same at Re 400, good to 5e-6."""

FOUR_DISKS_CENTRE = 0.2335849223
"""u(0, 0) between the unit square and four disks (problems/four_disks.py), converged."""


def etdrk4(linear, nonlinear, state, span, steps):
    """v' = linear v + nonlinear(v) by ETDRK4; `linear` and `state` (modes,), complex.

    Kassam and Trefethen (SIAM J. Sci. Comput. 26, 2005), with the phi-functions as means over
    circles of radius one around each eigenvalue.
    """
    h = span / steps
    circle = np.exp(1j * np.pi * (np.arange(64) + 0.5) / 32)
    z = h * linear[:, None] + circle[None, :]
    full, half = np.exp(h * linear), np.exp(0.5 * h * linear)
    q = 0.5 * h * np.mean((np.exp(0.5 * z) - 1) / (0.5 * z), axis=1)
    first = h * np.mean((-4 - z + np.exp(z) * (4 - 3 * z + z**2)) / z**3, axis=1)
    second = 2 * h * np.mean((2 + z + np.exp(z) * (z - 2)) / z**3, axis=1)
    third = h * np.mean((-4 - 3 * z - z**2 + np.exp(z) * (4 - z)) / z**3, axis=1)
    for _ in range(steps):
        n0 = nonlinear(state)
        a = half * state + q * n0
        na = nonlinear(a)
        nb = nonlinear(half * state + q * na)
        nc = nonlinear(half * a + q * (2 * nb - n0))
        state = full * state + first * n0 + second * (na + nb) + third * nc
    return state


def periodic_evolution(times, x, bounds, initial, linear, product, modes, steps):
    """u (times, x) of u_t = L u + N(u) on a period `bounds`, from `initial`, a function of x.

    `linear(ik)` is the symbol of L; N is `product(k)`, which makes a function of the modes (`rfft`)
    from the wave numbers. Products keep two thirds of the modes. `steps` per unit of time.
    """
    low, high = bounds
    grid = low + (high - low) * np.arange(modes) / modes
    k = 2j * np.pi / (high - low) * np.arange(modes // 2 + 1)
    state, start, found = np.fft.rfft(initial(grid)), 0.0, []
    phases = np.exp(np.outer(np.asarray(x) - low, k)) / modes
    phases[:, 1:-1] *= 2
    kept = np.arange(len(k)) <= modes // 3
    force = product(k)
    for end in times:
        count = max(1, round(steps * (end - start)))
        state = etdrk4(linear(k), lambda v: kept * force(v), state, end - start, count)
        start = end
        found.append((phases @ state).real)
    return np.array(found)


def allen_cahn(times, x, modes=4096, steps=1000, d=1e-4, r=5.0):
    """u_t = d u_xx + r (u - u^3), periodic on [-1, 1] from x^2 cos(pi x), (times, x).

    The initial profile has a kink at the ends of the period, whose modes fall like k^-2.
    """

    def cube(_):
        return lambda v: -r * np.fft.rfft(np.fft.irfft(v) ** 3)

    return periodic_evolution(
        times,
        x,
        (-1.0, 1.0),
        lambda z: z**2 * np.cos(np.pi * z),
        lambda k: d * k**2 + r,
        cube,
        modes,
        steps,
    )


def korteweg_de_vries(times, x, modes=1024, steps=8000, d=0.022):
    """u_t + u u_x + d^2 u_xxx = 0, periodic on [-1, 1] from cos(pi x), (times, x)."""
    return periodic_evolution(
        times,
        x,
        (-1.0, 1.0),
        lambda z: np.cos(np.pi * z),
        lambda k: -(d**2) * k**3,
        convection(1.0),
        modes,
        steps,
    )


def chaotic_kuramoto_sivashinsky(times, x, modes=512, steps=20000):
    """u_t + a u u_x + b u_xx + g u_xxxx = 0, (a, b, g) = (100/16, 100/16^2, 100/16^4), (times, x).

    Periodic on [0, 2 pi] from cos(x) (1 + sin(x)). Small differences grow about 1e5-fold up to
    t = 1 (problems/ks_chaotic.py).
    """
    return periodic_evolution(
        times,
        x,
        (0.0, 2 * np.pi),
        lambda z: np.cos(z) * (1 + np.sin(z)),
        lambda k: -100 / 16**2 * k**2 - 100 / 16**4 * k**4,
        convection(100 / 16),
        modes,
        steps,
    )


def convection(a):
    """-a u u_x = -a (u^2)_x / 2 on modes."""
    return lambda k: lambda v: -0.5 * a * k * np.fft.rfft(np.fft.irfft(v) ** 2)


def l_shape(x, y, count=60):
    """-lap u = 1 on [-1, 1]^2 without [0, 1]^2, u = 0 around it, at points (N,) of the domain.

    A function that vanishes on both sides of the corner, plus r^(2k/3) sin(2k angle/3), k <= count,
    and w^n log w, n = 2, 6, 10, at the other corners, fitted to the rest of the boundary: the
    method of Fox, Henrici and Moler (SIAM J. Numer. Anal. 4, 1967).
    """
    s = np.sin(0.5 * np.pi * np.linspace(-1, 1, 401))
    one, half = np.ones_like(s), 0.5 * (s - 1)
    edges = [[-one, s], [s, -one], [half, one], [one, half], [0 * s, -half], [-half, 0 * s]]
    k = 2 / 3 * np.arange(1, count + 1)

    def parts(a, b):
        r = np.maximum(np.hypot(a, b), 1e-30)
        angle = np.mod(np.arctan2(b, a) - 0.5 * np.pi, 2 * np.pi)
        bend = np.log(r) * np.sin(2 * angle) + angle * np.cos(2 * angle)
        known = 0.25 * r**2 * (np.cos(2 * angle) - 4 / (3 * np.pi) * bend - 1)
        columns = [(r[:, None] / np.sqrt(2)) ** k * np.sin(np.outer(angle, k))]
        for p, q in ((-1, -1), (-1, 1), (1, -1), (0, 1), (1, 0)):
            inward = -1 - 1j if p * q == 0 else -(p + 1j * q)
            w = (a - p + 1j * (b - q)) / inward
            w = np.where(np.abs(w) < 1e-14, 1e-14, w)
            for n in (2, 6, 10):
                f = (w / 2) ** n * np.log(w)
                columns += [f.real[:, None], f.imag[:, None]]
        return known, np.concatenate(columns, axis=1)

    known, features = parts(*np.concatenate(edges, axis=1))
    c = np.linalg.lstsq(features, -known, rcond=1e-14)[0]
    known, features = parts(np.asarray(x), np.asarray(y))
    return known + features @ c


def vorticity_on_torus(times, initial, points=64, steps=400, nu=0.01):
    """w (times, points, points) of w_t + psi_y w_x - psi_x w_y = nu lap w, -lap psi = w.

    Periodic on [0, 2 pi]^2 from `initial(x, y)`. Fourier modes, products in the form of divergences
    by the 2/3 rule, classical Runge-Kutta steps for exp(nu k^2 t) w, `steps` per unit of time.
    """
    grid = 2 * np.pi * np.arange(points) / points
    k = np.fft.fftfreq(points, 1 / points)
    kx, ky = k[:, None], k[None, :]
    square = kx**2 + ky**2
    kept = (np.abs(kx) < points / 3) & (np.abs(ky) < points / 3)
    inverse = kept / np.where(square > 0, square, 1.0)

    def rate(w):
        psi = w * inverse
        u, v, field = (np.fft.ifft2(a).real for a in (1j * ky * psi, -1j * kx * psi, w))
        return -1j * kept * (kx * np.fft.fft2(u * field) + ky * np.fft.fft2(v * field))

    modes, start, found = kept * np.fft.fft2(initial(grid[:, None], grid[None, :])), 0.0, []
    for end in times:
        count = max(1, round(steps * (end - start)))
        h = (end - start) / count
        half = np.exp(-0.5 * h * nu * square)
        for _ in range(count):
            a = rate(modes)
            b = rate(half * (modes + 0.5 * h * a))
            c = rate(half * modes + 0.5 * h * b)
            d = rate(half * (half * modes + h * c))
            modes = half * (half * (modes + h / 6 * a) + h / 3 * (b + c)) + h / 6 * d
        start = end
        found.append(np.fft.ifft2(modes).real)
    return np.array(found)


def burgers_on_a_mean_flow(t, x, nu=0.01, c=10.0):
    """u_t + u u_x = nu u_xx, 2 pi periodic from c + sin(x), at one time t > 0 and places x (N,).

    Cole-Hopf in the frame that moves with c, trapezoidal rule in log space.
    """
    reach = t + 7 * np.sqrt(4 * nu * t)
    eta = np.linspace(-reach, reach, 2001)
    places = np.asarray(x)[:, None] - c * t - eta
    exponent = np.cos(places) / (2 * nu) - eta**2 / (4 * nu * t)
    weight = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return c + (np.sin(places) * weight).sum(axis=1) / weight.sum(axis=1)


def ginzburg_landau(times, points=128, steps=1500, e=1 / 250, k=10.0, c=1.5):
    """A (times, points, points) of A_t = e lap A + k A - k (1 + c i) |A|^2 A on [-1, 1]^2.

    From A = (10 y + 10 i x) exp(-25 (x^2 + y^2)). Complex Fourier modes, not dealiased, classical
    Runge-Kutta steps for exp((e q^2 - k) t) A, `steps` per unit of time.
    """
    grid = -1 + 2 * np.arange(points) / points
    x, y = grid[:, None], grid[None, :]
    q = np.pi * np.fft.fftfreq(points, 1 / points)
    growth = k - e * (q[:, None] ** 2 + q[None, :] ** 2)

    def rate(modes):
        values = np.fft.ifft2(modes)
        return -k * (1 + 1j * c) * np.fft.fft2(np.abs(values) ** 2 * values)

    modes, start, found = np.fft.fft2((10 * y + 10j * x) * np.exp(-25 * (x**2 + y**2))), 0.0, []
    for end in times:
        count = max(1, round(steps * (end - start)))
        h = (end - start) / count
        half = np.exp(0.5 * h * growth)
        for _ in range(count):
            first = rate(modes)
            second = rate(half * (modes + 0.5 * h * first))
            third = rate(half * modes + 0.5 * h * second)
            last = rate(half * (half * modes + h * third))
            modes = half * (half * (modes + h / 6 * first) + h / 3 * (second + third))
            modes = modes + h / 6 * last
        start = end
        found.append(np.fft.ifft2(modes))
    return np.array(found)


def lorenz(times: np.ndarray) -> np.ndarray:
    """(3, times) of Lorenz's system from (1, 1, 1), by an eighth-order Runge-Kutta method."""

    def rate(_, u):
        x, y, z = u
        return [10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z]

    options = dict(method="DOP853", rtol=1e-12, atol=1e-12)
    return solve_ivp(rate, (0, times[-1]), [1, 1, 1], t_eval=times, **options).y
