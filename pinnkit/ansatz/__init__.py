"""Hard constraints as wrappers around networks."""

from pinnkit.ansatz.constrained import Ansatz as Ansatz
from pinnkit.ansatz.enforce import Enforcement as Enforcement
from pinnkit.ansatz.enforce import build_ansatz as build_ansatz
from pinnkit.ansatz.enforce import enforce as enforce
