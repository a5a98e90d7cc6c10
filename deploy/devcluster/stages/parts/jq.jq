# What the stages' conditions and delays are written in. The input is a pod.
def annotation($n): .metadata.annotations["sim.rightsizer.dev/" + $n];
def number($n; $default): (annotation($n) // $default) | tonumber;
# the container that the annotations speak of: an app or init container by name, the first app container otherwise
def target_name: annotation("container") // .spec.containers[0].name;
def target: target_name as $n | [(.status.initContainerStatuses // [])[], (.status.containerStatuses // [])[] | select(.name == $n)][0];
def target_spec: target_name as $n | [(.spec.initContainers // [])[], .spec.containers[] | select(.name == $n)][0];
def in_init: target_name as $n | any((.spec.initContainers // [])[]; .name == $n);
def sidecar: in_init and (target_spec.restartPolicy == "Always");
def ordinary_init: in_init and (sidecar | not);
def mib: if . == null then 1e12
  elif type == "number" then . / 1048576
  elif endswith("Ti") then (rtrimstr("Ti") | tonumber) * 1048576
  elif endswith("Gi") then (rtrimstr("Gi") | tonumber) * 1024
  elif endswith("Mi") then (rtrimstr("Mi") | tonumber)
  elif endswith("Ki") then (rtrimstr("Ki") | tonumber) / 1024
  elif endswith("G") then (rtrimstr("G") | tonumber) * 1e9 / 1048576
  elif endswith("M") then (rtrimstr("M") | tonumber) * 1e6 / 1048576
  elif endswith("k") then (rtrimstr("k") | tonumber) * 1e3 / 1048576
  elif endswith("m") then (rtrimstr("m") | tonumber) / 1e3 / 1048576
  else tonumber / 1048576 end;
# MiB: what the kubelet has actuated, or what the spec says before it has
def memory_limit: ((target | .resources.limits.memory) // (target_spec | .resources.limits.memory)) | mib;
def too_small: number("needs-mi"; "0") > memory_limit;
def leak: number("leak-mi-per-minute"; "0");
def ends: too_small or leak > 0 or annotation("exit-code") != null;
def alive: .metadata.deletionTimestamp == null;
def phase($p): .status.phase == $p;
def condition($t): any((.status.conditions // [])[]; .type == $t and .status == "True");
def restarts: sidecar or (.spec.restartPolicy // "Always") != "Never";
def failed_end: target | .state.terminated != null and .state.terminated.exitCode != 0;
# resources as wanted and as actuated, by container
def by_name: map({(.name): ((.resources // {}) | {limits, requests})}) | add;
def wanted: [(.spec.initContainers // [])[], .spec.containers[]] | by_name;
def actual: [(.status.initContainerStatuses // [])[], (.status.containerStatuses // [])[]] | by_name;
def unobserved: (.metadata.generation // 1) != (.status.observedGeneration // 1);
def bad_image: startswith("registry.invalid/") or startswith("private.invalid/");
def unpullable: any(.spec.containers[]; .image | bad_image);
def waits_for($reason): any((.status.containerStatuses // [])[]; .state.waiting.reason == $reason);
# trouble that keeps a pod from getting ready, and what there is still to tell of any
def trouble: annotation("trouble") // "";
def held: trouble | IN("sandbox", "network", "slow-pull", "volume", "startup-probe");
def told: number("told"; "0");
def tells: (trouble | IN("sandbox", "network", "startup-probe")) or (told == 0 and (trouble | IN("dns", "slow-pull")));
def resize_failed: any((.status.conditions // [])[]; .type == "PodResizeInProgress" and .reason == "Error");
# of a node: pressure at once, or some seconds after its creation
def pressed: annotation("memory-pressure") == "true" or (annotation("memory-pressure") == null and annotation("memory-pressure-after") != null);
