"""What is submitted is done at once, by whoever submits it: where there may be no second thread."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class InlineExecutor(Executor):
    def __init__(self, *_words: object) -> None:
        """As a ThreadPoolExecutor is made."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 (as every executor does)
            future.set_exception(error)
        return future
