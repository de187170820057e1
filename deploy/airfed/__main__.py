"""``python -m airfed`` is the command ``airfed``."""

from airfed.cli import app

if __name__ == "__main__":
    app()
