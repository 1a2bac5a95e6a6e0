"""The files that the node's programs read, and their command lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.node.layout import CGROUP_CONTROLLERS, DOMAIN, NODE_NAME, Layout
from tests.e2e.node.pki import Authority

CLIENTS = {  # kubeconfig -> who it speaks as, and the groups
    "admin": ("kitestring-admin", ("system:masters",)),
    "controller-manager": ("system:kube-controller-manager", ()),
    "scheduler": ("system:kube-scheduler", ()),
    "kubelet": (f"system:node:{NODE_NAME}", ("system:nodes",)),
    "kube-proxy": ("system:kube-proxy", ()),
}


def write_all(layout: Layout, pause: str) -> None:
    """Certificates, kubeconfigs and configuration files of a new node."""
    for folder in ("config", "logs", "run", "volumes", "etcd", "kubelet", "containerd", "cni"):
        (layout.home / folder).mkdir(parents=True, exist_ok=True)
    authority = Authority(layout.home / "pki")
    hosts = ("localhost", NODE_NAME, "127.0.0.1", layout.node_ip, layout.first_service)
    service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
    names = (*hosts, *service, f"kubernetes.default.svc.{DOMAIN}")
    authority.issue("apiserver", "kube-apiserver", hosts=names)
    authority.issue("kubelet-server", NODE_NAME, hosts=hosts)
    authority.issue("kubelet-client", "kube-apiserver-kubelet-client", groups=("system:masters",))
    authority.signing_key("service-account")
    for name, (common_name, groups) in CLIENTS.items():
        authority.issue(name, common_name, groups=groups)
        authority.kubeconfig(layout.config(f"{name}.kubeconfig"), name, layout.server)
    authority.kubeconfig(layout.kubeconfig, "admin", layout.server)
    layout.config("containerd.toml").write_text(_containerd(layout, pause))
    _cni(layout)
    _dump(layout.config("kubelet.yaml"), _kubelet(layout))
    _dump(layout.config("kube-proxy.yaml"), _kube_proxy(layout))
    layout.config("Corefile").write_text(_corefile(layout))
    layout.config("hosts").write_text(
        f"127.0.0.1 localhost\n{layout.node_ip} {NODE_NAME}\n{layout.host_ip} host.{DOMAIN}\n"
    )


def _containerd(layout: Layout, pause: str) -> str:
    return f"""\
version = 2
root = "{layout.home}/containerd"
state = "{layout.home}/run/containerd"
oom_score = -500
[grpc]
  address = "{layout.containerd_socket}"
[ttrpc]
  address = "{layout.containerd_socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{layout.home}/cni/conf"
