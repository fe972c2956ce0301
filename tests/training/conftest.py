"""What tests of files on object stores share."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package")
def bucket() -> Iterator[str]:
    """A bucket of a real HTTP server that speaks S3."""
    import boto3  # type: ignore[import-untyped]  # here, lest test_checkpoint's processes import them too
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="bucket")
        yield f"s3://bucket/prefix?endpoint_override={endpoint}&scheme=http"
        server.stop()
