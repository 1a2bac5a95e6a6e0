"""`python -m kitestring`."""

from kitestring.cli import main

main()
