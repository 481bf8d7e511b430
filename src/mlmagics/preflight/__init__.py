"""What can be told about a cell before anything is sent.

``check`` is all of it; each module below has one kind of finding. Pure, but for what is asked about the target.
"""

from mlmagics.preflight.checking import check as check
from mlmagics.preflight.checking import refuse as refuse
from mlmagics.preflight.checking import remarks as remarks
from mlmagics.preflight.finding import Finding as Finding
from mlmagics.preflight.target import Target as Target
