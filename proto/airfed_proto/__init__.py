"""Messages that are stored or cross a party's border."""
