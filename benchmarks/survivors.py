"""Why mutants survive that the tests do not notice, by module, line and what it becomes."""

REASONS = {}
