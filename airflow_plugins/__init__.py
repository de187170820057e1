"""What Airflow loads from airfed."""
