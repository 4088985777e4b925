"""Read what the user gave, keep it in one container, and lay it out in lanes or runs."""
