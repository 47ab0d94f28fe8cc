"""Objects as plain data that a file can hold."""
