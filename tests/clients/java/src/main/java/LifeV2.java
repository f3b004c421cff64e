import com.aliyun.ecs20140526.Client;
import com.aliyun.ecs20140526.models.*;
import com.aliyun.tea.TeaException;
import com.aliyun.teaopenapi.models.Config;
import java.util.List;

/** The generated SDK: signature ACS3. */
final class LifeV2 {
  private final Client client;
  private String instance;
  private String disk;
  private String snapshot;

  LifeV2(Clients.Access at) throws Exception {
    client =
        new Client(
            new Config()
                .setAccessKeyId(at.key())
                .setAccessKeySecret(at.secret())
                .setEndpoint(at.endpoint())
                .setProtocol("http")
                .setRegionId(Clients.REGION));
  }

  void run() throws Exception {
    catalogue();
    machine();
    snapshots();
    reset();
    growth();
    groups();
    policies();
    attributes();
    tags();
    images();
    usage();
    networks();
    encryption();
    refusals();
    end();
  }

  private void catalogue() throws Exception {
    var regions =
        Clients.step(
            "DescribeRegions", () -> client.describeRegions(new DescribeRegionsRequest()));
    Clients.same(
        "the region", regions.body.regions.region.get(0).regionId, Clients.REGION);
    var zones =
        Clients.step(
            "DescribeZones",
            () -> client.describeZones(new DescribeZonesRequest().setRegionId(Clients.REGION)));
    Clients.same("zones", zones.body.zones.zone.size(), 2);
    var types =
        Clients.step(
            "DescribeInstanceTypes",
            () ->
                client.describeInstanceTypes(
                    new DescribeInstanceTypesRequest()
                        .setInstanceTypes(List.of(Clients.KIND))));
    Clients.same(
        "CPUs", Clients.only("types", types.body.instanceTypes.instanceType).cpuCoreCount, 2);
  }

  private void machine() throws Exception {
    var run =
        new RunInstancesRequest()
            .setRegionId(Clients.REGION)
            .setZoneId(Clients.ZONE)
            .setImageId(Clients.IMAGE)
            .setInstanceType(Clients.KIND);
    var ran = Clients.step("RunInstances", () -> client.runInstances(run));
    instance = ran.body.instanceIdSets.instanceIdSet.get(0);
    awaitInstance("Running");
    var create =
        new CreateDiskRequest()
            .setRegionId(Clients.REGION)
            .setZoneId(Clients.ZONE)
            .setSize(20)
            .setDiskCategory("cloud_essd")
            .setPerformanceLevel("PL0")
            .setDiskName("磁盘-java");
    disk = Clients.step("CreateDisk", () -> client.createDisk(create)).body.diskId;
    awaitDisk("Available");
    var attach = new AttachDiskRequest().setDiskId(disk).setInstanceId(instance);
    Clients.step("AttachDisk", () -> client.attachDisk(attach));
    awaitDisk("In_use");
    Clients.same("its name", describe().diskName, "磁盘-java");
    Clients.same("its instance", describe().instanceId, instance);
  }

  private DescribeDisksResponseBody.DescribeDisksResponseBodyDisksDisk describe()
      throws Exception {
    var request =
        new DescribeDisksRequest().setRegionId(Clients.REGION).setDiskIds(Clients.listOf(disk));
    return Clients.only("disks", client.describeDisks(request).body.disks.disk);
  }

  private void awaitDisk(String status) throws Exception {
    Clients.until("the disk", status, () -> describe().status);
  }

  private void awaitInstance(String status) throws Exception {
    var request =
        new DescribeInstancesRequest()
            .setRegionId(Clients.REGION)
            .setInstanceIds(Clients.listOf(instance));
    Clients.until(
        "the instance",
        status,
        () -> client.describeInstances(request).body.instances.instance.get(0).status);
  }

  private void snapshots() throws Exception {
    var create = new CreateSnapshotRequest().setDiskId(disk);
    snapshot = Clients.step("CreateSnapshot", () -> client.createSnapshot(create)).body.snapshotId;
    var request =
        new DescribeSnapshotsRequest()
            .setRegionId(Clients.REGION)
            .setSnapshotIds(Clients.listOf(snapshot));
    Clients.until(
        "the snapshot",
        "accomplished",
        () -> client.describeSnapshots(request).body.snapshots.snapshot.get(0).status);
  }

