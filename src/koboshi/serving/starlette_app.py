"""The replica's interface: MLflow's scoring protocol, readiness by a real prediction, and who answered."""

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from koboshi.serving.protocol import (
    DIGEST_HEADER,
    REPLICA_HEADER,
    VERSION_HEADER,
    BadRequest,
    parse,
    supports,
)
from koboshi.serving.replica import Replica, Serving

SCORING_THREADS = 2
PREDICTION_LIMIT_S = 8.0
READINESS_LIMIT_S = 1.5
BODY_LIMIT_BYTES = 8 * 1024 * 1024
log = logging.getLogger("koboshi.serving")


class ScoringApp:
    """The routes, around one replica. `draining` turns readiness red while requests are still answered."""

    def __init__(self, replica: Replica) -> None:
        """Start the scoring threads; the replica is stepped by somebody else."""
        self.replica = replica
        self.draining = False
        # Readiness predicts in the same threads as everybody: stuck predictions must turn it red.
        self._threads = ThreadPoolExecutor(SCORING_THREADS, thread_name_prefix="score")
        handlers: dict[Any, Any] = {HTTPException: self._http_error, Exception: self._unexpected}
        self.asgi = Starlette(
            routes=[
                Route("/invocations", self._invocations, methods=["POST"]),
                Route("/ping", self._ping),
                Route("/health", self._health),
                Route("/version", self._version),
            ],
            exception_handlers=handlers,
        )

    async def _invocations(self, request: Request) -> Response:
        serving = self.replica.serving
        if serving is None:
            return self._error(HTTPStatus.SERVICE_UNAVAILABLE, "NO_MODEL", self._no_model())
        if not supports(request.headers.get("content-type")):
            return self._error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", _ONLY_JSON, serving)
        if int(request.headers.get("content-length") or 0) > BODY_LIMIT_BYTES:
            return self._error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "TOO_LARGE", _TOO_LARGE, serving)
        body = await request.body()
        try:
            answer = await self._in_thread(PREDICTION_LIMIT_S, _score, body, serving)
        except BadRequest as error:
            return self._error(HTTPStatus.BAD_REQUEST, "BAD_REQUEST", str(error), serving)
        except TimeoutError:
            return self._error(HTTPStatus.GATEWAY_TIMEOUT, "TIMEOUT", _TOO_SLOW, serving)
        return Response(answer, media_type="application/json", headers=self._headers(serving))

    async def _ping(self, _request: Request) -> Response:
        return Response("\n", media_type="application/json")

    async def _health(self, _request: Request) -> Response:
        serving = self.replica.serving
        trouble = self._no_model() if serving is None else await self._trouble(serving)
        if trouble:
            return self._error(HTTPStatus.SERVICE_UNAVAILABLE, "NOT_READY", trouble, serving)
        return JSONResponse({"status": "ready", **self.replica.status()}, headers=self._headers(serving))

    async def _version(self, _request: Request) -> Response:
        return JSONResponse(self.replica.status(), headers=self._headers(self.replica.serving))

    async def _trouble(self, serving: Serving) -> str:
        if self.draining:
            return "this replica is stopping."
        try:
            holds = await self._in_thread(READINESS_LIMIT_S, serving.checked.holds)
        except TimeoutError:
            return f"a prediction takes longer than {READINESS_LIMIT_S} s."
        return "" if holds else "predictions for the recorded example differ from those logged."

    async def _in_thread(self, limit_s: float, function: Any, *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await asyncio.wait_for(loop.run_in_executor(self._threads, function, *arguments), limit_s)

    def _no_model(self) -> str:
        if self.replica.refusal:
            return f"no model: {self.replica.refusal.reason}"
        if self.replica.registry_error:
            return f"no model yet: {self.replica.registry_error}"
        return f"no model yet: nothing has been promoted to the slot {self.replica.slot}."

    def _headers(self, serving: Serving | None) -> dict[str, str]:
        named = {REPLICA_HEADER: self.replica.name}
        if serving is not None:
            named[VERSION_HEADER] = str(serving.ref.version)
            named[DIGEST_HEADER] = serving.ref.sha256
        if self.draining:
            named["connection"] = "close"
        return named

    def _error(self, status: int, code: str, message: str, serving: Serving | None = None) -> Response:
        """The one shape of an error, which is MLflow's."""
        return JSONResponse({"error_code": code, "message": message}, status, headers=self._headers(serving))

    async def _http_error(self, _request: Request, error: HTTPException) -> Response:
        code = HTTPStatus(error.status_code).name
        return self._error(error.status_code, code, f"{error.detail}: see /invocations, /health, /version, /ping.")

    async def _unexpected(self, _request: Request, error: Exception) -> Response:
        log.error("a prediction failed", exc_info=error)
        return self._error(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", f"the model failed: {error}.")


_ONLY_JSON = "only Content-Type application/json in UTF-8 is read."
_TOO_LARGE = f"a body may have {BODY_LIMIT_BYTES // 1024 // 1024} MiB: send fewer rows at once."
_TOO_SLOW = f"the prediction took longer than {PREDICTION_LIMIT_S:g} s: send fewer rows at once."


def _score(body: bytes, serving: Serving) -> bytes:
    model = serving.checked.model
    return json.dumps({"predictions": model.predict(parse(body, model.signature))}).encode()
