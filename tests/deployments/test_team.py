"""What is set up for a team: compose.yaml, the images' Dockerfile and the template of Kubernetes jobs."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from prefect.client.schemas.objects import FlowRun
from prefect.settings import Settings
from prefect.utilities.templating import apply_values

from tests.deployments.composed import FILE, ROOT, SECRETS, Service, document, services

HADOLINT = shutil.which("hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
RAW: dict[str, Service] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]
TEAM = services(**SECRETS)
LASTING = sorted(name for name in TEAM if name != "deploy")
"""The services that do not end by themselves."""

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCKERFILE = (ROOT / "deployments" / "Dockerfile").read_text(encoding="utf-8")
TEMPLATE: dict[str, Any] = json.loads((ROOT / "deployments" / "kubernetes-base-job-template.json").read_bytes())

SECRET = re.compile(r"PASSWORD|AUTH|TOKEN|KEY|SECRET")


def instructions(keyword: str) -> list[str]:
    """Return the arguments of a Dockerfile's instructions of one kind, continued lines joined."""
    lines = DOCKERFILE.replace("\\\n", " ").splitlines()
    return [line.removeprefix(keyword).strip() for line in lines if line.startswith(f"{keyword} ")]


def test_it_starts_only_with_both_secrets_in_the_environment() -> None:
    for missing in SECRETS:
        with pytest.raises(KeyError, match=missing):
            document(**{name: value for name, value in SECRETS.items() if name != missing})


@pytest.mark.parametrize("name", sorted(TEAM))
def test_no_secret_is_in_the_file(name: str) -> None:
    secrets = {key: value for key, value in RAW[name].get("environment", {}).items() if SECRET.search(key)}
    assert secrets
    for value in secrets.values():
        assert re.fullmatch(r"\$\{(POSTGRES_PASSWORD|PREFECT_API_AUTH_STRING):\?[^}]+\}", value)


def test_nothing_listens_beyond_this_machine() -> None:
    published = {name: service.get("ports", []) for name, service in TEAM.items()}
    assert published == {"database": [], "deploy": [], "server": ["127.0.0.1:4200:4200"], "worker": []}
    assert "network_mode" not in str(TEAM)


def test_only_the_server_reaches_the_database() -> None:
    assert TEAM["database"]["networks"] == ["storage"]
    assert [name for name, service in TEAM.items() if "storage" in service["networks"]] == ["database", "server"]
    assert document(**SECRETS)["networks"]["storage"] == {"internal": True}


def test_server_and_clients_know_the_same_secret() -> None:
    environments = {name: service["environment"] for name, service in TEAM.items()}
    assert environments["server"]["PREFECT_SERVER_API_AUTH_STRING"] == SECRETS["PREFECT_API_AUTH_STRING"]
    for client in ("worker", "deploy"):
        assert environments[client]["PREFECT_API_AUTH_STRING"] == SECRETS["PREFECT_API_AUTH_STRING"]
    assert environments["server"]["PREFECT_SERVER_DATABASE_PASSWORD"] == SECRETS["POSTGRES_PASSWORD"]
    assert environments["database"]["POSTGRES_PASSWORD"] == SECRETS["POSTGRES_PASSWORD"]


def test_the_server_can_be_given_the_address_of_a_proxy() -> None:
    environment = services(**SECRETS, PUBLIC_URL="https://prefect.example.org")["server"]["environment"]
    assert environment["PREFECT_SERVER_UI_API_URL"] == "https://prefect.example.org/api"
    assert environment["PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"].split(",")[0] == "https://prefect.example.org"


