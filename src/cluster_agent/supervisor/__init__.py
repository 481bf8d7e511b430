"""The small process that owns one job's processes, output and exit code; the author of its event log.

::

    agent --hand-over--> main --> watch (the loop) --> launch (the runner, its channels)
                                    |  |  |  '-- stopping, ending   pure: which signal next; what it came to
                                    |  |  |----- tree, group        every process below the supervisor
                                    |  |  '----- sampling, guard    what they use, and whether it is too much
                                    |  '-------- channels, frames   pipes and control channel, drained in order
                                    '----------- record, results    into the log, beside it; waits when the disk refuses

It imports all that it needs at its start, so that an upgrade under a running job disturbs nothing.
"""
