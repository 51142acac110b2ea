"""Fixtures of the tests of the flow."""

import logging
from collections.abc import Iterator

import httpx
import pytest


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """Run an S3 server on this machine and yield the URL of a place in an empty bucket."""
    import s3fs
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # it tells of each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    httpx.post(f"http://{host}:{port}/moto-api/reset").raise_for_status()  # of what another module's tests left
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        environment.setenv("AWS_ACCESS_KEY_ID", "anybody")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-that-is-nowhere")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()  # which has the server of another module's tests
        s3fs.S3FileSystem().mkdir("ratings")
        yield "s3://ratings/comparisons"
    server.stop()