@pytest.mark.parametrize("name", sorted(TEAM))
def test_no_service_is_root_or_can_become_it(name: str) -> None:
    assert TEAM[name]["user"] in {"postgres", "10001:10001"}
    assert TEAM[name]["cap_drop"] == ["ALL"]
    assert TEAM[name]["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "pid"} & set(TEAM[name])


@pytest.mark.parametrize("name", LASTING)
def test_every_lasting_service_is_watched_and_comes_back(name: str) -> None:
    assert TEAM[name]["healthcheck"]["test"][0] == "CMD"
    assert TEAM[name]["restart"] == "unless-stopped"


def test_services_start_in_order() -> None:
    waits = {name: service.get("depends_on", {}) for name, service in TEAM.items()}
    assert waits == {
        "database": {},
        "server": {"database": {"condition": "service_healthy"}},
        "deploy": {"server": {"condition": "service_healthy"}},
        "worker": {"deploy": {"condition": "service_completed_successfully"}},
    }


@pytest.mark.parametrize("name", sorted(TEAM))
def test_images_are_pinned_and_ours_have_the_version_of_the_project(name: str) -> None:
    image, _, tag = TEAM[name]["image"].partition(":")
    if "build" in TEAM[name]:
        assert tag == PROJECT["version"]
        assert image == f"mf-or-dnn-{TEAM[name]['build']['target']}"
        assert re.search(rf"^FROM base AS {TEAM[name]['build']['target']}$", DOCKERFILE, re.MULTILINE)
        assert (FILE.parent / TEAM[name]["build"]["context"]).samefile(ROOT)
        assert (ROOT / TEAM[name]["build"]["dockerfile"]).is_file()
    else:
        assert re.match(r"\d+\.\d+", tag)


@pytest.mark.parametrize("name", ["server", "worker"])
def test_prefect_takes_every_setting(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {key: value for key, value in TEAM[name]["environment"].items() if key.startswith("PREFECT_")}
    for key, value in given.items():
        monkeypatch.setenv(key, value)
    taken = Settings().to_environment_variables(exclude_unset=True, include_secrets=True)
    assert {key: taken.get(key, "").lower().removesuffix(".0") for key in given} == {
        key: value.lower() for key, value in given.items()
    }


def test_results_outlive_the_containers() -> None:
    mounts = dict(volume.split(":", 1) for volume in TEAM["worker"]["volumes"])
    assert mounts == {
        "store": "/app/.recsys",
        "reports": "/app/reports",
        "../incoming": "/app/incoming:ro",
        "downloads": "/home/app/.cache",
    }
    assert set(document(**SECRETS)["volumes"]) == {*mounts, "database"} - {"../incoming"}
    own = services(**SECRETS, RATINGS="/srv/ratings", REPORTS="./reports")["worker"]["volumes"]
    assert own[1:3] == ["./reports:/app/reports", "/srv/ratings:/app/incoming:ro"]


def compose() -> bool:
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "compose", "version"], capture_output=True).returncode == 0


@pytest.mark.skipif(not compose(), reason="docker compose is not installed")
@pytest.mark.parametrize("missing", ["", *SECRETS])
def test_compose_accepts_the_file_with_both_secrets_only(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, "" if name == missing else value)
    checked = subprocess.run(
        ["docker", "compose", "--file", FILE, "config", "--quiet"], capture_output=True, text=True, timeout=60
    )
    assert (checked.returncode == 0) == (not missing), checked.stderr
    assert missing in checked.stderr


def test_images_are_built_on_a_pinned_one_from_pinned_packages() -> None:
    bases = [line.split()[0] for line in instructions("FROM")]
    stages = {line.split()[-1] for line in instructions("FROM")}
    assert all(re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base) for base in bases if base not in stages)
    assert re.search(r"pip install --no-cache-dir uv==\d", DOCKERFILE)
    installs = re.findall(r"uv pip install (.*)", DOCKERFILE)
    assert all("requirements.lock" in install or install == '"$@"' for install in installs)
    assert "set -- --constraint requirements.lock" in DOCKERFILE


