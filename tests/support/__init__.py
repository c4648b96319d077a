"""What tests share: runs, commands, drawn pictures and narrow networks."""
