"""`python -m engage.migrate`: brings the schema up to date. Started by `engage.database` where it is not."""

import sys
from functools import partial
from pathlib import Path
from typing import Final

import alembic.command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy.exc import SQLAlchemyError

from engage.database import make_engine, only_one
from engage.key_file import keep_here
from engage.settings import Settings, load_settings

MIGRATIONS: Final = Path(__file__).parent / "migrations"


def migrate(settings: Settings) -> None:
    """Runs what is missing; nothing when another process just did."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    engine = make_engine(settings)
    try:
        with only_one(engine, settings), engine.begin() as connection:
            config.attributes["connection"] = connection
            config.attributes["secret_key"] = settings.secret_key
            config.attributes["keep_secret_key"] = partial(keep_here, settings.data_dir)
            alembic.command.upgrade(config, "head")
        if engine.dialect.name == "sqlite":
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")  # nor must what was dropped stay there
    finally:
        engine.dispose()


def main() -> None:
    try:
        migrate(load_settings())
    except (SQLAlchemyError, CommandError, OSError) as error:
        sys.exit(str(getattr(error, "orig", None) or error))


if __name__ == "__main__":
    main()
