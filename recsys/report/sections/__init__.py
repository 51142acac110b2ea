"""The sections of the report, one module a section."""
