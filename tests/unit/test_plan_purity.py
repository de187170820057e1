"""Validating, planning and simulating need no Airflow: its import alone costs seconds."""

from __future__ import annotations

import subprocess
import sys

PURE = ("acceptor", "describe", "dropin", "form", "parse", "plan", "predict", "roleplan", "simulate", "store")


def test_the_pure_half_does_not_import_airflow() -> None:
    imports = ", ".join(f"dags_generator.{name}" for name in PURE)
    script = f"import sys, {imports}; print(*{{'airflow', 'mlflow', 'grpc'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
