"""Every point at which a process can die or freeze, found by tracing the real services.

A child process does what a run or a recovery does, on real Postgres and on the
sandbox over HTTP. Before each statement, around each commit and around each
request it passes a *point*. A first child notes their names; then, for each
point, another child gets a real SIGKILL or SIGSTOP exactly there, the sweep
does its work, and the invariants are checked.
"""
