"""`python -m experiments` lists the commands."""

from fmtbench.__main__ import main

if __name__ == "__main__":
    main("python -m experiments.")
