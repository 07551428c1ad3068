"""How many shards a project has: a setting until there are data, then a fact."""

from typing import Any

from engage import keys
from engage.errors import ConfigurationError


async def fixed_shards(client: Any, project: str, wanted: int) -> int:
    """Sets the number at first use. Raises ConfigurationError when it was set to another."""
    if (found := await client.get(keys.shards(project))) is None:
        await client.set(keys.shards(project), wanted, nx=True)
        found = await client.get(keys.shards(project))
    fixed = int(found)
    if fixed != wanted:
        raise ConfigurationError(
            f"{fixed}, the number of shards this data was written with",
            str(wanted),
            field="ENGAGE_SHARDS",
            hint=f"set ENGAGE_SHARDS={fixed}: people are placed by it, so it cannot change",
        )
    return fixed
