"""The symbolic layer: SymPy only."""
