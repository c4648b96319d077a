"""Toyflowers."""
