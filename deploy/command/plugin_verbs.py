"""What the verbs about plugins do."""

from argparse import Namespace

from api.store.plugins import PluginStore
from deploy.command import store, tables
from deploy.command.reach import database_of
from shared.ids import parse_workspace_id
from shared.settings import Settings


async def forget(options: Namespace, settings: Settings) -> None:
    """Drop the record of a delivery, so that no list shows it; the plugin itself is not touched."""
    workspace_id = parse_workspace_id(options.id)
    async with database_of(settings) as database:
        forgotten = await PluginStore(database, external_runtimes=settings.external_runtimes).forget(
            workspace_id, options.name
        )
    if not forgotten:
        raise store.Refused(f"no plugin {options.name!r} is recorded for the workspace {workspace_id}")
    if options.json:
        tables.print_json({"status": "forgotten", "workspace_id": workspace_id, "plugin": options.name})
    else:
        print(f"forgot {options.name}; the plugin itself is not touched")  # noqa: T201
