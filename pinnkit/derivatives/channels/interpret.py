"""Walks the jaxpr of a function of many points and pushes bundles through every equation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from pinnkit.derivatives.channels import elementwise, linear, names, products
from pinnkit.derivatives.channels.bundle import Bundle, Value, value_of
from pinnkit.derivatives.channels.fallback import by_curves
from pinnkit.derivatives.channels.indices import Channels


class Interpreter:
    """One pass; `fallbacks` collects the names of primitives that had no rule."""

    def __init__(self, channels: Channels, stacked: bool):
        self.channels, self.stacked = channels, stacked
        self.fallbacks: list[str] = []

    def run(self, jaxpr: Jaxpr, constants: Sequence[Any], args: Sequence[Value]) -> list[Value]:
        """Values of the jaxpr's results."""
        known: dict[Any, Value] = dict(zip(jaxpr.constvars, constants, strict=True))
        known |= zip(jaxpr.invars, args, strict=True)

        def read(atom: Any) -> Value:
            return atom.val if isinstance(atom, Literal) else known[atom]

        for eqn in jaxpr.eqns:
            known |= zip(
                eqn.outvars, self._equation(eqn, [read(v) for v in eqn.invars]), strict=True
            )
        return [read(v) for v in jaxpr.outvars]

    def _equation(self, eqn: JaxprEqn, args: list[Value]) -> list[Value]:
        if not any(isinstance(a, Bundle) for a in args):
            return _bind(eqn)(*args)
        found = self._ruled(eqn, args)
        if found is None:
            self.fallbacks.append(eqn.primitive.name)
            found = by_curves(self.channels, _bind(eqn), args)
        return found

    def _ruled(self, eqn: JaxprEqn, args: list[Value]) -> list[Value] | None:
        """Results by the rule of the primitive; None if there is none."""
        name = eqn.primitive.name
        if name in names.CALLS or name == "custom_jvp_call":
            return self._call(eqn, args)
        if name in names.LINEAR:
            slots = names.LINEAR[name]
            slots = range(len(args)) if slots is None else slots
            if any(isinstance(a, Bundle) and i not in slots for i, a in enumerate(args)):
                return None
            return linear.apply(_bind(eqn), args, slots)
        kinds: list[Any] = [v.aval for v in eqn.outvars]
        if name in names.STEPS or not any(jnp.issubdtype(k.dtype, jnp.inexact) for k in kinds):
            return _bind(eqn)(*map(value_of, args))
        result = self._unary(eqn, args) if len(args) == 1 else self._nary(eqn, args)
        return None if result is None else [result]

    def _unary(self, eqn: JaxprEqn, args: list[Value]) -> Value | None:
        (z,), name, params = args, eqn.primitive.name, eqn.params
        if name == "convert_element_type":
            return linear.apply(_bind(eqn), args, (0,))[0]
        if name == "integer_pow":
            return self._compose(z, elementwise.whole_power(params["y"]))
        if name == "abs" and jnp.iscomplexobj(value_of(z)):
            return None
        if name in elementwise.TABLE:
            return self._compose(z, elementwise.TABLE[name])
        if name in names.NESTED:
            bind = _bind(eqn)
            return self._compose(z, elementwise.nested(lambda x: bind(x)[0]))
        if name in ("reduce_max", "reduce_min"):
            return linear.extremum(z, params["axes"], 1 if name == "reduce_max" else -1)
        return None

    def _nary(self, eqn: JaxprEqn, args: list[Value]) -> Value | None:
        aval: Any = eqn.outvars[0].aval
        name, shape = eqn.primitive.name, aval.shape
        if name == "select_n":
            return linear.select(value_of(args[0]), args[1:], _bind(eqn))
        if len(args) != 2:
            return None
        a, b = args
        if name in ("add", "add_any", "sub"):
            return linear.add(a, b, shape, -1 if name == "sub" else 1)
        if name in ("max", "min"):
            return linear.larger(a, b, shape, 1 if name == "max" else -1)
        if name in names.BILINEAR:
            return self._product(eqn, a, b)
        if name == "div":
            return self._quotient(eqn, a, b)
        if name == "pow":
            return self._power(a, b)
        return None

    def _compose(self, z: Value, rule: elementwise.Rule) -> Value:
        return elementwise.compose(self.channels, z, rule)

    def _product(self, eqn: JaxprEqn, a: Value, b: Value) -> Value:
        bind, both = _bind(eqn), isinstance(a, Bundle) and isinstance(b, Bundle)
        if eqn.primitive.name == "dot_general" and not both:
            return products.matrix_product(a, b, eqn.params, self.stacked)
        if a is b and eqn.primitive.name == "mul":
            return self._compose(a, elementwise.TABLE["square"])
        return products.product(self.channels, a, b, lambda p, q: bind(p, q)[0])

    def _quotient(self, eqn: JaxprEqn, a: Value, b: Value) -> Value:
        if not isinstance(b, Bundle):
            return linear.apply(_bind(eqn), (a, b), (0,))[0]
        if not isinstance(a, Bundle):
            return self._compose(b, elementwise.reciprocal(a))
        return products.quotient(self.channels, a, b)

    def _power(self, a: Value, b: Value) -> Value:
        """z^c by falling factorials, otherwise exp(b log a)."""
        if not isinstance(b, Bundle):
            return self._compose(a, elementwise.real_power(b))
        if isinstance(a, Bundle):
            logarithm = self._compose(a, elementwise.TABLE["log"])
        else:
            logarithm = jnp.log(jnp.asarray(a, b.value.dtype))
        exponent = products.product(self.channels, logarithm, b, jnp.multiply)
        return self._compose(exponent, elementwise.TABLE["exp"])

    def _call(self, eqn: JaxprEqn, args: list[Value]) -> list[Value] | None:
        """Enter a call. Derivative rules of the user's own are heeded unless the body is smooth."""
        body = _body(eqn)
        if body is None:
            return None
        if eqn.primitive.name == "custom_jvp_call" and not _holds_only(body.jaxpr, names.SMOOTH):
            moving = [i for i, a in enumerate(args) if isinstance(a, Bundle)]
            single = len(moving) == 1 and len(eqn.outvars) == 1
            if not single or not _holds_only(body.jaxpr, names.PLAIN):
                return None
            return [
                self._compose(args[moving[0]], elementwise.nested(_along(eqn, args, moving[0])))
            ]
        return self.run(body.jaxpr, body.consts, args)


