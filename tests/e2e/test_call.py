"""`ebb call`: one signed call from the command line."""

import json
import os
import subprocess

import pytest

from harness.paths import server_binary


def run(*words, home, **env) -> subprocess.CompletedProcess:
    """The command with nothing in its environment but a home and what is given."""
    return subprocess.run(
        [server_binary(), "call", *words],
        env={"PATH": os.environ["PATH"], "HOME": str(home)} | env,
        capture_output=True,
        text=True,
        timeout=30,
    )


def reply(done: subprocess.CompletedProcess) -> dict:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refusal(done: subprocess.CompletedProcess) -> str:
    assert (done.returncode, done.stdout) == (1, ""), done
    return done.stderr


@pytest.fixture
def home(ecs, folder):
    """A home whose current profile is the root key."""
    profile = {
        "name": "here",
        "mode": "AK",
        "access_key_id": ecs.server.key.id,
        "access_key_secret": ecs.server.key.secret,
        "region_id": "cn-hangzhou",
        "endpoint": ecs.server.endpoint,
    }
    wrong = profile | {"name": "wrong", "access_key_secret": "x" * 30}
    path = folder / ".aliyun/config.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"current": "here", "profiles": [profile, wrong]}))
    return folder


def test_with_the_key_of_a_data_folder(ecs, folder):
    given = ("--data-dir", ecs.server.data_dir, "--endpoint", ecs.server.endpoint)
    shown = reply(run(*given, "DescribeDisks", "--RegionId", "cn-hangzhou", home=folder))
    assert shown["TotalCount"] == 0
    said = refusal(run(*given, "DescribeDisks", home=folder))
    assert "MissingParameter" in said or "RegionId" in said


def test_with_a_profile(ecs, home):
    disk = ecs.create_disk()
    # Its region and endpoint are taken, and names are completed.
    shown = reply(run("describedisks", "--diskids", json.dumps([disk]), home=home))
    assert [each["DiskId"] for each in shown["Disks"]["Disk"]] == [disk]
    said = refusal(run("DescribeDisks", "--RegionId", "nowhere", home=home))
    assert "InvalidRegion.NotFound" in said
    said = refusal(run("--profile", "wrong", "DescribeDisks", home=home))
    assert "SignatureDoesNotMatch" in said or "IncompleteSignature" in said
    assert "no profile" in refusal(run("--profile", "nowhere", "DescribeDisks", home=home))


def test_an_error_of_the_api_fails(home):
    said = refusal(run("ResetDisk", "--Disk", "d-1", "--Snap", "s-1", home=home))
    assert "InvalidDiskId.NotFound (404): The specified disk does not exist." in said


def test_names_are_checked_before_anything_is_sent(home, folder):
    for words, expected in (
        (("Frobnicate",), "is not an operation"),
        (("ResetD", "--DiskId", "d-1"), "may be ResetDiskDefaultKMSKeyId, ResetDisk, ResetDisks"),
        (("ResetDisk", "--Colour", "red"), "takes --DiskId, --SnapshotId, --DryRun"),
        (("ResetDisk", "--DiskId"), "--DiskId has no value"),
        (("CreateDisk", "--Tag.Key", "k"), "--Tag.1, --Tag.2"),
    ):
        assert expected in refusal(run(*words, home=home, EBB_ENDPOINT="127.0.0.1:1"))


def test_without_any_key(folder):
    said = refusal(run("DescribeRegions", home=folder))
    assert ".aliyun/config.json" in said and "--data-dir" in said
