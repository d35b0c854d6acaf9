"""S3's protocol without an account: moto's server on a free loopback port, in a thread of its own."""

from __future__ import annotations

import urllib.request
from types import TracebackType

import boto3
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

BUCKET = "drop"
_CREDENTIALS = {"key": "test", "secret": "test"}


class S3Server:
    """Starts with the context, holding one empty bucket, and ends with it."""

    def __enter__(self) -> S3Server:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        _, port = self._server.get_host_and_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        self.client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=_CREDENTIALS["key"],
            aws_secret_access_key=_CREDENTIALS["secret"],
        )
        # What servers of one process hold is shared between them.
        urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/moto-api/reset", method="POST")).close()  # noqa: S310
        self.client.create_bucket(Bucket=BUCKET)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self._server.stop()

    @property
    def options(self) -> dict[str, object]:
        """What fsspec needs to reach it."""
        return {**_CREDENTIALS, "client_kwargs": {"endpoint_url": self.endpoint, "region_name": "us-east-1"}}

    def put(self, path: str, content: bytes | str) -> None:
        """Write an object."""
        self.client.put_object(Bucket=BUCKET, Key=path, Body=content)

    def put_many(self, contents: dict[str, str]) -> None:
        """Write many small objects, by the server's own hands: a request each would take minutes."""
        backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        for path, content in contents.items():
            backend.put_object(BUCKET, path, content.encode())

    def remove(self, path: str) -> None:
        """Delete an object."""
        self.client.delete_object(Bucket=BUCKET, Key=path)
