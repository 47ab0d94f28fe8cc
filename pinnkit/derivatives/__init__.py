"""Term values of fields: the only place where derivatives are computed."""

from pinnkit.derivatives.axes import Axis as Axis
from pinnkit.derivatives.axes import ChebyshevAxis as ChebyshevAxis
from pinnkit.derivatives.axes import FourierAxis as FourierAxis
from pinnkit.derivatives.axes import GradedAxis as GradedAxis
from pinnkit.derivatives.axes import OpenAxis as OpenAxis
from pinnkit.derivatives.axes import UniformAxis as UniformAxis
from pinnkit.derivatives.channels import Collapsed as Collapsed
from pinnkit.derivatives.channels import propagate as propagate
from pinnkit.derivatives.grid import GridProvider as GridProvider
from pinnkit.derivatives.grid import interpolate as interpolate
