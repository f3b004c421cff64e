"""VPCs, VSwitches, security groups, network interfaces: made before an instance, then deleted."""

import re

import pytest

from harness.ecs import OTHER_ZONE, REGION, ZONE


@pytest.fixture
def vpc(shared) -> str:
    return shared.call("CreateVpc", CidrBlock="10.0.0.0/16", VpcName="a-network")["VpcId"]


def vswitch(ecs, vpc, cidr="10.0.1.0/24", **more) -> str:
    given = {"VpcId": vpc, "CidrBlock": cidr, "ZoneId": ZONE} | more
    return ecs.call("CreateVSwitch", given)["VSwitchId"]


def group(ecs, vpc, **more) -> str:
    return ecs.call("CreateSecurityGroup", VpcId=vpc, **more)["SecurityGroupId"]


def find_vpc(ecs, vpc) -> dict | None:
    found = ecs.call("DescribeVpcs", VpcId=vpc)["Vpcs"]["Vpc"]
    return next(iter(found), None)


def test_a_vpc(shared):
    made = shared.call("CreateVpc", VpcName="网络-1", Description="for a test")
    assert re.fullmatch(r"vpc-[a-z0-9]{20}", made["VpcId"])
    shown = find_vpc(shared, made["VpcId"])
    expected = {
        "VpcId": made["VpcId"],
        "VpcName": "网络-1",
        "Description": "for a test",
        "RegionId": REGION,
        "CidrBlock": "172.16.0.0/12",
        "Status": "Available",
        "VRouterId": made["VRouterId"],
        "VSwitchIds": {"VSwitchId": []},
    }
    assert {name: shown[name] for name in expected} == expected
    shared.call("DeleteVpc", VpcId=made["VpcId"])
    assert find_vpc(shared, made["VpcId"]) is None
    shared.refused(404, "InvalidVpcId.NotFound", "DeleteVpc", VpcId=made["VpcId"])


def test_vswitches_are_parts_of_it(shared, vpc):
    first = vswitch(shared, vpc, VSwitchName="first")
    second = vswitch(shared, vpc, "10.0.2.0/24", ZoneId=OTHER_ZONE)
    assert find_vpc(shared, vpc)["VSwitchIds"]["VSwitchId"] == [first, second]
    listed = shared.call("DescribeVSwitches", VpcId=vpc)["VSwitches"]["VSwitch"]
    assert [each["VSwitchId"] for each in listed] == [second, first]
    assert listed[1]["VSwitchName"] == "first"
    assert (listed[1]["CidrBlock"], listed[1]["AvailableIpAddressCount"]) == ("10.0.1.0/24", 252)
    in_zone = shared.call("DescribeVSwitches", VpcId=vpc, ZoneId=OTHER_ZONE)["VSwitches"]["VSwitch"]
    assert [each["VSwitchId"] for each in in_zone] == [second]
    shared.refused(400, "DependencyViolation.VSwitch", "DeleteVpc", VpcId=vpc)
    for each in (first, second):
        shared.call("DeleteVSwitch", VSwitchId=each)
    shared.refused(404, "InvalidVSwitchId.NotFound", "DeleteVSwitch", VSwitchId=first)
    shared.call("DeleteVpc", VpcId=vpc)


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"CidrBlock": "10.0.0.1/8"}, 400, "InvalidParameter"),
        ({"CidrBlock": "10.0.0.0/7"}, 400, "InvalidParameter"),
        ({"VpcName": "1"}, 400, "InvalidVpcName.Malformed"),
        ({"Description": "http://a"}, 400, "InvalidVpcDiscription.Malformed"),
        ({"RegionId": "nowhere"}, 404, "InvalidRegionId.NotFound"),
    ],
)
def test_what_create_vpc_refuses(shared, params, status, code):
    shared.refused(status, code, "CreateVpc", params)


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"VpcId": "vpc-none"}, 404, "InvalidVpcId.NotFound"),
        ({"ZoneId": "cn-none-a"}, 404, "InvalidZoneId.NotFound"),
        ({"CidrBlock": "x"}, 400, "InvalidCidrBlock.Malformed"),
        ({"CidrBlock": "10.0.1.0/30"}, 400, "InvalidCirdrBlock.MaskLength"),
        ({"CidrBlock": "10.1.0.0/24"}, 400, "InvalidParameter"),
        ({"CidrBlock": "10.0.9.128/25"}, 400, "InvalidCidrBlock.Overlapped"),
        ({"VSwitchName": "1"}, 400, "InvalidVSwitchName.Malformed"),
        ({"Description": "x"}, 400, "InvalidVSwitchDiscription.Malformed"),
    ],
)
def test_what_create_vswitch_refuses(shared, vpc, params, status, code):
    vswitch(shared, vpc, "10.0.9.0/24")
    given = {"VpcId": vpc, "CidrBlock": "10.0.1.0/24", "ZoneId": ZONE}
    shared.refused(status, code, "CreateVSwitch", given | params)


