"""`python -m commerce_pipelines`, the same as the command."""

from commerce_pipelines.cli import main

if __name__ == "__main__":
    main()
