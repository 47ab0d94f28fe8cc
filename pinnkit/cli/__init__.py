"""The command line: solve, reference, show, study; compare, animate, spectrum."""

from pinnkit.cli import commands as commands
from pinnkit.cli import results as results
from pinnkit.cli.program import app as app
from pinnkit.cli.program import main as main
