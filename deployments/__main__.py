"""Server, worker and deployments on this machine: `python -m deployments up`, `down`, `serve` or `ui`.

`register` registers the deployments at the server that PREFECT_API_URL names, and starts nothing.
"""

import argparse

from flows.stdio import prepare_streams, user_errors_reported


def main() -> None:
    """Run the command line; exit with code 2 for an error that the user can put right."""
    parser = argparse.ArgumentParser(prog="python -m deployments", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, help in (
        ("up", "start a server and a worker in the background, and register the deployments of prefect.yaml"),
        ("serve", "serve the deployments from this process"),
        ("register", "only register the deployments"),
    ):
        registering = commands.add_parser(name, help=help)
        registering.add_argument("--suffix", help="is added to the names of the deployments, after a dash")
        registering.add_argument(
            "--take-over", action="store_true", help="take deployments of these names from another folder"
        )
    commands.add_parser("down", help="end server and worker")
    commands.add_parser("ui", help="run a server in the foreground")
    options = vars(parser.parse_args())

    from deployments import machine
    from deployments.register import register_at_named_server

    called = {
        "up": machine.up,
        "down": machine.down,
        "serve": machine.serve,
        "ui": machine.ui,
        "register": register_at_named_server,
    }[options.pop("command")]
    with user_errors_reported("deployments"):
        called(**options)


if __name__ == "__main__":
    prepare_streams()
    main()
