"""Runs a plan of independent parts: one after the other, in processes of this machine, or on Ray.

    with open_executor("pool") as executor:
        for result in executor.run(partial(work, common), parts):
            …

`work` is a function of a module (or a `functools.partial` of one), a part and a result are values
that can be pickled. Results come in the order of the parts, whatever runs them; only a few parts
are under way at a time, so neither parts nor results pile up. The first part that raises ends the
run with its exception; nothing is left running, then or after Ctrl-C.
"""

from __future__ import annotations

from kitestring.parallel.executor import Executor as Executor
from kitestring.parallel.executor import Serial as Serial
from kitestring.parallel.executor import open_executor as open_executor
from kitestring.parallel.executor import require_known as require_known
from kitestring.parallel.workers import Workers as Workers
