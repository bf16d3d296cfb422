"""deploy/compose.yaml and deploy/kubernetes: what they name exists, and their times fit those of engine and SDK (24 §5)."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from iii.cli import serve
from iii.sdk.options import InitOptions
from iii.server import config_file
from iii.server.listener import Listener
from iii.server.process import STOP_S
from tests.integration.deploy.dockerfile import steps

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
MANIFESTS = {
    (each["kind"], each["metadata"]["name"]): each
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for each in yaml.safe_load_all(path.read_text())
}
ENGINE = MANIFESTS["StatefulSet", "iii"]["spec"]["template"]["spec"]
WORKER = MANIFESTS["Deployment", "greeter"]["spec"]["template"]["spec"]
PORTS = {"workers": 49134, "http": 3111, "streams": 3112}


def variables() -> set[str]:
    """What the program reads, and what deploy/config.yaml has a `${…}` for."""
    source = "\n".join(path.read_text() for path in (ROOT / "src" / "iii").rglob("*.py"))
    return set(re.findall(r'"(III_[A-Z_]+)"', source)) | set(
        re.findall(r"\$\{([A-Z_]+)", (DEPLOY / "config.yaml").read_text())
    )


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def containers() -> Iterator[tuple[str, dict[str, Any]]]:
    yield "engine", ENGINE["containers"][0]
    yield "worker", WORKER["containers"][0]


def test_24_5_the_configuration_is_right_and_has_the_ports_of_the_manifests() -> None:
    config = config_file.load(DEPLOY / "config.yaml", host="0.0.0.0")
    assert config.warnings == ()
    ports = {entry.instance: entry.config.port for entry in config.entries if hasattr(entry.config, "port")}
    assert {
        "iii-worker-manager": 49134,
        "iii-http": 3111,
        "iii-stream": 3112,
        "iii-console": 3113,
    }.items() <= ports.items()


def test_24_5_environment_and_options_exist() -> None:
    named = {variable for service in COMPOSE["services"].values() for variable in service.get("environment", {})}
    named |= {each["name"] for _, container in containers() for each in container.get("env", ())}
    commented = re.findall(r"#.*name: (III_[A-Z_]+)", (DEPLOY / "kubernetes" / "worker.yaml").read_text())
    assert named | set(commented) <= variables()
    options = serve.build_parser()
    for words in (COMPOSE["services"]["engine"]["command"], ENGINE["containers"][0]["args"]):
        assert options.parse(words).config == ["/etc/iii/config.yaml"]
    image = {step.instruction: step.rest for step in steps((DEPLOY / "Dockerfile").read_text())}
    assert str(ENGINE["securityContext"]["runAsUser"]) == image["USER"].partition(":")[0]


def test_24_5_ports_are_those_of_the_engine_and_the_worker_port_is_not_published() -> None:
    published = [each.split(":") for each in COMPOSE["services"]["engine"]["ports"]]
    assert {(host, int(inside)) for host, _, inside in published} == {("127.0.0.1", 3111), ("127.0.0.1", 3112)}
    assert {each["name"]: each["containerPort"] for each in ENGINE["containers"][0]["ports"]} == PORTS
    service = MANIFESTS["Service", "iii"]["spec"]["ports"]
    assert {each["targetPort"] for each in service} == PORTS.keys()
    urls = [COMPOSE["services"]["greeter"]["environment"]["III_URL"], WORKER["containers"][0]["env"][0]["value"]]
    assert {url.rpartition(":")[2] for url in urls} == {"49134"}
    first, *others = MANIFESTS["NetworkPolicy", "iii"]["spec"]["ingress"]
    assert [each["port"] for each in first["ports"]] == ["workers"]
    label = first["from"][0]["podSelector"]["matchLabels"]
    assert label.items() <= MANIFESTS["Deployment", "greeter"]["spec"]["template"]["metadata"]["labels"].items()
    assert "workers" not in [port["port"] for rule in others for port in rule["ports"]]


def test_24_5_who_is_stopped_has_longer_than_it_needs() -> None:
    sleeps = float(ENGINE["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    drain_s = InitOptions().drain_timeout_s
    assert ENGINE["terminationGracePeriodSeconds"] >= sleeps + STOP_S + 5
    assert seconds(COMPOSE["services"]["engine"]["stop_grace_period"]) >= STOP_S + 5
    assert WORKER["terminationGracePeriodSeconds"] >= drain_s + 5
    assert seconds(COMPOSE["services"]["greeter"]["stop_grace_period"]) >= drain_s + 5


def test_24_5_probes_ask_what_the_worker_port_answers() -> None:
    engine = ENGINE["containers"][0]
    asked = [engine[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")]
    assert [(each["path"], each["port"]) for each in asked] == [
        ("/healthz", "workers"), ("/readyz", "workers"), ("/healthz", "workers"),
    ]  # fmt: skip
    source = Path(Listener.__init__.__code__.co_filename).read_text()
    assert all(f'"{each["path"]}"' in source for each in asked)


def test_24_5_containers_have_few_rights() -> None:
    for name in ("engine", "greeter"):
        service = COMPOSE["services"][name]
        assert (service["read_only"], service["cap_drop"], service["tmpfs"]) == (True, ["ALL"], ["/tmp"])
    for _, container in containers():
        context = container["securityContext"]
        assert (context["readOnlyRootFilesystem"], context["allowPrivilegeEscalation"]) == (True, False)
        assert context["capabilities"] == {"drop": ["ALL"]}
    for pod in (ENGINE, WORKER):
        assert (pod["securityContext"]["runAsNonRoot"], pod["automountServiceAccountToken"]) == (True, False)
        assert pod["enableServiceLinks"] is False  # III_PORT of the service `iii` would be a URL


def test_24_5_mounted_files_and_volumes_exist() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
    claims = {each["metadata"]["name"] for each in MANIFESTS["StatefulSet", "iii"]["spec"]["volumeClaimTemplates"]}
    for pod, more in ((ENGINE, claims), (WORKER, set())):
        volumes = {each["name"] for each in pod["volumes"]} | more
        assert {each["name"] for each in pod["containers"][0]["volumeMounts"]} == volumes
