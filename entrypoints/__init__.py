"""Where the product is started from: command line, DAGs and demo, and what wires them.

In a checkout the core lives in ``src``, so that folder is put on the path; an installed package needs no such thing.
"""

import os
import sys

_SOURCE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src")  # noqa: PTH100, PTH118, PTH120 - pathlib costs 15 ms at every start

if os.path.isdir(os.path.join(_SOURCE, "pipeline")) and _SOURCE not in sys.path:  # noqa: PTH112, PTH118 - see above
    sys.path.insert(0, _SOURCE)
