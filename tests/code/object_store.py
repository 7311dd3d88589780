"""A real S3 server on loopback, and what a user has in the environment to reach it."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SECRET = "planted/secret+key0123456789"
KEY_ID = "AKIAPLANTEDKEYID1234"


@contextmanager
def serving() -> Iterator[dict[str, str]]:
    """Yield the environment of those who use the server, for as long as it serves."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"])),
        }
    finally:
        server.stop()


def client(environment: dict[str, str]) -> Any:
    """Amazon's own library, to put objects where thaw reads them."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
    )
