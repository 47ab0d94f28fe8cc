"""Hard constraints as wrappers around networks."""

from pinnkit.ansatz.constrained import Ansatz as Ansatz
from pinnkit.ansatz.enforce import Enforcement as Enforcement
from pinnkit.ansatz.enforce import build_ansatz as build_ansatz
from pinnkit.ansatz.enforce import enforce as enforce
from pinnkit.ansatz.windows import Lift as Lift
from pinnkit.ansatz.windows import Windows as Windows
from pinnkit.ansatz.windows import opening as opening
from pinnkit.ansatz.windows import time_orders as time_orders
from pinnkit.ansatz.windows import window_part as window_part
