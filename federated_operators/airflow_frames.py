"""Tables of this party's Airflow connections, as the data frames that its hooks yield.

Only a descriptor in the party's own data folder names a connection and a query (``federatedml.data.descriptor``).
"""

from __future__ import annotations

import logging
from typing import Any

import pyarrow as pa

from federatedml.data.descriptor import Sql
from federatedml.errors import DataError

DIALECTS = {"postgres": "postgresql"}  # types of connections that SQLAlchemy calls otherwise
log = logging.getLogger(__name__)


def airflow_frame(declared: Sql) -> pa.Table:
    """The rows that a connection yields.

    A provider's own hook is asked if one is installed for the connection's type, else SQLAlchemy with what the
    connection says: type, host, port, login, schema, extra.

    Raises:
        DataError: ``FED-856``, there is no such connection, or it yields no data frame. What the data base says goes to
            the task's log only.
    """
    where = f"connection {declared.connection!r}"
    try:
        frame = _hook(declared.connection).get_df(declared.statement)
    except Exception as error:  # of any provider, driver or data base
        log.error("%s: %s", where, error)
        raise _refused(error, f"{where}; the task's log has the rest") from None
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError) as error:  # its text quotes rows
        raise _refused(error, f"{where}: cast columns of other types to numbers or text") from None


def _refused(error: Exception, hint: str) -> DataError:
    return DataError("FED-856", f"a connection gives no data frame: {type(error).__name__}", hint)


def _hook(connection_id: str) -> Any:
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowException

    connection: Any = BaseHook.get_connection(connection_id)
    try:
        found = connection.get_hook()
    except AirflowException:  # no provider for this type is installed
        return _sqlalchemy_hook(connection)
    return found if hasattr(found, "get_df") else _sqlalchemy_hook(connection)


def _sqlalchemy_hook(connection: Any) -> Any:
    """Airflow's own SQL hook over SQLAlchemy: the connection's type is the dialect."""
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from sqlalchemy import URL, NullPool

    class SqlAlchemyHook(DbApiHook):
        conn_name_attr = "connection_id"

        @property
        def sqlalchemy_url(self) -> URL:
            extra = connection.extra_dejson
            return URL.create(
                DIALECTS.get(connection.conn_type, connection.conn_type),
                connection.login or None,
                connection.password or None,
                connection.host or None,
                connection.port,
                connection.schema or None,
                {name: str(value) for name, value in extra.items() if isinstance(value, str | int | float)},
            )

        def get_conn(self) -> Any:
            return self.get_sqlalchemy_engine({"poolclass": NullPool}).connect()

    return SqlAlchemyHook(connection_id=connection.conn_id)