def test_the_same_token_is_the_same_network(shared, vpc):
    for action, given, key in (
        ("CreateVpc", {"CidrBlock": "10.0.0.0/8"}, "VpcId"),
        ("CreateVSwitch", {"VpcId": vpc, "CidrBlock": "10.0.3.0/24", "ZoneId": ZONE}, "VSwitchId"),
        ("CreateSecurityGroup", {"VpcId": vpc}, "SecurityGroupId"),
    ):
        given |= {"ClientToken": f"once-{vpc[-12:]}"}
        first = shared.call(action, given)[key]
        assert shared.call(action, given)[key] == first
        given |= {"Description": "another"}
        shared.refused(400, "IdempotentParameterMismatch", action, given)


def test_security_groups(shared, vpc):
    made = group(
        shared,
        vpc,
        SecurityGroupName="web",
        Description="in front",
        SecurityGroupType="enterprise",
        **{"Tag.1.Key": "use", "Tag.1.Value": "test"},
    )
    (shown,) = shared.call("DescribeSecurityGroups", SecurityGroupIds=[made])["SecurityGroups"][
        "SecurityGroup"
    ]
    expected = {
        "SecurityGroupId": made,
        "SecurityGroupName": "web",
        "Description": "in front",
        "SecurityGroupType": "enterprise",
        "VpcId": vpc,
        "EcsCount": 0,
        "Tags": {"Tag": [{"TagKey": "use", "TagValue": "test"}]},
    }
    assert {name: shown[name] for name in expected} == expected
    told = shared.call("DescribeSecurityGroupAttribute", SecurityGroupId=made)
    assert (told["SecurityGroupName"], told["VpcId"]) == ("web", vpc)
    assert told["Permissions"]["Permission"] == []
    for filters in ({"VpcId": vpc}, {"Tag.1.Key": "use"}, {"SecurityGroupName": "we*"}):
        listed = shared.call("DescribeSecurityGroups", filters | {"VpcId": vpc})
        ids = [each["SecurityGroupId"] for each in listed["SecurityGroups"]["SecurityGroup"]]
        assert ids == [made]
    none = shared.call("DescribeSecurityGroups", VpcId=vpc, SecurityGroupType="normal")
    assert none["TotalCount"] == 0
    shared.refused(400, "DependencyViolation.SecurityGroup", "DeleteVpc", VpcId=vpc)
    shared.call("DeleteSecurityGroup", SecurityGroupId=made)
    shared.refused(
        404, "InvalidSecurityGroup.NotFound", "DeleteSecurityGroup", SecurityGroupId=made
    )
    shared.refused(
        404,
        "InvalidSecurityGroupId.NotFound",
        "DescribeSecurityGroupAttribute",
        SecurityGroupId=made,
    )


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"VpcId": "vpc-none"}, 404, "InvalidVpcId.NotFound"),
        ({"SecurityGroupName": "1"}, 400, "InvalidSecurityGroupName.Malformed"),
        ({"Description": "x"}, 400, "InvalidSecurityGroupDiscription.Malformed"),
        ({"SecurityGroupType": "odd"}, 400, "InvalidParams.GroupType"),
        ({"Tag.1.Key": "aliyun"}, 400, "InvalidTagKey.Malformed"),
    ],
)
def test_what_create_security_group_refuses(shared, params, status, code):
    shared.refused(status, code, "CreateSecurityGroup", params)


