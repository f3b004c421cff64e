"""Buckets of a server, and tasks that read and write them."""

import pathlib
import subprocess

from .ecs import Ecs
from .waiting import until

BUCKET = "a-bucket"


def bucket(ecs: Ecs) -> pathlib.Path:
    """The folder of a bucket, which is made where it is not there."""
    folder = ecs.server.data_dir / "oss" / BUCKET
    folder.mkdir(exist_ok=True)
    return folder


def task(ecs: Ecs, task_id: str) -> dict:
    return ecs.call("DescribeTaskAttribute", TaskId=task_id)


def over(ecs: Ecs, task_id: str) -> dict:
    """The task, once it is over."""

    def ended():
        told = task(ecs, task_id)
        return told if told["TaskStatus"] != "Processing" else None

    return until(ended, f"{task_id} is over", seconds=120)


def finished(ecs: Ecs, task_id: str):
    told = over(ecs, task_id)
    assert (told["TaskStatus"], told["TaskProcess"]) == ("Finished", "100%"), told


def failed(ecs: Ecs, task_id: str) -> str:
    """Why a task failed."""
    told = over(ecs, task_id)
    assert (told["TaskStatus"], told["FailedCount"]) == ("Failed", 1), told
    [part] = told["OperationProgressSet"]["OperationProgress"]
    assert part["ErrorCode"] == told["TaskAction"] + "Failed"
    return part["ErrorMsg"]


def import_image(ecs: Ecs, *objects: str, **more) -> tuple[str, str]:
    """Begins to import objects of the bucket; the image and the task."""
    mapping = {}
    for n, name in enumerate(objects, 1):
        mapping[f"DiskDeviceMapping.{n}.OSSBucket"] = BUCKET
        mapping[f"DiskDeviceMapping.{n}.OSSObject"] = name
    reply = ecs.call("ImportImage", mapping | more)
    return reply["ImageId"], reply["TaskId"]


def image(ecs: Ecs, image_id: str, status="Available") -> dict | None:
    found = ecs.call("DescribeImages", ImageId=image_id, Status=status)["Images"]["Image"]
    return found[0] if found else None


def qemu_img(*words):
    subprocess.run(["qemu-img", *map(str, words)], check=True, capture_output=True, timeout=120)
