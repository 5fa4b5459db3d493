import json
import pickle

import pytest

from koboshi import errors
from koboshi.formats.manifest import DatasetRef
from koboshi.refs import CheckpointRef, ModelRef, Ref, SpanRange, SpanRef


@pytest.mark.parametrize(
    "kind", [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, errors.KoboshiError)]
)
def test_an_error_survives_the_way_from_a_worker_to_its_driver(kind: type[errors.KoboshiError]) -> None:
    error = pickle.loads(pickle.dumps(kind("what to do next")))
    assert (type(error), str(error), error.exit_code) == (kind, "what to do next", kind.exit_code)


@pytest.mark.parametrize(
    "handle",
    [
        SpanRef(SpanRange("t", "id", 0, 5, 9), "p", "s", "c", 4),
        DatasetRef("data/features", "s"),
        CheckpointRef("k", "u", 1, "p", "s"),
        ModelRef("m", 1, "k", "s"),
    ],
)
def test_a_handle_survives_the_way_through_xcom(handle: Ref) -> None:
    assert type(handle).from_json(json.loads(json.dumps(handle.as_json()))) == handle
