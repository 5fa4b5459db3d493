"""The ledger's span rows, made again from the span files alone."""

from collections.abc import Callable, Mapping
from pathlib import Path

from koboshi.errors import BadInput
from koboshi.ingest.span_files import decide_spans, find_span_files, read_span_file
from koboshi.ingest.span_folders import FOLDER
from koboshi.ledger import Ledger, rebuilding
from koboshi.refs import SpanRef


def rebuild_spans(
    ledger: Ledger, state_dir: Path, topic_ids: Mapping[str, str], read: Callable[[SpanRef], None]
) -> list[SpanRef]:
    """Give an empty ledger a committed row for each span that the files below `state_dir` make up.

    Each file's bytes, offsets and content are checked; `read` hears of each. Commit: `rebuilding.put_back`, one
    transaction, so that under a crash the ledger has all rows or none. Raises `Corrupt` or `Conflict`, with the names
    of the files, unless they tile each partition.
    """
    found = []
    for path in find_span_files(state_dir / FOLDER):
        found.append(read_span_file(path, state_dir))
        read(found[-1])
    if not found:
        raise BadInput(f"there is no span file below {state_dir / FOLDER}: there is nothing to rebuild.")
    landed = decide_spans(found, topic_ids)
    rebuilding.put_back(ledger, landed)
    return landed
