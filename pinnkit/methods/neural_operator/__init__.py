"""Neural operators: the solution map of a family, learned from its solutions."""

from pinnkit.methods.neural_operator.losses import RelativeH1 as RelativeH1
from pinnkit.methods.neural_operator.losses import RelativeL2 as RelativeL2
from pinnkit.methods.neural_operator.method import Operator as Operator
from pinnkit.methods.neural_operator.physics import Physics as Physics
from pinnkit.methods.neural_operator.points import PointOperator as PointOperator
from pinnkit.methods.neural_operator.tune import fine_tune as fine_tune
