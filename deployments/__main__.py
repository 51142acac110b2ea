"""Server, worker and deployments on this machine: `python -m deployments up`, `down` or `serve`."""

import argparse
import sys

from recsys.errors import UserError


def main() -> None:
    """Run the command line; exit with code 2 where the user can mend what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m deployments", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "serve"], help="see deployments/prefect.yaml for what runs")
    command = parser.parse_args().command

    from deployments import machine, serve

    try:
        {"up": machine.up, "down": machine.down, "serve": serve.serve}[command]()
    except UserError as error:
        print(f"deployments: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
