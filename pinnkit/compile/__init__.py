"""Problem -> System: residual functions of term values, derivative plans, traits."""

from pinnkit.compile.compiler import compile_problem as compile_problem
from pinnkit.compile.system import Constrained as Constrained
from pinnkit.compile.system import Constraint as Constraint
from pinnkit.compile.system import Rate as Rate
from pinnkit.compile.system import Residual as Residual
from pinnkit.compile.system import System as System
from pinnkit.compile.system import Traits as Traits
from pinnkit.compile.terms import DerivativePlan as DerivativePlan
from pinnkit.compile.terms import Term as Term
