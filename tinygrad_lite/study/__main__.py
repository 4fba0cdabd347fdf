"""`python -m tinygrad_lite.study script.py [arguments]`: run a script and step through its backward passes."""

from tinygrad_lite.study.script import main

if __name__ == "__main__":
    raise SystemExit(main())
