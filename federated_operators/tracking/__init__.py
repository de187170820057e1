"""What a party's MLflow remembers of a job. Training never waits for MLflow and never fails because of it."""
