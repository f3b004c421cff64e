import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;

/**
 * Drives a server with an official Java SDK, unmodified: "v1" is aliyun-java-sdk-ecs with signature
 * V1, "v2" the generated SDK with ACS3.
 *
 * <p>It makes, changes, reads and deletes something of every family, prints each step, and ends
 * with the first thing that is not as it should be.
 */
public final class Clients {
  static final String REGION = "cn-hangzhou";
  static final String ZONE = "cn-hangzhou-a";
  static final String IMAGE = "ebb_blank_20G.raw";
  static final String KIND = "ecs.g7.large";

  /** What a server is reached by. */
  record Access(String endpoint, String key, String secret) {}

  private Clients() {}

  public static void main(String[] args) throws Exception {
    Map<String, String> env = System.getenv();
    Access at =
        new Access(env.get("EBB_ENDPOINT"), env.get("EBB_KEY"), env.get("EBB_SECRET"));
    switch (args.length == 1 ? args[0] : "") {
      case "v1" -> new LifeV1(at).run();
      case "v2" -> new LifeV2(at).run();
      default -> throw new IllegalArgumentException("usage: Clients v1|v2");
    }
    System.out.println("whole");
    // The SDKs leave threads behind.
    System.exit(0);
  }

  /** Says what was done, after it was. */
  static <T> T step(String name, Callable<T> call) throws Exception {
    T reply = call.call();
    System.out.println(name);
    return reply;
  }

  static void same(String what, Object found, Object wanted) {
    if (!wanted.equals(found)) {
      throw new AssertionError(what + " is " + found + " and not " + wanted);
    }
  }

  /** Waits for a state that another call is to bring about. */
  static void until(String what, String wanted, Callable<String> state) throws Exception {
    String last = "";
    for (int n = 0; n < 600; n++) {
      last = state.call();
      if (wanted.equals(last)) {
        return;
      }
      Thread.sleep(50);
    }
    throw new AssertionError(what + " stays " + last + " and does not become " + wanted);
  }

  static String listOf(String id) {
    return "[\"" + id + "\"]";
  }

  static <T> T only(String what, List<T> found) {
    same(what, found.size(), 1);
    return found.get(0);
  }
}
