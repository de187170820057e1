"""FATE-style DSL to validated spec to role plan to Airflow DAG, and the drop-in folder as a DAG bundle."""
