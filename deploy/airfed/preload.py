"""What a task needs, imported once in the scheduler: task processes are forked from it and inherit it.

Only imports: a gRPC channel, a thread or a database engine must not exist before a fork.
"""

import airflow.sdk.execution_time.task_runner  # noqa: F401
import grpc  # noqa: F401
import httpx  # noqa: F401
import numpy  # noqa: F401
import pandas  # noqa: F401 - Arrow imports it to make its first array
import pyarrow.parquet  # noqa: F401

import dags_generator.bundle  # noqa: F401
import federated_operators.conclude  # and with it all that a task runs
import federated_operators.operator  # noqa: F401
from federatedml.component import registry

dict(registry())  # each component is imported when it is looked at
