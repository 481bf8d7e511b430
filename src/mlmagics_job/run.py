"""Entry of a job's process: ``python KIT/mlmagics_job/run.py``, started by a supervisor.

Kept to a few lines, because Python compiles a script anew each time that it runs.
"""

import _frozen_importlib_external as importing
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
kit = os.path.dirname(here)
# Python has put this folder first, unless it was told not to (-P); the cell shall see its working folder there,
# as in a notebook.
safe_path = getattr(sys.flags, "safe_path", False)
if not safe_path:
    sys.path[0] = kit


class Reader(importing.SourceFileLoader):
    """Loads the kit, also its parts that are needed later, and leaves compiling for others to the agent."""

    def set_data(self, *_: object, **__: object) -> None:
        """Write no bytecode: a disk that is nearly full would keep half of it, which breaks every later job."""


for folder in (kit, here, os.path.join(kit, "shim")):
    sys.path_importer_cache[folder] = importing.FileFinder(folder, (Reader, [".py"]))

from mlmagics_job.job import main  # noqa: E402

if not safe_path:
    sys.path[0] = ""
sys.exit(main(kit))
