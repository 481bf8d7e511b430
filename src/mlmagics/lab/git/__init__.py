"""Git for the sidebar: the repository of a folder that the Jupyter server serves.

::

    calls  ->  desk  ->  status, changes, branches, merging, transfer  ->  repository  ->  program (GitPython)
                                    |
              grammar, porcelain, hunks, celldiff, stripping, progress, saying, configured: pure

No text from a person, a remote or a repository reaches git as an option: ``program`` passes fixed words, checked names
behind an end-of-options marker, and paths over standard input or behind ``--``. Nothing that a repository brings is
run unless its owner has said so (``trust``).
"""
