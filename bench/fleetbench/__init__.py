"""Measurements of fleet, each with its lower bound in the same run (docs/performance.md)."""
