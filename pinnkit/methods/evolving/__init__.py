"""Networks in space whose weights evolve in time."""

from pinnkit.methods.evolving.field import EvolvingField as EvolvingField
from pinnkit.methods.evolving.method import Evolving as Evolving
from pinnkit.methods.evolving.projected import Projected as Projected
from pinnkit.methods.evolving.stepping import ImplicitEuler as ImplicitEuler
from pinnkit.methods.evolving.stepping import ImplicitMidpoint as ImplicitMidpoint
from pinnkit.methods.evolving.stepping import ImplicitRungeKutta as ImplicitRungeKutta
