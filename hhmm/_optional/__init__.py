"""Other packages, imported where they are used."""
