"""Methods: each turns a compiled system into a solution."""
