"""Entry of a job's process: ``python KIT/mlmagics_job/run.py``, started by a supervisor.

Kept to a few lines, because Python compiles a script anew each time that it runs.
"""

import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
kit = os.path.dirname(here)
# Python has put this folder first, unless it was told not to (-P); the cell shall see its working folder there,
# as in a notebook.
safe_path = getattr(sys.flags, "safe_path", False)
if not safe_path:
    sys.path[0] = kit

from mlmagics_job.job import main  # noqa: E402

if not safe_path:
    sys.path[0] = ""
sys.exit(main(kit))
