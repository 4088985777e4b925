"""The machine: precision, keys, threads, memory, interrupts, progress, files."""
