"""Bad records, tried again."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from artifex.data.buckets import spec_of
from artifex.data.errors import WorkerDiedError
from artifex.data.faults import (
    BadRecord,
    bad_record,
    is_same_source,
    quarantine_line,
    read_quarantine,
    read_what_is_good,
    source_digest,
)
from artifex.data.processes import ProcessPool
from artifex.data.reader import Reader, slots
from artifex.data.samples import reader_of


def retry_quarantine(path: str | Path, dataset: Any) -> tuple[list[BadRecord], list[BadRecord]]:
    """Reads the bad records of a dataset again, and leaves in the file those that are still bad.

    Records that were the end of processes are read by a process again, which may end, so a script that may meet such
    ones needs its `if __name__ == "__main__":`. All others are read here.

    Args:
        path: the file.
        dataset: the one that they came from; records of others stay in the file.

    Returns:
        (those that are good now, those that are still bad).

    Raises:
        ConfigError: there is no such file, or a record was the end of processes, and the dataset can be read by none.
    """
    reader = reader_of(dataset)
    source = source_digest(reader)
    before = read_quarantine(path)
    good: list[BadRecord] = []
    bad: list[BadRecord] = []
    kept: list[BadRecord] = []
    apart: ProcessPool | None = None
    try:
        for old in before:
            if not is_same_source(old.source, source) or old.record >= len(reader):
                kept.append(old)
                continue
            where = reader
            if old.error == WorkerDiedError.__name__:
                apart = apart or ProcessPool(reader, 1)
                where = apart.reader()
            still = _try(where, old.record, source)
            if still is None:
                good.append(old)
            else:
                bad.append(still)
                kept.append(still)
    finally:
        if apart is not None:
            apart.close()
    gone = {(old.source, old.record) for old in before}
    temporary = Path(f"{path}.{os.getpid()}")
    # What a loader has written down meanwhile stays.
    meanwhile = [new for new in read_quarantine(path) if (new.source, new.record) not in gone]
    temporary.write_text("".join(map(quarantine_line, [*kept, *meanwhile])))
    temporary.replace(path)
    return good, bad


def _try(reader: Reader, record: int, source: str) -> BadRecord | None:
    """What is wrong with a record; None if nothing is."""
    numbers = np.array([record])
    failed = read_what_is_good(reader, numbers, slots(spec_of(reader, numbers), 1), None)
    return bad_record(failed[0][1], source) if failed else None
