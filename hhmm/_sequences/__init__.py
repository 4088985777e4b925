"""What the user gave: read once, kept in one container, laid out in lanes or runs."""