  private void reset() throws Exception {
    var stop = new StopInstanceRequest().setInstanceId(instance);
    Clients.step("StopInstance", () -> client.stopInstance(stop));
    awaitInstance("Stopped");
    var request = new ResetDiskRequest().setDiskId(disk).setSnapshotId(snapshot).setDryRun(true);
    refused("DryRunOperation", 400, () -> client.resetDisk(request));
    request.setDryRun(null);
    Clients.step("ResetDisk", () -> client.resetDisk(request));
    awaitDisk("In_use");
    var start = new StartInstanceRequest().setInstanceId(instance);
    Clients.step("StartInstance", () -> client.startInstance(start));
    awaitInstance("Running");
  }

  private void growth() throws Exception {
    var resize = new ResizeDiskRequest().setDiskId(disk).setNewSize(40).setType("online");
    Clients.step("ResizeDisk", () -> client.resizeDisk(resize));
    Clients.same("its size", describe().size, 40);
    var spec = new ModifyDiskSpecRequest().setDiskId(disk).setPerformanceLevel("PL1");
    var task = Clients.step("ModifyDiskSpec", () -> client.modifyDiskSpec(spec)).body.taskId;
    var tasks = new DescribeTasksRequest().setRegionId(Clients.REGION).setTaskIds(task);
    var found = Clients.step("DescribeTasks", () -> client.describeTasks(tasks));
    Clients.same("tasks", found.body.taskSet.task.size(), 1);
  }

  private void groups() throws Exception {
    var create =
        new CreateSnapshotGroupRequest().setRegionId(Clients.REGION).setInstanceId(instance);
    var id =
        Clients.step("CreateSnapshotGroup", () -> client.createSnapshotGroup(create))
            .body
            .snapshotGroupId;
    var describe =
        new DescribeSnapshotGroupsRequest()
            .setRegionId(Clients.REGION)
            .setSnapshotGroupId(List.of(id));
    Clients.until(
        "the group",
        "accomplished",
        () ->
            client.describeSnapshotGroups(describe).body.snapshotGroups.snapshotGroup.get(0)
                .status);
    var delete =
        new DeleteSnapshotGroupRequest().setRegionId(Clients.REGION).setSnapshotGroupId(id);
    Clients.step("DeleteSnapshotGroup", () -> client.deleteSnapshotGroup(delete));
  }

  private void policies() throws Exception {
    var create =
        new CreateAutoSnapshotPolicyRequest()
            .setRegionId(Clients.REGION)
            .setTimePoints("[\"1\"]")
            .setRepeatWeekdays("[\"1\",\"7\"]")
            .setRetentionDays(30);
    var id =
        Clients.step("CreateAutoSnapshotPolicy", () -> client.createAutoSnapshotPolicy(create))
            .body
            .autoSnapshotPolicyId;
    var apply =
        new ApplyAutoSnapshotPolicyRequest()
            .setRegionId(Clients.REGION)
            .setAutoSnapshotPolicyId(id)
            .setDiskIds(Clients.listOf(disk));
    Clients.step("ApplyAutoSnapshotPolicy", () -> client.applyAutoSnapshotPolicy(apply));
    Clients.same("its policy", describe().autoSnapshotPolicyId, id);
    var delete =
        new DeleteAutoSnapshotPolicyRequest()
            .setRegionId(Clients.REGION)
            .setAutoSnapshotPolicyId(id);
    Clients.step("DeleteAutoSnapshotPolicy", () -> client.deleteAutoSnapshotPolicy(delete));
  }

  /** This version of the SDK knows no locks and no clones. */
  private void attributes() throws Exception {
    var rename =
        new ModifySnapshotAttributeRequest().setSnapshotId(snapshot).setSnapshotName("before");
    Clients.step("ModifySnapshotAttribute", () -> client.modifySnapshotAttribute(rename));
    var describe = new DescribeInstanceAttributeRequest().setInstanceId(instance);
    var told =
        Clients.step("DescribeInstanceAttribute", () -> client.describeInstanceAttribute(describe));
    Clients.same("its type", told.body.instanceType, Clients.KIND);
  }

