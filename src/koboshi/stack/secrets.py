"""The stack's own secrets: made once for a state folder, readable by their owner only."""

import base64
import dataclasses
import json
import secrets
from pathlib import Path

from koboshi.files import publish_private
from koboshi.stack.places import Places

ADMIN = "admin"


@dataclasses.dataclass(frozen=True, slots=True)
class Secrets:
    """What parts prove themselves with to each other; passwords and tokens that clients need are in files."""

    airflow_jwt: str
    airflow_session: str
    airflow_fernet: str
    airflow_passwords_path: Path
    ray_token_path: Path


def ensure_secrets(places: Places) -> Secrets:
    """Read the secrets of this state folder, or make them."""
    kept = places.own / "secrets.json"
    if not kept.exists():
        publish_private(kept, json.dumps({name: random_key() for name in ("jwt", "session", "fernet")}))
    passwords, token = places.own / "airflow-passwords.json", places.own / "ray-token"
    if not passwords.exists():
        publish_private(passwords, json.dumps({ADMIN: secrets.token_urlsafe(12)}))
    if not token.exists():
        publish_private(token, secrets.token_hex(32))
    made = json.loads(kept.read_text())
    return Secrets(made["jwt"], made["session"], made["fernet"], passwords, token)


def random_key() -> str:
    """A key as Airflow wants them: 32 bytes."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
