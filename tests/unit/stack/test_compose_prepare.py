"""What is done for containers before they start: secrets on this machine, the project in its volume."""

import json
import stat
from pathlib import Path

from koboshi.stack.compose_prepare import bring_project, ensure_env_file, variables, write_secrets
from koboshi.stack.parts import secrets
from koboshi.stack.parts.airflow import PASSWORD
from koboshi.stack.parts.ray import TOKEN
from koboshi.stack.paths import StackPaths
from koboshi.stack.topology import Topology, container_topology


def test_secrets_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    """A volume that was made with a password goes on working."""
    file = tmp_path / ".env"
    assert ensure_env_file(file) == [secret.variable for secret in secrets()]
    made = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ensure_env_file(file) == []
    assert file.read_text() == made
    assert len(set(variables(made).values())) == len(secrets())


def test_what_a_person_wrote_into_the_file_stays(tmp_path: Path) -> None:
    """Only what is missing is added, and the file is closed to others."""
    file = tmp_path / ".env"
    file.write_text(f"# mine\nKOBOSHI_GATEWAY_PORT=9000\n{TOKEN.variable}=chosen")
    file.chmod(0o644)
    assert TOKEN.variable not in ensure_env_file(file)
    assert file.read_text().startswith(f"# mine\nKOBOSHI_GATEWAY_PORT=9000\n{TOKEN.variable}=chosen\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_new_image_brings_its_code_and_leaves_what_the_pipeline_wrote(tmp_path: Path) -> None:
    """The cut, DVC's lock and what stages make are the volume's; code that is gone from the image goes."""
    image, project = tmp_path / "image", tmp_path / "project"
    write(image, {"dvc.yaml": DVC_YAML, "cut.json": "0", "metrics.json": "0", "src/a.py": "1", "src/old/b.py": "1"})
    bring_project(image, project)
    assert (project / "src/old/b.py").read_text() == "1"
    assert "no_scm = true" in (project / ".dvc/config.local").read_text()
    write(project, {"cut.json": "7", "metrics.json": "7", "data/out": "7", ".koboshi/ledger.db": "7"})
    write(image, {"src/a.py": "2", "params.yaml": "2", "cut.json": "2"})
    (image / "src/old/b.py").unlink()
    (image / "src/old").rmdir()
    bring_project(image, project)
    found = {p.relative_to(project).as_posix(): p.read_text() for p in project.rglob("*") if p.is_file()}
    assert {name: found[name] for name in ("src/a.py", "params.yaml")} == {"src/a.py": "2", "params.yaml": "2"}
    assert [found[name] for name in ("cut.json", "metrics.json", "data/out", ".koboshi/ledger.db")] == ["7"] * 4
    assert "src/old/b.py" not in found


DVC_YAML = "stages: {judge: {cmd: x, deps: [src], outs: [data/out], metrics: [metrics.json: {cache: false}]}}"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_a_changed_password_reaches_the_file_that_airflow_reads(tmp_path: Path) -> None:
    """Whoever changes .env and starts again can log in with it; the files are their owner's only."""
    topology = container_topology()
    here = Topology(StackPaths(tmp_path, tmp_path, tmp_path), topology.ports, {}, topology.executables)
    for password in ("first", "first", "second"):
        write_secrets(here, {PASSWORD.variable: password, TOKEN.variable: "t"})
    assert json.loads((here.paths.own / PASSWORD.file).read_text()) == {"admin": "second"}
    assert stat.S_IMODE((here.paths.own / TOKEN.file).stat().st_mode) == 0o600
