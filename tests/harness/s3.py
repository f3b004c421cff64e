"""An S3 for a test: moto's server, and boto3 to look into it.

It checks keys and signatures once a user has been made: `with_keys` does that.
"""

import contextlib
import json
import pathlib
import re
import socket
import subprocess
import threading

import boto3
import requests

from .paths import TOOLS
from .waiting import until

REGION = "eu-central-1"


class S3:
    """A running one."""

    def __init__(self, endpoint: str):
        self.endpoint = endpoint
        self.key, self.secret = "AKIAIOSFODNN7EXAMPLE", "any"
        self.client = self._client("s3")

    def _client(self, service: str):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
        )

    def make(self, bucket: str):
        where = {"LocationConstraint": REGION}
        self.client.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)

    def with_keys(self):
        """Makes the only user who may do anything from now on."""
        iam = self._client("iam")
        iam.create_user(UserName="ebb")
        key = iam.create_access_key(UserName="ebb")["AccessKey"]
        all_of_s3 = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [all_of_s3]})
        iam.put_user_policy(UserName="ebb", PolicyName="all", PolicyDocument=policy)
        requests.post(f"{self.endpoint}/moto-api/reset-auth", data=b"0", timeout=10)
        self.key, self.secret = key["AccessKeyId"], key["SecretAccessKey"]
        self.client = self._client("s3")

    def environment(self) -> dict:
        """The keys, for a server."""
        return {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret}

    def objects(self, bucket: str) -> dict[str, int]:
        """What a bucket holds, and of which size."""
        found = self.client.list_objects_v2(Bucket=bucket).get("Contents", [])
        return {each["Key"]: each["Size"] for each in found}

    def uploads(self, bucket: str) -> list:
        """What has been begun and not ended."""
        return self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])

    def read(self, bucket: str, name: str, offset: int, length: int) -> bytes:
        span = f"bytes={offset}-{offset + length - 1}"
        return self.client.get_object(Bucket=bucket, Key=name, Range=span)["Body"].read()


@contextlib.contextmanager
def s3(folder: pathlib.Path):
    """Serves as long as the context lasts."""
    said = folder / "moto.log"
    python = TOOLS / "moto/bin/python"
    words = [python, "-m", "moto.server", "--host", "127.0.0.1", "--port", "0"]
    with said.open("w") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:

        def endpoint():
            assert process.poll() is None, f"moto ended at once: {said.read_text()}"
            return re.search(r"Running on (http://[0-9.:]+)", said.read_text())

        yield S3(until(endpoint, "moto listens", seconds=30)[1])
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def silence():
    """The address of something that takes connections and never answers."""
    taken = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    taken.append(listener.accept()[0])

        thread = threading.Thread(target=accept)
        thread.start()
        host, port = listener.getsockname()
        try:
            yield f"http://{host}:{port}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in taken:
                connection.close()
