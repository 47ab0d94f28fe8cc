"""The command line."""

from pinnkit.cli.commands import app as app
from pinnkit.cli.commands import main as main