def _along(eqn: JaxprEqn, args: Sequence[Value], place: int) -> Callable[[Any], Any]:
    """The equation as a function of one operand."""
    bind = _bind(eqn)
    return lambda z: bind(*(z if i == place else a for i, a in enumerate(args)))[0]


def _bind(eqn: JaxprEqn) -> Callable[..., list[Any]]:
    """The equation as a function of arrays that returns a list."""
    found = eqn.primitive.get_bind_params(eqn.params)
    # JAX before 0.10 returned the functions of a call apart from its parameters
    functions, params = found if isinstance(found, tuple) else ((), found)
    bind = functools.partial(eqn.primitive.bind, *functions, **params)
    if eqn.primitive.multiple_results:
        return lambda *args: list(bind(*args))
    return lambda *args: [bind(*args)]


def _body(eqn: JaxprEqn) -> ClosedJaxpr | None:
    """What a call runs; None where this version of JAX keeps it elsewhere."""
    for name in ("jaxpr", "call_jaxpr", "fun_jaxpr"):
        if name in eqn.params:
            body = eqn.params[name]
            return body if isinstance(body, ClosedJaxpr) else ClosedJaxpr(body, ())
    return None


def _holds_only(jaxpr: Jaxpr, allowed: frozenset[str]) -> bool:
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in names.CALLS or eqn.primitive.name == "custom_jvp_call":
            body = _body(eqn)
            if body is None or not _holds_only(body.jaxpr, allowed):
                return False
        elif eqn.primitive.name not in allowed:
            return False
    return True
