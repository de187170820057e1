"""``python -m airfed.mlflow_schema FILE``: MLflow's tables in a new SQLite file.

``mlflow db upgrade`` only upgrades; the tables are made by whoever opens the store first.
"""

import sys

from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

if __name__ == "__main__":
    # The root that a server with proxied artifacts gives to its default experiment.
    SqlAlchemyStore(f"sqlite:///{sys.argv[1]}", "mlflow-artifacts:/")  # type: ignore[no-untyped-call]
