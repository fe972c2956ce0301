"""Benchmarks of what gansearch costs and gains, against the usual alternatives. Each prints ratios and their spread."""
