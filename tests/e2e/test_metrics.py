"""What the server counts, as Prometheus reads it: by its own parser."""

import nbd
import pytest
from prometheus_client.parser import text_string_to_metric_families

from harness import blocks, wire

MIB = blocks.MIB


def metrics(server) -> dict:
    """Each sample's value, by its name and labels."""
    answer = wire.send(server, "GET", "/metrics")
    assert answer.status == 200
    families = list(text_string_to_metric_families(answer.body.decode()))
    assert all(family.documentation for family in families)
    samples = [sample for family in families for sample in family.samples]
    found = {(s.name, frozenset(s.labels.items())): s.value for s in samples}
    assert len(found) == len(samples), "a sample is there twice"
    return found


def of(found: dict, name: str, **labels):
    return found.get((f"ebbtide_{name}", frozenset(labels.items())))


@pytest.fixture
def disk(ecs):
    return ecs.machine()[1]


def test_a_disks_requests_are_counted(ecs, disk):
    assert of(metrics(ecs.server), "disk_operations_total", disk=disk, operation="write") is None
    with blocks.export(ecs.server, disk) as handle:
        for number in range(10):
            handle.pwrite(b"x" * 4096, number * 4096)
        handle.flush()
        handle.pread(MIB, 0)
        handle.trim(8192, 0)
        # So that the server is asked, and says no.
        handle.set_strict_mode(0)
        with pytest.raises(nbd.Error):
            handle.trim(8192, 1 << 60)
        found = metrics(ecs.server)
        assert of(found, "disk_connections", disk=disk) == 1
    for operation, count, size in (
        ("write", 10, 40960),
        ("flush", 1, 0),
        ("read", 1, MIB),
        ("trim", 1, 8192),
    ):
        labels = {"disk": disk, "operation": operation}
        assert of(found, "disk_operations_total", **labels) == count
        assert of(found, "disk_bytes_total", **labels) == size
        assert of(found, "disk_latency_seconds_count", **labels) == count
        assert of(found, "disk_latency_seconds_bucket", **labels, le="+Inf") == count
        assert 0 < of(found, "disk_latency_seconds_sum", **labels) < 60
    assert of(found, "disk_errors_total", disk=disk, operation="trim") == 1
    assert of(found, "disk_requests_in_flight", disk=disk) == 0
    assert of(found, "pool_log_syncs_total") > 0


def test_counters_go_on_while_a_disk_is_off(ecs, disk):
    def writes():
        return of(metrics(ecs.server), "disk_operations_total", disk=disk, operation="write")

    instance = ecs.disk(disk)["InstanceId"]
    blocks.write(ecs.server, disk, 0, b"x" * 4096)
    assert writes() == 1
    ecs.stop_instance(instance)
    assert writes() == 1
    ecs.start_instance(instance)
    blocks.write(ecs.server, disk, 0, b"x" * 4096)
    assert writes() == 2
    ecs.detach(disk, instance)
    ecs.call("DeleteDisk", {"DiskId": disk})
    assert writes() is None


def test_buckets_grow(ecs, disk):
    blocks.write(ecs.server, disk, 0, b"x" * MIB)
    found = metrics(ecs.server)
    buckets = [
        (float(dict(labels)["le"]), value)
        for (name, labels), value in found.items()
        if name == "ebbtide_disk_latency_seconds_bucket" and dict(labels)["operation"] == "write"
    ]
    buckets.sort()
    assert len(buckets) == 24
    assert [value for _, value in buckets] == sorted(value for _, value in buckets)
