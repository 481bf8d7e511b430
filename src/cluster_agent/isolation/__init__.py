"""What keeps the jobs of one person from those of another, and from the agent.

::

    levels     pure: what was asked for, what can be had, what is in force and how it is told
    probing    asks the machine what can be had; nothing is claimed that was not tried
    people     which unix user a person is
    ids        the ids of that user, and how a process takes them for good
    rights     what one thread of the agent does with the rights of another user
    box        the command line of bubblewrap; pure
"""
