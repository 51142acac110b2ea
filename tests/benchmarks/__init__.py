"""Benchmarks: two things measured in the same run, a ratio as the result. Run by `make benchmark`."""
