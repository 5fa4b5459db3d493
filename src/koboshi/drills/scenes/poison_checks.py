"""The checks of the poison drill: every record is a row, a duplicate or a dead letter, and is counted once."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from koboshi.drills.evidence import Finding
from koboshi.drills.scenes.poison_scene import TOO_LARGE_BYTES, PoisonScene
from koboshi.drills.stream_workload import Decoded, MeantRecord
from koboshi.drills.strike import Strike

Place = tuple[int, int]
NAMED = 3


def refused_at_the_door(scene: PoisonScene, _strikes: Sequence[Strike]) -> Finding:
    """What is larger than the topic takes never gets in, and its producer is told."""
    why = scene.refused.refused if scene.refused else ""
    said = f"a record of {TOO_LARGE_BYTES:,} bytes was {f'refused at the producer ({why})' if why else 'taken'}"
    return Finding("refused_at_the_door", bool(why), said)


def each_counted_once(scene: PoisonScene, strikes: Sequence[Strike]) -> Finding:
    """Each poisoned record is one dead letter or one duplicate, and every sound one is a row."""
    meant = {(sent.partition, sent.offset): record for record, sent in scene.placed if not sent.refused}
    decoded = scene.decoded()
    wrong = list(miscounted(meant, decoded))
    if not all(strike.took for strike in strikes):
        wrong.append("the broker did not take all poison")
    counts = f"{len(decoded.rows):,} rows, {decoded.duplicates} duplicates, {len(decoded.dead_letters)} dead letters"
    more = [f"and {len(wrong) - NAMED} more"] if len(wrong) > NAMED else []
    said = "; ".join([*wrong[:NAMED], *more]) or f"{len(meant):,} records: {counts}, each counted once"
    return Finding("each_counted_once", not wrong, said)


def miscounted(meant: Mapping[Place, MeantRecord], decoded: Decoded) -> Iterator[str]:
    """Sentences on what was counted otherwise than it was meant; pure."""
    dead = Counter(decoded.dead_letters)
    for (partition, offset), record in sorted(meant.items()):
        wanted = int(record.fate == "dead letter")
        if dead[partition, offset] != wanted:
            times = dead[partition, offset]
            yield f"partition {partition}: offset {offset} ({record.kind}) is {times} dead letters, not {wanted}"
    if strangers := sorted(dead.keys() - meant.keys()):
        yield f"partition {strangers[0][0]}: offset {strangers[0][1]} is a dead letter, and was never sent"
    duplicates = sum(record.fate == "duplicate" for record in meant.values())
    if decoded.duplicates != duplicates:
        yield f"{decoded.duplicates} duplicates were counted, {duplicates} were sent"
    rows, wanted_rows = Counter(decoded.rows), {record.row for record in meant.values() if record.fate == "row"}
    for name in sorted(wanted_rows | rows.keys()):
        if rows[name] != int(name in wanted_rows):
            yield f"row {name} is there {rows[name]} times"
            return
