"""Every claim as a command: what is claimed, the runs that can tell, and the verdict."""
