"""Harnesses that try to make the program lose or spoil something, seeded and counted.

Every module has `torture(count, seed, folder) -> Tally`; `python -m torture` runs them all.
"""
