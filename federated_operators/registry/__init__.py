"""Client of the MLflow model registry, without Airflow, the gateway or the mlflow package."""
