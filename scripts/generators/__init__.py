"""The programs that wrote the bundled data sets; each writes the same files again."""
