"""`python -m pinnkit.cli`."""

from pinnkit.cli.commands import main

main()
