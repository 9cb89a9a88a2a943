"""Measurements of what a message costs, as ratios within one run: `python -m benchmarks`."""