  private void tags() throws Exception {
    var tag = new TagResourcesRequest.TagResourcesRequestTag().setKey("use").setValue("测试");
    var put =
        new TagResourcesRequest()
            .setRegionId(Clients.REGION)
            .setResourceType("disk")
            .setResourceId(List.of(disk))
            .setTag(List.of(tag));
    Clients.step("TagResources", () -> client.tagResources(put));
    var list =
        new ListTagResourcesRequest()
            .setRegionId(Clients.REGION)
            .setResourceType("disk")
            .setResourceId(List.of(disk));
    var found = Clients.step("ListTagResources", () -> client.listTagResources(list));
    Clients.same("the tag", found.body.tagResources.tagResource.get(0).tagValue, "测试");
  }

  private void images() throws Exception {
    var create =
        new CreateImageRequest()
            .setRegionId(Clients.REGION)
            .setInstanceId(instance)
            .setImageName("镜像-java");
    var id = Clients.step("CreateImage", () -> client.createImage(create)).body.imageId;
    var describe = new DescribeImagesRequest().setRegionId(Clients.REGION).setImageId(id);
    var found = Clients.step("DescribeImages", () -> client.describeImages(describe));
    Clients.same("its name", Clients.only("images", found.body.images.image).imageName, "镜像-java");
    var delete = new DeleteImageRequest().setRegionId(Clients.REGION).setImageId(id);
    Clients.step("DeleteImage", () -> client.deleteImage(delete));
  }

  private void usage() throws Exception {
    var links =
        new DescribeSnapshotLinksRequest()
            .setRegionId(Clients.REGION)
            .setDiskIds(Clients.listOf(disk));
    var found = Clients.step("DescribeSnapshotLinks", () -> client.describeSnapshotLinks(links));
    Clients.same("links", found.body.snapshotLinks.snapshotLink.size(), 1);
    var usage = new DescribeSnapshotsUsageRequest().setRegionId(Clients.REGION);
    Clients.step("DescribeSnapshotsUsage", () -> client.describeSnapshotsUsage(usage));
  }

  private void networks() throws Exception {
    var create = new CreateVpcRequest().setRegionId(Clients.REGION);
    var id = Clients.step("CreateVpc", () -> client.createVpc(create)).body.vpcId;
    var describe = new DescribeVpcsRequest().setRegionId(Clients.REGION).setVpcId(id);
    var found = Clients.step("DescribeVpcs", () -> client.describeVpcs(describe));
    Clients.same("networks", found.body.vpcs.vpc.size(), 1);
    Clients.step("DeleteVpc", () -> client.deleteVpc(new DeleteVpcRequest().setVpcId(id)));
  }

  private void encryption() throws Exception {
    var enable = new EnableDiskEncryptionByDefaultRequest().setRegionId(Clients.REGION);
    Clients.step(
        "EnableDiskEncryptionByDefault", () -> client.enableDiskEncryptionByDefault(enable));
    var disable = new DisableDiskEncryptionByDefaultRequest().setRegionId(Clients.REGION);
    Clients.step(
        "DisableDiskEncryptionByDefault", () -> client.disableDiskEncryptionByDefault(disable));
  }

  private void refusals() throws Exception {
    var attach = new AttachDiskRequest().setDiskId(disk).setInstanceId("i-none");
    refused("InvalidInstanceId.NotFound", 404, () -> client.attachDisk(attach));
  }

  private interface Call {
    Object call() throws Exception;
  }

  private static void refused(String code, int status, Call call) throws Exception {
    try {
      call.call();
    } catch (TeaException refusal) {
      Clients.same("the refusal", refusal.getCode(), code);
      Clients.same("its status", refusal.getStatusCode(), status);
      return;
    }
    throw new AssertionError("no refusal with " + code);
  }

  private void end() throws Exception {
    var detach = new DetachDiskRequest().setDiskId(disk).setInstanceId(instance);
    Clients.step("DetachDisk", () -> client.detachDisk(detach));
    awaitDisk("Available");
    var gone = new DeleteDiskRequest().setDiskId(disk);
    Clients.step("DeleteDisk", () -> client.deleteDisk(gone));
    var frozen = new DeleteSnapshotRequest().setSnapshotId(snapshot).setForce(true);
    Clients.step("DeleteSnapshot", () -> client.deleteSnapshot(frozen));
    var machine = new DeleteInstanceRequest().setInstanceId(instance).setForce(true);
    Clients.step("DeleteInstance", () -> client.deleteInstance(machine));
  }
}
