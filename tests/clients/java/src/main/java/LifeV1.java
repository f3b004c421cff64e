import com.aliyuncs.AcsRequest;
import com.aliyuncs.AcsResponse;
import com.aliyuncs.DefaultAcsClient;
import com.aliyuncs.IAcsClient;
import com.aliyuncs.ecs.model.v20140526.*;
import com.aliyuncs.exceptions.ClientException;
import com.aliyuncs.http.ProtocolType;
import com.aliyuncs.profile.DefaultProfile;
import java.util.List;

/** The older SDK: signature V1, answers as it asks for them by default. */
final class LifeV1 {
  private final IAcsClient client;
  private final String endpoint;
  private String instance;
  private String disk;
  private String snapshot;

  LifeV1(Clients.Access at) {
    client =
        new DefaultAcsClient(DefaultProfile.getProfile(Clients.REGION, at.key(), at.secret()));
    endpoint = at.endpoint();
  }

  void run() throws Exception {
    machine();
    snapshots();
    reset();
    policies();
    tags();
    images();
    networks();
    refusals();
    end();
  }

  /** Sends one request to the server, over HTTP. */
  private <T extends AcsResponse> T ask(AcsRequest<T> request) throws ClientException {
    request.setSysEndpoint(endpoint);
    request.setSysProtocol(ProtocolType.HTTP);
    return client.getAcsResponse(request);
  }

  private <T extends AcsResponse> T step(AcsRequest<T> request) throws Exception {
    return Clients.step(request.getSysActionName(), () -> ask(request));
  }

  private void machine() throws Exception {
    var run = new RunInstancesRequest();
    run.setZoneId(Clients.ZONE);
    run.setImageId(Clients.IMAGE);
    run.setInstanceType(Clients.KIND);
    instance = step(run).getInstanceIdSets().get(0);
    awaitInstance("Running");
    var create = new CreateDiskRequest();
    create.setZoneId(Clients.ZONE);
    create.setSize(20);
    create.setDiskCategory("cloud_essd");
    create.setDiskName("磁盘-java");
    disk = step(create).getDiskId();
    awaitDisk("Available");
    var attach = new AttachDiskRequest();
    attach.setDiskId(disk);
    attach.setInstanceId(instance);
    step(attach);
    awaitDisk("In_use");
    Clients.same("its name", describe().getDiskName(), "磁盘-java");
  }

  private DescribeDisksResponse.Disk describe() throws Exception {
    var request = new DescribeDisksRequest();
    request.setDiskIds(Clients.listOf(disk));
    return Clients.only("disks", ask(request).getDisks());
  }

  private void awaitDisk(String status) throws Exception {
    Clients.until("the disk", status, () -> describe().getStatus());
  }

  private void awaitInstance(String status) throws Exception {
    var request = new DescribeInstancesRequest();
    request.setInstanceIds(Clients.listOf(instance));
    Clients.until(
        "the instance", status, () -> ask(request).getInstances().get(0).getStatus());
  }

  private void snapshots() throws Exception {
    var create = new CreateSnapshotRequest();
    create.setDiskId(disk);
    snapshot = step(create).getSnapshotId();
    var request = new DescribeSnapshotsRequest();
    request.setSnapshotIds(Clients.listOf(snapshot));
    Clients.until(
        "the snapshot", "accomplished", () -> ask(request).getSnapshots().get(0).getStatus());
  }

  private void reset() throws Exception {
    var stop = new StopInstanceRequest();
    stop.setInstanceId(instance);
    step(stop);
    awaitInstance("Stopped");
    var dry = resetRequest();
    dry.setDryRun(true);
    refused("DryRunOperation", dry);
    step(resetRequest());
    awaitDisk("In_use");
    var start = new StartInstanceRequest();
    start.setInstanceId(instance);
    step(start);
    awaitInstance("Running");
  }

  private ResetDiskRequest resetRequest() {
    var request = new ResetDiskRequest();
    request.setDiskId(disk);
    request.setSnapshotId(snapshot);
    return request;
  }

  private void policies() throws Exception {
    var create = new CreateAutoSnapshotPolicyRequest();
    create.setTimePoints("[\"1\"]");
    create.setRepeatWeekdays("[\"1\"]");
    create.setRetentionDays(30);
    var id = step(create).getAutoSnapshotPolicyId();
    var apply = new ApplyAutoSnapshotPolicyRequest();
    apply.setAutoSnapshotPolicyId(id);
    apply.setDiskIds(Clients.listOf(disk));
    step(apply);
    Clients.same("its policy", describe().getAutoSnapshotPolicyId(), id);
    var delete = new DeleteAutoSnapshotPolicyRequest();
    delete.setAutoSnapshotPolicyId(id);
    step(delete);
  }

  private void tags() throws Exception {
    var tag = new TagResourcesRequest.Tag();
    tag.setKey("use");
    tag.setValue("测试");
    var put = new TagResourcesRequest();
    put.setResourceType("disk");
    put.setResourceIds(List.of(disk));
    put.setTags(List.of(tag));
    step(put);
    Clients.same("the tag", describe().getTags().get(0).getTagValue(), "测试");
  }

  private void images() throws Exception {
    var create = new CreateImageRequest();
    create.setInstanceId(instance);
    create.setImageName("镜像-java");
    var id = step(create).getImageId();
    var describe = new DescribeImagesRequest();
    describe.setImageId(id);
    Clients.same("its name", step(describe).getImages().get(0).getImageName(), "镜像-java");
    var delete = new DeleteImageRequest();
    delete.setImageId(id);
    step(delete);
  }

  private void networks() throws Exception {
    var id = step(new CreateVpcRequest()).getVpcId();
    var delete = new DeleteVpcRequest();
    delete.setVpcId(id);
    step(delete);
  }

  private void refusals() throws Exception {
    var attach = new AttachDiskRequest();
    attach.setDiskId(disk);
    attach.setInstanceId("i-none");
    refused("InvalidInstanceId.NotFound", attach);
  }

  private void refused(String code, AcsRequest<?> request) throws Exception {
    try {
      ask(request);
    } catch (ClientException refusal) {
      Clients.same("the refusal", refusal.getErrCode(), code);
      return;
    }
    throw new AssertionError("no refusal with " + code);
  }

  private void end() throws Exception {
    var detach = new DetachDiskRequest();
    detach.setDiskId(disk);
    detach.setInstanceId(instance);
    step(detach);
    awaitDisk("Available");
    var gone = new DeleteDiskRequest();
    gone.setDiskId(disk);
    step(gone);
    var frozen = new DeleteSnapshotRequest();
    frozen.setSnapshotId(snapshot);
    frozen.setForce(true);
    step(frozen);
    var machine = new DeleteInstanceRequest();
    machine.setInstanceId(instance);
    machine.setForce(true);
    step(machine);
  }
}