def test_images_end_as_the_user_that_compose_and_kubernetes_name() -> None:
    for image in ("server", "worker"):
        stage = DOCKERFILE.split(f"FROM base AS {image}\n")[1].split("\nFROM ")[0]
        assert re.findall(r"^USER (.*)$", stage, re.MULTILINE) == ["10001:10001"]
        assert stage.count("\nCMD [") == 1
    assert "ENTRYPOINT" not in DOCKERFILE  # jobs of Docker and Kubernetes pools bring a whole command
    assert "ENV PREFECT_SERVER_UI_STATIC_DIRECTORY=/home/app/" in DOCKERFILE  # else a user's server has no UI
    pod = TEMPLATE["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]["securityContext"]
    assert (pod["runAsUser"], pod["runAsGroup"], pod["fsGroup"]) == (10001, 10001, 10001)
    assert pod["runAsNonRoot"] is True


def test_only_what_is_named_gets_into_an_image() -> None:
    lines = (ROOT / "deployments" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert all((ROOT / name).exists() for name in allowed)
    packages = re.findall(r"compileall -q (.*)", DOCKERFILE)[0].split()
    assert {*packages, "deployments", "pyproject.toml", "requirements.lock", PROJECT["readme"]} <= allowed
    assert {*PROJECT["license-files"]} <= allowed
    kept_out = [".git", ".env", ".recsys", "reports", ".venv", "tests"]
    assert not [name for name in kept_out if any(fnmatch(name, pattern) for pattern in allowed)]


@pytest.mark.skipif(HADOLINT is None, reason="hadolint has no wheel for this machine")
def test_hadolint_has_no_complaint() -> None:
    assert HADOLINT
    subprocess.run([HADOLINT, ROOT / "deployments" / "Dockerfile"], check=True, timeout=60)


def configuration(**values: Any) -> dict[str, Any]:
    """Return what Prefect makes of the template, its defaults and `values`."""
    defaults = {
        name: variable["default"]
        for name, variable in TEMPLATE["variables"]["properties"].items()
        if "default" in variable
    }
    made: dict[str, Any] = apply_values(TEMPLATE["job_configuration"], {**defaults, **values})
    return made


def rendered(**values: Any) -> dict[str, Any]:
    """Return the job of a flow run."""
    manifest: dict[str, Any] = configuration(**values)["job_manifest"]
    return manifest


def placeholders(part: Any) -> set[str]:
    return set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(part)))


def test_every_placeholder_is_a_described_variable_and_the_other_way_round() -> None:
    variables = TEMPLATE["variables"]["properties"]
    assert placeholders(TEMPLATE["job_configuration"]) == set(variables)
    assert all(variable["description"] and variable["title"] for variable in variables.values())


def test_a_job_has_all_it_needs_without_any_value_given() -> None:
    job = rendered(command="prefect flow-run execute")
    assert not placeholders(job)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == TEAM["worker"]["image"]
    assert container["args"] == "prefect flow-run execute"
    assert container["resources"] == {"requests": {"cpu": "2", "memory": "2Gi"}, "limits": {"memory": "4Gi"}}
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert pod["volumes"] == [{"name": "shared", "persistentVolumeClaim": {"claimName": "mf-or-dnn"}}]
    assert job["spec"]["backoffLimit"] == 0


def test_a_job_finds_store_reports_and_ratings_where_the_worker_of_compose_does() -> None:
    (container,) = rendered()["spec"]["template"]["spec"]["containers"]
    mounts = [mount["mountPath"] + (":ro" if mount.get("readOnly") else "") for mount in container["volumeMounts"]]
    assert mounts == [volume.split(":", 1)[1] for volume in TEAM["worker"]["volumes"][:3]]


def test_secrets_of_a_job_come_from_a_secret() -> None:
    (container,) = rendered(environment_secret="bucket")["spec"]["template"]["spec"]["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "bucket", "optional": True}}]
    assert "env" not in container


def test_the_worker_of_kubernetes_makes_a_job_of_it_that_kubernetes_knows() -> None:
    kubernetes = pytest.importorskip("prefect_kubernetes.worker", reason="prefect-kubernetes is not installed")
    library = pytest.importorskip("kubernetes_asyncio.client")
    made = kubernetes.KubernetesWorkerJobConfiguration.model_validate(configuration(env={"A": "b"}))
    made.prepare_for_flow_run(FlowRun(flow_id=uuid4(), name="brave-fox"))
    manifest = made.job_manifest
    pod = manifest["spec"]["template"]["spec"]
    assert {"name": "A", "value": "b"} in pod["containers"][0]["env"]
    assert pod["containers"][0]["args"] == ["prefect", "flow-run", "execute"]

    async def known() -> Any:
        async with library.ApiClient() as client:
            return client.sanitize_for_serialization(client._ApiClient__deserialize(manifest, "V1Job"))

    del pod["parallelism"], pod["completions"]  # which Prefect wants there, and Kubernetes elsewhere
    assert asyncio.run(known()) == manifest