def test_pages_of_security_groups(shared, vpc):
    made = [group(shared, vpc) for _ in range(3)]
    found, token = [], None
    while token != "":
        page = shared.call("DescribeSecurityGroups", VpcId=vpc, MaxResults=2, NextToken=token)
        found += [each["SecurityGroupId"] for each in page["SecurityGroups"]["SecurityGroup"]]
        token = page["NextToken"]
    assert sorted(found) == sorted(made)
    shared.refused(
        400, "InValidParameter.NextToken", "DescribeSecurityGroups", NextToken="nonsense"
    )


def test_an_instance_is_in_its_network(shared, vpc):
    where, firewall = vswitch(shared, vpc, ZoneId=OTHER_ZONE), group(shared, vpc)
    given = {"VSwitchId": where, "SecurityGroupId": firewall, "PrivateIpAddress": "10.0.1.9"}
    instance = shared.run_instance(given, ZoneId=None)
    shown = shared.instance(instance)
    # Its zone is its VSwitch's where none is given.
    assert (shown["ZoneId"], shown["VpcAttributes"]["VpcId"]) == (OTHER_ZONE, vpc)
    assert [each["InstanceId"] for each in shared.instances(VpcId=vpc)] == [instance]
    told = shared.call("DescribeInstanceAttribute", InstanceId=instance)
    assert told["VpcAttributes"] == shown["VpcAttributes"]
    (seen,) = shared.call("DescribeSecurityGroups", SecurityGroupIds=[firewall])["SecurityGroups"][
        "SecurityGroup"
    ]
    assert seen["EcsCount"] == 1
    shared.refused(400, "DependencyViolation", "DeleteVSwitch", VSwitchId=where)
    shared.refused(403, "DependencyViolation", "DeleteSecurityGroup", SecurityGroupId=firewall)
    interfaces(shared, vpc, where, firewall, instance)
    shared.call("DeleteInstance", InstanceId=instance, Force=True)
    shared.call("DeleteVSwitch", VSwitchId=where)
    shared.call("DeleteSecurityGroup", SecurityGroupId=firewall)
    shared.call("DeleteVpc", VpcId=vpc)


def interfaces(ecs, vpc, where, firewall, instance):
    def found(**filters):
        answer = ecs.call("DescribeNetworkInterfaces", **filters)
        return answer["NetworkInterfaceSets"]["NetworkInterfaceSet"]

    (one,) = found(InstanceId=instance)
    assert (one["Type"], one["Status"], one["InstanceId"]) == ("Primary", "InUse", instance)
    assert (one["VpcId"], one["VSwitchId"], one["PrivateIpAddress"]) == (vpc, where, "10.0.1.9")
    assert one["SecurityGroupIds"]["SecurityGroupId"] == [firewall]
    assert found(**{"NetworkInterfaceId.1": one["NetworkInterfaceId"]}) == [one]
    assert found(VpcId=vpc) == [one] and found(VSwitchId=where, Type="Secondary") == []
    assert found(InstanceId="i-none") == []


def test_what_is_not_of_this_server_is_taken_as_it_is(shared):
    """Programs that were written for networks elsewhere run unmodified."""
    instance = shared.run_instance(VSwitchId="vsw-elsewhere", SecurityGroupId="sg-elsewhere")
    shown = shared.instance(instance)
    assert shown["VpcAttributes"]["VSwitchId"] == "vsw-elsewhere"
    assert shown["VpcAttributes"]["VpcId"] == ""
    assert shown["SecurityGroupIds"]["SecurityGroupId"] == ["sg-elsewhere"]


def test_it_has_tags_and_a_resource_group(shared, vpc):
    made = group(shared, vpc)
    of_it = {"ResourceType": "securitygroup", "ResourceId.1": made}
    shared.call("TagResources", of_it | {"Tag.1.Key": "k", "Tag.1.Value": "v"})
    (tag,) = shared.call("ListTagResources", of_it)["TagResources"]["TagResource"]
    assert (tag["ResourceType"], tag["TagKey"]) == ("securitygroup", "k")
    joined = {"ResourceType": "securitygroup", "ResourceId": made, "ResourceGroupId": "rg-1"}
    shared.call("JoinResourceGroup", joined)
    found = shared.call("DescribeSecurityGroups", ResourceGroupId="rg-1", VpcId=vpc)
    assert [each["SecurityGroupId"] for each in found["SecurityGroups"]["SecurityGroup"]] == [made]
