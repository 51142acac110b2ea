"""The flow served from one process, two runs at a time: python serving.py NAME."""

import sys

from flows.compare import compare

if __name__ == "__main__":
    compare.serve(name=sys.argv[1], limit=2, pause_on_shutdown=False, print_starting_message=False)
