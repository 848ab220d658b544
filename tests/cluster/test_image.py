"""The image built by a rootless builder and run: every step of the Containerfile, then driver, executor and command line.

The base is made from Debian's packages (mmdebstrap), since no registry of images needs to be reached; buildah builds
without a daemon. Both come with `apt-get install buildah mmdebstrap`; without them, or without root, this is skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3000)]
ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("buildah", "mmdebstrap")
APT_SOURCES = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
# what this machine trusts and how it reaches its indices, so that the steps reach them as it does
MACHINES_OWN = ("/usr/local/share/ca-certificates", "/etc/pip.conf")
ENTRYPOINT = "/opt/customs-lake/entrypoint.sh"


class Builder:
    """buildah with a store of its own, so that nothing is left on the machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        policy = folder / "policy.json"
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self.store = ["--root", str(folder / "store"), "--runroot", str(folder / "run"), "--storage-driver", "vfs"]
        self.policy = ["--signature-policy", str(policy)]

    def call(self, *arguments: str, expected: int | None = 0, **options) -> str:
        """Run one command of buildah; return what it printed, both streams together."""
        ended = subprocess.run(
            ["buildah", *self.store, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            **options,
        )
        assert expected in (None, ended.returncode), f"{arguments}: exit code {ended.returncode}\n{ended.stdout[-4000:]}"
        return ended.stdout.strip()

    def make_base(self) -> None:
        """A Debian 12 of the smallest size as the image `customs-base`."""
        sources = [str(path) for path in APT_SOURCES if path.is_file() and "bookworm" in path.read_text("utf-8")]
        archive = self.folder / "base.tar"
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", "bookworm", str(archive), *sources], check=True
        )
        container = self.call("from", "scratch")
        self.call("add", container, str(archive), "/")
        for place in filter(os.path.exists, MACHINES_OWN):
            self.call("copy", container, place, place)
        self.call("commit", *self.policy, "--rm", container, "customs-base")
        archive.unlink()

    def run(
        self, container: str, *command: str, mounts: dict[Path, str] | None = None, expected: int | None = 0,
        **variables: str,
    ) -> str:
        """Run a command in a container as its user; return what it printed."""
        volumes = [item for source, at in (mounts or {}).items() for item in ("--volume", f"{source}:{at}")]
        given = [item for name, value in variables.items() for item in ("--env", f"{name}={value}")]
        return self.call("run", "--isolation", "chroot", *volumes, *given, container, "--", *command, expected=expected)


@pytest.fixture(scope="module")
def container(tmp_path_factory):
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root and {' and '.join(TOOLS)} (apt-get install {' '.join(TOOLS)}); missing: {missing or 'root'}")
    folder = tmp_path_factory.mktemp("image")
    builder = Builder(folder)
    builder.make_base()
    builder.call(
        "bud", "--isolation", "chroot", "--layers=false", "--pull-never", *builder.policy, "--build-arg",
        "BASE=localhost/customs-base", "--tag", "customs-lake", "--file", str(ROOT / "Containerfile"), str(ROOT),
    )
    yield builder, builder.call("from", "--pull-never", *builder.policy, "customs-lake")
    shutil.rmtree(folder, ignore_errors=True)


def test_command_line_runs_without_root(container):
    builder, name = container
    printed = builder.run(name, "sh", "-c", "id -u; umask 022; touch /opt/x 2>&1; customs-lake --help")
    assert printed.splitlines()[0] == "185"
    assert "Permission denied" in printed and "customs-lake COMMAND" in printed
    doctor = builder.run(name, ENTRYPOINT, "customs-lake", "doctor", expected=None)
    assert "missing" not in doctor, doctor


def test_driver_loads_files_through_python_workers(container, raw, tmp_path):
    builder, name = container
    lake = tmp_path / "lake"
    lake.mkdir()
    for folder in (lake, *raw.parents[:1], raw):
        folder.chmod(0o777)
    mounts = {raw: "/mnt/raw", lake: "/mnt/lake"}
    for job, expected in (("land", "48 data lines"), ("ingest", "48")):
        printed = builder.run(
            name, ENTRYPOINT, "driver", "--master", "local[2]", "--conf", "spark.ui.enabled=false",
            f"local:///opt/customs-lake/jobs/{job}.py", "--raw", "/mnt/raw", "--lake", "/mnt/lake/customs", "--profile",
            "test", mounts=mounts, SPARK_DRIVER_BIND_ADDRESS="127.0.0.1", SPARK_LOCAL_IP="127.0.0.1",
        )
        assert expected in printed, printed[-3000:]
    assert list((lake / "customs" / "bronze" / "declaration").rglob("*.parquet"))
    assert {path.stat().st_uid for path in (lake / "customs").rglob("*")} == {185}


def test_executor_starts_sparks_backend_and_looks_for_its_driver(container):
    builder, name = container
    printed = builder.run(
        name, ENTRYPOINT, "executor", expected=None, SPARK_DRIVER_URL="spark://CoarseGrainedScheduler@127.0.0.1:9",
        SPARK_EXECUTOR_ID="1", SPARK_EXECUTOR_CORES="1", SPARK_EXECUTOR_MEMORY="512m", SPARK_APPLICATION_ID="spark-1",
        SPARK_EXECUTOR_POD_IP="127.0.0.1", SPARK_RESOURCE_PROFILE_ID="0", SPARK_EXECUTOR_POD_NAME="panel-exec-1",
        SPARK_JAVA_OPT_0="-Dspark.rpc.askTimeout=5s", SPARK_JAVA_OPT_1="-Dspark.rpc.lookupTimeout=5s",
        # a pod finds its own name in a hosts file that Kubernetes writes; here nobody does
        SPARK_LOCAL_IP="127.0.0.1",
    )
    assert "Failed to connect to /127.0.0.1:9" in printed, printed[-3000:]
    assert "Usage: " not in printed and "Unrecognized" not in printed
