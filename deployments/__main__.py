"""Server, worker and deployments on this machine: `python -m deployments up`, `down` or `serve`.

`register` registers the deployments at the server that PREFECT_API_URL names, and starts nothing.
"""

import argparse

from flows.stdio import prepare_streams, user_errors_reported


def main() -> None:
    """Run the command line; exit with code 2 for an error that the user can put right."""
    parser = argparse.ArgumentParser(prog="python -m deployments", description=__doc__)
    choices = ["up", "down", "serve", "register"]
    parser.add_argument("command", choices=choices, help="deployments/prefect.yaml declares the deployments")
    command = parser.parse_args().command

    from deployments import machine
    from deployments.register import register_at_named_server

    commands = {
        "up": machine.up,
        "down": machine.down,
        "serve": machine.serve,
        "register": register_at_named_server,
    }
    with user_errors_reported("deployments"):
        commands[command]()


if __name__ == "__main__":
    prepare_streams()
    main()
