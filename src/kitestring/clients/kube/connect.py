"""From a kubeconfig (or a pod's service account) to a connection."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

from kitestring.clients.kube.client import KubeClient
from kitestring.errors import KubernetesUnreachable
from kitestring.spec.loaded import LoadedSpec

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
# the package names the temporary file of a certificate before it has written it, so that another
# thread reads it empty
_loading = threading.Lock()


def connect(context: str | None = None, kubeconfig: str | None = None) -> KubeClient:
    """A connection to a cluster; nothing is sent yet.

    Args:
        context: of the kubeconfig; None for its current one.
        kubeconfig: a file; None for KUBECONFIG, the default file, or, inside of a pod that has
            neither, the pod's service account.

    Raises:
        KubernetesUnreachable: no kubeconfig, no such context, or a credential that can't be had.
    """
    _need_package()
    import urllib3
    from kubernetes import client

    if kubeconfig is not None:
        paths = [str(Path(kubeconfig).expanduser())]
    else:
        named = os.environ.get("KUBECONFIG")
        paths = [p for p in named.split(os.pathsep) if p] if named else ["~/.kube/config"]
        paths = [str(Path(p).expanduser()) for p in paths]
    there = [path for path in paths if Path(path).is_file()]
    if not there and kubeconfig is None and context is None and _SERVICE_ACCOUNT.is_file():
        return _in_cluster()
    files = os.pathsep.join(paths)
    if not there:
        raise KubernetesUnreachable(
            f"there is no kubeconfig: {files}",
            hint="name it by --kubeconfig or KUBECONFIG; `kubectl config view` shows what is used",
            subject=files,
        )
    configuration = client.Configuration()
    with _loading:
        name, namespace = _load(configuration, os.pathsep.join(there), context)
    if not configuration.verify_ssl:
        # the user said so in the kubeconfig; a warning with each request says nothing new
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return KubeClient(configuration, f"context `{name}` of {files}", namespace)


def connect_for(
    loaded: LoadedSpec, context: str | None = None, kubeconfig: str | None = None
) -> KubeClient:
    """A connection to the cluster of a spec: flags first, then its `connection.kubernetes`.

    Raises:
        KubernetesUnreachable: as `connect`.
    """
    named = loaded.spec.connection.kubernetes
    if named is not None and kubeconfig is None and named.kubeconfig is not None:
        kubeconfig = str(loaded.resolve(named.kubeconfig))
    if named is not None and context is None:
        context = named.context
    return connect(context, kubeconfig)


def with_flags(
    loaded: LoadedSpec, context: str | None = None, kubeconfig: str | None = None
) -> LoadedSpec:
    """The spec with its `connection.kubernetes` as flags say: Milvus is then reached in the very
    cluster that is looked at."""
    named = loaded.spec.connection.kubernetes
    said = {
        "context": context,
        "kubeconfig": str(Path(kubeconfig).expanduser().absolute()) if kubeconfig else None,
    }
    update = {key: value for key, value in said.items() if value is not None}
    if named is None or not update:
        return loaded
    connection = loaded.spec.connection.model_copy(
        update={"kubernetes": named.model_copy(update=update)}
    )
    return replace(loaded, spec=loaded.spec.model_copy(update={"connection": connection}))


def _load(configuration: object, files: str, context: str | None) -> tuple[str, str]:
    """Fills the configuration; the context's name and namespace."""
    import yaml
    from kubernetes import config

    try:
        contexts, current = config.list_kube_config_contexts(files)
    except (config.ConfigException, OSError, yaml.YAMLError, TypeError, KeyError) as error:
        # without contexts, or with no current one
        if context is None or isinstance(error, yaml.YAMLError | OSError):
            raise _unusable(files, context, error) from None
        contexts, current = [], None
    names = [c["name"] for c in contexts]
    if context is not None and context not in names:
        known = ", ".join(f"`{name}`" for name in names) or "none"
        raise KubernetesUnreachable(
            f"{files} has no context `{context}`; it has {known}",
            hint="`kubectl config get-contexts` lists them",
            subject=context,
        )
    chosen = current if context is None else next(c for c in contexts if c["name"] == context)
    try:
        config.load_kube_config(
            config_file=files,
            context=context,
            client_configuration=configuration,
            persist_config=False,
        )
    except (config.ConfigException, OSError, ValueError, TypeError, KeyError) as error:
        raise _unusable(files, chosen["name"], error) from None
    return chosen["name"], chosen["context"].get("namespace") or "default"


def _in_cluster() -> KubeClient:
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException as error:
        raise _unusable(str(_SERVICE_ACCOUNT), None, error) from None
    namespace = _SERVICE_ACCOUNT.with_name("namespace")
    return KubeClient(
        configuration,
        "the pod's service account",
        namespace.read_text().strip() if namespace.is_file() else "default",
    )


def _unusable(files: str, context: str | None, error: Exception) -> KubernetesUnreachable:
    named = f"context `{context}` of {files}" if context else files
    return KubernetesUnreachable(
        f"{named} can't be used: {' '.join(str(error).split()) or type(error).__name__}",
        hint="`kubectl config view` shows what it holds; name another by --kubeconfig, --context",
        subject=named,
    )


def _need_package() -> None:
    try:
        import kubernetes  # noqa: F401
    except ImportError:
        raise KubernetesUnreachable(
            "the Python package `kubernetes` is not installed",
            hint="pip install 'kitestring[kubernetes]'",
        ) from None
