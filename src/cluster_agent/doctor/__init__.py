"""``cluster-agent doctor``: what is wrong with a box and how to mend it.

``probes`` ask the box and give plain facts, ``checks`` judge facts (pure), ``report`` tells people and programs.
"""
