"""Doing what a worker does with runs that have been asked for, in one process: python execute_runs.py ID…"""

import sys
from uuid import UUID

from prefect.flow_engine import load_flow_run, run_flow

from flows.compare import compare

if __name__ == "__main__":
    for asked in sys.argv[1:]:
        run_flow(compare, flow_run=load_flow_run(UUID(asked)), return_type="state")
