"""Names of primitives by what they are to derivatives; all of them are read in one place."""

from collections.abc import Mapping

from pinnkit.derivatives.channels.elementwise import TABLE

# fmt: off
CALLS = frozenset({
    "jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint", "custom_vjp_call",
})
"""Calls that are entered."""

STEPS = frozenset({
    "sign", "floor", "ceil", "round", "stop_gradient", "argmax", "argmin", "is_finite",
})
"""Functions that are constant between jumps."""

BILINEAR = frozenset({"mul", "dot_general", "conv_general_dilated"})

NESTED = frozenset({
    "tan", "asin", "acos", "atan", "asinh", "acosh", "atanh", "erfc", "erf_inv", "lgamma",
    "digamma", "cbrt", "exp2", "bessel_i0e", "bessel_i1e",
})
"""Functions of one number whose derivatives are taken by nested forward mode."""

ALL = None
"""Marks operations that are linear in all their operands together."""

LINEAR: Mapping[str, tuple[int, ...] | None] = {
    **dict.fromkeys([
        "neg", "reshape", "transpose", "broadcast_in_dim", "slice", "squeeze", "reduce_sum", "copy",
        "copy_p", "rev", "real", "imag", "reduce_precision", "cumsum", "concatenate", "stack",
        "unstack", "split", "pad", "optimization_barrier", "reduce_window_sum", "fft", "complex",
        "conj",
    ], ALL),
    "gather": (0,),
    "dynamic_slice": (0,),
    "dynamic_update_slice": (0, 1),
    "scatter-add": (0, 2),
    "scatter_add": (0, 2),
    "scatter": (0, 2),
}
"""Linear primitives with the operands in which they are linear."""

SMOOTH = frozenset(TABLE) - {"abs"} | frozenset(LINEAR) | {
    "add", "sub", "mul", "div", "integer_pow", "dot_general", "convert_element_type",
}
"""What the body of a function with a derivative rule of its own may hold to be entered."""

PLAIN = frozenset(TABLE) | NESTED | STEPS | {
    "add", "sub", "mul", "div", "integer_pow", "pow", "neg", "max", "min", "select_n", "eq", "ne",
    "lt", "le", "gt", "ge", "and", "or", "not", "broadcast_in_dim", "copy", "convert_element_type",
}
"""What acts on every entry by itself."""
# fmt: on
