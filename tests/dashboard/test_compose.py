"""The compose file: nobody else can reach what it starts, and it mounts what there is."""

import json
import re

import yaml

from dashboard import servers

COMPOSE = yaml.safe_load((servers.FILES / "compose.yaml").read_text(encoding="utf-8"))["services"]


def test_ports_are_published_on_loopback_only():
    ports = [port for service in COMPOSE.values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert {port.rpartition(":")[0].rpartition(":")[0] for port in ports} == {servers.HOST}


def test_images_are_pinned():
    docker = (servers.FILES / "exporter.Dockerfile").read_text(encoding="utf-8")
    images = [service["image"] for service in COMPOSE.values() if "image" in service]
    for image in [*images, *re.findall(r"(?m)^FROM (\S+)", docker)]:
        assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+(-slim)?", image), image


def test_what_is_mounted_is_there_and_cannot_be_written():
    for service in COMPOSE.values():
        for mount in service.get("volumes", []):
            if isinstance(mount, str) and mount.startswith("."):
                source, _, mode = mount.split(":")
                assert (servers.FILES / source).is_dir() and mode == "ro", mount
            elif isinstance(mount, dict):
                assert mount["read_only"]
    assert (servers.FILES / "prometheus/targets").is_dir()  # covered by the targets of the other containers


def test_containers_find_each_other():
    for path in sorted((servers.FILES / "prometheus/targets-compose").glob("*.json")):
        name, _, port = json.loads(path.read_text())[0]["targets"][0].partition(":")
        assert name in COMPOSE and path.stem == name
        assert port == {"exporter": "9108", "alertmanager": "9093"}[name]
    command = COMPOSE["exporter"]["command"]
    assert command[command.index("--address") + 1] == COMPOSE["exporter"]["hostname"]


def test_the_receiver_listens_where_alertmanager_sends():
    *_, program = COMPOSE["receiver"]["command"]
    compile(program, "receiver", "exec")
    routes = (servers.FILES / "alertmanager/alertmanager.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"http://([\d.]+:\d+)/", routes)) == {f"{servers.HOST}:9099"}
    assert f'("{servers.HOST}", 9099)' in program


def test_grafana_looks_where_the_dashboards_are_mounted():
    provisioning = servers.FILES / "grafana/provisioning"
    (provider,) = yaml.safe_load((provisioning / "dashboards/drift.yaml").read_text())["providers"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in COMPOSE["grafana"]["volumes"]
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yaml").read_text())["datasources"]
    assert source["isDefault"] and source["url"] == "http://prometheus:9090"
