"""`python -m pinnkit.cli`."""

from pinnkit.cli import main

main()
