"""What `up` and `demo` start on one machine: Postgres, child processes, ports.

Belongs here: how they are started, watched and ended. Does not belong here:
which services a stack has, what they do, and anything of Dagster or FastAPI.
"""
