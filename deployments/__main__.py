"""Server, worker and deployments on this machine: `python -m deployments up`, `down` or `serve`.

`register` makes a server that PREFECT_API_URL names know the deployments, and starts nothing.
"""

import argparse
import sys

from flows.stdio import prepare_streams, unwritten
from recsys.errors import UserError


def main() -> None:
    """Run the command line; exit with code 2 where the user can mend what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m deployments", description=__doc__)
    commands = ["up", "down", "serve", "register"]
    parser.add_argument("command", choices=commands, help="see deployments/prefect.yaml for what runs")
    command = parser.parse_args().command

    from deployments import machine, register, serve

    doing = {
        "up": machine.up,
        "down": machine.down,
        "serve": serve.serve,
        "register": register.register_at_named_server,
    }
    try:
        doing[command]()
    except UserError as error:
        print(f"deployments: {error}", file=sys.stderr)
        sys.exit(2)
    if cut := unwritten():
        print(f"deployments: {cut}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    prepare_streams()
    main()
