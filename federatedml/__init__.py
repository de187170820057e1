"""What a party computes: components, cryptography, tables. Needs no Airflow, no MLflow and no gateway."""
