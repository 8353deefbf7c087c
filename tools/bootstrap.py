"""From a clone to a result with nothing but Python: `python tools/bootstrap.py demo` or `... test`.

Everything else is in `tools/set_up/`. This file must be readable by any Python that people still have, so that an
old one is told what is wrong instead of stumbling over the syntax.
"""

import sys

MINIMUM = (3, 11)


def main():
    """Refuse an old Python with a sentence, or go on."""
    if sys.version_info[:2] < MINIMUM:
        sys.stderr.write(
            "This project needs Python %d.%d or newer; this is %d.%d (%s).\n"  # noqa: UP031
            "Install a newer one (from python.org, your package manager or `uv python install 3.11`) and run the\n"
            "same command with it, for example: python3.11 %s\n"
            % (MINIMUM + tuple(sys.version_info[:2]) + (sys.executable, " ".join(sys.argv)))
        )
        return 2
    from set_up.commands import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
