"""What there is to choose from, and who asks: regions, zones, images, the caller's identity."""

import re

from harness import wire
from harness.ecs import IMAGE, OTHER_ZONE, REGION, ZONE, Ecs


def test_regions(shared):
    (region,) = shared.call("DescribeRegions")["Regions"]["Region"]
    assert region["RegionId"] == REGION
    assert region["LocalName"] and region["RegionEndpoint"]


def test_several_regions(make_server):
    server = make_server(args=["--region", "cn-hangzhou", "--region", "cn-beijing"]).start()
    ecs = Ecs(server)
    regions = ecs.call("DescribeRegions")["Regions"]["Region"]
    assert [region["RegionId"] for region in regions] == ["cn-hangzhou", "cn-beijing"]
    disk = ecs.create_disk()
    assert ecs.disks(RegionId="cn-beijing") == []
    assert [each["DiskId"] for each in ecs.disks()] == [disk]
    far = ecs.call(
        "CreateDisk",
        RegionId="cn-beijing",
        ZoneId="cn-beijing-a",
        Size=20,
        DiskCategory="cloud_essd",
    )["DiskId"]
    shown = ecs.disks(RegionId="cn-beijing")
    assert [(each["DiskId"], each["ZoneId"]) for each in shown] == [(far, "cn-beijing-a")]


def test_zones(shared):
    zones = shared.call("DescribeZones")["Zones"]["Zone"]
    assert [zone["ZoneId"] for zone in zones] == [ZONE, OTHER_ZONE]
    for zone in zones:
        assert "cloud_essd" in zone["AvailableDiskCategories"]["DiskCategories"]
    shared.refused(404, "InvalidRegionId.NotFound", "DescribeZones", RegionId="cn-nowhere")


def test_images(shared):
    (image,) = shared.call("DescribeImages")["Images"]["Image"]
    assert (image["ImageId"], image["Size"], image["Status"]) == (IMAGE, 20, "Available")
    assert shared.call("DescribeImages", ImageId=IMAGE)["TotalCount"] == 1
    assert shared.call("DescribeImages", ImageId="m-nothing")["TotalCount"] == 0
    assert shared.call("DescribeImages", Status="UnAvailable")["TotalCount"] == 0


def test_identity(shared):
    for ask in (
        lambda: wire.ask_v1(shared.server, "GetCallerIdentity", {}, Version="2015-04-01"),
        lambda: wire.ask_v3(shared.server, "GetCallerIdentity", {}, x_acs_version="2015-04-01"),
    ):
        identity = ask().tree
        assert identity["IdentityType"] == "Account"
        account = identity["AccountId"]
        assert re.fullmatch(r"\d{16}", account)
        assert identity["Arn"] == f"acs:ram::{account}:root"
        assert identity["RequestId"]
