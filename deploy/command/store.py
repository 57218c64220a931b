"""What the `healthsweep` command alone writes; what the api does too is in shared, or in the api's store."""

from uuid import UUID

from shared.database import Connection
from shared.errors import HealthsweepError
from shared.transitions import Transition, write_transitions


class Refused(HealthsweepError):
    """The operator asked for what cannot be done; the text says why."""


async def change_status(
    connection: Connection, workspace_id: UUID, *, to: str, reason: str, allowed: tuple[str, ...]
) -> None:
    """Take the workspace from one of the `allowed` statuses to `to`. Raises Refused if it has another."""
    row = await connection.fetchrow(_VERSION, workspace_id)
    if row is None:
        raise Refused(f"there is no workspace {workspace_id}")
    if row["status"] not in allowed:
        raise Refused(f"it is {row['status']}; this takes one that is {' or '.join(allowed)}")
    transition = Transition(workspace_id, row["status"], row["version"], reason)
    if not await write_transitions(connection, to, [transition], detected_by="command", cause_id=None):
        raise Refused("somebody changed it at the same moment: look, and try again")


_VERSION = "SELECT status::text AS status, xmin::text AS version FROM public.workspaces WHERE id = $1"
