"""healthsweep on a host: installed, upgraded, rolled back and removed, by Debian's own Python alone.

Nothing here may import what is not in the standard library, or in files that import nothing else.
"""
