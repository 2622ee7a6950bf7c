"""`python -m cxrdiag`."""

from cxrdiag.cli.app import main

if __name__ == "__main__":
    main()
