"""Stress tests: seeded harnesses that try to make the program lose or corrupt data.

Each harness counts how its cases end.

Every module has `stress(count, seed, folder) -> Tally`; `python -m stress` runs them all.
"""
