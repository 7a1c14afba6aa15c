"""Reading in other processes, for functions in pure Python that threads would only take turns with.

    pool.py     `ProcessPool`: another reader's records, read by processes; who dies is started again
    child.py    what runs in such a process
    shared.py   the memory that both sides write to and read from, by name, and what is done about leftovers

Processes are spawned, never forked: a fork of a program with threads, as JAX has them, may hang. They import no
JAX, unless the user's own modules do.
"""

from artifex.data.processes.pool import ProcessPool as ProcessPool
