"""Moving frames: problems of convection and diffusion on labels that move with the flow."""

from pinnkit.methods.lagrangian.field import LabelledField as LabelledField
from pinnkit.methods.lagrangian.method import Lagrangian as Lagrangian
