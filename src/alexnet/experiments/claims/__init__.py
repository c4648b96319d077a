"""One file per claim; each is a literal value."""