"""


def _cni(layout: Layout) -> None:
    plugins = [
        {
            "type": "bridge",
            "bridge": "pods",
            "isGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "dataDir": f"{layout.home}/cni/leases",
                "ranges": [[{"subnet": layout.pod_net}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    document = {"cniVersion": "0.4.0", "name": "kitestring", "plugins": plugins}
    (layout.home / "cni" / "conf").mkdir(exist_ok=True)
    (layout.home / "cni" / "conf" / "10-kitestring.conflist").write_text(json.dumps(document))


def _kubelet(layout: Layout) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(layout.pki("ca.crt"))},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "tlsCertFile": str(layout.pki("kubelet-server.crt")),
        "tlsPrivateKeyFile": str(layout.pki("kubelet-server.key")),
        "address": layout.node_ip,
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "enforceNodeAllocatable": ["pods"],
        "clusterDNS": [layout.node_ip],
        "clusterDomain": DOMAIN,
        "resolvConf": str(layout.config("resolv.conf")),
        "staticPodPath": "",
        "podLogsDir": f"{layout.home}/logs/pods",
        "makeIPTablesUtilChains": True,
        "serializeImagePulls": False,
        # a test machine's disk may be nearly full; that is not what is tested
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "nodeStatusUpdateFrequency": "5s",
        "syncFrequency": "5s",  # seconds until a mounted ConfigMap follows its object
        "fileCheckFrequency": "1h",
        "shutdownGracePeriod": "0s",
        "maxPods": 100,
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
    }


def _kube_proxy(layout: Layout) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "hostnameOverride": NODE_NAME,
        "clusterCIDR": layout.pod_net,
        "clientConnection": {"kubeconfig": str(layout.config("kube-proxy.kubeconfig"))},
        "metricsBindAddress": "127.0.0.1:10249",
        "healthzBindAddress": "127.0.0.1:10256",
        "iptables": {"syncPeriod": "30s", "minSyncPeriod": "200ms", "localhostNodePorts": False},
        # those settings belong to the machine, which lets a network namespace set none
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }


def _corefile(layout: Layout) -> str:
    """Only the cluster's own names: a test that asks for another one hears at once that there
    is none, with or without a network."""
    layout.config("resolv.conf").write_text(f"nameserver {layout.node_ip}\n")
    return f"""\
{DOMAIN}:53 in-addr.arpa:53 ip6.arpa:53 {{
    bind {layout.node_ip}
    errors
    hosts {layout.config("hosts")} {{
        fallthrough
    }}
    kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{
        kubeconfig {layout.config("admin.kubeconfig")}
        pods insecure
        ttl 2
    }}
}}
.:53 {{
    bind {layout.node_ip}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def _dump(file: Path, document: dict[str, Any]) -> None:
    file.write_text(yaml.safe_dump(document, sort_keys=False))


def commands(layout: Layout, tool: Callable[[str], Path]) -> dict[str, list[str]]:
    """The command line of each program, in the order in which they start."""
    manager = layout.config("controller-manager.kubeconfig")
    quiet = ["--v=0"]
    return {
        "etcd": [
            str(tool("etcd")),
            f"--data-dir={layout.home}/etcd",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=default=http://127.0.0.1:2380",
            "--unsafe-no-fsync",
        ],
        "containerd": [str(tool("containerd")), f"--config={layout.config('containerd.toml')}"],
        "kube-apiserver": [
            str(tool("kube-apiserver")),
            "--etcd-servers=http://127.0.0.1:2379",
            "--bind-address=0.0.0.0",
            f"--advertise-address={layout.node_ip}",
            "--secure-port=6443",
            f"--cert-dir={layout.home}/pki",
            f"--tls-cert-file={layout.pki('apiserver.crt')}",
            f"--tls-private-key-file={layout.pki('apiserver.key')}",
            f"--client-ca-file={layout.pki('ca.crt')}",
            f"--kubelet-certificate-authority={layout.pki('ca.crt')}",
            f"--kubelet-client-certificate={layout.pki('kubelet-client.crt')}",
            f"--kubelet-client-key={layout.pki('kubelet-client.key')}",
            "--kubelet-preferred-address-types=InternalIP",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--service-cluster-ip-range={layout.service_net}",
            f"--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}",
            f"--service-account-key-file={layout.pki('service-account.pub')}",
            f"--service-account-signing-key-file={layout.pki('service-account.key')}",
            "--allow-privileged=true",
            *quiet,
        ],
        "kube-controller-manager": [
            str(tool("kube-controller-manager")),
            f"--kubeconfig={manager}",
            f"--authentication-kubeconfig={manager}",
            f"--authorization-kubeconfig={manager}",
            f"--cert-dir={layout.home}/pki",
            f"--root-ca-file={layout.pki('ca.crt')}",
            f"--service-account-private-key-file={layout.pki('service-account.key')}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            "--concurrent-deployment-syncs=2",
            "--pvclaimbinder-sync-period=2s",
            *quiet,
        ],
        "kube-scheduler": [
            str(tool("kube-scheduler")),
            f"--kubeconfig={layout.config('scheduler.kubeconfig')}",
            f"--authentication-kubeconfig={layout.config('scheduler.kubeconfig')}",
            f"--authorization-kubeconfig={layout.config('scheduler.kubeconfig')}",
            f"--cert-dir={layout.home}/pki",
            "--leader-elect=false",
            *quiet,
        ],
        "kubelet": [
            str(tool("kubelet")),
            f"--config={layout.config('kubelet.yaml')}",
            f"--kubeconfig={layout.config('kubelet.kubeconfig')}",
            f"--root-dir={layout.home}/kubelet",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={layout.node_ip}",
            *quiet,
        ],
        "kube-proxy": [
            str(tool("kube-proxy")),
            f"--config={layout.config('kube-proxy.yaml')}",
            "--conntrack-max-per-core=0",
            *quiet,
        ],
        "coredns": [str(tool("coredns")), f"-conf={layout.config('Corefile')}"],
    }


def cgroup_roots() -> list[Path]:
    """The mounted cgroup trees: one on version 2, one for each controller on version 1."""
    if (CGROUP_CONTROLLERS / "cgroup.controllers").exists():
        return [CGROUP_CONTROLLERS]
    return [p for p in sorted(CGROUP_CONTROLLERS.iterdir()) if (p / "cgroup.procs").exists()]
