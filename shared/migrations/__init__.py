"""Numbered SQL, applied in order by `healthsweep migrate`; an applied file is never edited."""
