"""Where a project's DVC keeps its cache."""

from pathlib import Path


def cache_of(project: Path) -> Path:
    """The absolute folder of the cache, as the project's DVC configuration says."""
    from dvc.config import Config

    configured = Config(str(project / ".dvc"))["cache"].get("dir")
    return (project / ".dvc" / (configured or "cache")).resolve()
