"""Run all benchmarks but `cost_model`, which takes hours, or those named: `make benchmark ARGS="products listing"`."""

import sys
from importlib import import_module

BENCHMARKS = (
    "against_notebook",
    "against_catalogue",
    "throughput",
    "against_preparation",
    "against_peers",
    "gibbs_samplers",
    "products",
    "folding_in",
    "learning_curve",
    "listing",
    "report_memory",
    "runners",
    "whole_flow",
    "cached_run",
    "start_up",
    "first_run",
)

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        import_module(f"tests.benchmarks.{name}").main()
