"""The model: its parameters, its prior and how it makes data. Pure functions."""
