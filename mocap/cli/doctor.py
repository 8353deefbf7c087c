"""`mocap doctor`: what works on this machine, what is missing and how to get it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mocap.cli.console import EXIT_FAULT, print_json, stdout

if TYPE_CHECKING:
    from mocap.cli.health_checks import Check

STYLE = {"ok": "green", "missing": "bold red", "broken": "bold red", "later": "cyan", "optional": "dim"}


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> None:
    """Say what works on this machine, what is missing and how to get it.

    Exit code 0 when takes can be processed, 1 when something stops that.

    [bold]Example[/]

      mocap doctor
    """
    from mocap.cli.health_checks import all_checks

    checks = all_checks()
    stops = [check for check in checks if check.stops]
    if as_json:
        rows = [{"name": c.name, "state": c.state, "detail": c.detail, "remedy": c.remedy} for c in checks]
        print_json({"ok": not stops, "checks": rows})
    else:
        _show(checks, stops)
    if stops:
        raise typer.Exit(EXIT_FAULT)


def _show(checks: list[Check], stops: list[Check]) -> None:
    from rich.markup import escape

    width = max(len(check.name) for check in checks)
    for check in checks:
        state = f"[{STYLE[check.state]}]{check.state:8}[/]"
        stdout.print(f"{state}  {check.name:{width}}  {escape(check.detail)}", soft_wrap=True)
        if check.remedy:
            stdout.print(f"{'':8}  {'':{width}}  [bold]to do:[/] {escape(check.remedy)}", soft_wrap=True)
    if stops:
        stdout.print(f"\n[bold red]{len(stops)} to mend[/]: {', '.join(check.name for check in stops)}")
    else:
        stdout.print("\n[bold green]Everything that is needed works.[/]")
