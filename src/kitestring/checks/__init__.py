"""Pure checks: a spec and a snapshot in, findings out. `registry` lists them all.

To add one: write `def my_check(loaded, snapshot) -> Iterator[Finding]` in the file of its failure
mode, add it to that file's `CHECKS` with what it means, what causes it and what mends it, and run
`make docs`. Ids are stable: scripts and silenced findings name them.
"""
